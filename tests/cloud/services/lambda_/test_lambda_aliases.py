"""Aliases: names for versions, weights, and what hangs on them."""

from __future__ import annotations

from typing import Any

import pytest

from cloud.aws import refused
from cloud.services.lambda_.lambda_plane import ARN, LambdaPlane


@pytest.fixture
async def versions(plane: LambdaPlane) -> LambdaPlane:
    """`dogs` with versions 1, 2 and 3."""
    await plane.active(versions=3)
    return plane


async def alias(plane: LambdaPlane, version: str = "1", name: str = "live", **more: Any) -> Any:
    return await plane(
        "CreateAlias", FunctionName="dogs", Name=name, FunctionVersion=version, **more
    )


def weighted(**weights: float) -> dict[str, Any]:
    return {"AdditionalVersionWeights": {key[1:]: value for key, value in weights.items()}}


@pytest.mark.observed
async def test_an_alias_is_made_read_moved_and_deleted(versions: LambdaPlane) -> None:
    made = await alias(versions, Description="what is served")
    assert made["AliasArn"] == f"{ARN}:dogs:live"
    assert "RoutingConfig" not in made
    assert await versions("GetAlias", FunctionName="dogs", Name="live") == made
    moved = await versions("UpdateAlias", FunctionName="dogs", Name="live", FunctionVersion="2")
    assert (moved["FunctionVersion"], moved["Description"]) == ("2", "what is served")
    assert moved["RevisionId"] != made["RevisionId"]
    await versions("DeleteAlias", FunctionName="dogs", Name="live")
    await versions("DeleteAlias", FunctionName="dogs", Name="live")
    with refused("ResourceNotFoundException", 404, f"Cannot find alias arn: {ARN}:dogs:live"):
        await versions("GetAlias", FunctionName="dogs", Name="live")


@pytest.mark.observed
async def test_an_alias_exists_once(versions: LambdaPlane) -> None:
    await alias(versions)
    with refused("ResourceConflictException", 409, f"Alias already exists: {ARN}:dogs:live"):
        await alias(versions)


@pytest.mark.observed
@pytest.mark.parametrize(
    ("version", "routing", "code", "status", "words"),
    [
        ("1", weighted(_2=0.5, _3=0.5), "InvalidParameterValueException", 400,
         "Number of items in AdditionalVersionWeights cannot be greater than 1"),
        ("1", weighted(_1=0.5), "InvalidParameterValueException", 400,
         "Function version 1 is already included in routing configuration."),
        ("$LATEST", weighted(_1=0.5), "InvalidParameterValueException", 400,
         "$LATEST is not supported for an alias pointing to more than 1 version"),
        ("9", {}, "ResourceNotFoundException", 404, f"Function not found: {ARN}:dogs:9"),
        ("1", weighted(_9=0.5), "ResourceNotFoundException", 404,
         f"Function not found: {ARN}:dogs:9"),
    ],
)  # fmt: skip
async def test_an_alias_refuses(
    versions: LambdaPlane, version: str, routing: Any, code: str, status: int, words: str
) -> None:
    with refused(code, status, words):
        await alias(versions, version, RoutingConfig=routing)


@pytest.mark.observed
async def test_weights_are_shown_kept_and_taken_away(versions: LambdaPlane) -> None:
    made = await alias(versions, RoutingConfig=weighted(_2=0.25))
    assert made["RoutingConfig"] == {"AdditionalVersionWeights": {"2": 0.25}}
    told = await versions("UpdateAlias", FunctionName="dogs", Name="live", Description="canary")
    assert told["RoutingConfig"] == made["RoutingConfig"]
    done = await versions(
        "UpdateAlias", FunctionName="dogs", Name="live", FunctionVersion="2", RoutingConfig={}
    )
    assert "RoutingConfig" not in done
    with refused("InvalidParameterValueException", 400, "already included"):
        await versions(
            "UpdateAlias", FunctionName="dogs", Name="live", RoutingConfig=weighted(_2=0.5)
        )


@pytest.mark.observed
async def test_a_stale_revision_is_refused(versions: LambdaPlane) -> None:
    first = (await alias(versions))["RevisionId"]
    await versions("UpdateAlias", FunctionName="dogs", Name="live", Description="2")
    with refused("PreconditionFailedException", 412, "latest Revision Id"):
        await versions("UpdateAlias", FunctionName="dogs", Name="live", RevisionId=first)


@pytest.mark.observed
async def test_aliases_are_listed_by_name_and_by_version(versions: LambdaPlane) -> None:
    await alias(versions, "1", "b", RoutingConfig=weighted(_3=0.1))
    await alias(versions, "2", "a")
    every = await versions("ListAliases", FunctionName="dogs")
    assert [each["Name"] for each in every["Aliases"]] == ["a", "b"]
    of_two = await versions("ListAliases", FunctionName="dogs", FunctionVersion="2")
    assert [each["Name"] for each in of_two["Aliases"]] == ["a"]
    of_three = await versions("ListAliases", FunctionName="dogs", FunctionVersion="3")
    assert [each["Name"] for each in of_three["Aliases"]] == ["b"]


@pytest.mark.observed
async def test_a_function_is_described_through_its_alias(versions: LambdaPlane) -> None:
    await alias(versions, "2")
    shown = await versions("GetFunctionConfiguration", FunctionName="dogs", Qualifier="live")
    assert (shown["Version"], shown["FunctionArn"]) == ("2", f"{ARN}:dogs:live")
    with refused("ResourceNotFoundException", 404, f"Function not found: {ARN}:dogs:none"):
        await versions("GetFunctionConfiguration", FunctionName="dogs:none")
