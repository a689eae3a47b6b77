"""What hangs on functions: event invoke configurations, permissions, tags, URLs, layers."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cloud.aws import refused
from cloud.services.lambda_.lambda_plane import ARN, ENDPOINT, LAYER, LambdaPlane, zipped
from fogbank.cloud.records.function import FunctionPolicy, FunctionUrl, LayerVersion


@pytest.fixture
async def dogs(plane: LambdaPlane) -> LambdaPlane:
    """`dogs` with version 1 and the alias live."""
    await plane.active(versions=1)
    await plane("CreateAlias", FunctionName="dogs", Name="live", FunctionVersion="1")
    return plane


async def events(plane: LambdaPlane, **params: Any) -> Any:
    return await plane("PutFunctionEventInvokeConfig", FunctionName="dogs", **params)


@pytest.mark.observed
async def test_event_invoke_configs_are_kept_for_each_qualifier(dogs: LambdaPlane) -> None:
    made = await events(dogs, MaximumRetryAttempts=1)
    assert made["FunctionArn"] == f"{ARN}:dogs:$LATEST"
    assert made["DestinationConfig"] == {"OnSuccess": {}, "OnFailure": {}}
    assert "MaximumEventAgeInSeconds" not in made
    await events(dogs, Qualifier="live", MaximumEventAgeInSeconds=60)
    listed = await dogs("ListFunctionEventInvokeConfigs", FunctionName="dogs")
    assert [each["FunctionArn"] for each in listed["FunctionEventInvokeConfigs"]] == [
        f"{ARN}:dogs:$LATEST",
        f"{ARN}:dogs:live",
    ]
    replaced = await events(dogs, MaximumEventAgeInSeconds=90)
    assert "MaximumRetryAttempts" not in replaced
    await dogs("UpdateFunctionEventInvokeConfig", FunctionName="dogs", MaximumRetryAttempts=0)
    found = await dogs("GetFunctionEventInvokeConfig", FunctionName="dogs", Qualifier="$LATEST")
    assert (found["MaximumRetryAttempts"], found["MaximumEventAgeInSeconds"]) == (0, 90)
    await dogs("DeleteFunctionEventInvokeConfig", FunctionName="dogs")
    words = f"The function {ARN}:dogs:$LATEST doesn't have an EventInvokeConfig"
    for operation in ("Get", "Delete"):
        with refused("ResourceNotFoundException", 404, words):
            await dogs(f"{operation}FunctionEventInvokeConfig", FunctionName="dogs")


@pytest.mark.observed
async def test_destinations_are_checked(dogs: LambdaPlane) -> None:
    await dogs.active("other")
    good = f"{ARN}:other"
    made = await events(dogs, DestinationConfig={"OnSuccess": {"Destination": good}})
    assert made["DestinationConfig"] == {"OnSuccess": {"Destination": good}, "OnFailure": {}}
    queue = "arn:aws:sqs:us-east-1:123456789012:failures"
    await events(dogs, DestinationConfig={"OnFailure": {"Destination": queue}})
    for wrong, words in (
        (f"{ARN}:nobody", f"The destination ARN {ARN}:nobody is invalid."),
        (f"{ARN}:dogs", "You can't specify the function as a destination for itself."),
        (
            "arn:aws:iam:us-east-1:123456789012:x",
            "DestinationConfig(onSuccess=OnSuccess(destination=arn:aws:iam:us-east-1:123456789012:"
            "x), onFailure=null) is invalid.",
        ),
    ):
        with refused("InvalidParameterValueException", 400, words):
            await events(dogs, DestinationConfig={"OnSuccess": {"Destination": wrong}})


@pytest.mark.observed
async def test_event_invoke_configs_need_a_function_and_a_setting(dogs: LambdaPlane) -> None:
    with refused("InvalidParameterValueException", 400, "at least one of error handling"):
        await events(dogs)
    for more in ({"FunctionName": "nobody"}, {"FunctionName": "dogs", "Qualifier": "none"}):
        with refused("ResourceNotFoundException", 404, "The function doesn't exist."):
            await dogs("PutFunctionEventInvokeConfig", **more, MaximumRetryAttempts=1)


async def permit(plane: LambdaPlane, sid: str = "s3", **changes: Any) -> Any:
    params = {
        "FunctionName": "dogs",
        "StatementId": sid,
        "Action": "lambda:InvokeFunction",
        "Principal": "s3.amazonaws.com",
        **changes,
    }
    return await plane("AddPermission", **params)


@pytest.mark.observed
async def test_a_permission_becomes_a_statement(dogs: LambdaPlane) -> None:
    made = await permit(dogs, SourceArn="arn:aws:s3:::pictures", SourceAccount="123456789012")
    statement = json.loads(made["Statement"])
    assert statement == {
        "Sid": "s3",
        "Effect": "Allow",
        "Principal": {"Service": "s3.amazonaws.com"},
        "Action": "lambda:InvokeFunction",
        "Resource": f"{ARN}:dogs",
        "Condition": {
            "ArnLike": {"AWS:SourceArn": "arn:aws:s3:::pictures"},
            "StringEquals": {"AWS:SourceAccount": "123456789012"},
        },
    }
    await permit(dogs, "everybody", Principal="*")
    found = await dogs("GetPolicy", FunctionName="dogs")
    policy = json.loads(found["Policy"])
    assert (policy["Version"], policy["Id"]) == ("2012-10-17", "default")
    assert [each["Sid"] for each in policy["Statement"]] == ["s3", "everybody"]
    assert policy["Statement"][0] == statement
    shown = await dogs("GetFunctionConfiguration", FunctionName="dogs")
    assert found["RevisionId"] == shown["RevisionId"]


@pytest.mark.observed
async def test_a_policy_is_of_one_qualifier(dogs: LambdaPlane) -> None:
    made = await permit(dogs, Qualifier="live")
    assert json.loads(made["Statement"])["Resource"] == f"{ARN}:dogs:live"
    with refused("ResourceNotFoundException", 404, "The resource you requested does not exist."):
        await dogs("GetPolicy", FunctionName="dogs")
    await dogs("RemovePermission", FunctionName="dogs:live", StatementId="s3")
    assert dogs.records.all(FunctionPolicy) == []


@pytest.mark.observed
async def test_permissions_are_refused(dogs: LambdaPlane) -> None:
    await permit(dogs)
    for code, status, changes, words in (
        ("ResourceConflictException", 409, {}, "The statement id (s3) provided already exists."),
        (
            "InvalidParameterValueException",
            400,
            {"Qualifier": "$LATEST"},
            "adding policies for $LATEST",
        ),
        (
            "InvalidParameterValueException",
            400,
            {"sid": "x", "Principal": "invalid.nonaws.com"},
            "The provided principal was invalid.",
        ),
        (
            "ResourceNotFoundException",
            404,
            {"Qualifier": "none"},
            f"Cannot find alias arn: {ARN}:dogs:none",
        ),
        (
            "ResourceNotFoundException",
            404,
            {"Qualifier": "42"},
            f"Function not found: {ARN}:dogs:42",
        ),
        (
            "ResourceNotFoundException",
            404,
            {"FunctionName": "nobody"},
            f"Function not found: {ARN}:nobody",
        ),
        (
            "PreconditionFailedException",
            412,
            {"sid": "x", "RevisionId": "stale"},
            "latest Revision Id",
        ),
    ):
        with refused(code, status, words):
            await permit(dogs, **changes)
    for target, words in (
        ("dogs", "Statement none is not found in resource policy."),
        ("dogs:1", "No policy is associated with the given resource."),
        ("nobody", f"No policy found for: {ARN}:nobody"),
    ):
        with refused("ResourceNotFoundException", 404, words):
            await dogs("RemovePermission", FunctionName=target, StatementId="none")


@pytest.mark.docs
async def test_a_policy_has_a_limit(dogs: LambdaPlane) -> None:
    source = "arn:aws:s3:::" + "x" * 9000
    await permit(dogs, "a", SourceArn=source)
    await permit(dogs, "b", SourceArn=source)
    with refused("PolicyLengthExceededException", 400, "(20480)"):
        await permit(dogs, "c", SourceArn=source)


@pytest.mark.observed
async def test_tags_are_of_functions(dogs: LambdaPlane) -> None:
    arn = f"{ARN}:dogs"
    await dogs("TagResource", Resource=arn, Tags={"a": "1", "b": "2"})
    await dogs("TagResource", Resource=arn, Tags={"b": "3"})
    assert (await dogs("ListTags", Resource=arn))["Tags"] == {"a": "1", "b": "3"}
    await dogs("UntagResource", Resource=arn, TagKeys=["a", "none"])
    assert (await dogs("ListTags", Resource=arn))["Tags"] == {"b": "3"}
    words = "Tags on function aliases and versions are not supported."
    for qualifier in ("$LATEST", "1", "live"):
        with refused("InvalidParameterValueException", 400, words):
            await dogs("TagResource", Resource=f"{arn}:{qualifier}", Tags={})
    with refused("ResourceNotFoundException", 404, f"Function not found: {ARN}:nobody"):
        await dogs("ListTags", Resource=f"{ARN}:nobody")
    with refused("InvalidParameterValueException", 400, "at most 50"):
        await dogs("TagResource", Resource=arn, Tags={str(n): "" for n in range(50)})


@pytest.mark.observed
async def test_a_url_is_made_changed_and_deleted(dogs: LambdaPlane) -> None:
    cors = {"AllowOrigins": ["https://example.org"], "MaxAge": 60}
    made = await dogs(
        "CreateFunctionUrlConfig", FunctionName="dogs", Qualifier="live", AuthType="NONE", Cors=cors
    )
    (url,) = dogs.records.all(FunctionUrl)
    assert made["FunctionUrl"] == f"{ENDPOINT}/_lambda-url/{url.url_id}/"
    assert made["FunctionArn"] == f"{ARN}:dogs:live"
    assert (made["Cors"], made["InvokeMode"]) == (cors, "BUFFERED")
    with refused("ResourceConflictException", 409, f"[functionArn = {ARN}:dogs:live]"):
        await dogs(
            "CreateFunctionUrlConfig", FunctionName="dogs", Qualifier="live", AuthType="NONE"
        )
    dogs.wait(5)
    changed = await dogs(
        "UpdateFunctionUrlConfig", FunctionName="dogs", Qualifier="live", AuthType="AWS_IAM"
    )
    assert changed["FunctionUrl"] == made["FunctionUrl"]
    assert (changed["AuthType"], changed["Cors"]) == ("AWS_IAM", cors)
    assert changed["CreationTime"] < changed["LastModifiedTime"]
    await dogs("CreateFunctionUrlConfig", FunctionName="dogs", AuthType="NONE")
    listed = await dogs("ListFunctionUrlConfigs", FunctionName="dogs")
    assert [each["FunctionArn"] for each in listed["FunctionUrlConfigs"]] == [
        f"{ARN}:dogs",
        f"{ARN}:dogs:live",
    ]
    await dogs("DeleteFunctionUrlConfig", FunctionName="dogs", Qualifier="live")
    words = "The resource you requested does not exist."
    for operation in ("Get", "Update", "Delete"):
        with refused("ResourceNotFoundException", 404, words):
            await dogs(f"{operation}FunctionUrlConfig", FunctionName="dogs", Qualifier="live")


@pytest.mark.observed
async def test_a_url_needs_a_function_or_an_alias(dogs: LambdaPlane) -> None:
    for more in ({"FunctionName": "nobody"}, {"FunctionName": "dogs", "Qualifier": "none"}):
        with refused("ResourceNotFoundException", 404, "Function does not exist"):
            await dogs("CreateFunctionUrlConfig", **more, AuthType="NONE")
    with refused("InvalidParameterValueException", 400, "does not match the specified qualifier"):
        await dogs(
            "CreateFunctionUrlConfig", FunctionName="dogs:x", Qualifier="live", AuthType="NONE"
        )
    with refused("InvalidParameterValueException", 400, "RESPONSE_STREAM"):
        await dogs(
            "CreateFunctionUrlConfig",
            FunctionName="dogs",
            AuthType="NONE",
            InvokeMode="RESPONSE_STREAM",
        )


async def layer(plane: LambdaPlane, name: str = "deps", **more: Any) -> Any:
    return await plane(
        "PublishLayerVersion",
        LayerName=name,
        Content={"ZipFile": zipped({"python/deps.py": b"x = 1"})},
        **more,
    )


@pytest.mark.observed
async def test_layers_are_published_found_and_listed(plane: LambdaPlane) -> None:
    first = await layer(plane, CompatibleRuntimes=["python3.11"], LicenseInfo="MIT")
    second = await layer(plane, CompatibleRuntimes=["python3.12"], Description="newer")
    await layer(plane, "other")
    assert (first["Version"], second["Version"]) == (1, 2)
    assert second["LayerArn"] == f"{LAYER}:deps"
    assert second["LayerVersionArn"] == f"{LAYER}:deps:2"
    assert (first["LicenseInfo"], first["CreatedDate"]) == ("MIT", "2026-11-21T12:00:00.000+0000")
    assert first["Content"]["CodeSize"] > 0
    found = await plane("GetLayerVersion", LayerName=f"{LAYER}:deps", VersionNumber=1)
    by_arn = await plane("GetLayerVersionByArn", Arn=f"{LAYER}:deps:1")
    assert found["Content"]["CodeSha256"] == by_arn["Content"]["CodeSha256"]
    listed = await plane("ListLayerVersions", LayerName="deps")
    assert [each["Version"] for each in listed["LayerVersions"]] == [2, 1]
    fitting = await plane("ListLayers", CompatibleRuntime="python3.11")
    assert [each["LatestMatchingVersion"]["Version"] for each in fitting["Layers"]] == [1]
    every = await plane("ListLayers", MaxItems=1)
    assert every["Layers"][0]["LatestMatchingVersion"]["Version"] == 2
    rest = await plane("ListLayers", MaxItems=1, Marker=every["NextMarker"])
    assert [each["LayerName"] for each in rest["Layers"]] == ["other"]


@pytest.mark.docs
async def test_a_deleted_layer_stays_for_the_functions_that_use_it(plane: LambdaPlane) -> None:
    arn = (await layer(plane))["LayerVersionArn"]
    made = await plane.create(Layers=[arn])
    size_bytes = plane.records.all(LayerVersion)[0].code_size_bytes
    assert made["Layers"] == [{"Arn": arn, "CodeSize": size_bytes}]
    plane.settle()
    for _ in range(2):
        await plane("DeleteLayerVersion", LayerName="deps", VersionNumber=1)
    with refused("ResourceNotFoundException", 404):
        await plane("GetLayerVersionByArn", Arn=arn)
    assert (await plane("ListLayers"))["Layers"] == []
    kept = await plane("UpdateFunctionConfiguration", FunctionName="dogs", Timeout=9)
    assert kept["Layers"] == made["Layers"]
    with refused("InvalidParameterValueException", 400, f"Layer version {arn} does not exist."):
        await plane.create("cats", Layers=[arn])
    assert (await layer(plane))["Version"] == 2


@pytest.mark.observed
@pytest.mark.parametrize("number", [0, 9])
async def test_a_layer_version_that_is_not_there(plane: LambdaPlane, number: int) -> None:
    await layer(plane)
    code, status = (
        ("InvalidParameterValueException", 400)
        if number == 0
        else ("ResourceNotFoundException", 404)
    )
    with refused(code, status):
        await plane("GetLayerVersion", LayerName="deps", VersionNumber=number)
