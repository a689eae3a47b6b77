"""The statistics that CloudWatch knows: a name -> what it computes of an aggregate. Pure.

    SampleCount Average Sum Minimum Maximum       p99.9           percentile
    tm90  TM(10%:90%)  TM(150:1000)  trimmed mean, sum (ts TS) and count (tc TC) in a range
    wm90  WM(10%:90%)                winsorized mean: what lies outside counts as its edge
    PR(100:2000)                     percentile rank: how much of the data lies in a range
    IQM                              interquartile mean, TM(25%:75%)

A range of values is open below and closed above. Source: CloudWatch User Guide, "CloudWatch
statistics definitions".
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from fogbank.cloud.state.aggregate import Aggregate

Statistic = Callable[[Aggregate], float | None]
"""None where an aggregate does not have that statistic."""

STATISTICS: Mapping[str, Statistic] = {
    "SampleCount": lambda aggregate: aggregate.count,
    "Average": lambda aggregate: aggregate.average,
    "Sum": lambda aggregate: aggregate.sum,
    "Minimum": lambda aggregate: aggregate.minimum,
    "Maximum": lambda aggregate: aggregate.maximum,
}

_NUMBER = r"\d+(?:\.\d{1,10})?"
_PERCENTILE = re.compile(rf"p({_NUMBER})")
_SHORT = re.compile(rf"(tm|tc|ts|wm)({_NUMBER})")
_LONG = re.compile(rf"(TM|TC|TS|WM|PR)\((?:({_NUMBER})(%?))?:(?:({_NUMBER})(%?))?\)")

Part = tuple[float, float]
"""(value, how often)"""


@dataclass(frozen=True, slots=True)
class _Range:
    """low, high: in percent of the data, or values; None: open."""

    low: float | None
    high: float | None
    in_percent: bool

    def parts(self, data: Sequence[Part]) -> list[Part]:
        """What of the data lies inside; of the value at a percentage's edge, a fraction."""
        if not self.in_percent:
            return [
                (value, count)
                for value, count in data
                if (self.low is None or value > self.low)
                and (self.high is None or value <= self.high)
            ]
        total = math.fsum(count for _, count in data)
        first = total * (self.low or 0.0) / 100
        last = total * (100.0 if self.high is None else self.high) / 100
        inside: list[Part] = []
        seen = 0.0
        for value, count in data:
            taken = min(seen + count, last) - max(seen, first)
            seen += count
            if taken > 0:
                inside.append((value, taken))
        return inside


def statistic(name: str) -> Statistic | None:
    """The statistic of that name; None for a name that is none."""
    if name in STATISTICS:
        return STATISTICS[name]
    if name == "IQM":
        return _of_range("TM", _Range(25, 75, in_percent=True))
    if found := _PERCENTILE.fullmatch(name):
        percent = float(found[1])
        return (lambda aggregate: aggregate.percentile(percent)) if percent <= 100 else None
    if found := _SHORT.fullmatch(name):
        high = float(found[2])
        if high > 100:
            return None
        return _of_range(found[1].upper(), _Range(None, high, in_percent=True))
    if found := _LONG.fullmatch(name):
        return _long(*found.groups())
    return None


def _long(
    kind: str, low: str | None, low_percent: str | None, high: str | None, high_percent: str | None
) -> Statistic | None:
    signs = {sign for text, sign in ((low, low_percent), (high, high_percent)) if text is not None}
    if len(signs) != 1:  # both are open, or only one is in percent
        return None
    in_percent = signs == {"%"}
    bounds = _Range(
        None if low is None else float(low), None if high is None else float(high), in_percent
    )
    if bounds.low is not None and bounds.high is not None and bounds.low >= bounds.high:
        return None
    if in_percent and (kind == "PR" or max(bounds.low or 0, bounds.high or 0) > 100):
        return None
    if kind == "WM" and not in_percent:
        return None
    return _of_range(kind, bounds)


def _of_range(kind: str, bounds: _Range) -> Statistic:
    compute = _KINDS[kind]

    def of(aggregate: Aggregate) -> float | None:
        data = aggregate.known_distribution()
        return None if data is None else compute(bounds.parts(data), data)

    return of


def _count(parts: Sequence[Part], data: Sequence[Part]) -> float:
    return math.fsum(count for _, count in parts)


def _sum(parts: Sequence[Part], data: Sequence[Part]) -> float:
    return math.fsum(value * count for value, count in parts)


def _mean(parts: Sequence[Part], data: Sequence[Part]) -> float | None:
    count = _count(parts, data)
    return _sum(parts, data) / count if count else None


def _winsorized(parts: Sequence[Part], data: Sequence[Part]) -> float | None:
    if not parts:
        return None
    low, high = parts[0][0], parts[-1][0]
    return _mean([(min(max(value, low), high), count) for value, count in data], data)


def _rank(parts: Sequence[Part], data: Sequence[Part]) -> float:
    return 100 * _count(parts, data) / _count(data, data)


_KINDS: Mapping[str, Callable[[Sequence[Part], Sequence[Part]], float | None]] = {
    "TM": _mean,
    "TC": _count,
    "TS": _sum,
    "WM": _winsorized,
    "PR": _rank,
}
