"""The function: its code and configuration, as `$LATEST` has them. What callers get is a published
version (`kinds.alias`).

States (API reference, FunctionConfiguration): Pending and an update InProgress pass by themselves,
Active runs, Inactive wakes up when it is called, Failed has to be made anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fogbank.aws import Aws, error_code, error_message, existing
from fogbank.ops.function_zip import code_sha256, pack_zip
from fogbank.ops.kinds import front_role
from fogbank.ops.kinds.code import members_of
from fogbank.ops.names import PROJECT_TAG, Names
from fogbank.ops.spec_function import Function
from fogbank.ops.step import Step, Verb
from fogbank.ops.survey import Code, CodeFile, read_members
from fogbank.ops.world import CloudFailure, World

POLL_S = 0.2
ROLE_LIMIT_S = 60
"""A new role takes some seconds until Lambda may use it."""

_CANNOT_BE_ASSUMED = "cannot be assumed by Lambda"


@dataclass(frozen=True, kw_only=True)
class Desired:
    name: str
    arn: str
    project: str
    code: Code
    configuration: Mapping[str, Any]
    """Parameters of UpdateFunctionConfiguration but for the name."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """One version of the function."""

    project: str | None
    """Of the function's tag; None without one."""
    version: str
    code_sha256: str
    configuration: Mapping[str, Any]
    """Those of its members that `Desired.configuration` has."""
    state: str = "Active"
    update_status: str = "Successful"
    reason: str = ""
    """Why it failed."""

    @property
    def is_passing(self) -> bool:
        return self.state == "Pending" or self.update_status == "InProgress"


def desired(function: Function, code: Code, names: Names) -> Desired:
    module = code.entry_point.removesuffix(".py").replace("/", ".")
    variables = {
        "ENDPOINT_NAME": names.endpoint,
        "ALLOWED_HOSTS": " ".join(function.allowed_hosts),
        "S3_PREFIXES": " ".join(function.s3_prefixes),
    }
    return Desired(
        name=names.function,
        arn=names.function_arn,
        project=names.project,
        code=code,
        configuration={
            "Runtime": function.runtime,
            "Role": names.role_arn(front_role.PURPOSE),
            "Handler": f"{module}.{function.handler}",
            "Timeout": function.timeout_s,
            "MemorySize": function.memory_mb,
            "Environment": {
                "Variables": {name: value for name, value in variables.items() if value}
            },
        },
    )


def observe(aws: Aws, name: str, qualifier: str | None = None) -> Found | None:
    """`$LATEST`, or the version that the qualifier (an alias) stands for."""
    wanted = {"Qualifier": qualifier} if qualifier else {}
    found = existing(aws.lambda_.get_function, FunctionName=name, **wanted)
    if found is None:
        return None
    answer = found["Configuration"]
    return Found(
        project=found.get("Tags", {}).get(PROJECT_TAG),
        version=answer["Version"],
        code_sha256=answer["CodeSha256"],
        configuration={
            "Runtime": answer.get("Runtime"),
            "Role": answer.get("Role"),
            "Handler": answer.get("Handler"),
            "Timeout": answer.get("Timeout"),
            "MemorySize": answer.get("MemorySize"),
            "Environment": {"Variables": answer.get("Environment", {}).get("Variables", {})},
        },
        state=answer.get("State", "Active"),
        update_status=answer.get("LastUpdateStatus", "Successful"),
        reason=answer.get("StateReason", "") or answer.get("LastUpdateStatusReason", ""),
    )


def differences(desired: Desired, found: Found) -> list[str]:
    """What of a version is not as it should be, in words."""
    names = {"Environment": "variables", "MemorySize": "memory"}
    return [
        *(["code"] if found.code_sha256 != desired.code.digest else []),
        *(
            names.get(key, key.lower())
            for key, value in desired.configuration.items()
            if found.configuration[key] != value
        ),
    ]


