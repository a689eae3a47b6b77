"""The open loop: on time, whatever the answers do; late answers count from when they were due."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator

import pytest

from fogbank.ops.load.generator import NOT_SENT, OK, Sample, generate
from fogbank.testing.clock import ManualClock


class Server:
    """Answers after `answer_s` seconds of the clock."""

    def __init__(self, answer_s: float) -> None:
        self.clock = ManualClock()
        self.answer_s = answer_s
        self.asked_s: list[float] = []
        self.samples: list[Sample] = []

    async def send(self) -> str:
        self.asked_s.append(self.clock.monotonic_s())
        await self.clock.sleep(self.answer_s)
        return OK

    async def run(self, times_s: Iterable[float], *, max_outstanding: int = 100) -> None:
        task = asyncio.create_task(
            generate(
                times_s,
                self.send,
                self.clock,
                done=self.samples.append,
                max_outstanding=max_outstanding,
            )
        )
        await self.clock.advance(100)
        await task


async def test_requests_leave_on_time_though_earlier_ones_wait() -> None:
    server = Server(answer_s=5)
    await server.run([0.5, 1.0, 1.5])
    assert server.asked_s == [0.5, 1.0, 1.5]
    assert [sample.latency_s for sample in server.samples] == pytest.approx([5, 5, 5])
    assert {sample.error for sample in server.samples} == {OK}


class LateClock(ManualClock):
    """Its first sleep takes longer: this machine had something else to do."""

    def __init__(self, late_s: float) -> None:
        super().__init__()
        self.late_s = late_s

    async def sleep(self, seconds: float) -> None:
        late_s, self.late_s = self.late_s, 0.0
        await super().sleep(seconds + late_s)


async def test_a_late_start_counts_as_waiting() -> None:
    server = Server(answer_s=1)
    server.clock = LateClock(late_s=3)
    await server.run([2.0])
    (sample,) = server.samples
    assert sample.service_s == pytest.approx(1)
    assert sample.latency_s == pytest.approx(4)


async def test_who_is_late_lets_those_leave_that_are_due() -> None:
    server = Server(answer_s=1)
    num_left: list[int] = []

    def all_at_once() -> Iterator[float]:
        for _ in range(4):
            num_left.append(len(server.asked_s))
            yield 0.0

    await server.run(all_at_once())
    assert num_left == [0, 0, 1, 2]


async def test_too_many_at_once_are_not_sent_and_say_so() -> None:
    server = Server(answer_s=10)
    await server.run([0.1, 0.2, 0.3, 0.4], max_outstanding=2)
    assert len(server.asked_s) == 2
    assert sorted(sample.error for sample in server.samples) == [OK, OK, NOT_SENT, NOT_SENT]


async def test_cancelled_it_leaves_nothing_running() -> None:
    server = Server(answer_s=10)
    task = asyncio.create_task(
        generate([0.1, 20.0], server.send, server.clock, done=server.samples.append)
    )
    await server.clock.advance(1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await server.clock.advance(50)
    assert server.samples == []
