"""How an alarm stands: (its settings, datapoints, its state now) -> its state and AWS's sentence.

The newest datapoint is the last one. Sources: CloudWatch User Guide, "Alarm evaluation" and
"Configuring how CloudWatch alarms treat missing data", whose tables are tests/cases/alarms.json;
the sentences are those of public records.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from fogbank.cloud.records.alarm import AlarmState

EXTRA_PERIODS = 2
"""How many periods more than EvaluationPeriods are looked at where data is missing. AWS says only
that it is "a higher number"; its example has 5 for 3."""

MissingData = Literal["missing", "ignore", "breaching", "notBreaching"]

_COMPARISONS: Mapping[str, tuple[Callable[[float, float], bool], str]] = {
    "GreaterThanThreshold": (operator.gt, "greater than"),
    "GreaterThanOrEqualToThreshold": (operator.ge, "greater than or equal to"),
    "LessThanThreshold": (operator.lt, "less than"),
    "LessThanOrEqualToThreshold": (operator.le, "less than or equal to"),
}

STATIC_COMPARISONS = tuple(_COMPARISONS)
"""Of ComparisonOperator, those that need no anomaly model."""


@dataclass(frozen=True, slots=True)
class Datapoint:
    """The value of one period that begins at `at`."""

    at: datetime
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmSettings:
    """periods: EvaluationPeriods (N); to_alarm: DatapointsToAlarm (M), at most N."""

    comparison: str
    threshold: float
    periods: int
    to_alarm: int
    missing_data: MissingData = "missing"

    @classmethod
    def of(cls, request: Mapping[str, Any]) -> AlarmSettings:
        """From PutMetricAlarm's input."""
        periods: int = request["EvaluationPeriods"]
        return cls(
            comparison=request["ComparisonOperator"],
            threshold=request["Threshold"],
            periods=periods,
            to_alarm=request.get("DatapointsToAlarm", periods),
            missing_data=request.get("TreatMissingData", "missing"),
        )

    def is_breaching(self, value: float) -> bool:
        """Whether a datapoint is on the wrong side of the threshold."""
        return _COMPARISONS[self.comparison][0](value, self.threshold)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """state: how the alarm stands now; used: the datapoints it rests on."""

    state: AlarmState
    used: tuple[Datapoint, ...]
    settings: AlarmSettings

    @property
    def reason(self) -> str:
        """AWS's sentence. Only asked for when the state changes."""
        num_breaching = sum(self.settings.is_breaching(point.value) for point in self.used)
        num_missing = self.settings.periods - len(self.used)
        return _reason(self.settings, self.state, self.used, num_breaching, num_missing)


def evaluate(
    settings: AlarmSettings, range_: Sequence[Datapoint | None], current: AlarmState
) -> Evaluation:
    """range_: the periods of the evaluation range, oldest first; None where one has no data.

    Real datapoints go before missing ones: only where the whole range has fewer than N of them is
    the rest filled as TreatMissingData says.
    """
    real = [point for point in range_ if point is not None]
    used = tuple(real[-settings.periods :])
    num_missing = settings.periods - len(used)
    num_breaching = sum(settings.is_breaching(point.value) for point in used)
    if num_missing == 0:
        state: AlarmState = "ALARM" if num_breaching >= settings.to_alarm else "OK"
    elif not used:
        state = _of_nothing(settings.missing_data, current)
    else:
        state = _of_few(settings, range_, len(used), num_breaching, num_missing, current)
    return Evaluation(state, used, settings)


def _of_nothing(missing_data: MissingData, current: AlarmState) -> AlarmState:
    match missing_data:
        case "missing":
            return "INSUFFICIENT_DATA"
        case "ignore":
            return current
        case "breaching":
            return "ALARM"
        case "notBreaching":
            return "OK"


def _of_few(
    settings: AlarmSettings,
    range_: Sequence[Datapoint | None],
    num_used: int,
    num_breaching: int,
    num_missing: int,
    current: AlarmState,
) -> AlarmState:
    if num_breaching >= settings.to_alarm:
        return "ALARM"
    if settings.missing_data == "breaching":
        return "ALARM" if num_breaching + num_missing >= settings.to_alarm else "OK"
    if settings.missing_data == "notBreaching" or num_breaching < num_used:
        return "OK"  # somebody has said that all is well, or is taken to have said it
    # All that is known is breaching, but it is too little.
    if settings.missing_data == "ignore":
        return current
    oldest = next(age for age, point in _ages(range_) if point is not None)
    return "ALARM" if oldest >= settings.to_alarm else current


def _ages(range_: Sequence[Datapoint | None]) -> list[tuple[int, Datapoint | None]]:
    """(1 for the newest period, 2 for the one before, ...), oldest first."""
    return [(len(range_) - index, point) for index, point in enumerate(range_)]


def _reason(
    settings: AlarmSettings,
    state: AlarmState,
    used: Sequence[Datapoint],
    num_breaching: int,
    num_missing: int,
) -> str:
    if state == "INSUFFICIENT_DATA":
        were = _plural(settings.periods, "datapoint was", "datapoints were")
        return f"Insufficient Data: {settings.periods} {were} unknown."
    filled = _filled(settings.missing_data, num_missing)
    if not used:
        periods = _plural(num_missing, "period", "periods")
        return (
            f"Threshold Crossed: no datapoints were received for {num_missing} {periods} and "
            f"{filled}."
        )
    words = _COMPARISONS[settings.comparison][1]
    is_alarm = state == "ALARM"
    number = num_breaching if is_alarm else len(used) - num_breaching
    shown = ", ".join(f"{point.value} ({point.at:%d/%m/%y %H:%M:%S})" for point in used)
    verb = ("was" if number == 1 else "were") + ("" if is_alarm else " not")
    minimum = settings.to_alarm if is_alarm else settings.periods - settings.to_alarm + 1
    change = "OK -> ALARM" if is_alarm else "ALARM -> OK"
    datapoints = _plural(minimum, "datapoint", "datapoints")
    also = f" and {filled}" if num_missing else ""
    return (
        f"Threshold Crossed: {number} out of the last {len(used)} datapoints [{shown}] {verb} "
        f"{words} the threshold ({settings.threshold}){also} (minimum {minimum} {datapoints} for "
        f"{change} transition)."
    )


def _filled(missing_data: MissingData, number: int) -> str:
    kind = {"breaching": "Breaching", "notBreaching": "NonBreaching"}.get(missing_data, "Missing")
    were = _plural(number, "datapoint was", "datapoints were")
    return f"{number} missing {were} treated as [{kind}]"


def _plural(number: int, one: str, many: str) -> str:
    return one if number == 1 else many
