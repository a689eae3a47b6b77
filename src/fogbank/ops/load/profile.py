"""When requests are due: a shape and a length of time -> seconds since the start. Pure.

Arrivals are a Poisson process whose rate follows the shape (thinned: Lewis and Shedler, 1979), as
those of many people who know nothing of each other; or evenly spaced where that is asked for.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Protocol

from fogbank.core.errors import InputError

SHAPES = ("constant", "ramp", "step", "spike", "day", "hourly")

NIGHT_SHARE = 0.1
"""Of the peak, in the quietest hour of `day`."""

NUM_STEPS = 5

BURST_S = 600
"""`hourly` is at its peak for the first ten minutes of each hour."""


class Profile(Protocol):
    """rate_per_s: requests a second at a moment; peak_per_s: it is never above that."""

    @property
    def duration_s(self) -> float: ...

    @property
    def peak_per_s(self) -> float: ...

    def rate_per_s(self, at_s: float) -> float: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """name:       one of SHAPES.
    base_per_s: where it starts: all of `constant`, the quiet part of `spike` and `hourly`.
    peak_per_s: where `ramp` and `step` end, how high the others go.

        constant ────   ramp ／   step ▁▂▄▆█   spike ▁▁███▁▁▁▁   day ▁▃▇█▇▃▁   hourly █▁▁▁▁▁█▁▁▁▁▁
    """

    name: str
    base_per_s: float
    peak_per_s: float
    duration_s: float

    def rate_per_s(self, at_s: float) -> float:
        share = min(max(at_s / self.duration_s, 0.0), 1.0)
        extra = self.peak_per_s - self.base_per_s
        match self.name:
            case "ramp":
                return self.base_per_s + extra * share
            case "step":
                return self.base_per_s + extra * min(int(share * NUM_STEPS), NUM_STEPS - 1) / (
                    NUM_STEPS - 1
                )
            case "spike":
                return self.peak_per_s if 0.2 <= share < 0.5 else self.base_per_s
            case "day":
                # A cosine with its valley at both ends, as from one night to the next.
                height = (1 - math.cos(2 * math.pi * share)) / 2
                return self.peak_per_s * (NIGHT_SHARE + (1 - NIGHT_SHARE) * height)
            case "hourly":
                return self.peak_per_s if at_s % 3600 < BURST_S else self.base_per_s
            case _:
                return self.base_per_s


def shape(name: str, base_per_s: float, peak_per_s: float | None, duration_s: float) -> Shape:
    """A checked shape; without a peak it is five times the base. Raises InputError."""
    if name not in SHAPES:
        raise InputError(
            f"no profile {name!r}: it is one of {', '.join(SHAPES)}, or a file of recorded times"
        )
    if base_per_s <= 0 or duration_s <= 0:
        raise InputError("the rate and the duration must be greater than 0")
    peak = base_per_s * (1 if name == "constant" else 5) if peak_per_s is None else peak_per_s
    if peak < base_per_s:
        raise InputError(f"the peak of {peak:g} a second is below the rate of {base_per_s:g}")
    return Shape(name=name, base_per_s=base_per_s, peak_per_s=peak, duration_s=duration_s)


@dataclass(frozen=True, slots=True)
class Trace:
    """Requests at recorded times, seconds since the first, in order."""

    times_s: Sequence[float]

    @property
    def duration_s(self) -> float:
        return self.times_s[-1]

    @property
    def peak_per_s(self) -> float:
        return max(map(self.rate_per_s, self.times_s))

    def rate_per_s(self, at_s: float) -> float:
        """Those of the second that begins then."""
        return self.num_between(at_s, at_s + 1)

    def num_between(self, begin_s: float, end_s: float) -> int:
        """The end does not belong to it."""
        return bisect_left(self.times_s, end_s) - bisect_left(self.times_s, begin_s)


def read_trace(text: str) -> Trace:
    """One time in seconds a line; what follows a comma, empty lines and `#` do not matter. Raises
    InputError with the number of the line that is no time."""
    times: list[float] = []
    for number, line in enumerate(text.splitlines(), 1):
        field = line.partition("#")[0].partition(",")[0].strip()
        if not field:
            continue
        try:
            time_s = float(field)
        except ValueError:
            time_s = math.nan
        if not math.isfinite(time_s):
            raise InputError(f"line {number} of the trace is {line!r}: not a time in seconds")
        times.append(time_s)
    if not times:
        raise InputError("the trace has no times in it")
    times.sort()
    return Trace([time_s - times[0] for time_s in times])


def read_profile(
    name: str, base_per_s: float, peak_per_s: float | None, duration_s: float
) -> Profile:
    """A shape by its name, or the trace in the file of that name. Raises InputError."""
    path = Path(name)
    if name in SHAPES or not path.is_file():
        return shape(name, base_per_s, peak_per_s, duration_s)
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"the trace {path} cannot be read: {error}") from error
    return read_trace(text)


def arrivals(profile: Profile, *, seed: int, evenly: bool = False) -> Iterator[float]:
    """When requests are due, in order. The same seed gives the same times."""
    if isinstance(profile, Trace):
        yield from profile.times_s
    elif evenly:
        yield from _even(profile)
    else:
        yield from _poisson(profile, Random(seed))  # noqa: S311 - load, no secret


def _poisson(profile: Profile, random: Random) -> Iterator[float]:
    at_s = 0.0
    while True:
        at_s += random.expovariate(profile.peak_per_s)
        if at_s >= profile.duration_s:
            return
        if random.random() * profile.peak_per_s < profile.rate_per_s(at_s):
            yield at_s


def _even(profile: Profile) -> Iterator[float]:
    """A request each time that the rate has added up to one more."""
    step_s = min(0.01, 1 / (10 * profile.peak_per_s))
    due, at_s = 0.0, 0.0
    while at_s < profile.duration_s:
        due += profile.rate_per_s(at_s) * step_s
        if due >= 1 - 1e-9:
            due -= 1
            yield at_s
        at_s += step_s
