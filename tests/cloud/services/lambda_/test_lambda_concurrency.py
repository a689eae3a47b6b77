"""Reserved and provisioned concurrency, and the account they come out of."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cloud.aws import refused
from cloud.services.lambda_.lambda_plane import ARN, LambdaPlane
from fogbank.cloud.records.function import ProvisionedConcurrency


async def reserve(plane: LambdaPlane, number: int, name: str = "dogs") -> Any:
    return await plane(
        "PutFunctionConcurrency", FunctionName=name, ReservedConcurrentExecutions=number
    )


async def provision(
    plane: LambdaPlane, number: int, qualifier: str = "1", name: str = "dogs"
) -> Any:
    return await plane(
        "PutProvisionedConcurrencyConfig",
        FunctionName=name,
        Qualifier=qualifier,
        ProvisionedConcurrentExecutions=number,
    )


@pytest.fixture
async def versions(plane: LambdaPlane) -> LambdaPlane:
    """`dogs` with versions 1 and 2; the alias live is version 1."""
    await plane.active(versions=2)
    await plane("CreateAlias", FunctionName="dogs", Name="live", FunctionVersion="1")
    return plane


@pytest.mark.observed
async def test_a_reservation_is_made_shown_and_given_back(plane: LambdaPlane) -> None:
    await plane.active()
    assert await plane("GetFunctionConcurrency", FunctionName="dogs") == {}
    for number in (0, 5):
        assert await reserve(plane, number) == {"ReservedConcurrentExecutions": number}
    assert await plane("GetFunctionConcurrency", FunctionName="dogs") == {
        "ReservedConcurrentExecutions": 5
    }
    await plane("DeleteFunctionConcurrency", FunctionName="dogs")
    assert await plane("GetFunctionConcurrency", FunctionName="dogs") == {}


@pytest.mark.observed
async def test_a_reservation_is_of_a_whole_function(plane: LambdaPlane) -> None:
    await plane.active(versions=1)
    with refused("InvalidParameterValueException", 400, "permitted on Lambda functions only"):
        await reserve(plane, 1, f"{ARN}:dogs:1")


@pytest.mark.observed
@pytest.mark.parametrize(
    ("limit", "most", "minimum"), [(1000, 900, 100), (150, 50, 100), (50, 0, 50), (10, 0, 10)]
)
async def test_so_much_stays_unreserved(
    tmp_path: Path, limit: int, most: int, minimum: int
) -> None:
    plane = LambdaPlane(tmp_path, account_concurrency=limit)
    await plane.active()
    words = (
        "Specified ReservedConcurrentExecutions for function decreases account's "
        f"UnreservedConcurrentExecution below its minimum value of [{minimum}]."
    )
    with refused("InvalidParameterValueException", 400, words):
        await reserve(plane, most + 1)
    await reserve(plane, most)
    await plane.active("cats")
    with refused("InvalidParameterValueException", 400, words):
        await reserve(plane, 1, "cats")
    settings = await plane("GetAccountSettings")
    assert settings["AccountLimit"]["ConcurrentExecutions"] == limit
    assert settings["AccountLimit"]["UnreservedConcurrentExecutions"] == limit - most
    assert settings["AccountUsage"]["FunctionCount"] == 2


@pytest.mark.observed
async def test_provisioned_concurrency_is_asked_for_shown_and_given_back(
    versions: LambdaPlane,
) -> None:
    made = await provision(versions, 3, "live")
    assert made == {
        "RequestedProvisionedConcurrentExecutions": 3,
        "AllocatedProvisionedConcurrentExecutions": 0,
        "AvailableProvisionedConcurrentExecutions": 0,
        "Status": "IN_PROGRESS",
        "LastModified": versions.now.strftime("%Y-%m-%dT%H:%M:%S+0000"),
    }
    kept = versions.records.all(ProvisionedConcurrency)[0]
    versions.records.put(replace(kept, allocated=3, available=2, status="READY"))
    target = {"FunctionName": "dogs", "Qualifier": "live"}
    ready = await versions("GetProvisionedConcurrencyConfig", **target)
    assert (ready["Status"], ready["AvailableProvisionedConcurrentExecutions"]) == ("READY", 2)
    listed = await versions("ListProvisionedConcurrencyConfigs", FunctionName="dogs")
    (only,) = listed["ProvisionedConcurrencyConfigs"]
    assert only["FunctionArn"] == f"{ARN}:dogs:live"
    more = await provision(versions, 5, "live")
    assert (more["Status"], more["AllocatedProvisionedConcurrentExecutions"]) == ("IN_PROGRESS", 3)
    for _ in range(2):
        await versions("DeleteProvisionedConcurrencyConfig", **target)
    with refused(
        "ProvisionedConcurrencyConfigNotFoundException",
        404,
        "No Provisioned Concurrency Config found for this function",
    ):
        await versions("GetProvisionedConcurrencyConfig", **target)


@pytest.mark.observed
async def test_only_what_is_published_is_provisioned(versions: LambdaPlane) -> None:
    words = "Provisioned Concurrency Configs cannot be applied to unpublished function versions."
    with refused("InvalidParameterValueException", 400, words):
        await provision(versions, 1, "$LATEST")
    await versions("CreateAlias", FunctionName="dogs", Name="new", FunctionVersion="$LATEST")
    with refused("InvalidParameterValueException", 400, words):
        await provision(versions, 1, "new")
    for operation in ("GetProvisionedConcurrencyConfig", "DeleteProvisionedConcurrencyConfig"):
        with refused("InvalidParameterValueException", 400, "an alias or a published version"):
            await versions(operation, FunctionName="dogs", Qualifier="$LATEST")


@pytest.mark.observed
@pytest.mark.parametrize(
    ("qualifier", "words"),
    [
        ("none", f"Cannot find alias arn: {ARN}:dogs:none"),
        ("10", f"Function not found: {ARN}:dogs:10"),
    ],
)
async def test_what_is_not_there_is_not_provisioned(
    versions: LambdaPlane, qualifier: str, words: str
) -> None:
    with refused("ResourceNotFoundException", 404, words):
        await provision(versions, 1, qualifier)
    for operation in ("GetProvisionedConcurrencyConfig", "DeleteProvisionedConcurrencyConfig"):
        with refused("ResourceNotFoundException", 404, words):
            await versions(operation, FunctionName="dogs", Qualifier=qualifier)


@pytest.mark.observed
async def test_a_version_is_provisioned_once(versions: LambdaPlane) -> None:
    await provision(versions, 1, "live")
    words = "Version is pointed by a Provisioned Concurrency alias"
    with refused("ResourceConflictException", 409, words):
        await provision(versions, 1, "1")
    await provision(versions, 1, "2")
    words = (
        "Alias can't be used for Provisioned Concurrency configuration on an already Provisioned"
    )
    with refused("ResourceConflictException", 409, words):
        await versions("UpdateAlias", FunctionName="dogs", Name="live", FunctionVersion="2")
    await versions("CreateAlias", FunctionName="dogs", Name="next", FunctionVersion="2")
    with refused("ResourceConflictException", 409, words):
        await provision(versions, 1, "next")


@pytest.mark.docs
async def test_weights_and_provisioned_concurrency_exclude_each_other(
    versions: LambdaPlane,
) -> None:
    routing = {"AdditionalVersionWeights": {"2": 0.5}}
    words = "Alias with weights can not be used with Provisioned Concurrency"
    await versions("UpdateAlias", FunctionName="dogs", Name="live", RoutingConfig=routing)
    with refused("ResourceConflictException", 409, words):
        await provision(versions, 1, "live")
    await versions("UpdateAlias", FunctionName="dogs", Name="live", RoutingConfig={})
    await provision(versions, 1, "live")
    with refused("ResourceConflictException", 409, words):
        await versions("UpdateAlias", FunctionName="dogs", Name="live", RoutingConfig=routing)


@pytest.mark.observed
async def test_provisioned_stays_within_reserved_both_ways(versions: LambdaPlane) -> None:
    await reserve(versions, 5)
    await provision(versions, 3, "live")
    words = "should not be greater than the reservedConcurrentExecution for function"
    with refused("InvalidParameterValueException", 400, words):
        await provision(versions, 3, "2")
    await provision(versions, 2, "2")
    words = "ReservedConcurrentExecutions  4 should not be lower than function's total provisioned"
    with refused("InvalidParameterValueException", 400, words):
        await reserve(versions, 4)
    # What is provisioned is part of what is reserved: it is not counted twice.
    settings = await versions("GetAccountSettings")
    assert settings["AccountLimit"]["UnreservedConcurrentExecutions"] == 995


@pytest.mark.docs
async def test_asking_again_replaces_what_was_asked(versions: LambdaPlane) -> None:
    await reserve(versions, 5)
    for number in (3, 5, 4):
        made = await provision(versions, number, "live")
        assert made["RequestedProvisionedConcurrentExecutions"] == number


@pytest.mark.docs
async def test_provisioned_without_reserved_comes_out_of_the_account(tmp_path: Path) -> None:
    plane = LambdaPlane(tmp_path, account_concurrency=103)
    await plane.active(versions=1)
    with refused("InvalidParameterValueException", 400, "unreserved concurrency [3]"):
        await provision(plane, 4)
    await provision(plane, 3)
    settings = await plane("GetAccountSettings")
    assert settings["AccountLimit"]["UnreservedConcurrentExecutions"] == 100


@pytest.mark.docs
async def test_provisioned_goes_with_its_alias_and_with_its_version(versions: LambdaPlane) -> None:
    await provision(versions, 1, "live")
    await provision(versions, 1, "2")
    await versions("DeleteAlias", FunctionName="dogs", Name="live")
    await versions("DeleteFunction", FunctionName="dogs", Qualifier="2")
    assert versions.records.all(ProvisionedConcurrency) == []