def diff(desired: Desired, found: Found | None) -> list[Step]:
    if found is None:
        return [_step(desired, "create", "create", "it does not exist")]
    if found.state == "Failed":
        return [
            *_delete(desired.name, f"it is Failed: {found.reason}"),
            _step(desired, "create", "create", "the failed one has been deleted"),
        ]
    differing = differences(desired, found)
    if differing:
        return [_step(desired, "update", "update", f"it differs in {' and '.join(differing)}")]
    if found.is_passing:
        return [_step(desired, "wait", "wait for", "it is being made ready")]
    if found.update_status == "Failed":
        return [_step(desired, "update", "update", f"the last update failed: {found.reason}")]
    return []


def _step(desired: Desired, verb: Verb, words: str, reason: str) -> Step:
    return Step(
        kind="function",
        verb=verb,
        name=desired.name,
        message=f"{words} the function {desired.name}",
        reason=reason,
        request={
            "project": desired.project,
            "sha256": desired.code.digest,
            "members": members_of(desired.code),
            "configuration": desired.configuration,
        },
    )


def remove(name: str) -> list[Step]:
    return _delete(name, f"it carries the tag {PROJECT_TAG}")


def _delete(name: str, reason: str) -> list[Step]:
    """With its versions, aliases, URLs and concurrency: all of them are parts of it."""
    return [
        Step(
            kind="function",
            verb="delete",
            name=name,
            message=f"delete the function {name}",
            reason=reason,
        )
    ]


def apply(world: World, step: Step) -> None:
    match step.verb:
        case "create":
            _create(world, step)
        case "update":
            _update(world, step)
        case "wait":
            wait_until_ready(world, step.name)
        case "delete":
            world.aws.lambda_.delete_function(FunctionName=step.name)
        case _:
            raise AssertionError(f"no way to {step.verb} a function")


def _zip_of(step: Step) -> bytes:
    """The files as they are now. Raises InputError where they are no longer what was planned."""
    from pathlib import Path

    from fogbank.core.errors import InputError

    members = [CodeFile(item["name"], Path(item["path"])) for item in step.request["members"]]
    archive = pack_zip(read_members(members))
    if code_sha256(archive) != step.request["sha256"]:
        raise InputError("the function's code changed while this command ran. Give it again.")
    return archive


def _create(world: World, step: Step) -> None:
    from botocore.exceptions import ClientError

    archive = _zip_of(step)
    give_up_s = world.clock.monotonic_s() + ROLE_LIMIT_S
    while True:
        try:
            world.aws.lambda_.create_function(
                FunctionName=step.name,
                Code={"ZipFile": archive},
                Tags={PROJECT_TAG: step.request["project"]},
                **step.request["configuration"],
            )
            break
        except ClientError as error:
            if error_code(error) == "ResourceConflictException":
                break  # an earlier run that was interrupted; the next plan compares
            if (
                _CANNOT_BE_ASSUMED not in error_message(error)
                or world.clock.monotonic_s() >= give_up_s
            ):
                raise
            world.progress.status("waiting until Lambda may use the new role")
            world.pause(1.0)
    wait_until_ready(world, step.name)


def _update(world: World, step: Step) -> None:
    """One change after the other: Lambda refuses a second one while the first is on its way."""
    client = world.aws.lambda_
    archive = _zip_of(step)
    _wait_while_passing(world, step.name)  # also one that failed is followed by the next
    client.update_function_code(FunctionName=step.name, ZipFile=archive)
    wait_until_ready(world, step.name)
    client.update_function_configuration(FunctionName=step.name, **step.request["configuration"])
    wait_until_ready(world, step.name)


def wait_until_ready(world: World, name: str, qualifier: str | None = None) -> None:
    """Raises CloudFailure where the function cannot be made ready."""
    found = _wait_while_passing(world, name, qualifier)
    if found.state == "Failed" or found.update_status == "Failed":
        raise CloudFailure(f"the function {name} cannot be made ready: {found.reason}")


def _wait_while_passing(world: World, name: str, qualifier: str | None = None) -> Found:
    """The function when nothing is on its way any more, well or not."""
    while True:
        found = observe(world.aws, name, qualifier)
        if found is None:
            raise CloudFailure(f"the function {name} went away while it was being made ready")
        if not found.is_passing:
            return found
        world.progress.status(found.state)
        world.pause(POLL_S)
