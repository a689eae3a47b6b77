"""The alias: what callers name. It points to a published version, which never changes; new code is
published as a new version, and the alias goes on to it. A few versions before it are kept, so that
callers can be led back at once; older ones are deleted.
"""

from __future__ import annotations

from dataclasses import dataclass

from fogbank.aws import Aws, error_code
from fogbank.ops.kinds import function
from fogbank.ops.names import ALIAS
from fogbank.ops.step import Step
from fogbank.ops.world import World

NUM_KEPT = 3
"""Versions that stay besides the one that the alias points to."""


@dataclass(frozen=True, kw_only=True)
class Desired:
    name: str
    function: function.Desired


def desired(wanted: function.Desired) -> Desired:
    return Desired(name=ALIAS, function=wanted)


def observe(aws: Aws, function_name: str) -> function.Found | None:
    """The version that the alias points to."""
    return function.observe(aws, function_name, ALIAS)


def diff(desired: Desired, found: function.Found | None) -> list[Step]:
    name = desired.function.name
    request = {"function": name, "sha256": desired.function.code.digest}
    if found is None:
        return [
            Step(
                kind="alias",
                verb="create",
                name=desired.name,
                message=f"publish a version of {name} as {desired.name}",
                reason=f"there is no alias {desired.name}",
                request=request,
            )
        ]
    differing = function.differences(desired.function, found)
    if not differing:
        return []
    return [
        Step(
            kind="alias",
            verb="update",
            name=desired.name,
            message=f"publish a new version of {name} as {desired.name}",
            reason=f"version {found.version} differs in {' and '.join(differing)}",
            request=request,
        )
    ]


def apply(world: World, step: Step) -> None:
    """Publishing twice gives the same version, where nothing has changed since."""
    from botocore.exceptions import ClientError

    assert step.verb in ("create", "update"), f"no way to {step.verb} an alias"
    client = world.aws.lambda_
    name = step.request["function"]
    version = client.publish_version(FunctionName=name, CodeSha256=step.request["sha256"])
    number = version["Version"]
    world.progress.status(f"version {number}")
    function.wait_until_ready(world, name, number)
    try:
        client.create_alias(FunctionName=name, Name=step.name, FunctionVersion=number)
    except ClientError as error:
        if error_code(error) != "ResourceConflictException":
            raise
        client.update_alias(FunctionName=name, Name=step.name, FunctionVersion=number)
    _delete_old_versions(world, name, int(number))


def _delete_old_versions(world: World, name: str, live: int) -> None:
    from botocore.exceptions import ClientError

    client = world.aws.lambda_
    pages = client.get_paginator("list_versions_by_function").paginate(FunctionName=name)
    numbers = [item["Version"] for page in pages for item in page["Versions"]]
    others = sorted({int(number) for number in numbers if number != "$LATEST"} - {live})
    for number in others[:-NUM_KEPT]:
        try:
            client.delete_function(FunctionName=name, Qualifier=str(number))
        except ClientError as error:
            # An alias that somebody else has made points to it (API reference, DeleteFunction).
            if error_code(error) != "ResourceConflictException":
                raise
