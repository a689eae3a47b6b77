"""The clock that tests move by hand."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from fogbank.testing.clock import START, ManualClock


async def test_time_stands_still_until_it_is_moved() -> None:
    clock = ManualClock()
    sleep = asyncio.create_task(clock.sleep(10))
    await clock.advance(9.9)
    assert not sleep.done()
    await clock.advance(0.1)
    assert sleep.done()
    assert clock.now() == START + timedelta(seconds=10)
    assert clock.monotonic_s() == 10


async def test_sleepers_wake_in_order_and_see_the_time_they_asked_for() -> None:
    clock = ManualClock()
    seen: list[tuple[str, float]] = []

    async def every(name: str, seconds: float) -> None:
        while True:
            await clock.sleep(seconds)
            seen.append((name, clock.monotonic_s()))

    tasks = [asyncio.create_task(every("a", 2)), asyncio.create_task(every("b", 3))]
    await clock.advance(6)
    assert seen == [("a", 2), ("b", 3), ("a", 4), ("b", 6), ("a", 6)]
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


async def test_a_cancelled_sleeper_is_forgotten() -> None:
    clock = ManualClock()
    sleep = asyncio.create_task(clock.sleep(1))
    await clock.settle()
    assert clock.num_sleepers == 1
    sleep.cancel()
    await asyncio.wait({sleep})
    assert clock.num_sleepers == 0
    await clock.advance(2)
    await clock.sleep(0)
    assert clock.monotonic_s() == 2
