"""What a tuning job may try: ParameterRanges -> axes, and between texts and coordinates.

A sampler sees numbers alone: a coordinate between 0 and 1 for a continuous or integer
hyperparameter, already on its scale, and the index of a category. Containers see texts: categories
are kept verbatim, quotes included. Source: API reference, ContinuousParameterRange,
IntegerParameterRange, CategoricalParameterRange; developer guide, "Hyperparameter Scaling".
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Literal

from fogbank.cloud.errors import ValidationException

MAX_HYPERPARAMETERS = 30
"""Tuned hyperparameters a job may have (API reference, ParameterRanges)."""

LOGARITHMIC_FROM = 100.0
"""ScalingType Auto is logarithmic for positive ranges whose ends are this many times apart, else
linear. AWS does not say how it chooses."""

Scaling = Literal["Linear", "Logarithmic", "ReverseLogarithmic"]
Coordinate = float
Point = tuple[Coordinate, ...]
"""One coordinate for each axis: in [0, 1], or an index where the axis has choices."""


@dataclass(frozen=True, slots=True)
class Continuous:
    """Floating-point values between low and high, both included."""

    name: str
    low: float
    high: float
    scaling: Scaling
    num_choices: None = None

    def text(self, coordinate: Coordinate) -> str:
        start, end = self._scaled(self.low), self._scaled(self.high)
        value = float(f"{self._unscaled(start + coordinate * (end - start)):.12g}")
        return repr(min(max(value, self.low), self.high))  # rounding may have left the range

    def coordinate(self, text: str) -> Coordinate | None:
        """None for what is no value of this range."""
        value = _number(text)
        if value is None or not self.low <= value <= self.high:
            return None
        start, end = self._scaled(self.low), self._scaled(self.high)
        return (self._scaled(value) - start) / (end - start) if end > start else 0.5

    def _scaled(self, value: float) -> float:
        match self.scaling:
            case "Linear":
                return value
            case "Logarithmic":
                return math.log(value)
            case "ReverseLogarithmic":
                return -math.log1p(-value)

    def _unscaled(self, scaled: float) -> float:
        match self.scaling:
            case "Linear":
                return scaled
            case "Logarithmic":
                return math.exp(scaled)
            case "ReverseLogarithmic":
                return -math.expm1(-scaled)


@dataclass(frozen=True, slots=True)
class Integer:
    """Whole numbers from low to high, both included. Each is a slice of the axis: equal slices on
    a linear scale, as wide as log((n + 1) / n) on a logarithmic one."""

    name: str
    low: int
    high: int
    scaling: Scaling
    num_choices: None = None

    def text(self, coordinate: Coordinate) -> str:
        start, end = self._scaled(self.low), self._scaled(self.high + 1)
        scaled = start + coordinate * (end - start)
        value = math.exp(scaled) if self.scaling == "Logarithmic" else scaled
        return str(min(max(math.floor(value), self.low), self.high))

    def coordinate(self, text: str) -> Coordinate | None:
        """The middle of the slice. None for what is no value of this range."""
        value = _whole(text)
        if value is None or not self.low <= value <= self.high:
            return None
        start, end = self._scaled(self.low), self._scaled(self.high + 1)
        return (self._scaled(value + 0.5) - start) / (end - start)

    def _scaled(self, value: float) -> float:
        return math.log(value) if self.scaling == "Logarithmic" else value


@dataclass(frozen=True, slots=True)
class Categorical:
    """One of some texts."""

    name: str
    values: tuple[str, ...]

    @property
    def num_choices(self) -> int:
        return len(self.values)

    def text(self, coordinate: Coordinate) -> str:
        return self.values[int(coordinate)]

    def coordinate(self, text: str) -> Coordinate | None:
        """None for what is not among the values."""
        return self.values.index(text) if text in self.values else None


Axis = Continuous | Integer | Categorical


@dataclass(frozen=True, slots=True)
class Space:
    """All tuned hyperparameters of one training job definition."""

    axes: tuple[Axis, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(axis.name for axis in self.axes)

    def texts(self, point: Point) -> dict[str, str]:
        """Hyperparameters as the container gets them."""
        return {
            axis.name: axis.text(coordinate)
            for axis, coordinate in zip(self.axes, point, strict=True)
        }

    def point(self, texts: Mapping[str, str]) -> Point | None:
        """Where in this space those hyperparameters are; None where one is missing or outside, as
        may be with those of a parent job. Hyperparameters that are not tuned do not matter."""
        found: list[Coordinate] = []
        for axis in self.axes:
            coordinate = axis.coordinate(texts[axis.name]) if axis.name in texts else None
            if coordinate is None:
                return None
            found.append(coordinate)
        return tuple(found)

    @property
    def is_grid(self) -> bool:
        return all(isinstance(axis, Categorical) for axis in self.axes)

    @property
    def num_combinations(self) -> int:
        """Of a space of categories alone."""
        return math.prod(axis.num_choices or 0 for axis in self.axes)

    @property
    def num_points(self) -> int | None:
        """How many trials can differ; None where a continuous range makes that endless."""
        sizes = [
            axis.high - axis.low + 1 if isinstance(axis, Integer) else axis.num_choices
            for axis in self.axes
        ]
        return None if None in sizes else math.prod(size or 0 for size in sizes)

    def grid(self) -> Iterator[Point]:
        """Every combination of a space of categories; the last hyperparameter changes fastest."""
        return product(*(map(float, range(axis.num_choices or 0)) for axis in self.axes))


def read_space(ranges: Mapping[str, Any]) -> Space:
    """`ParameterRanges` -> the space.

    Raises ValidationException for ranges that are upside down, no numbers, on a scale that they
    cannot be on, repeated, too many, or none.
    """
    if ranges.get("AutoParameters"):
        raise ValidationException(
            "Fogbank does not support AutoParameters in ParameterRanges yet: give each "
            "hyperparameter a range. Nothing was created."
        )
    axes: list[Axis] = [
        *map(_continuous, ranges.get("ContinuousParameterRanges", ())),
        *map(_integer, ranges.get("IntegerParameterRanges", ())),
        *map(_categorical, ranges.get("CategoricalParameterRanges", ())),
    ]
    names = [axis.name for axis in axes]
    for name in names:
        if names.count(name) > 1:
            raise ValidationException(f"The hyperparameter {name} has more than one range.")
    if not 1 <= len(axes) <= MAX_HYPERPARAMETERS:
        raise ValidationException(
            f"A tuning job needs between 1 and {MAX_HYPERPARAMETERS} hyperparameter ranges; "
            f"this one has {len(axes)}."
        )
    return Space(tuple(axes))


def _continuous(given: Mapping[str, Any]) -> Continuous:
    name, low, high = given["Name"], _number(given["MinValue"]), _number(given["MaxValue"])
    if low is None or high is None:
        raise _not_in_range(given, "are not both finite numbers")
    _check_order(given, low, high)
    scaling = _scaling(given, low, high)
    if scaling == "ReverseLogarithmic" and not 0 <= low <= high < 1:
        raise _not_in_range(given, "do not lie in 0 <= x < 1, as ReverseLogarithmic scaling needs")
    return Continuous(name, low, high, scaling)


def _integer(given: Mapping[str, Any]) -> Integer:
    name, low, high = given["Name"], _whole(given["MinValue"]), _whole(given["MaxValue"])
    if low is None or high is None:
        raise _not_in_range(given, "are not both whole numbers")
    _check_order(given, low, high)
    scaling = _scaling(given, low, high)
    if scaling == "ReverseLogarithmic":
        raise _not_in_range(given, "are whole numbers: ReverseLogarithmic is for continuous ranges")
    return Integer(name, low, high, scaling)


def _categorical(given: Mapping[str, Any]) -> Categorical:
    values: Sequence[str] = given["Values"]
    if len(set(values)) < len(values):
        raise ValidationException(f"The values of the hyperparameter {given['Name']} are repeated.")
    return Categorical(given["Name"], tuple(values))


def _scaling(given: Mapping[str, Any], low: float, high: float) -> Scaling:
    asked = given.get("ScalingType", "Auto")
    if asked == "Auto":
        return "Logarithmic" if low > 0 and high / low >= LOGARITHMIC_FROM else "Linear"
    if asked == "Logarithmic" and low <= 0:
        raise _not_in_range(given, "are not both above 0, as Logarithmic scaling needs")
    chosen: Scaling = asked
    return chosen


def _check_order(given: Mapping[str, Any], low: float, high: float) -> None:
    if low > high:
        raise _not_in_range(given, "are upside down: MinValue is greater than MaxValue")


def _not_in_range(given: Mapping[str, Any], why: str) -> ValidationException:
    return ValidationException(
        f"Invalid range of the hyperparameter {given['Name']}: MinValue {given['MinValue']!r} and "
        f"MaxValue {given['MaxValue']!r} {why}."
    )


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _whole(text: str) -> int | None:
    try:
        return int(text)
    except ValueError:
        return None
