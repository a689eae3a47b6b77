"""Asynchronous events under a clock that a test moves, with an invoker that a test plays."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from cloud.machines.functions.function_site import FunctionSite
from fogbank.cloud.machines.fake import FakeEngine
from fogbank.cloud.machines.functions.destinations import Destinations
from fogbank.cloud.machines.functions.events import PARALLEL_EVENTS, AsyncEvents
from fogbank.cloud.ports import (
    FunctionCall,
    FunctionResult,
    FunctionThrottled,
    FunctionUnavailable,
)
from fogbank.cloud.records.function import EventInvokeConfig, Function, QueuedEvent
from fogbank.testing.clock import ManualClock

GOOD = FunctionResult(b'"done"')
BAD = FunctionResult(b'{"errorMessage":"no"}', "Unhandled")


@dataclass
class Script:
    """An invoker whose answers a test writes: the last one is repeated."""

    answers: list[FunctionResult | Exception]
    calls: list[FunctionCall] = field(default_factory=list)

    async def call(self, call: FunctionCall) -> FunctionResult:
        self.calls.append(call)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def concurrent_executions(self, function: str) -> int:
        return 0


class Queue:
    """AsyncEvents around a script."""

    def __init__(self, folder: Path) -> None:
        self.clock = ManualClock()
        self.site = FunctionSite(folder, self.clock, FakeEngine(self.clock))
        self.script = Script([GOOD])
        self.events = self.new_events()
        self.site.objects.buckets["records"] = {}
        self.site.create("f", "")

    def new_events(self) -> AsyncEvents:
        return AsyncEvents(
            self.site.records,
            self.script,
            Destinations(self.site.records, self.site.objects, self.clock),
            self.site.metrics,
            self.clock,
        )

    def configure(self, **settings: Any) -> None:
        self.site.records.put(
            EventInvokeConfig(
                function="f",
                qualifier="$LATEST",
                arn="arn",
                modified=self.clock.now(),
                **settings,
            )
        )

    @property
    def waiting(self) -> list[QueuedEvent]:
        return self.site.records.all(QueuedEvent)

    def metric(self, name: str) -> float:
        return sum(self.site.metric(name, FunctionName="f"))

    @property
    def in_s3(self) -> dict[str, Any]:
        """Records in the bucket, by key."""
        bucket = self.site.objects.buckets["records"]
        return {key: json.loads(one.path.read_text()) for key, one in bucket.items()}


@pytest.fixture
async def queue(tmp_path: Path) -> AsyncIterator[Queue]:
    queue = Queue(tmp_path / "home")
    queue.events.start()
    yield queue
    await queue.events.stop()


@pytest.mark.docs
async def test_a_success(queue: Queue) -> None:
    event = queue.site.queue("f", {"n": 1})
    await queue.clock.settle()
    (call,) = queue.script.calls
    assert (call.payload, call.request_id) == (b'{"n": 1}', event.request_id)
    assert queue.waiting == []
    assert queue.metric("AsyncEventsReceived") == 1
    assert queue.metric("AsyncEventsDropped") == 0


@pytest.mark.docs
async def test_two_retries_and_a_record_in_s3(queue: Queue) -> None:
    queue.configure(on_failure_arn="arn:aws:s3:::records")
    queue.script.answers = [BAD]
    queue.site.queue("f", {"n": 1})
    await queue.clock.advance(59)
    assert len(queue.script.calls) == 1
    await queue.clock.advance(2)
    assert len(queue.script.calls) == 2
    await queue.clock.advance(121)
    assert len(queue.script.calls) == 3
    assert {call.request_id for call in queue.script.calls} == {queue.script.calls[0].request_id}
    assert queue.waiting == []
    ((key, record),) = queue.in_s3.items()
    assert key.startswith("aws/lambda/async/f/2026/01/01/2026-01-01T00.03.")
    assert record["requestContext"]["condition"] == "RetriesExhausted"
    assert record["requestContext"]["approximateInvokeCount"] == 3
    assert record["responsePayload"] == {"errorMessage": "no"}
    assert queue.metric("AsyncEventsDropped") == 1
    assert queue.metric("AsyncEventsReceived") == 1
    assert [round(age) for age in queue.site.metric("AsyncEventAge", FunctionName="f")] == [
        *(0, 60_000, 180_000)
    ]


@pytest.mark.docs
async def test_a_success_is_told_to_another_function(queue: Queue) -> None:
    target = queue.site.create("target", "")
    queue.configure(on_success_arn=target.arn)
    queue.site.queue("f", {"n": 1})
    await queue.clock.settle(200)
    first, second = queue.script.calls
    assert (first.function, second.function) == ("f", "target")
    record = json.loads(second.payload)
    assert record["requestContext"]["condition"] == "Success"
    assert record["requestContext"]["functionArn"].endswith(":function:f:$LATEST")
    assert (record["requestPayload"], record["responsePayload"]) == ({"n": 1}, "done")


@pytest.mark.docs
async def test_throttles_are_tried_again(queue: Queue) -> None:
    throttled = FunctionThrottled("ConcurrentInvocationLimitExceeded")
    queue.script.answers = [throttled, FunctionUnavailable("no process"), GOOD]
    queue.site.queue("f")
    await queue.clock.settle()
    assert len(queue.script.calls) == 1
    await queue.clock.advance(1.01)
    assert len(queue.script.calls) == 2
    await queue.clock.advance(2.01)
    assert (len(queue.script.calls), queue.waiting) == (3, [])


@pytest.mark.docs
async def test_throttled_until_it_is_too_old(queue: Queue) -> None:
    queue.configure(max_event_age_s=60, on_failure_arn="arn:aws:s3:::records")
    queue.script.answers = [FunctionThrottled("ConcurrentInvocationLimitExceeded")]
    queue.site.queue("f")
    await queue.clock.advance(61)
    assert queue.waiting == []
    (record,) = queue.in_s3.values()
    assert record["requestContext"]["condition"] == "EventAgeExceeded"
    assert "responsePayload" not in record


@pytest.mark.docs
async def test_switched_off_goes_to_the_destination_at_once(queue: Queue) -> None:
    queue.configure(on_failure_arn="arn:aws:s3:::records")
    queue.site.reserve("f", 0)
    queue.script.answers = [FunctionThrottled("ReservedFunctionConcurrentInvocationLimitExceeded")]
    queue.site.queue("f")
    await queue.clock.settle(200)
    assert (len(queue.script.calls), queue.waiting, len(queue.in_s3)) == (1, [], 1)


@pytest.mark.parametrize(
    ("destination", "metric"),
    [
        ({"on_failure_arn": "arn:aws:sqs:us-east-1:1:q"}, "DestinationDeliveryFailures"),
        ({"on_failure_arn": "arn:aws:s3:::absent"}, "DestinationDeliveryFailures"),
        (
            {"on_failure_arn": "arn:aws:lambda:us-east-1:1:function:absent"},
            "DestinationDeliveryFailures",
        ),
        ({}, "DeadLetterErrors"),
    ],
)
async def test_what_cannot_be_delivered_is_counted(
    queue: Queue, destination: dict[str, str], metric: str
) -> None:
    queue.configure(max_retries=0, **destination)
    dead_letter_arn = None if destination else "arn:aws:sqs:us-east-1:1:dead"
    queue.site.create("f", "", dead_letter_arn=dead_letter_arn)
    queue.script.answers = [BAD]
    queue.site.queue("f")
    await queue.clock.settle(200)
    assert queue.waiting == []
    counts = {
        name: queue.metric(name) for name in ("DestinationDeliveryFailures", "DeadLetterErrors")
    }
    assert counts == {
        "DestinationDeliveryFailures": float(metric == "DestinationDeliveryFailures"),
        "DeadLetterErrors": float(metric == "DeadLetterErrors"),
    }


@pytest.mark.docs
async def test_a_destination_and_a_dead_letter_queue_get_both(queue: Queue) -> None:
    queue.configure(max_retries=0, on_failure_arn="arn:aws:s3:::records")
    queue.site.create("f", "", dead_letter_arn="arn:aws:sqs:us-east-1:1:dead")
    queue.script.answers = [BAD]
    queue.site.queue("f")
    await queue.clock.settle(200)
    assert (len(queue.in_s3), queue.metric("DeadLetterErrors")) == (1, 1)


async def test_an_alias_leads_to_its_version(queue: Queue) -> None:
    queue.site.create("f", "", version="3")
    queue.site.alias("f", "live", "3")
    queue.site.queue("f", qualifier="live")
    await queue.clock.settle()
    assert (queue.script.calls[0].version, queue.script.calls[0].qualifier) == ("3", "live")


async def test_a_version_that_is_not_ready_yet_is_waited_for(queue: Queue) -> None:
    queue.site.create("f", "", state="Pending")
    queue.site.queue("f")
    await queue.clock.settle()
    assert queue.script.calls == []
    queue.site.create("f", "")
    await queue.clock.advance(1.01)
    assert len(queue.script.calls) == 1


async def test_a_function_that_was_deleted(queue: Queue) -> None:
    queue.site.queue("gone")
    await queue.clock.settle()
    assert (queue.script.calls, queue.waiting) == ([], [])


async def test_what_is_queued_survives_a_restart(queue: Queue) -> None:
    queue.script.answers = [BAD, GOOD]
    queue.site.queue("f")
    await queue.clock.settle()
    await queue.events.stop()
    (event,) = queue.waiting
    assert event.failures == 1
    again = queue.new_events()
    again.start()
    await queue.clock.advance(61)
    assert (len(queue.script.calls), queue.waiting) == (2, [])
    assert queue.metric("AsyncEventsReceived") == 1, "it is not received twice"
    await again.stop()


async def test_a_long_queue_does_not_run_all_at_once(queue: Queue) -> None:
    class Slow(Script):
        async def call(self, call: FunctionCall) -> FunctionResult:
            self.calls.append(call)
            await queue.clock.sleep(1)
            return GOOD

    slow = Slow([GOOD])
    queue.script = slow
    await queue.events.stop()
    queue.events = queue.new_events()
    queue.events.start()
    for _ in range(PARALLEL_EVENTS + 5):
        queue.site.queue("f")
    await queue.clock.settle(300)
    assert len(slow.calls) == PARALLEL_EVENTS
    await queue.clock.advance(1.01)
    assert len(slow.calls) == PARALLEL_EVENTS + 5
    await queue.clock.advance(1.01)
    assert queue.waiting == []


async def test_a_bug_does_not_become_a_busy_loop(queue: Queue) -> None:
    queue.script.answers = [RuntimeError("a bug")]
    queue.site.queue("f")
    await queue.clock.settle(200)
    assert len(queue.script.calls) == 1
    assert queue.site.records.get(Function, "f") is not None
    assert queue.waiting == []
