"""How long something may take, all its parts together. The only reader of time in this room."""

from __future__ import annotations

import time
from collections.abc import Callable

from fogbank.front.refusals import TimedOut

Monotonic = Callable[[], float]
"""Seconds that never run backwards."""

monotonic: Monotonic = time.monotonic


class Deadline:
    """A moment. Asked again before every wait, so that a peer that sends a byte now and then gains
    nothing: a time-out for each read would never end."""

    def __init__(self, seconds: float, what: str, clock: Monotonic = monotonic) -> None:
        self._seconds = seconds
        self._what = what
        self._clock = clock
        self._ends = clock() + seconds

    def remaining_s(self) -> float:
        """More than nothing. Raises TimedOut when it is over."""
        left = self._ends - self._clock()
        if left <= 0:
            raise self.over()
        return left

    def over(self) -> TimedOut:
        """For a wait that ended by itself."""
        return TimedOut(f"{self._what} took longer than {self._seconds:g} s")
