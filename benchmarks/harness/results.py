"""What a benchmark answers: rows of measured series, each beside its peer and its budget."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

Judged = Literal["value", "difference", "ratio"]


@dataclass(frozen=True, slots=True)
class Series:
    """One number a round. Alternating series have one value for the same round each."""

    unit: str
    values: tuple[float, ...]

    def __post_init__(self) -> None:
        assert self.values, "a series without a measurement"

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    def __str__(self) -> str:
        words = [_short(self.median), self.unit]
        if len(self.values) > 1:
            words.append(f"({_short(min(self.values))}–{_short(max(self.values))})")
        return " ".join(filter(None, words))


def _short(value: float) -> str:
    """Three significant digits, thousands in full."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:#.3g}"


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the table."""

    what: str
    fogbank: Series
    peer: Series | None = None
    peer_name: str = ""
    """What was measured beside it, in the same rounds."""
    better: Literal["lower", "higher"] = "lower"
    judged: Judged = "value"
    """value: Fogbank's median. difference: the median over the rounds of Fogbank less peer.
    ratio: how many times better Fogbank's median is than the peer's."""
    limit: float | None = None
    """The budget. For a value or difference the most (the least where higher is better), for a
    ratio the least. None: measured for information."""

    @property
    def difference(self) -> Series | None:
        """Round by round, so that what slowed down a whole round cancels out."""
        if self.peer is None:
            return None
        pairs = zip(self.fogbank.values, self.peer.values, strict=True)
        return Series(self.fogbank.unit, tuple(ours - theirs for ours, theirs in pairs))

    @property
    def ratio(self) -> float | None:
        """Above 1: Fogbank is better."""
        if self.peer is None:
            return None
        ours, theirs = self.fogbank.median, self.peer.median
        return theirs / ours if self.better == "lower" else ours / theirs

    @property
    def judged_value(self) -> float | None:
        """None where there was no peer to compare with."""
        if self.judged == "value":
            return self.fogbank.median
        if self.judged == "ratio":
            return self.ratio
        return None if self.difference is None else self.difference.median

    @property
    def verdict(self) -> Literal["met", "not met", "not measured", ""]:
        """Whether the budget is met; empty where there is none."""
        if self.limit is None:
            return ""
        value = self.judged_value
        if value is None:
            return "not measured"
        at_most = self.judged != "ratio" and self.better == "lower"
        return "met" if (value <= self.limit if at_most else value >= self.limit) else "not met"

    @property
    def compared(self) -> str:
        """The comparison that counts, as text."""
        if self.judged == "difference":
            return "" if self.difference is None else f"difference {self.difference}"
        return "" if self.ratio is None else f"{self.ratio:.2g} x"

    @property
    def difference_median(self) -> float | None:
        return None if self.difference is None else self.difference.median

    @property
    def budget(self) -> str:
        """The limit, as text."""
        if self.limit is None:
            return ""
        if self.judged == "ratio":
            return f"≥ {self.limit:g} x"
        sign = "≤" if self.better == "lower" else "≥"
        return f"{sign} {self.limit:g} {self.fogbank.unit}".strip()


@dataclass(frozen=True, kw_only=True)
class Result:
    """All rows of one benchmark, and what a reader has to know beside them."""

    rows: Sequence[Row]
    notes: Sequence[str] = field(default=())


def percentile(values: Sequence[float], share: float) -> float:
    """The nearest-rank percentile; share 0.5 is the median's rank."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
