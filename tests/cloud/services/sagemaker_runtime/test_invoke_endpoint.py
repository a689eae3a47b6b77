"""InvokeEndpoint: what reaches the container, what comes back, and every way to fail."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.validate import ParamValidator

from cloud.aws import SCOPE, context, refused
from fogbank.cloud.codec.model import operation_model
from fogbank.cloud.errors import ServiceError
from fogbank.cloud.ports import (
    Invocation,
    InvocationResult,
    InvocationTimeout,
    NoAnswer,
    NoCapacity,
)
from fogbank.cloud.records.hosting import Endpoint, Variant
from fogbank.cloud.services.sagemaker_runtime.invoke import (
    CUSTOM_ATTRIBUTES,
    MAX_BODY_BYTES,
    TIMED_OUT,
    EndpointInvocations,
)
from fogbank.cloud.state.database import Database
from fogbank.cloud.state.records import SqliteRecords

NOW = datetime(2026, 11, 21, tzinfo=UTC)


@dataclass
class Container:
    """An invoker that answers, or raises, what the test says."""

    answer: InvocationResult | Exception
    got: list[Invocation] = field(default_factory=list)

    async def invoke(self, invocation: Invocation) -> InvocationResult:
        self.got.append(invocation)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def answer(
    status: int = 200, body: bytes = b"[1]", headers: Mapping[str, str] | None = None
) -> InvocationResult:
    return InvocationResult(status, headers or {}, body, "AllTraffic")


def in_service() -> Endpoint:
    variant = Variant(
        name="AllTraffic",
        model_name="dogs",
        container={},
        execution_role_arn="r",
        instance_type="ml.m5.large",
        desired_count=1,
        desired_weight=1.0,
    )
    return Endpoint(
        name="dogs",
        arn=SCOPE.arn("sagemaker", "endpoint/dogs"),
        config_name="dogs",
        status="InService",
        created=NOW,
        modified=NOW,
        variants=(variant,),
    )


async def invoke(container: Container, **params: Any) -> Mapping[str, Any]:
    records = SqliteRecords(Database(":memory:"))
    records.put(in_service())
    room = EndpointInvocations(invoker=container, records=records, scope=SCOPE)
    asked = {"EndpointName": "dogs", "Body": b"picture", **params}
    result = await room.invoke(context(), asked)
    shape = operation_model("sagemaker-runtime", "InvokeEndpoint").output_shape
    assert shape is not None
    assert not ParamValidator().validate(result, shape).has_errors()
    return result


@pytest.mark.docs
async def test_the_container_sees_the_body_and_the_headers_and_nothing_else() -> None:
    container = Container(answer(headers={"content-type": "application/json"}))
    result = await invoke(
        container,
        ContentType="image/jpeg",
        Accept="application/json",
        CustomAttributes="trace=1",
        InferenceId="id-1",
        TargetVariant="AllTraffic",
    )
    assert container.got == [
        Invocation(
            "dogs",
            b"picture",
            {
                "content-type": "image/jpeg",
                "accept": "application/json",
                CUSTOM_ATTRIBUTES: "trace=1",
                "x-amzn-sagemaker-inference-id": "id-1",
            },
            "AllTraffic",
        )
    ]
    assert result == {
        "Body": b"[1]",
        "ContentType": "application/json",
        "InvokedProductionVariant": "AllTraffic",
    }


@pytest.mark.docs
async def test_custom_attributes_come_back_when_the_container_sets_them() -> None:
    result = await invoke(Container(answer(headers={CUSTOM_ATTRIBUTES: "trace=2"})))
    assert result["CustomAttributes"] == "trace=2"
    assert result["ContentType"] == "application/octet-stream"


@pytest.mark.observed
@pytest.mark.parametrize(("status", "side"), [(400, "client"), (415, "client"), (500, "server")])
async def test_an_error_of_the_container_is_a_model_error(status: int, side: str) -> None:
    with pytest.raises(ServiceError) as caught:
        await invoke(Container(answer(status, b"bad picture")))
    error = caught.value
    assert (error.code, error.status) == ("ModelError", 424)
    assert error.message == (
        f'Received {side} error ({status}) from primary with message "bad picture". See '
        "https://us-east-1.console.aws.amazon.com/cloudwatch/home?region=us-east-1"
        "#logEventViewer:group=/aws/sagemaker/Endpoints/dogs in account 123456789012 for more "
        "information."
    )
    assert error.fields == {
        "OriginalStatusCode": status,
        "OriginalMessage": "bad picture",
        "LogStreamArn": "arn:aws:logs:us-east-1:123456789012:log-group:"
        "/aws/sagemaker/Endpoints/dogs",
    }


@pytest.mark.model
async def test_long_and_undecodable_messages_are_cut_to_the_modelled_length() -> None:
    with pytest.raises(ServiceError) as caught:
        await invoke(Container(answer(500, b"\xff" + b"x" * 10_000)))
    assert len(caught.value.message) == 2048
    assert caught.value.message.endswith("for more information.")
    assert len(caught.value.fields["OriginalMessage"]) == 2048


@pytest.mark.observed
async def test_a_container_that_does_not_answer_in_time() -> None:
    with pytest.raises(ServiceError) as caught:
        await invoke(Container(InvocationTimeout()))
    error = caught.value
    assert (error.code, error.status) == ("ModelError", 424)
    assert error.message.startswith(
        f'Received server error (0) from primary with message "{TIMED_OUT}"'
    )
    assert error.fields["OriginalStatusCode"] == 0


@pytest.mark.observed  # aws/amazon-sagemaker-examples, issues 2815 and 3089
async def test_a_container_that_breaks_off() -> None:
    with pytest.raises(ServiceError) as caught:
        await invoke(Container(NoAnswer()))
    error = caught.value
    assert (error.code, error.status) == ("ModelError", 424)
    assert error.message.startswith(
        'Received server error (0) from primary with message "Amazon SageMaker could not get a '
        "response from the dogs endpoint."
    )
    assert error.fields["OriginalStatusCode"] == 0


@pytest.mark.model
async def test_no_healthy_replica() -> None:
    with refused("ServiceUnavailable", 503, "dogs", "none is healthy"):
        await invoke(Container(NoCapacity("none is healthy")))


@pytest.mark.observed
async def test_an_unknown_endpoint() -> None:
    with refused("ValidationError", 400, "Endpoint cats of account 123456789012 not found."):
        await invoke(Container(LookupError()), EndpointName="cats")


@pytest.mark.docs
async def test_an_unknown_variant_of_an_endpoint_in_service() -> None:
    with refused("ValidationError", 400, "Variant B not found for endpoint dogs"):
        await invoke(Container(LookupError()), TargetVariant="B")


@pytest.mark.observed
async def test_a_body_over_six_megabytes_is_refused_before_the_container_sees_it() -> None:
    container = Container(answer())
    await invoke(container, Body=b"x" * MAX_BODY_BYTES)
    with refused("413", 413, "6291456", "6291457"):
        await invoke(container, Body=b"x" * (MAX_BODY_BYTES + 1))
    assert len(container.got) == 1


@pytest.mark.docs
@pytest.mark.parametrize("value", ["a\r\nx: y", "naïve", "\x00"])
async def test_custom_attributes_are_visible_ascii(value: str) -> None:
    container = Container(answer())
    with refused("ValidationError", 400, "US-ASCII"):
        await invoke(container, CustomAttributes=value)
    assert container.got == []


@pytest.mark.docs
async def test_what_would_be_ignored_is_refused() -> None:
    with refused("ValidationError", 400, "TargetModel"):
        await invoke(Container(answer()), TargetModel="m.tar.gz")
