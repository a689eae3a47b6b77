"""What the operations on metrics have in common: errors, dimensions, periods.

In: request parameters. Out: what the metric store understands. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from math import ceil, floor
from typing import Any

from fogbank.cloud.errors import ServiceError
from fogbank.cloud.state.metric_store import Metric


def invalid_value(message: str) -> ServiceError:
    return ServiceError("InvalidParameterValue", message)


def invalid_combination(message: str) -> ServiceError:
    return ServiceError("InvalidParameterCombination", message)


def missing(message: str) -> ServiceError:
    return ServiceError("MissingParameter", message)


def dimensions_of(given: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """Name -> value. Raises InvalidParameterValue for a name that is given twice."""
    dimensions = {item["Name"]: item["Value"] for item in given}
    if len(dimensions) != len(given):
        raise invalid_value("The dimension names of a metric must be different from each other.")
    return dimensions


def metric_of(params: Mapping[str, Any]) -> Metric:
    return Metric.of(
        params["Namespace"], params["MetricName"], dimensions_of(params.get("Dimensions", ()))
    )


def time_range_s(start: datetime, end: datetime, period_s: int, now: datetime) -> tuple[int, int]:
    """Seconds since the epoch; the start rounded down as AWS rounds it: to a minute (or to the
    short period), to 5 minutes beyond 15 days ago, to an hour beyond 63 days ago."""
    age = now - start
    if age > timedelta(days=63):
        step_s = 3600
    elif age > timedelta(days=15):
        step_s = 300
    else:
        step_s = min(period_s, 60)
    start_s = floor(start.timestamp())
    return start_s - start_s % step_s, ceil(end.timestamp())
