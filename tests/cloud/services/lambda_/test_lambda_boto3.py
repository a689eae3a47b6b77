"""Lambda as boto3 sees it, through the gateway and without a socket: paths, headers, errors."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError, WaiterError

from cloud.aws import ROOT
from cloud.services.lambda_.lambda_plane import ARN, LAYER, ROLE, LambdaPlane, zipped
from cloud.wiring import client
from fogbank.cloud.authentication import Authenticator
from fogbank.cloud.gateway import Gateway
from fogbank.cloud.ports import (
    FunctionCall,
    FunctionResult,
    FunctionThrottled,
    SessionCredentials,
    SigningKey,
)
from fogbank.cloud.records.function import QueuedEvent
from fogbank.cloud.rules.authorization import root_and_role_sessions
from fogbank.cloud.state.database import Database
from fogbank.cloud.state.trail import Trail
from fogbank.core.arn import Scope
from fogbank.core.clock import SystemClock


class RootKey:
    """One key, root's."""

    def find(self, access_key_id: str) -> SigningKey | None:
        return SigningKey("secret", None, None, ROOT)

    def note_use(self, access_key_id: str, service: str, now: datetime) -> None: ...

    def issue_role_session(
        self, role_arn: str, session_name: str, *, duration_s: int, now: datetime
    ) -> SessionCredentials:
        raise LookupError(role_arn)


@pytest.fixture
def lambda_(plane: LambdaPlane) -> Any:
    gateway = Gateway(
        services={"lambda": plane.table},
        authenticator=Authenticator(RootKey(), Scope()),
        authorizer=root_and_role_sessions,
        trail=Trail(Database(":memory:", schema="telemetry")),
        clock=SystemClock(),
    )
    return client(gateway, "lambda", "AKIAROOT000000000000", "secret")


@pytest.fixture
def dogs(lambda_: Any, plane: LambdaPlane) -> Any:
    """A client, and an active function `dogs` with version 1 and the alias live."""
    lambda_.create_function(
        FunctionName="dogs",
        Runtime="python3.12",
        Role=ROLE,
        Handler="index.handler",
        Code={"ZipFile": zipped()},
    )
    plane.settle()
    lambda_.publish_version(FunctionName="dogs")
    plane.settle()
    lambda_.create_alias(FunctionName="dogs", Name="live", FunctionVersion="1")
    return lambda_


def refusal(call: Any, **params: Any) -> Mapping[str, Any]:
    with pytest.raises(ClientError) as caught:
        call(**params)
    response: Mapping[str, Any] = caught.value.response
    return response


@pytest.mark.model
def test_a_function_is_made_waited_for_and_invoked(lambda_: Any, plane: LambdaPlane) -> None:
    lambda_.create_function(
        FunctionName="dogs",
        Runtime="python3.12",
        Role=ROLE,
        Handler="index.handler",
        Code={"ZipFile": zipped()},
    )
    with pytest.raises(WaiterError, match="Max attempts"):
        lambda_.get_waiter("function_active_v2").wait(
            FunctionName="dogs", WaiterConfig={"Delay": 0, "MaxAttempts": 2}
        )
    plane.settle()
    for waiter in ("function_active_v2", "function_updated_v2", "function_exists"):
        lambda_.get_waiter(waiter).wait(FunctionName="dogs")
    plane.invoker.answer = lambda call: FunctionResult(b'{"seen": %s}' % call.payload)
    answer = lambda_.invoke(FunctionName="dogs", Payload=b'{"a": 1}', LogType="Tail")
    assert json.load(answer["Payload"]) == {"seen": {"a": 1}}
    assert (answer["StatusCode"], answer["ExecutedVersion"]) == (200, "$LATEST")
    request_id = answer["ResponseMetadata"]["RequestId"]
    assert plane.invoker.calls[0].request_id == request_id


@pytest.mark.model
def test_event_and_dry_run_answer_with_their_own_statuses(dogs: Any, plane: LambdaPlane) -> None:
    event = dogs.invoke(FunctionName="dogs:live", InvocationType="Event", Payload=io.BytesIO(b"1"))
    assert event["StatusCode"] == 202
    assert event["ResponseMetadata"]["HTTPStatusCode"] == 202
    assert event["Payload"].read() == b""
    (kept,) = plane.records.all(QueuedEvent)
    assert kept.request_id == event["ResponseMetadata"]["RequestId"]
    assert (kept.qualifier, kept.payload) == ("live", "1")
    dry = dogs.invoke(FunctionName="dogs", InvocationType="DryRun")
    assert dry["ResponseMetadata"]["HTTPStatusCode"] == 204


@pytest.mark.model
def test_a_function_error_comes_in_a_header(dogs: Any, plane: LambdaPlane) -> None:
    plane.invoker.answer = lambda _: FunctionResult(b'{"errorMessage": "x"}', error="Unhandled")
    answer = dogs.invoke(FunctionName=f"{ARN}:dogs:live")
    assert answer["FunctionError"] == "Unhandled"
    headers = answer["ResponseMetadata"]["HTTPHeaders"]
    assert headers["x-amz-function-error"] == "Unhandled"
    assert headers["x-amz-executed-version"] == "1"


