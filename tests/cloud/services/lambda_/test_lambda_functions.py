"""Functions and their versions: what is said of them, what is refused, and in which words."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.aws import SCOPE, refused
from cloud.services.lambda_.lambda_plane import ARN, ROLE, LambdaPlane, zipped
from fogbank.cloud.errors import ServiceError
from fogbank.cloud.records.function import Function, FunctionVersion
from fogbank.cloud.services.lambda_.code import CodeIntake
from fogbank.cloud.services.lambda_.names import FunctionName, function_arn, named

CASES = Path(__file__).resolve().parents[3] / "cases" / "lambda"
NAMES: list[dict[str, Any]] = json.loads((CASES / "function_names.json").read_text())
CREATE_REFUSALS: list[dict[str, Any]] = json.loads((CASES / "create_refusals.json").read_text())


@pytest.mark.docs
@given(
    name=st.from_regex(r"[a-zA-Z0-9_-]{1,64}", fullmatch=True),
    qualifier=st.from_regex(r"|\$LATEST|[a-zA-Z0-9_-]{1,20}", fullmatch=True),
)
def test_an_arn_means_what_it_was_made_of(name: str, qualifier: str) -> None:
    arn = function_arn(SCOPE, name, qualifier)
    for form in (arn, arn.removeprefix("arn:aws:lambda:"), arn.partition("us-east-1:")[2]):
        assert named({"FunctionName": form}, SCOPE) == FunctionName(name, qualifier)


def _with_bytes(changes: dict[str, Any]) -> dict[str, Any]:
    """JSON has no bytes: a ZipFile stands in it as text."""
    code = dict(changes.get("Code", {}))
    if "ZipFile" in code:
        code["ZipFile"] = code["ZipFile"].encode()
    return {**changes, "Code": code} if code else changes


@pytest.mark.docs
@pytest.mark.parametrize("case", NAMES, ids=lambda case: case["given"])
def test_a_function_is_named_in_every_form(case: dict[str, Any]) -> None:
    params = {"FunctionName": case["given"], "Qualifier": case.get("qualifier")}
    if "refused" in case:
        with refused(case["refused"], case["status"], case["words"]):
            named(params, SCOPE)
    else:
        found = named(params, SCOPE)
        assert [found.name, found.qualifier] == case["means"]


@pytest.mark.observed
async def test_a_new_function_is_pending_and_is_described_with_its_defaults(
    plane: LambdaPlane,
) -> None:
    made = await plane.create(Environment={"Variables": {"TABLE": "dogs"}})
    assert made["State"] == "Pending"
    assert made["StateReason"] == "The function is being created."
    assert made["StateReasonCode"] == "Creating"
    assert "LastUpdateStatus" not in made
    assert made["FunctionArn"] == f"{ARN}:dogs"
    assert (made["Version"], made["Timeout"], made["MemorySize"]) == ("$LATEST", 3, 128)
    assert made["EphemeralStorage"] == {"Size": 512}
    assert made["Environment"] == {"Variables": {"TABLE": "dogs"}}
    assert made["LoggingConfig"] == {"LogFormat": "Text", "LogGroup": "/aws/lambda/dogs"}
    assert made["SnapStart"] == {"ApplyOn": "None", "OptimizationStatus": "Off"}
    assert made["LastModified"] == "2026-11-21T12:00:00.000+0000"
    assert made["CodeSize"] == len(zipped())
    plane.settle()
    found = await plane("GetFunctionConfiguration", FunctionName="dogs")
    assert (found["State"], found["LastUpdateStatus"]) == ("Active", "Successful")
    assert "StateReason" not in found


@pytest.mark.observed
@pytest.mark.parametrize("case", CREATE_REFUSALS, ids=lambda case: case["why"])
async def test_create_refuses(plane: LambdaPlane, case: dict[str, Any]) -> None:
    with refused(case["code"], case.get("status", 400), *case["words"]):
        await plane.create(**_with_bytes(case["changes"]))
    assert plane.records.all(Function) == []
    assert plane.records.all(FunctionVersion) == []


@pytest.mark.observed
async def test_a_function_exists_once(plane: LambdaPlane) -> None:
    await plane.create()
    with refused("ResourceConflictException", 409, "Function already exist: dogs"):
        await plane.create()


@pytest.mark.observed
async def test_of_two_who_come_at_once_one_is_refused(plane: LambdaPlane) -> None:
    made = await asyncio.gather(plane.create(), plane.create(), return_exceptions=True)
    (refusal,) = [each for each in made if isinstance(each, ServiceError)]
    assert refusal.message == "Function already exist: dogs"
    plane.settle()
    update = {"FunctionName": "dogs", "ZipFile": zipped()}
    done = await asyncio.gather(
        plane("UpdateFunctionCode", **update),
        plane("UpdateFunctionCode", **update),
        return_exceptions=True,
    )
    (refusal,) = [each for each in done if isinstance(each, ServiceError)]
    assert refusal.code == "ResourceConflictException"


class HeavyCode:
    """A store whose zips all unpack to 140 MB."""

    async def put(self, archive: bytes | Path) -> tuple[str, int]:
        raise AssertionError("nothing is kept")

    def archive(self, code_sha256: str) -> Path:
        raise LookupError(code_sha256)

    def unpacked_bytes(self, code_sha256: str) -> int:
        return 140_000_000

    async def folder(self, code_sha256: str) -> Path:
        raise LookupError(code_sha256)


@pytest.mark.docs
async def test_code_and_layers_are_measured_together(plane: LambdaPlane) -> None:
    layer = await plane("PublishLayerVersion", LayerName="deps", Content={"ZipFile": zipped()})
    intake = CodeIntake(HeavyCode(), plane.bucket, plane.records)
    intake.check_size("code", [])
    words = "Function code combined with layers exceeds the maximum allowed size"
    with refused("InvalidParameterValueException", 400, words, "280000000 bytes"):
        intake.check_size("code", [layer["LayerVersionArn"]])


@pytest.mark.docs
async def test_the_role_has_to_trust_lambda(plane: LambdaPlane) -> None:
    text = "The role defined for the function cannot be assumed by Lambda."
    with refused("InvalidParameterValueException", 400, text):
        await plane.create(Role="arn:aws:iam::123456789012:role/other")
    await plane.active()
    with refused("InvalidParameterValueException", 400, text):
        await plane(
            "UpdateFunctionConfiguration",
            FunctionName="dogs",
            Role="arn:aws:iam::123456789012:role/other",
        )


@pytest.mark.docs
async def test_an_environment_may_take_4_kb_and_its_refusal_shows_no_secret(
    plane: LambdaPlane,
) -> None:
    # {"KEY":"..."} is 10 characters around the value.
    await plane.create("fits", Environment={"Variables": {"KEY": "x" * 4086}})
    with pytest.raises(ServiceError, match="exceeded the 4KB limit") as error:
        await plane.create("large", Environment={"Variables": {"KEY": "s3cret" * 1000}})
    assert error.value.code == "InvalidParameterValueException"
    assert "s3cret" not in str(error.value)


@pytest.mark.observed
async def test_code_comes_from_s3_too(plane: LambdaPlane) -> None:
    plane.bucket.add("dogs.zip", zipped())
    made = await plane.create(Code={"S3Bucket": "code", "S3Key": "dogs.zip"})
    inline = await plane.create("inline")
    assert made["CodeSha256"] == inline["CodeSha256"]


@pytest.mark.observed
async def test_a_request_that_is_too_large_is_refused(plane: LambdaPlane) -> None:
    words = "Request must be smaller than 70167211 bytes for the UpdateFunctionCode operation"
    await plane.active()
    plane.body = bytes(70_167_212)
    with refused("RequestEntityTooLargeException", 413, words):
        await plane("UpdateFunctionCode", FunctionName="dogs", ZipFile=zipped())


@pytest.mark.observed
async def test_get_function_shows_code_tags_and_reservation(plane: LambdaPlane) -> None:
    await plane.active(Tags={"team": "vision"})
    await plane("PutFunctionConcurrency", FunctionName="dogs", ReservedConcurrentExecutions=5)
    found = await plane("GetFunction", FunctionName=f"{ARN}:dogs")
    assert found["Tags"] == {"team": "vision"}
    assert found["Concurrency"] == {"ReservedConcurrentExecutions": 5}
    assert found["Code"]["RepositoryType"] == "S3"
    assert found["Configuration"]["FunctionArn"] == f"{ARN}:dogs"
    latest = await plane("GetFunction", FunctionName="dogs", Qualifier="$LATEST")
    assert latest["Configuration"]["FunctionArn"] == f"{ARN}:dogs:$LATEST"


@pytest.mark.observed
@pytest.mark.parametrize(
    ("operation", "more", "arn"),
    [
        ("GetFunction", {}, "nobody"),
        ("GetFunction", {"Qualifier": "3"}, "nobody:3"),
        ("GetFunctionConfiguration", {}, "nobody"),
        ("DeleteFunction", {}, "nobody"),
        ("UpdateFunctionCode", {"ZipFile": zipped()}, "nobody"),
        ("UpdateFunctionConfiguration", {}, "nobody"),
        ("PublishVersion", {}, "nobody"),
        ("ListVersionsByFunction", {}, "nobody"),
        ("ListAliases", {}, "nobody"),
        ("GetFunctionConcurrency", {}, "nobody"),
        ("PutFunctionConcurrency", {"ReservedConcurrentExecutions": 1}, "nobody:$LATEST"),
        ("ListProvisionedConcurrencyConfigs", {}, "nobody"),
        ("GetPolicy", {}, "nobody"),
        ("Invoke", {}, "nobody"),
    ],
)
async def test_what_is_not_there_is_not_found(
    plane: LambdaPlane, operation: str, more: dict[str, Any], arn: str
) -> None:
    with refused("ResourceNotFoundException", 404, f"Function not found: {ARN}:{arn}"):
        await plane(operation, FunctionName="nobody", **more)


@pytest.mark.observed
async def test_an_update_is_in_progress_until_it_is_taken_up(plane: LambdaPlane) -> None:
    await plane.active()
    made = await plane(
        "UpdateFunctionConfiguration",
        FunctionName="dogs",
        Timeout=30,
        MemorySize=512,
        Environment={"Variables": {"A": "b"}},
    )
    assert (made["Timeout"], made["MemorySize"], made["Handler"]) == (30, 512, "index.handler")
    assert made["State"] == "Active"
    assert made["LastUpdateStatus"] == "InProgress"
    assert made["LastUpdateStatusReasonCode"] == "Creating"
    busy = f"An update is in progress for resource: {ARN}:dogs"
    with refused("ResourceConflictException", 409, busy):
        await plane("UpdateFunctionCode", FunctionName="dogs", ZipFile=zipped())
    with refused("ResourceConflictException", 409, busy):
        await plane("PublishVersion", FunctionName="dogs")
    plane.settle()
    kept = await plane("UpdateFunctionConfiguration", FunctionName="dogs", Timeout=31)
    assert kept["Environment"] == {"Variables": {"A": "b"}}
    plane.settle()
    emptied = await plane("UpdateFunctionConfiguration", FunctionName="dogs", Environment={})
    assert "Environment" not in emptied


@pytest.mark.docs
@pytest.mark.parametrize("operation", ["UpdateFunctionConfiguration", "PublishVersion", "Invoke"])
async def test_a_pending_function_does_nothing_yet(plane: LambdaPlane, operation: str) -> None:
    await plane.create()
    with refused("ResourceConflictException", 409, "in the following state: Pending"):
        await plane(operation, FunctionName="dogs")


@pytest.mark.observed
async def test_a_revision_that_is_no_longer_current_is_refused(plane: LambdaPlane) -> None:
    await plane.active()
    seen = await plane("GetFunctionConfiguration", FunctionName="dogs")
    first = seen["RevisionId"]
    await plane("UpdateFunctionConfiguration", FunctionName="dogs", RevisionId=first, Timeout=9)
    plane.settle()
    stale = "The Revision Id provided does not match the latest Revision Id"
    for operation, more in (
        ("UpdateFunctionConfiguration", {"Timeout": 10}),
        ("UpdateFunctionCode", {"ZipFile": zipped()}),
        ("PublishVersion", {}),
    ):
        with refused("PreconditionFailedException", 412, stale):
            await plane(operation, FunctionName="dogs", RevisionId=first, **more)


@pytest.mark.docs
async def test_a_dry_run_of_new_code_changes_nothing(plane: LambdaPlane) -> None:
    await plane.active()
    before = plane.records.all(FunctionVersion)
    shown = await plane(
        "UpdateFunctionCode",
        FunctionName="dogs",
        ZipFile=zipped({"index.py": b"new"}),
        DryRun=True,
    )
    assert shown["CodeSha256"] != before[0].code_sha256
    assert plane.records.all(FunctionVersion) == before


@pytest.mark.observed
async def test_create_and_update_publish_on_request(plane: LambdaPlane) -> None:
    made = await plane.create(Publish=True)
    assert (made["Version"], made["FunctionArn"]) == ("1", f"{ARN}:dogs")
    plane.settle()
    updated = await plane(
        "UpdateFunctionCode",
        FunctionName="dogs",
        ZipFile=zipped({"index.py": b"new"}),
        Publish=True,
    )
    assert (updated["Version"], updated["FunctionArn"]) == ("2", f"{ARN}:dogs:2")
    assert updated["State"] == "Pending"
    latest = await plane("GetFunction", FunctionName="dogs", Qualifier="$LATEST")
    assert latest["Configuration"]["LastUpdateStatus"] == "InProgress"
    plane.settle()
    same = await plane(
        "UpdateFunctionCode",
        FunctionName="dogs",
        ZipFile=zipped({"index.py": b"new"}),
        Publish=True,
    )
    assert same["Version"] == "2"


@pytest.mark.observed
async def test_a_version_is_published_once_for_each_change(plane: LambdaPlane) -> None:
    await plane.active()
    first = await plane("PublishVersion", FunctionName="dogs", Description="one")
    assert (first["Version"], first["Description"]) == ("1", "one")
    plane.settle()
    again = await plane("PublishVersion", FunctionName="dogs")
    assert again["FunctionArn"] == f"{ARN}:dogs:1"
    await plane("UpdateFunctionConfiguration", FunctionName="dogs", Description="changed")
    plane.settle()
    second = await plane("PublishVersion", FunctionName="dogs")
    assert (second["Version"], second["Description"]) == ("2", "changed")
    listed = await plane("ListVersionsByFunction", FunctionName="dogs")
    assert [each["FunctionArn"] for each in listed["Versions"]] == [
        f"{ARN}:dogs:$LATEST",
        f"{ARN}:dogs:1",
        f"{ARN}:dogs:2",
    ]
    assert "State" not in listed["Versions"][0]


@pytest.mark.observed
async def test_a_version_is_published_of_the_code_that_was_meant(plane: LambdaPlane) -> None:
    await plane.active()
    words = "CodeSHA256 (wrong) is different from current CodeSHA256 in $LATEST"
    with refused("InvalidParameterValueException", 400, words):
        await plane("PublishVersion", FunctionName="dogs", CodeSha256="wrong")


@pytest.mark.observed
async def test_a_version_goes_unless_an_alias_needs_it(plane: LambdaPlane) -> None:
    await plane.active(versions=2)
    await plane("CreateAlias", FunctionName="dogs", Name="live", FunctionVersion="1")
    words = "Unable to delete version because the following aliases reference it: [live]"
    with refused("ResourceConflictException", 409, words):
        await plane("DeleteFunction", FunctionName="dogs", Qualifier="1")
    assert (await plane("DeleteFunction", FunctionName="dogs:2"))["StatusCode"] == 204
    assert (await plane("DeleteFunction", FunctionName="dogs", Qualifier="99"))["StatusCode"] == 204
    left = await plane("ListVersionsByFunction", FunctionName="dogs")
    assert [each["Version"] for each in left["Versions"]] == ["$LATEST", "1"]
    await plane("UpdateFunctionConfiguration", FunctionName="dogs", Timeout=60)
    plane.settle()
    assert (await plane("PublishVersion", FunctionName="dogs"))["Version"] == "3"


@pytest.mark.docs
@pytest.mark.parametrize("qualifier", ["$LATEST", "live"])
async def test_neither_latest_nor_an_alias_is_deleted_as_a_version(
    plane: LambdaPlane, qualifier: str
) -> None:
    await plane.active(versions=1)
    await plane("CreateAlias", FunctionName="dogs", Name="live", FunctionVersion="1")
    with refused("InvalidParameterValueException", 400):
        await plane("DeleteFunction", FunctionName="dogs", Qualifier=qualifier)


@pytest.mark.docs
async def test_a_function_takes_everything_of_its_own_with_it(plane: LambdaPlane) -> None:
    for name in ("dogs", "dogs-2"):
        await plane.active(name, versions=1, Tags={"a": "b"})
        await plane("CreateAlias", FunctionName=name, Name="live", FunctionVersion="1")
        await plane(
            "PutProvisionedConcurrencyConfig",
            FunctionName=name,
            Qualifier="live",
            ProvisionedConcurrentExecutions=1,
        )
        await plane("PutFunctionEventInvokeConfig", FunctionName=name, MaximumRetryAttempts=0)
        await plane("CreateFunctionUrlConfig", FunctionName=name, AuthType="NONE")
        await plane(
            "AddPermission",
            FunctionName=name,
            StatementId="s3",
            Action="lambda:InvokeFunction",
            Principal="s3.amazonaws.com",
        )
        await plane("Invoke", FunctionName=name, InvocationType="Event", Payload=b"{}")
    rows = "SELECT kind, key FROM records ORDER BY kind, key"
    before = plane.database.connection.execute(rows).fetchall()
    await plane("DeleteFunction", FunctionName="dogs")
    after = plane.database.connection.execute(rows).fetchall()
    assert len(before) == 2 * len(after)
    assert all("dogs-2" in key for _, key in after)


@pytest.mark.observed
async def test_lists_go_by_pages(plane: LambdaPlane) -> None:
    for name in ("b", "a", "c"):
        await plane.active(name, versions=1)
    first = await plane("ListFunctions", MaxItems=2)
    rest = await plane("ListFunctions", MaxItems=2, Marker=first["NextMarker"])
    names = [each["FunctionName"] for page in (first, rest) for each in page["Functions"]]
    assert names == ["a", "b", "c"]
    assert "NextMarker" not in rest
    every = await plane("ListFunctions", FunctionVersion="ALL")
    assert {each["FunctionArn"] for each in every["Functions"]} == {
        f"{ARN}:{name}:{version}" for name in "abc" for version in ("$LATEST", "1")
    }
    with refused("InvalidParameterValueException", 400, "Marker"):
        await plane("ListFunctions", Marker="no base64!")


@pytest.mark.docs
async def test_a_failed_function_can_be_updated(plane: LambdaPlane) -> None:
    """An update is the way out of Failed (Lambda Developer Guide, "Lambda function states")."""
    await plane.active()
    version = plane.records.all(FunctionVersion)[0]
    plane.records.put(replace(version, state="Failed", state_reason="it broke"))
    with refused("ResourceConflictException", 409, "in the following state: Failed"):
        await plane("PublishVersion", FunctionName="dogs")
    made = await plane("UpdateFunctionConfiguration", FunctionName="dogs", Role=ROLE)
    assert made["LastUpdateStatus"] == "InProgress"
