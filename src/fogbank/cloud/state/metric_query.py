"""MetricDataQueries: what they ask for -> series. GetMetricData, alarms and plots share it.

In: the members of MetricDataQuery. Out: `Query` objects, checked; and what they give over a span of
time. Raises ServiceError ValidationError as CloudWatch does. Source: API reference,
MetricDataQuery, MetricStat.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from fogbank.cloud.errors import ServiceError
from fogbank.cloud.state.aggregate import Aggregate
from fogbank.cloud.state.metric_math import MathError, Series, compute, names_in
from fogbank.cloud.state.metric_search import (
    MAX_FOUND,
    Search,
    SearchError,
    is_search,
    read_search,
)
from fogbank.cloud.state.metric_store import Metric, MetricStore
from fogbank.cloud.state.statistics import STATISTICS, Statistic, statistic

MAX_QUERIES = 500

PERIOD_RULE = "must be 1, 5, 10, 20, 30 or a multiple of 60"

_ID = re.compile(r"[a-z][a-zA-Z0-9_]*")
_SHORT_PERIODS_S = frozenset({1, 5, 10, 20, 30})
_RATES = frozenset({"Sum", "SampleCount"})
"""Statistics that grow with the length of the period."""


def is_period(period_s: int) -> bool:
    return period_s in _SHORT_PERIODS_S or (period_s > 0 and period_s % 60 == 0)


@dataclass(frozen=True, slots=True)
class Watched:
    """One statistic of one metric. unit None: every unit."""

    metric: Metric
    statistic_name: str
    statistic: Statistic
    unit: str | None


@dataclass(frozen=True, slots=True)
class Query:
    """One entry: a metric, an expression over other entries, or a search that gives several
    metrics (see `MetricReader.found`).

    period_s: of an expression, the longest of those it rests on.
    """

    id: str
    label: str
    period_s: int
    source: Watched | Search | str
    needs: frozenset[str] = field(default=frozenset())
    returned: bool = True


@dataclass(frozen=True, slots=True)
class Span:
    """start_s .. end_s (exclusive), in seconds since the epoch; periods begin at start_s.

    time_scale: how many times faster the rules' clock runs than real time: a period of 60 s is
    60 / time_scale real ones, and what is counted in it is counted up to 60 s.
    """

    start_s: int
    end_s: int
    time_scale: float = 1.0

    def real_s(self, period_s: int) -> int:
        """The length of a period in real seconds; the store knows no fractions of one."""
        return max(1, round(period_s / self.time_scale))


def read_queries(given: Sequence[Mapping[str, Any]]) -> list[Query]:
    """All entries, in their order."""
    if not given:
        raise invalid("The parameter MetricDataQueries is required.")
    if len(given) > MAX_QUERIES:
        raise invalid(
            f"The collection MetricDataQueries must not have a size greater than {MAX_QUERIES}."
        )
    ids = [item["Id"] for item in given]
    for query_id in ids:
        if not _ID.fullmatch(query_id):
            raise invalid(
                f"The value {query_id} for parameter MetricDataQueries.Id is not matching the "
                "expected pattern ^[a-z][a-zA-Z0-9_]*$."
            )
    if len(set(ids)) != len(ids):
        raise invalid("The values for parameter MetricDataQueries.Id must be unique.")
    by_id = {item["Id"]: item for item in given}
    return [_query(item, by_id) for item in given]


def invalid(message: str) -> ServiceError:
    return ServiceError("ValidationError", message)


def _query(item: Mapping[str, Any], by_id: Mapping[str, Mapping[str, Any]]) -> Query:
    name = f"MetricDataQueries member {item['Id']}"
    if ("Expression" in item) == ("MetricStat" in item):
        raise invalid(f"{name} must have exactly one of MetricStat and Expression.")
    returned: bool = item.get("ReturnData", True)
    if "Expression" in item:
        return _expression(item, by_id, returned)
    stat = item["MetricStat"]
    metric = stat["Metric"]
    if "Namespace" not in metric or "MetricName" not in metric:
        raise invalid(f"{name} must have a Namespace and a MetricName.")
    if not is_period(stat["Period"]):
        raise invalid(f"The Period of {name} {PERIOD_RULE}.")
    return Query(
        id=item["Id"],
        label=item.get("Label", metric["MetricName"]),
        period_s=stat["Period"],
        source=watched(metric, stat["Stat"], stat.get("Unit"), name),
        returned=returned,
    )


def watched(metric: Mapping[str, Any], stat: str, unit: str | None, where: str) -> Watched:
    """metric: with Namespace, MetricName and perhaps Dimensions."""
    found = statistic(stat)
    if found is None:
        raise invalid(
            f"The Stat {stat} of {where} is not supported: it is one of {', '.join(STATISTICS)}, "
            "IQM, a percentile (p99), or one of tm, tc, ts, wm, TM, TC, TS, WM, PR with a range "
            "(tm90, TM(10%:90%), PR(0:100))."
        )
    dimensions = {each["Name"]: each["Value"] for each in metric.get("Dimensions", ())}
    if len(dimensions) != len(metric.get("Dimensions", ())):
        raise invalid(f"The dimension names of {where} must be different from each other.")
    return Watched(
        Metric.of(metric["Namespace"], metric["MetricName"], dimensions), stat, found, unit
    )


def _expression(
    item: Mapping[str, Any], by_id: Mapping[str, Mapping[str, Any]], returned: bool
) -> Query:
    expression: str = item["Expression"]
    where = f"MetricDataQueries member {item['Id']}"
    if is_search(expression):
        return _search(item, returned)
    try:
        needs = names_in(expression)
    except MathError as error:
        raise invalid(f"Error in expression '{item['Id']}': {error}.") from None
    for name in sorted(needs - set(by_id)):
        raise invalid(
            f"Error in expression '{item['Id']}': it names {name}, which is not among the "
            "MetricDataQueries."
        )
    if "METRICS" in expression:
        needs = {other for other, entry in by_id.items() if "MetricStat" in entry}
    leaves = set(_leaves(item["Id"], needs, by_id, path=(item["Id"],)))
    periods = [by_id[leaf]["MetricStat"]["Period"] for leaf in leaves]
    period_s = item.get("Period") or (max(periods) if periods else None)
    if period_s is None:
        raise invalid(f"{where} names no metric: it needs a Period.")
    if not is_period(period_s):
        raise invalid(f"The Period of {where} {PERIOD_RULE}.")
    label = item.get("Label", item["Id"])
    return Query(item["Id"], label, period_s, expression, frozenset(needs), returned)


def _search(item: Mapping[str, Any], returned: bool) -> Query:
    try:
        search = read_search(item["Expression"])
    except SearchError as error:
        raise invalid(f"Error in expression '{item['Id']}': {error}.") from None
    if statistic(search.statistic_name) is None:
        raise invalid(
            f"Error in expression '{item['Id']}': the statistic {search.statistic_name!r} is not "
            "supported."
        )
    period_s = search.period_s or item.get("Period", 300)
    if not is_period(period_s):
        raise invalid(f"Error in expression '{item['Id']}': the period {PERIOD_RULE}.")
    return Query(item["Id"], item.get("Label", ""), period_s, search, returned=returned)


def _leaves(
    root: str, needs: set[str], by_id: Mapping[str, Mapping[str, Any]], path: tuple[str, ...]
) -> Iterator[str]:
    """The metrics below an expression."""
    for name in needs:
        if name in path:
            raise invalid(f"Error in expression '{root}': it depends on itself through {name}.")
        if "Expression" not in by_id[name]:
            yield name
            continue
        if is_search(by_id[name]["Expression"]):
            raise invalid(
                f"Error in expression '{root}': it rests on {name}, a search, which gives several "
                "series."
            )
        try:
            below = names_in(by_id[name]["Expression"]) & set(by_id)
        except MathError as error:
            raise invalid(f"Error in expression '{name}': {error}.") from None
        yield from _leaves(root, below, by_id, (*path, name))


def _words(metric: Metric) -> str:
    """What a search calls a metric that it has found."""
    return " ".join([*(value for _, value in metric.dimensions), metric.name])


class MetricReader:
    """What queries give."""

    def __init__(self, store: MetricStore) -> None:
        self._store = store

    def series(self, query: Query, queries: Sequence[Query], span: Span) -> Series:
        """One of `queries` or of `found`, over the span. An expression's metrics are read with its
        period. Raises ValidationError for an expression that cannot be computed."""
        by_id = {each.id: each for each in queries}
        return self._series(query, by_id, query.period_s, span)

    def found(self, queries: Sequence[Query], since: datetime) -> list[Query]:
        """The queries that return data, a search replaced by what it finds among metrics with data
        since then: metrics under its id, each with a label of its own."""
        result: list[Query] = []
        for query in queries:
            if not query.returned:
                continue
            if not isinstance(query.source, Search):
                result.append(query)
                continue
            search, calculate = query.source, statistic(query.source.statistic_name)
            assert calculate is not None, "read_queries has checked it"
            metrics = [each for each in self._store.metrics(since=since) if search.finds(each)]
            result += [
                Query(
                    query.id,
                    " ".join(filter(None, (query.label, _words(metric)))),
                    query.period_s,
                    Watched(metric, search.statistic_name, calculate, None),
                )
                for metric in metrics[:MAX_FOUND]
            ]
        return result

    def _series(
        self, query: Query, by_id: Mapping[str, Query], period_s: int, span: Span
    ) -> Series:
        if isinstance(query.source, Watched):
            return self.watch(query.source, period_s, span)
        if isinstance(query.source, Search):
            raise invalid(f"Error in expression '{query.id}': a search gives several series.")
        below = {name: self._series(by_id[name], by_id, period_s, span) for name in query.needs}
        times = range(span.start_s, span.end_s, span.real_s(period_s))
        try:
            return compute(query.source, below, times)
        except MathError as error:
            raise invalid(f"Error in expression '{query.id}': {error}.") from None

    def watch(self, source: Watched, period_s: int, span: Span) -> Series:
        """One statistic of one metric; all units together where none is named."""
        real_s = span.real_s(period_s)
        found = self._store.query(
            source.metric,
            unit=source.unit,
            start_s=span.start_s,
            end_s=span.end_s,
            period_s=real_s,
        )
        merged: dict[int, Aggregate] = {}
        for periods in found.values():
            for begin_s, part in periods.items():
                merged.setdefault(begin_s, Aggregate()).merge(part)
        factor = 1.0
        if span.time_scale != 1 and source.statistic_name in _RATES:
            factor = period_s / real_s
        values = {begin_s: source.statistic(part) for begin_s, part in sorted(merged.items())}
        return {at: value * factor for at, value in values.items() if value is not None}
