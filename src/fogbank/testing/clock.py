"""A clock that a test moves by hand."""

from __future__ import annotations

import asyncio
import heapq
from datetime import UTC, datetime, timedelta
from itertools import count

START = datetime(2026, 1, 1, tzinfo=UTC)


class ManualClock:
    """Time stands still until `advance`; then everybody whose sleep has ended wakes, in order.

    now: where the wall clock starts. The monotonic clock starts at 0.
    """

    def __init__(self, now: datetime = START) -> None:
        self._start = now
        self._elapsed_s = 0.0
        self._order = count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self._elapsed_s)

    def monotonic_s(self) -> float:
        return self._elapsed_s

    async def sleep(self, seconds: float) -> None:
        """Returns once `advance` has gone that far. Zero or less: only lets the others run."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._elapsed_s + seconds, next(self._order), woken))
        await woken

    @property
    def num_sleepers(self) -> int:
        """How many tasks sleep now."""
        return sum(not woken.done() for _, _, woken in self._sleepers)

    async def advance(self, seconds: float) -> None:
        """Move on by `seconds`, stopping at each sleep that ends on the way, so that what it wakes
        sees the time at which it asked to be woken and may sleep again before the rest passes."""
        until = self._elapsed_s + seconds
        await self.settle()
        while self._sleepers and self._sleepers[0][0] <= until:
            self._elapsed_s, _, woken = heapq.heappop(self._sleepers)
            if not woken.done():
                woken.set_result(None)
                await self.settle()
        self._elapsed_s = until
        await self.settle()

    async def settle(self, rounds: int = 50) -> None:
        """Let every task run that can run without time passing (so many turns of the loop)."""
        for _ in range(rounds):
            await asyncio.sleep(0)
