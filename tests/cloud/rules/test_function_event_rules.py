"""What becomes of asynchronous events."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import cycle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fogbank.cloud.records.function import EventInvokeConfig, QueuedEvent
from fogbank.cloud.rules.function_events import (
    Answered,
    Conclusion,
    NotRun,
    Retry,
    after_attempt,
    invocation_record,
    is_too_old,
    s3_key,
)

NOW = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)
EVENT = QueuedEvent(
    request_id="r", function="f", qualifier="", payload='{"n": 1}', accepted=NOW, due=NOW
)
GOOD = Answered(b'"done"', "$LATEST")
BAD = Answered(b'{"errorMessage":"no"}', "$LATEST", "Unhandled")


def config(**settings: Any) -> EventInvokeConfig:
    return EventInvokeConfig(function="f", qualifier="$LATEST", arn="arn", modified=NOW, **settings)


@pytest.mark.docs
def test_two_retries_after_one_and_two_minutes() -> None:
    first = after_attempt(EVENT, None, BAD, NOW)
    assert isinstance(first, Retry)
    assert (first.event.failures, first.event.due) == (1, NOW + timedelta(minutes=1))
    then = NOW + timedelta(minutes=1)
    second = after_attempt(first.event, None, BAD, then)
    assert isinstance(second, Retry)
    assert (second.event.failures, second.event.due) == (2, then + timedelta(minutes=2))
    third = after_attempt(second.event, None, BAD, then + timedelta(minutes=2))
    assert isinstance(third, Conclusion)
    assert third.condition == "RetriesExhausted"


@pytest.mark.docs
@pytest.mark.parametrize("retries", [0, 1])
def test_fewer_retries_can_be_configured(retries: int) -> None:
    event = replace(EVENT, failures=retries)
    found = after_attempt(event, config(max_retries=retries), BAD, NOW)
    assert isinstance(found, Conclusion)


@pytest.mark.docs
def test_a_success_is_the_end() -> None:
    found = after_attempt(EVENT, None, GOOD, NOW)
    assert isinstance(found, Conclusion)
    assert found.success
    assert found.answer == GOOD


@pytest.mark.docs
def test_throttles_are_retried_from_one_second_to_five_minutes() -> None:
    event, waits = EVENT, []
    for _ in range(11):
        found = after_attempt(event, None, NotRun("throttled"), NOW)
        assert isinstance(found, Retry)
        waits.append((found.event.due - NOW).total_seconds())
        event = found.event
    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]
    assert event.failures == 0, "a throttle is no failure"


@pytest.mark.docs
def test_throttles_end_with_the_age() -> None:
    late = NOW + timedelta(hours=6)
    found = after_attempt(EVENT, None, NotRun("throttled"), late)
    assert isinstance(found, Conclusion)
    assert found.condition == "EventAgeExceeded"
    short = config(max_event_age_s=60)
    retried = after_attempt(EVENT, short, BAD, NOW)
    assert isinstance(retried, Retry), "exactly the age is not too old"
    refused = after_attempt(replace(EVENT, accepted=NOW - timedelta(seconds=1)), short, BAD, NOW)
    assert isinstance(refused, Conclusion)
    assert refused.condition == "EventAgeExceeded"


@pytest.mark.docs
def test_too_old() -> None:
    assert not is_too_old(EVENT, None, NOW + timedelta(hours=6))
    assert is_too_old(EVENT, None, NOW + timedelta(hours=6, seconds=1))
    assert is_too_old(EVENT, config(max_event_age_s=60), NOW + timedelta(seconds=61))


@pytest.mark.docs
def test_a_function_that_is_switched_off_takes_no_retries() -> None:
    found = after_attempt(EVENT, None, NotRun("throttled", switched_off=True), NOW)
    assert isinstance(found, Conclusion)
    assert not found.success


@pytest.mark.observed
def test_the_record_of_a_failure() -> None:
    """As in "Capturing records of Lambda asynchronous invocations"."""
    event = replace(EVENT, failures=2)
    conclusion = Conclusion("RetriesExhausted", "3 attempts failed", BAD)
    assert invocation_record(event, conclusion, "arn:f:$LATEST", NOW) == {
        "version": "1.0",
        "timestamp": "2026-11-21T12:00:00.000Z",
        "requestContext": {
            "requestId": "r",
            "functionArn": "arn:f:$LATEST",
            "condition": "RetriesExhausted",
            "approximateInvokeCount": 3,
        },
        "requestPayload": {"n": 1},
        "responseContext": {
            "statusCode": 200,
            "executedVersion": "$LATEST",
            "functionError": "Unhandled",
        },
        "responsePayload": {"errorMessage": "no"},
    }


@pytest.mark.observed
def test_the_record_of_a_success_and_of_an_event_that_never_ran() -> None:
    good = invocation_record(EVENT, Conclusion("Success", "", GOOD), "arn", NOW)
    assert good["responsePayload"] == "done"
    assert good["responseContext"] == {"statusCode": 200, "executedVersion": "$LATEST"}
    assert good["requestContext"]["approximateInvokeCount"] == 1
    never = invocation_record(EVENT, Conclusion("EventAgeExceeded", ""), "arn", NOW)
    assert never["requestContext"]["approximateInvokeCount"] == 0
    assert "responseContext" not in never


@pytest.mark.docs
def test_the_key_of_a_record_in_s3() -> None:
    assert s3_key("f", NOW, "u-1") == "aws/lambda/async/f/2026/11/21/2026-11-21T12.00.00-u-1"


outcomes = st.sampled_from([GOOD, BAD, NotRun("throttled")])


@given(st.lists(outcomes, min_size=1, max_size=12), st.integers(0, 2))
def test_law_every_event_comes_to_an_end(pattern: list[Answered | NotRun], retries: int) -> None:
    """Whatever happens again and again, it is over within the age, after at most retries + 1
    runs."""
    found = cycle(pattern)
    event, now, runs = EVENT, NOW, 0
    setting = config(max_retries=retries)
    while True:
        outcome = next(found)
        runs += isinstance(outcome, Answered)
        decision = after_attempt(event, setting, outcome, now)
        if isinstance(decision, Conclusion):
            break
        assert decision.event.due > now
        event, now = decision.event, decision.event.due
    assert runs <= retries + 1
    assert now - EVENT.accepted <= timedelta(hours=6)