@pytest.mark.observed
def test_a_throttle_has_aws_own_body_and_header(dogs: Any, plane: LambdaPlane) -> None:
    def full(_: FunctionCall) -> FunctionResult:
        raise FunctionThrottled("ReservedFunctionConcurrentInvocationLimitExceeded")

    plane.invoker.answer = full
    answer = refusal(dogs.invoke, FunctionName="dogs")
    assert answer["Error"] == {"Code": "TooManyRequestsException", "Message": "Rate Exceeded."}
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 429
    assert answer["Reason"] == "ReservedFunctionConcurrentInvocationLimitExceeded"
    assert (answer["Type"], answer["retryAfterSeconds"]) == ("User", "1")
    assert answer["ResponseMetadata"]["HTTPHeaders"]["retry-after"] == "1"


@pytest.mark.observed
def test_not_found_says_its_message_in_both_spellings(lambda_: Any) -> None:
    answer = refusal(lambda_.get_function, FunctionName="nobody")
    text = f"Function not found: {ARN}:nobody"
    assert answer["Error"] == {"Code": "ResourceNotFoundException", "Message": text}
    assert (answer["Message"], answer["Type"]) == (text, "User")


@pytest.mark.observed
@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        (
            {"Role": "r1"},
            "ValidationException",
            "Value 'r1' at 'role' failed to satisfy constraint",
        ),
        ({"Architectures": ["x86_64", "arm64"]}, "ValidationException", "'architectures'"),
        ({"Timeout": 5401}, "ValidationException", "Value '5401' at 'timeout'"),
    ],
)
def test_the_model_is_kept_to(lambda_: Any, changes: dict[str, Any], code: str, words: str) -> None:
    params: dict[str, Any] = {
        "FunctionName": "dogs",
        "Runtime": "python3.12",
        "Role": ROLE,
        "Handler": "index.handler",
        "Code": {"ZipFile": zipped()},
        **changes,
    }
    answer = refusal(lambda_.create_function, **params)
    assert answer["Error"]["Code"] == code
    assert words in answer["Error"]["Message"]


@pytest.mark.model
def test_every_kind_of_thing_goes_over_the_wire(dogs: Any, plane: LambdaPlane) -> None:
    name = {"FunctionName": "dogs"}
    dogs.update_function_configuration(**name, MemorySize=256)
    plane.settle()
    dogs.update_function_code(**name, ZipFile=zipped({"index.py": b"2"}))
    plane.settle()
    assert [each["Version"] for each in dogs.list_versions_by_function(**name)["Versions"]] == [
        "$LATEST",
        "1",
    ]
    dogs.put_function_concurrency(**name, ReservedConcurrentExecutions=5)
    assert dogs.get_function(**name)["Concurrency"] == {"ReservedConcurrentExecutions": 5}
    made = dogs.put_provisioned_concurrency_config(
        **name, Qualifier="live", ProvisionedConcurrentExecutions=2
    )
    assert made["ResponseMetadata"]["HTTPStatusCode"] == 202
    listed = dogs.list_provisioned_concurrency_configs(**name)["ProvisionedConcurrencyConfigs"]
    assert len(listed) == 1
    dogs.put_function_event_invoke_config(**name, MaximumRetryAttempts=0)
    found = dogs.get_function_event_invoke_config(**name)
    assert isinstance(found["LastModified"], datetime)
    dogs.add_permission(
        **name, StatementId="s3", Action="lambda:InvokeFunction", Principal="s3.amazonaws.com"
    )
    assert json.loads(dogs.get_policy(**name)["Policy"])["Statement"][0]["Sid"] == "s3"
    dogs.tag_resource(Resource=f"{ARN}:dogs", Tags={"a": "b"})
    assert dogs.list_tags(Resource=f"{ARN}:dogs")["Tags"] == {"a": "b"}
    dogs.create_function_url_config(**name, AuthType="NONE")
    assert dogs.list_function_url_configs(**name)["FunctionUrlConfigs"][0]["AuthType"] == "NONE"
    layer = dogs.publish_layer_version(LayerName="deps", Content={"ZipFile": zipped()})
    assert dogs.get_layer_version(LayerName="deps", VersionNumber=1)["Version"] == 1
    by_arn = dogs.get_layer_version_by_arn(Arn=f"{LAYER}:deps:1")
    assert by_arn["Content"]["CodeSha256"] == layer["Content"]["CodeSha256"]
    assert dogs.get_account_settings()["AccountLimit"]["UnreservedConcurrentExecutions"] == 995
    assert len(list(dogs.get_paginator("list_functions").paginate())) == 1
    assert dogs.delete_function(**name)["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert dogs.list_functions()["Functions"] == []
