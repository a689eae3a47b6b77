"""Asynchronous events: whether one is tried again, when, and what is said of it in the end.

In: a `QueuedEvent`, its qualifier's `EventInvokeConfig`, how an attempt ended. Out: a `Retry` or a
`Conclusion`. Sources: "How Lambda handles errors and retries with asynchronous invocation",
"Capturing records of Lambda asynchronous invocations" (Lambda Developer Guide).
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal

from fogbank.cloud.records.function import EventInvokeConfig, QueuedEvent

MAX_RETRIES = 2
MAX_AGE = timedelta(hours=6)
RETRY_AFTER_S = (60.0, 120.0)
"""After the first and after the second function error."""

FIRST_BACKOFF_S, LONGEST_BACKOFF_S = 1.0, 300.0
"""Throttles and errors of the system: from 1 second to 5 minutes, doubling."""

Condition = Literal["Success", "RetriesExhausted", "EventAgeExceeded", "ZeroReservedConcurrency"]


@dataclass(frozen=True, slots=True)
class Answered:
    """The function ran. error: None, or `Unhandled`."""

    payload: bytes
    version: str
    error: str | None = None


@dataclass(frozen=True, slots=True)
class NotRun:
    """It could not run: throttled, or something of the system was in the way.

    switched_off: the function's reserved concurrency is 0.
    """

    reason: str
    switched_off: bool = False


@dataclass(frozen=True, slots=True)
class Retry:
    """The event, with the time of its next attempt."""

    event: QueuedEvent
    reason: str


@dataclass(frozen=True, slots=True)
class Conclusion:
    """The event is done with."""

    condition: Condition
    reason: str
    answer: Answered | None = None

    @property
    def success(self) -> bool:
        return self.condition == "Success"


def is_too_old(event: QueuedEvent, config: EventInvokeConfig | None, now: datetime) -> bool:
    """Whether it waited longer than it may: then it is not tried any more."""
    return now - event.accepted > _max_age(config)


def after_attempt(
    event: QueuedEvent,
    config: EventInvokeConfig | None,
    outcome: Answered | NotRun,
    now: datetime,
) -> Retry | Conclusion:
    """What becomes of the event after an attempt."""
    if isinstance(outcome, NotRun):
        if outcome.switched_off:
            return Conclusion("ZeroReservedConcurrency", "the function is switched off")
        backoff_s = min(LONGEST_BACKOFF_S, FIRST_BACKOFF_S * 2 ** min(event.throttles, 16))
        later = replace(
            event, throttles=event.throttles + 1, due=now + timedelta(seconds=backoff_s)
        )
        if later.due - event.accepted > _max_age(config):
            return Conclusion("EventAgeExceeded", f"it could not run in time: {outcome.reason}")
        return Retry(later, outcome.reason)
    if outcome.error is None:
        return Conclusion("Success", "the function succeeded", outcome)
    retries = MAX_RETRIES
    if config is not None and config.max_retries is not None:
        retries = config.max_retries
    failures = event.failures + 1
    if failures > retries:
        return Conclusion("RetriesExhausted", f"{failures} attempts failed", outcome)
    due = now + timedelta(seconds=RETRY_AFTER_S[min(failures, len(RETRY_AFTER_S)) - 1])
    if due - event.accepted > _max_age(config):
        return Conclusion("EventAgeExceeded", "a retry would come too late", outcome)
    return Retry(replace(event, failures=failures, throttles=0, due=due), "the function failed")


def _max_age(config: EventInvokeConfig | None) -> timedelta:
    if config is None or config.max_event_age_s is None:
        return MAX_AGE
    return timedelta(seconds=config.max_event_age_s)


def invocation_record(
    event: QueuedEvent, conclusion: Conclusion, function_arn: str, now: datetime
) -> dict[str, Any]:
    """The document that a destination gets (version 1.0).

    function_arn: with the qualifier that was called, `$LATEST` where none was.
    """
    record: dict[str, Any] = {
        "version": "1.0",
        "timestamp": now.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "requestContext": {
            "requestId": event.request_id,
            "functionArn": function_arn,
            "condition": conclusion.condition,
            "approximateInvokeCount": event.failures + (conclusion.answer is not None),
        },
        "requestPayload": _decoded(event.payload),
    }
    answer = conclusion.answer
    if answer is not None:
        record["responseContext"] = {"statusCode": 200, "executedVersion": answer.version}
        if answer.error is not None:
            record["responseContext"]["functionError"] = answer.error
        record["responsePayload"] = _decoded(answer.payload.decode(errors="replace"))
    return record


def s3_key(function: str, now: datetime, unique: str) -> str:
    """Where an S3 destination keeps a record. unique: a random UUID."""
    return f"aws/lambda/async/{function}/{now:%Y/%m/%d}/{now:%Y-%m-%dT%H.%M.%S}-{unique}"


def _decoded(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
