"""What `fogbank load` shows while it runs: a live line on a terminal, one line in ten seconds
elsewhere."""

from __future__ import annotations

from collections import deque
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.text import Text

from fogbank.cli.console import events
from fogbank.core.clock import Clock
from fogbank.ops.load.generator import OK, Sample
from fogbank.ops.load.record import Latency
from fogbank.ops.load.watch import Look

WINDOW = 500
"""Latency is shown of so many of the last answers."""

RATE_OF_S = 5.0
"""The rate is that of the last seconds."""

LINE_EVERY_S = 10.0


class LoadView:
    """`answered` is called with each sample, `saw` with each look at the cloud. console: where to,
    if not to stderr."""

    def __init__(
        self,
        what: str,
        duration_s: float,
        clock: Clock,
        *,
        time_scale: float = 1.0,
        console: Console | None = None,
    ) -> None:
        self._what = what
        self._time_scale = time_scale
        self._duration_s = duration_s
        self._clock = clock
        self._begin_s = clock.monotonic_s()
        self._recent: deque[Sample] = deque(maxlen=WINDOW)
        self._ended_s: deque[float] = deque()
        self._num_answers = 0
        self._num_errors = 0
        self._look: Look | None = None
        self._printed_s = -LINE_EVERY_S
        self._console = console or events()
        self._live = Live(
            console=self._console, transient=True, refresh_per_second=4, get_renderable=self._text
        )

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._console.is_terminal:
            self._live.stop()

    def answered(self, sample: Sample) -> None:
        self._recent.append(sample)
        self._ended_s.append(self._elapsed_s())
        self._num_answers += 1
        self._num_errors += sample.error != OK

    def saw(self, look: Look) -> None:
        self._look = look
        elapsed_s = self._elapsed_s()
        if not self._console.is_terminal and elapsed_s - self._printed_s >= LINE_EVERY_S:
            self._printed_s = elapsed_s
            self._console.print(self._text())

    def _elapsed_s(self) -> float:
        return self._clock.monotonic_s() - self._begin_s

    def _rate_per_s(self, elapsed_s: float) -> float:
        while self._ended_s and self._ended_s[0] < elapsed_s - RATE_OF_S:
            self._ended_s.popleft()
        return len(self._ended_s) / min(elapsed_s, RATE_OF_S) if elapsed_s else 0.0

    def _text(self) -> Text:
        elapsed_s = self._elapsed_s()
        rate = self._rate_per_s(elapsed_s)
        parts = [
            f"{self._what}  {elapsed_s:.0f} of {self._duration_s:.0f} s",
            f"{self._num_answers} answers ({rate:.1f} a second)",
        ]
        latency = Latency.of(self._recent)
        if latency.p50_ms is not None:
            parts.append(f"p50 {latency.p50_ms:.0f} ms, p99 {latency.p99_ms:.0f} ms")
        parts.append(f"{self._num_errors} errors")
        if self._look is not None:
            instances = f"{self._look.serving}"
            if self._look.desired != self._look.serving:
                instances += f" of {self._look.desired}"
            parts.append(f"instances {instances}")
            if self._look.alarms:
                parts.append(", ".join(f"{side} in ALARM" for side in self._look.alarm_sides))
        if self._time_scale != 1:
            parts.append(f"alarms and cooldowns {self._time_scale:g} times faster")
        return Text("  ".join(parts))
