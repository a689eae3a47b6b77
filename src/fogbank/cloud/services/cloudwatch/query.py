"""GetMetricStatistics and GetMetricData (CloudWatch API Reference).

Metric math is refused: an answer that leaves out an expression would be a wrong one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from fogbank.cloud.context import Context, Params, Result
from fogbank.cloud.errors import ServiceError
from fogbank.cloud.services.base import operation
from fogbank.cloud.services.cloudwatch.paging import content_of, token
from fogbank.cloud.services.cloudwatch.parameters import (
    STATISTICS,
    Statistic,
    invalid_combination,
    invalid_value,
    is_period,
    metric_of,
    statistic,
    time_range_s,
)
from fogbank.cloud.state.aggregate import Aggregate
from fogbank.cloud.state.metric_store import Metric, MetricStore

MAX_STATISTICS_POINTS = 1440
MAX_DATA_POINTS = 100_800
MAX_QUERIES = 500

_ID = re.compile(r"[a-z][a-zA-Z0-9_]*")

_PERIOD_RULE = "must be 1, 5, 10, 20, 30 or a multiple of 60"

Point = tuple[int, float]
"""(start of the period in seconds since the epoch, value)"""


@dataclass(frozen=True)
class Query:
    """One entry of MetricDataQueries that returns data."""

    id: str
    label: str
    metric: Metric
    period_s: int
    statistic: Statistic
    unit: str | None


class Queries:
    def __init__(self, store: MetricStore) -> None:
        self._store = store

    @operation("GetMetricStatistics")
    def get_metric_statistics(self, context: Context, params: Params) -> Result:
        names, extended = params.get("Statistics", ()), params.get("ExtendedStatistics", ())
        if bool(names) == bool(extended):
            raise invalid_combination(
                "Exactly one of Statistics and ExtendedStatistics must be specified."
            )
        percentiles = {name: _extended(name) for name in extended}
        period_s = params["Period"]
        if not is_period(period_s):
            raise invalid_value(f"The parameter Period {_PERIOD_RULE}.")
        if params["StartTime"] >= params["EndTime"]:
            raise invalid_value("The parameter StartTime must be less than the parameter EndTime.")
        start_s, end_s = time_range_s(
            params["StartTime"], params["EndTime"], period_s, context.received
        )
        asked = -(-(end_s - start_s) // period_s)
        if asked > MAX_STATISTICS_POINTS:
            raise invalid_combination(
                f"You have requested up to {asked:,} datapoints, which exceeds the limit of "
                f"{MAX_STATISTICS_POINTS:,}. You may reduce the datapoints requested by increasing "
                "Period, or decreasing the time range."
            )
        found = self._store.query(
            metric_of(params),
            unit=params.get("Unit"),
            start_s=start_s,
            end_s=end_s,
            period_s=period_s,
        )
        points = [
            _datapoint(begin_s, unit, part, names, percentiles)
            for unit, periods in found.items()
            for begin_s, part in periods.items()
        ]
        return {"Label": params["MetricName"], "Datapoints": points}

    @operation("GetMetricData")
    def get_metric_data(self, context: Context, params: Params) -> Result:
        """A page ends after MaxDatapoints values; a query that it cuts is PartialData."""
        queries = _queries(params["MetricDataQueries"])
        if params["StartTime"] >= params["EndTime"]:
            raise _validation("The parameter StartTime must be less than the parameter EndTime.")
        ascending = params.get("ScanBy", "TimestampDescending") == "TimestampAscending"
        room = params.get("MaxDatapoints", MAX_DATA_POINTS)
        if not 1 <= room <= MAX_DATA_POINTS:
            raise _validation(f"MaxDatapoints must be between 1 and {MAX_DATA_POINTS}.")
        first, last_s = _resume(params["NextToken"]) if "NextToken" in params else (0, None)
        results: list[dict[str, Any]] = []
        next_token = None
        for number, query in enumerate(queries[first:], first):
            points = self._points(query, params, context.received)
            points = points if ascending else points[::-1]
            if number == first and last_s is not None:
                points = [
                    point
                    for point in points
                    if (point[0] > last_s if ascending else point[0] < last_s)
                ]
            shown = points[:room]
            room -= len(shown)
            cut = len(shown) < len(points)
            if cut and next_token is None:
                next_token = token([number, shown[-1][0] if shown else None])
            results.append(
                {
                    "Id": query.id,
                    "Label": query.label,
                    "Timestamps": [_moment(begin_s) for begin_s, _ in shown],
                    "Values": [value for _, value in shown],
                    "StatusCode": "PartialData" if cut else "Complete",
                }
            )
        result: dict[str, Any] = {"MetricDataResults": results, "Messages": []}
        if next_token is not None:
            result["NextToken"] = next_token
        return result

    def _points(self, query: Query, params: Params, now: datetime) -> list[Point]:
        start_s, end_s = time_range_s(params["StartTime"], params["EndTime"], query.period_s, now)
        found = self._store.query(
            query.metric, unit=query.unit, start_s=start_s, end_s=end_s, period_s=query.period_s
        )
        merged: dict[int, Aggregate] = {}
        for periods in found.values():
            for begin_s, part in periods.items():
                merged.setdefault(begin_s, Aggregate()).merge(part)
        values = ((begin_s, query.statistic(part)) for begin_s, part in sorted(merged.items()))
        return [(begin_s, value) for begin_s, value in values if value is not None]


def _moment(second: int) -> datetime:
    return datetime.fromtimestamp(second, UTC)


def _datapoint(
    begin_s: int,
    unit: str,
    part: Aggregate,
    names: tuple[str, ...],
    percentiles: Mapping[str, Statistic],
) -> dict[str, Any]:
    point: dict[str, Any] = {"Timestamp": _moment(begin_s), "Unit": unit}
    point |= {name: STATISTICS[name](part) for name in names}
    if percentiles:
        known = {name: compute(part) for name, compute in percentiles.items()}
        point["ExtendedStatistics"] = {
            name: value for name, value in known.items() if value is not None
        }
    return point


def _extended(name: str) -> Statistic:
    found = None if name in STATISTICS else statistic(name)
    if found is None:
        raise invalid_value(
            f"The value {name} for parameter ExtendedStatistics is not supported: Fogbank knows "
            "percentiles, such as p50 or p99.9."
        )
    return found


def _validation(message: str) -> ServiceError:
    return ServiceError("ValidationError", message)


def _queries(given: list[Mapping[str, Any]]) -> list[Query]:
    """Those that return data; all of them checked."""
    if not given:
        raise _validation("The parameter MetricDataQueries is required.")
    if len(given) > MAX_QUERIES:
        raise _validation(
            f"The collection MetricDataQueries must not have a size greater than {MAX_QUERIES}."
        )
    ids = [item["Id"] for item in given]
    for query_id in ids:
        if not _ID.fullmatch(query_id):
            raise _validation(
                f"The value {query_id} for parameter MetricDataQueries.Id is not matching the "
                "expected pattern ^[a-z][a-zA-Z0-9_]*$."
            )
    if len(set(ids)) != len(ids):
        raise _validation("The values for parameter MetricDataQueries.Id must be unique.")
    queries = [(_query(item), item.get("ReturnData", True)) for item in given]
    return [query for query, returned in queries if returned]


def _query(item: Mapping[str, Any]) -> Query:
    name = f"MetricDataQueries member {item['Id']}"
    if ("Expression" in item) == ("MetricStat" in item):
        raise _validation(f"{name} must have exactly one of MetricStat and Expression.")
    if "Expression" in item:
        raise _validation(
            f"{name} has the Expression {item['Expression']!r}: Fogbank does not compute metric "
            "math yet. Ask for its metrics with MetricStat and compute on your side."
        )
    stat = item["MetricStat"]
    metric = stat["Metric"]
    if "Namespace" not in metric or "MetricName" not in metric:
        raise _validation(f"{name} must have a Namespace and a MetricName.")
    if not is_period(stat["Period"]):
        raise _validation(f"The Period of {name} {_PERIOD_RULE}.")
    found = statistic(stat["Stat"])
    if found is None:
        raise _validation(
            f"The Stat {stat['Stat']} of {name} is not supported: Fogbank knows "
            f"{', '.join(STATISTICS)} and percentiles, such as p99."
        )
    return Query(
        id=item["Id"],
        label=item.get("Label", metric["MetricName"]),
        metric=metric_of(metric),
        period_s=stat["Period"],
        statistic=found,
        unit=stat.get("Unit"),
    )


def _resume(text: str) -> tuple[int, int | None]:
    """(query to go on with, start of its last period that was shown)"""
    match content_of(text):
        case [int(number), int() | None as last_s]:
            return number, last_s
    raise ServiceError("InvalidNextToken", "The next token specified is invalid.")
