"""GetMetricStatistics and GetMetricData (CloudWatch API Reference)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from fogbank.cloud.context import Context, Params, Result
from fogbank.cloud.errors import ServiceError
from fogbank.cloud.services.base import operation
from fogbank.cloud.services.cloudwatch.parameters import (
    invalid_combination,
    invalid_value,
    metric_of,
    time_range_s,
)
from fogbank.cloud.services.paging import content_of, token
from fogbank.cloud.state.aggregate import Aggregate
from fogbank.cloud.state.metric_query import (
    PERIOD_RULE,
    MetricReader,
    Query,
    Span,
    invalid,
    is_period,
    read_queries,
)
from fogbank.cloud.state.metric_store import MetricStore
from fogbank.cloud.state.statistics import STATISTICS, Statistic, statistic

MAX_STATISTICS_POINTS = 1440
MAX_DATA_POINTS = 100_800
Point = tuple[int, float]
"""(start of the period in seconds since the epoch, value)"""


class Queries:
    def __init__(self, store: MetricStore) -> None:
        self._store = store
        self._reader = MetricReader(store)

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
            raise invalid_value(f"The parameter Period {PERIOD_RULE}.")
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
        every = read_queries(params["MetricDataQueries"])
        if params["StartTime"] >= params["EndTime"]:
            raise invalid("The parameter StartTime must be less than the parameter EndTime.")
        queries = self._reader.found(every, params["StartTime"])
        ascending = params.get("ScanBy", "TimestampDescending") == "TimestampAscending"
        room = params.get("MaxDatapoints", MAX_DATA_POINTS)
        if not 1 <= room <= MAX_DATA_POINTS:
            raise invalid(f"MaxDatapoints must be between 1 and {MAX_DATA_POINTS}.")
        first, last_s = _resume(params["NextToken"]) if "NextToken" in params else (0, None)
        results: list[dict[str, Any]] = []
        next_token = None
        for number, query in enumerate(queries[first:], first):
            points = self._points(query, every, params, context.received)
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

    def _points(
        self, query: Query, every: list[Query], params: Params, now: datetime
    ) -> list[Point]:
        start_s, end_s = time_range_s(params["StartTime"], params["EndTime"], query.period_s, now)
        return sorted(self._reader.series(query, every, Span(start_s, end_s)).items())


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
            f"The value {name} for parameter ExtendedStatistics is not supported: it is IQM, a "
            "percentile (p99.9), or one of tm, tc, ts, wm, TM, TC, TS, WM, PR with a range "
            "(tm90, TM(10%:90%), PR(0:100))."
        )
    return found


def _resume(text: str) -> tuple[int, int | None]:
    """(query to go on with, start of its last period that was shown)"""
    match content_of(text):
        case [int(number), int() | None as last_s]:
            return number, last_s
    raise ServiceError("InvalidNextToken", "The next token specified is invalid.")
