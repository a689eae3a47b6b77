"""What is kept of many measurements: count, sum, extremes and the distribution. Pure."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable
from dataclasses import dataclass, field

MAX_DISTINCT = 400
"""Up to so many different values are kept exactly; more are gathered in steps of 1 percent."""

_STEP = math.log(1.01)


@dataclass(slots=True)
class Aggregate:
    """distribution: value -> how often. Statistic sets have none, so its total may fall short of
    `count`: then there are no percentiles."""

    count: float = 0.0
    sum: float = 0.0
    minimum: float = math.inf
    maximum: float = -math.inf
    distribution: dict[float, float] = field(default_factory=dict)

    def add(self, value: float, count: float = 1.0) -> None:
        """`count` equal measurements: seven a request, so nothing is called for them that need not
        be."""
        self.count += count
        self.sum += value * count
        if value < self.minimum:
            self.minimum = value
        if value > self.maximum:
            self.maximum = value
        known = self.distribution.get(value)
        if known is not None:
            self.distribution[value] = known + count
        else:
            self._distribute(((value, count),))

    def add_set(self, count: float, total: float, minimum: float, maximum: float) -> None:
        """Measurements of which only these four numbers are known."""
        self.count += count
        self.sum += total
        self.minimum = min(self.minimum, minimum)
        self.maximum = max(self.maximum, maximum)

    def merge(self, other: Aggregate) -> None:
        self.add_set(other.count, other.sum, other.minimum, other.maximum)
        self._distribute(other.distribution.items())

    def _distribute(self, values: Iterable[tuple[float, float]]) -> None:
        exact = len(self.distribution) <= MAX_DISTINCT
        for value, count in values:
            step = value if exact else _rounded(value)
            self.distribution[step] = self.distribution.get(step, 0.0) + count
        if exact and len(self.distribution) > MAX_DISTINCT:
            coarse: dict[float, float] = {}
            for value, count in self.distribution.items():
                step = _rounded(value)
                coarse[step] = coarse.get(step, 0.0) + count
            self.distribution = coarse

    @property
    def average(self) -> float:
        return self.sum / self.count if self.count else 0.0

    def percentile(self, percent: float) -> float | None:
        """The smallest value that at least `percent` of the measurements do not exceed (nearest
        rank; AWS does not publish how it interpolates). None where the distribution is not known,
        and where values are negative, as on AWS."""
        data = self.known_distribution()
        if data is None:
            return None
        wanted = self.count * percent / 100
        seen = 0.0
        for value, count in data[:-1]:
            seen += count
            # The tolerance keeps 0.1 + 0.2 from falling short of 0.3.
            if seen >= wanted * (1 - 1e-12):
                return min(max(value, self.minimum), self.maximum)
        return self.maximum

    def known_distribution(self) -> list[tuple[float, float]] | None:
        """(value, how often), the values in order; None where the distribution is not known, and
        where values are negative: there AWS has no percentiles either."""
        known = math.fsum(self.distribution.values())
        if self.minimum < 0 or not math.isclose(known, self.count, rel_tol=1e-9) or not known:
            return None
        return sorted(self.distribution.items())

    def packed_distribution(self) -> bytes:
        """Pairs of doubles, in the machine's byte order: the file stays on its machine."""
        return array(
            "d", (number for pair in self.distribution.items() for number in pair)
        ).tobytes()

    @classmethod
    def unpacked(
        cls, count: float, total: float, minimum: float, maximum: float, distribution: bytes
    ) -> Aggregate:
        numbers = array("d", distribution)
        pairs = dict(zip(numbers[::2], numbers[1::2], strict=True))
        return cls(count, total, minimum, maximum, pairs)


def _rounded(value: float) -> float:
    """To a power of 1.01: at most half a percent away. A rounded value stays as it is."""
    if value == 0:
        return 0.0
    return math.copysign(math.exp(round(math.log(abs(value)) / _STEP) * _STEP), value)
