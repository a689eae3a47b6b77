"""The line that `fogbank load` shows while it runs."""

from __future__ import annotations

import io

from rich.console import Console

from fogbank.cli.load_view import LINE_EVERY_S, LoadView
from fogbank.ops.load.generator import OK, Sample
from fogbank.ops.load.watch import Look
from fogbank.testing.clock import ManualClock

ALARM = "TargetTracking-endpoint/dogs/variant/AllTraffic-AlarmHigh-1"


def answer(error: str = OK) -> Sample:
    return Sample(0.0, 0.02, 0.02, error)


async def test_the_line_says_how_it_stands_now() -> None:
    clock, shown = ManualClock(), io.StringIO()
    console = Console(file=shown, width=500)
    with LoadView("endpoint dogs", 60, clock, time_scale=60, console=console) as view:
        view.saw(Look(0.0, 1, 1))
        for _ in range(100):
            view.answered(answer())
        await clock.advance(LINE_EVERY_S - 1)
        for _ in range(10):
            view.answered(answer("Throttling"))
        view.saw(Look(9.0, 1, 1))
        assert shown.getvalue().count("\n") == 1, "a line in ten seconds is enough for a file"
        await clock.advance(1)
        view.saw(Look(10.0, 1, 3, (ALARM,)))
    assert shown.getvalue().splitlines() == [
        "endpoint dogs  0 of 60 s  0 answers (0.0 a second)  0 errors  instances 1  "
        "alarms and cooldowns 60 times faster",
        "endpoint dogs  10 of 60 s  110 answers (2.0 a second)  p50 20 ms, p99 20 ms  10 errors  "
        "instances 1 of 3  AlarmHigh in ALARM  alarms and cooldowns 60 times faster",
    ]
