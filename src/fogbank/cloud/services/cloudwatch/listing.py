"""ListMetrics (CloudWatch API Reference)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from fogbank.cloud.context import Context, Params, Result
from fogbank.cloud.services.base import operation
from fogbank.cloud.services.cloudwatch.parameters import invalid_value
from fogbank.cloud.services.paging import content_of, token
from fogbank.cloud.state.metric_store import Metric, MetricStore

PAGE_SIZE = 500
LISTED = timedelta(days=14)
RECENTLY_ACTIVE = timedelta(hours=3)


class Listing:
    def __init__(self, store: MetricStore) -> None:
        self._store = store

    @operation("ListMetrics")
    def list_metrics(self, context: Context, params: Params) -> Result:
        """Metrics that had data in the last two weeks (RecentlyActive: three hours)."""
        recent = RECENTLY_ACTIVE if "RecentlyActive" in params else LISTED
        wanted = params.get("Dimensions", ())
        metrics = [
            metric
            for metric in self._store.metrics(since=context.received - recent)
            if params.get("Namespace", metric.namespace) == metric.namespace
            and params.get("MetricName", metric.name) == metric.name
            and _has(metric, wanted)
        ]
        if "NextToken" in params:
            behind = _behind(params["NextToken"])
            metrics = [metric for metric in metrics if _rank(metric) > behind]
        shown = metrics[:PAGE_SIZE]
        result: dict[str, Any] = {"Metrics": [_shape(metric) for metric in shown]}
        if len(shown) < len(metrics):
            result["NextToken"] = token(_rank(shown[-1]))
        return result


def _has(metric: Metric, wanted: Sequence[Mapping[str, str]]) -> bool:
    """A filter without a value takes any value of that dimension."""
    dimensions = dict(metric.dimensions)
    return all(
        item["Name"] in dimensions
        and item.get("Value", dimensions[item["Name"]]) == dimensions[item["Name"]]
        for item in wanted
    )


def _rank(metric: Metric) -> list[Any]:
    return [metric.namespace, metric.name, [list(pair) for pair in metric.dimensions]]


def _behind(text: str) -> list[Any]:
    match content_of(text):
        case [str(), str(), list()] as rank:
            return list(rank)
    raise invalid_value("Invalid NextToken")


def _shape(metric: Metric) -> dict[str, Any]:
    return {
        "Namespace": metric.namespace,
        "MetricName": metric.name,
        "Dimensions": [{"Name": name, "Value": value} for name, value in metric.dimensions],
    }
