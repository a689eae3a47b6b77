"""The only reader of real time. Everything else takes a `Clock` as an argument."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Where time comes from.

    `now` is wall-clock time (aware, UTC) for records; `monotonic_s` measures durations and never
    runs backwards; `sleep` waits that many seconds of this clock's time.
    """

    def now(self) -> datetime: ...

    def monotonic_s(self) -> float: ...

    async def sleep(self, seconds: float) -> None: ...


class SystemClock:
    """Real time."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic_s(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def epoch_ms(moment: datetime) -> int:
    """Milliseconds since 1970-01-01T00:00:00Z, as CloudWatch Logs counts them."""
    return round(moment.timestamp() * 1000)


def wait(seconds: float) -> None:
    """Block this thread for that long. For command line tools that poll; never in the cloud."""
    time.sleep(seconds)
