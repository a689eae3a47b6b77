"""Invoke: what reaches the function, what comes back, and what is refused before."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from typing import Any

import pytest

from cloud.aws import NOW, refused
from cloud.services.lambda_.lambda_plane import ARN, LambdaPlane
from fogbank.cloud.errors import ServiceError
from fogbank.cloud.ports import FunctionCall, FunctionResult, FunctionThrottled, FunctionUnavailable
from fogbank.cloud.records.function import QueuedEvent


@pytest.mark.docs
async def test_an_event_goes_in_and_the_answer_comes_back(plane: LambdaPlane) -> None:
    await plane.active()
    plane.invoker.answer = lambda call: FunctionResult(call.payload[::-1], log_tail=b"END\n")
    answer = await plane("Invoke", FunctionName="dogs", Payload=b"[1, 2]", LogType="Tail")
    assert answer["StatusCode"] == 200
    assert answer["Payload"] == b"]2 ,1["
    assert answer["ExecutedVersion"] == "$LATEST"
    assert b64decode(answer["LogResult"]) == b"END\n"
    assert "FunctionError" not in answer
    call = plane.invoker.calls[0]
    assert (call.function, call.version, call.qualifier) == ("dogs", "$LATEST", "")
    assert call.request_id == "request-0"
    quiet = await plane("Invoke", FunctionName="dogs")
    assert "LogResult" not in quiet
    assert plane.invoker.calls[1].payload == b"{}"


@pytest.mark.docs
async def test_a_function_error_is_a_success_with_a_header(plane: LambdaPlane) -> None:
    await plane.active()
    plane.invoker.answer = lambda _: FunctionResult(b'{"errorMessage":"no"}', error="Unhandled")
    answer = await plane("Invoke", FunctionName="dogs")
    assert (answer["StatusCode"], answer["FunctionError"]) == (200, "Unhandled")


@pytest.mark.docs
async def test_the_qualifier_says_which_version_runs(plane: LambdaPlane) -> None:
    await plane.active(versions=2)
    await plane(
        "CreateAlias",
        FunctionName="dogs",
        Name="live",
        FunctionVersion="1",
        RoutingConfig={"AdditionalVersionWeights": {"2": 0.3}},
    )
    for qualifier, draw, version in (
        ("1", 0.0, "1"),
        ("$LATEST", 0.0, "$LATEST"),
        ("live", 0.29, "2"),
        ("live", 0.3, "1"),
    ):
        plane.draw = draw
        answer = await plane("Invoke", FunctionName="dogs", Qualifier=qualifier)
        assert answer["ExecutedVersion"] == version
        call = plane.invoker.calls[-1]
        assert (call.version, call.qualifier) == (version, qualifier)


@pytest.mark.docs
async def test_an_event_is_kept_before_it_is_answered_for(plane: LambdaPlane) -> None:
    await plane.active(versions=1)
    answer = await plane(
        "Invoke",
        FunctionName=f"{ARN}:dogs:1",
        InvocationType="Event",
        Payload='{"url": "https://example.org/ä"}'.encode(),
    )
    assert answer == {"StatusCode": 202}
    assert plane.invoker.calls == []
    (kept,) = plane.records.all(QueuedEvent)
    assert kept == QueuedEvent(
        request_id="request-0",
        function="dogs",
        qualifier="1",
        payload='{"url": "https://example.org/ä"}',
        accepted=plane.now,
        due=plane.now,
    )
    assert plane.now > NOW


@pytest.mark.docs
async def test_the_older_way_to_queue_an_event(plane: LambdaPlane) -> None:
    await plane.active()
    assert await plane("InvokeAsync", FunctionName="dogs", InvokeArgs=b"1") == {"Status": 202}
    assert [kept.payload for kept in plane.records.all(QueuedEvent)] == ["1"]


@pytest.mark.docs
async def test_a_dry_run_calls_nobody(plane: LambdaPlane) -> None:
    await plane.active()
    assert await plane("Invoke", FunctionName="dogs", InvocationType="DryRun") == {
        "StatusCode": 204
    }
    assert plane.invoker.calls == []
    with refused("ResourceNotFoundException", 404):
        await plane("Invoke", FunctionName="cats", InvocationType="DryRun")


@pytest.mark.observed
@pytest.mark.parametrize(("kind", "limit"), [("RequestResponse", 6_291_456), ("Event", 1_048_576)])
async def test_a_payload_has_a_limit(plane: LambdaPlane, kind: str, limit: int) -> None:
    await plane.active()
    fits = b'"' + b"x" * (limit - 2) + b'"'
    await plane("Invoke", FunctionName="dogs", InvocationType=kind, Payload=fits)
    words = (
        f"{limit + 1} byte payload is too large for the {kind} invocation type "
        f"(limit {limit} bytes)"
    )
    with refused("RequestTooLargeException", 413, words):
        await plane("Invoke", FunctionName="dogs", InvocationType=kind, Payload=fits + b" ")


@pytest.mark.observed
@pytest.mark.parametrize(
    "payload", [b"{", b"dogs", b"\xff\xfe", b"NaN", b'{"a": Infinity}', b"[" * 100_000]
)
@pytest.mark.parametrize("kind", ["RequestResponse", "Event"])
async def test_an_event_has_to_be_json(plane: LambdaPlane, payload: bytes, kind: str) -> None:
    await plane.active()
    words = "Could not parse request body into json"
    with refused("InvalidRequestContentException", 400, words):
        await plane("Invoke", FunctionName="dogs", InvocationType=kind, Payload=payload)
    assert plane.invoker.calls == []


@pytest.mark.docs
async def test_a_client_context_is_handed_on_as_json(plane: LambdaPlane) -> None:
    await plane.active()
    text = json.dumps({"custom": {"a": "b"}})
    await plane("Invoke", FunctionName="dogs", ClientContext=b64encode(text.encode()).decode())
    assert plane.invoker.calls[0].client_context == text
    for wrong in ("no base64", b64encode(b"[1]").decode(), b64encode(b"{").decode()):
        with refused("InvalidRequestContentException", 400, "Client context"):
            await plane("Invoke", FunctionName="dogs", ClientContext=wrong)
    with refused("InvalidRequestContentException", 400, "3583"):
        await plane("Invoke", FunctionName="dogs", ClientContext="A" * 3584)


@pytest.mark.observed
async def test_a_throttle_says_why_and_when_to_come_again(plane: LambdaPlane) -> None:
    await plane.active()

    def full(_: FunctionCall) -> FunctionResult:
        raise FunctionThrottled("ReservedFunctionConcurrentInvocationLimitExceeded", 2)

    plane.invoker.answer = full
    with pytest.raises(ServiceError) as caught:
        await plane("Invoke", FunctionName="dogs")
    error = caught.value
    assert (error.code, error.status) == ("TooManyRequestsException", 429)
    assert error.message == "Rate Exceeded."
    assert error.fields == {
        "Reason": "ReservedFunctionConcurrentInvocationLimitExceeded",
        "retryAfterSeconds": "2",
    }


@pytest.mark.docs
async def test_a_version_that_vanishes_meanwhile_is_not_found(plane: LambdaPlane) -> None:
    await plane.active()

    def gone(call: FunctionCall) -> FunctionResult:
        raise LookupError(call.version)

    plane.invoker.answer = gone
    with refused("ResourceNotFoundException", 404, f"Function not found: {ARN}:dogs"):
        await plane("Invoke", FunctionName="dogs")


@pytest.mark.model
async def test_a_cloud_that_cannot_run_it_says_so(plane: LambdaPlane) -> None:
    await plane.active()

    def broken(_: FunctionCall) -> FunctionResult:
        raise FunctionUnavailable("the code is gone")

    plane.invoker.answer = broken
    with refused("ServiceException", 500, "the code is gone"):
        await plane("Invoke", FunctionName="dogs")


@pytest.mark.parametrize("member", ["DurableExecutionName", "TenantId"])
async def test_what_is_not_done_is_refused(plane: LambdaPlane, member: str) -> None:
    await plane.active()
    more: dict[str, Any] = {member: "x"}
    with refused("InvalidParameterValueException", 400, member):
        await plane("Invoke", FunctionName="dogs", **more)
