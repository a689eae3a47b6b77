"""Waiting for what a cloud does in its own time."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from fogbank.core.clock import SystemClock, wait

T = TypeVar("T")

POLL_S = 0.05


def until(probe: Callable[[], T | None], what: str, *, limit_s: float = 60.0) -> T:
    """Ask again and again until the answer is neither None nor False, and return it. After
    `limit_s` seconds the test has failed."""
    clock = SystemClock()
    deadline_s = clock.monotonic_s() + limit_s
    while True:
        found = probe()
        if found is not None and found is not False:
            return found
        if clock.monotonic_s() > deadline_s:
            raise AssertionError(f"{what}: not within {limit_s:g} s")
        wait(POLL_S)
