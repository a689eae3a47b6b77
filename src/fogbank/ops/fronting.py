"""The function with all that belongs to it, as one thing: role, log group, code, alias,
concurrency, URL.

`observe` reads; all else is pure.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from fogbank.aws import Aws
from fogbank.core.errors import InputError
from fogbank.ops.kinds import (
    alias,
    front_role,
    function,
    function_url,
    log_group,
    provisioned_concurrency,
    reserved_concurrency,
    role,
)
from fogbank.ops.names import ALIAS, PROJECT_TAG, Names
from fogbank.ops.spec_function import Function
from fogbank.ops.step import Step
from fogbank.ops.survey import Code


@dataclass(frozen=True, kw_only=True)
class Desired:
    """What has to exist for the function to answer."""

    role: role.Desired
    log_group: log_group.Desired
    function: function.Desired
    alias: alias.Desired
    reserved: reserved_concurrency.Desired
    provisioned: provisioned_concurrency.Desired
    url: function_url.Desired


@dataclass(frozen=True, kw_only=True)
class Found:
    """What there is of it."""

    account: reserved_concurrency.Account
    role: role.Found | None = None
    log_group: log_group.Found | None = None
    live: function.Found | None = None
    """The version that the alias points to."""
    function: function.Found | None = None
    reserved: int | None = None
    provisioned: provisioned_concurrency.Found | None = None
    url: function_url.Found = field(default_factory=function_url.Found)

    def is_of(self, project: str) -> bool:
        """Whether there is a function, and it is that project's."""
        return self.function is not None and self.function.project == project

    def to_json(self, name: str) -> dict[str, Any] | None:
        """None where there is no function."""
        if self.function is None:
            return None
        provisioned = self.provisioned
        return {
            "name": name,
            "alias": ALIAS if self.live else None,
            "version": self.live.version if self.live else None,
            "state": self.function.state,
            "failure_reason": self.function.reason or None,
            "reserved_concurrency": self.reserved,
            "provisioned_concurrency": {
                "requested": provisioned.requested,
                "allocated": provisioned.allocated,
                "available": provisioned.available,
                "status": provisioned.status,
                "failure_reason": provisioned.reason or None,
            }
            if provisioned
            else None,
            "url": self.url.url or None,
        }


def desired(spec: Function, code: Code, names: Names) -> Desired:
    wanted = function.desired(spec, code, names)
    return Desired(
        role=front_role.desired(spec, names),
        log_group=log_group.desired(spec, names),
        function=wanted,
        alias=alias.desired(wanted),
        reserved=reserved_concurrency.desired(spec, names),
        provisioned=provisioned_concurrency.desired(spec, names),
        url=function_url.desired(spec, names),
    )


def observe(aws: Aws, names: Names) -> Found:
    name = names.function
    account = reserved_concurrency.observe_account(aws)
    found_role = role.observe(aws, names.role(front_role.PURPOSE))
    found_group = log_group.observe(aws, names)
    found = function.observe(aws, name)
    if found is None:
        return Found(account=account, role=found_role, log_group=found_group)
    live = alias.observe(aws, name)
    return Found(
        account=account,
        role=found_role,
        log_group=found_group,
        function=found,
        live=live,
        reserved=reserved_concurrency.observe(aws, name),
        provisioned=provisioned_concurrency.observe(aws, name) if live else None,
        url=function_url.observe(aws, name) if live else function_url.Found(),
    )


def check(desired: Desired, found: Found) -> None:
    """Raises InputError for a function that is somebody else's, and for what Lambda would refuse,
    before anything is made."""
    name, project = desired.function.name, desired.function.project
    if found.function is not None and not found.is_of(project):
        raise InputError(
            f"there is a function {name} already, and it is not this project's (it lacks the tag "
            f"{PROJECT_TAG}={project}): choose another name for the project in fogbank.yaml."
        )
    obstacle = reserved_concurrency.obstacle(desired.reserved, found.reserved, found.account)
    if obstacle is not None:
        raise InputError(obstacle)


def diff(desired: Desired, found: Found) -> list[Step]:
    is_anew = found.function is None or found.function.state == "Failed"
    live = None if is_anew else found.live
    alias_steps = alias.diff(desired.alias, live)
    provisioned = provisioned_concurrency.diff(
        desired.provisioned, None if is_anew else found.provisioned, alias_moves=bool(alias_steps)
    )
    reserved = reserved_concurrency.diff(desired.reserved, None if is_anew else found.reserved)
    is_less = provisioned_concurrency.is_less(desired.provisioned, found.provisioned)
    return [
        *log_group.diff(desired.log_group, found.log_group),
        *role.diff(desired.role, found.role),
        *function.diff(desired.function, found.function),
        *alias_steps,
        *((*provisioned, *reserved) if is_less else (*reserved, *provisioned)),
        *function_url.diff(desired.url, function_url.Found() if is_anew else found.url),
    ]


def remove(found: Found, names: Names) -> list[Step]:
    """The steps that take away what the project has made of it, where its spec has none."""
    project = names.project
    steps = [
        *(function.remove(names.function) if found.is_of(project) else ()),
        *(role.remove(found.role) if found.role and found.role.project == project else ()),
        *(
            log_group.remove(found.log_group.name)
            if found.log_group and found.log_group.project == project
            else ()
        ),
    ]
    return [replace(step, reason="fogbank.yaml has no function any more") for step in steps]
