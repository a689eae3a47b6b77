"""Requests at their times, whatever becomes of those before: an open loop.

In: times and a way to send. Out: one `Sample` a request. Latency counts from when the request was
due, not from when it was sent: where the sender is late, everybody who would have asked meanwhile
has waited as well ("coordinated omission": Tene, "How NOT to Measure Latency", 2013).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from fogbank.core.clock import Clock

MAX_OUTSTANDING = 2000
"""Requests that wait for their answers at one time. More are not sent: this machine, not the
endpoint, would be what is measured."""

NOT_SENT = "NotSent"
OK = ""


@dataclass(frozen=True, slots=True)
class Sample:
    """due_s: since the start. latency_s: from then to the end of the answer. service_s: from the
    sending. error: AWS's code, or OK; NOT_SENT where too many were waiting."""

    due_s: float
    latency_s: float
    service_s: float
    error: str


Send = Callable[[], Awaitable[str]]
"""Send one request and read its answer; returns OK or the code of an error. Must not raise."""


async def generate(
    times_s: Iterable[float],
    send: Send,
    clock: Clock,
    *,
    done: Callable[[Sample], None],
    max_outstanding: int = MAX_OUTSTANDING,
) -> None:
    """Send a request at each of the times; returns when the last answer is there.

    Cancelled, it lets the requests under way go.
    """
    start_s = clock.monotonic_s()
    waiting: set[asyncio.Task[None]] = set()

    async def one(due_s: float) -> None:
        sent_s = clock.monotonic_s()
        error = await send()
        now_s = clock.monotonic_s()
        done(Sample(due_s, now_s - start_s - due_s, now_s - sent_s, error))

    try:
        for due_s in times_s:
            # Who is late still lets those leave that are due already, one at a time.
            await clock.sleep(max(0.0, start_s + due_s - clock.monotonic_s()))
            if len(waiting) >= max_outstanding:
                done(Sample(due_s, 0.0, 0.0, NOT_SENT))
                continue
            task = asyncio.create_task(one(due_s))
            waiting.add(task)
            task.add_done_callback(waiting.discard)
        if waiting:
            await asyncio.gather(*waiting)
    except asyncio.CancelledError:
        for task in waiting:
            task.cancel()
        raise
