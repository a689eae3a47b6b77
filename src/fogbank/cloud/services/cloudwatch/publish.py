"""PutMetricData (CloudWatch API Reference). What it acknowledges is on the disk."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from fogbank.cloud.context import Context, Params, Result
from fogbank.cloud.services.base import operation
from fogbank.cloud.services.cloudwatch.parameters import (
    dimensions_of,
    invalid_combination,
    invalid_value,
    missing,
)
from fogbank.cloud.state.metric_store import Metric, MetricStore

MAX_DATA = 1000
MAX_VALUES = 150
LARGEST = 2.0**360
OLDEST = timedelta(days=14)
NEWEST = timedelta(hours=2)

Item = Mapping[str, Any]


class Publish:
    def __init__(self, store: MetricStore) -> None:
        self._store = store

    @operation("PutMetricData")
    def put_metric_data(self, context: Context, params: Params) -> Result:
        """All or nothing: everything is checked before anything is counted."""
        namespace = params["Namespace"]
        if namespace.startswith("AWS/"):
            raise invalid_value(f"The value {namespace} for parameter Namespace is invalid.")
        data: list[tuple[str, Item]] = list(_named("MetricData", params.get("MetricData", ())))
        for number, group in enumerate(params.get("EntityMetricData", ()), 1):
            data += _named(f"EntityMetricData.member.{number}.MetricData", group["MetricData"])
        if not data:
            raise missing("The parameter MetricData is required.")
        if len(data) > MAX_DATA:
            raise invalid_value(
                f"The collection MetricData must not have a size greater than {MAX_DATA}."
            )
        for name, item in data:
            _check(name, item, context.received)
        for _, item in data:
            self._count(namespace, item, context.received)
        self._store.flush()
        return {}

    def _count(self, namespace: str, item: Item, now: datetime) -> None:
        metric = Metric.of(namespace, item["MetricName"], dimensions_of(item.get("Dimensions", ())))
        slot = self._store.slot_at(
            metric,
            item.get("Unit", "None"),
            item.get("Timestamp", now),
            item.get("StorageResolution", 60),
        )
        if "Value" in item:
            slot.add(item["Value"])
        elif "Values" in item:
            counts = item.get("Counts", [1.0] * len(item["Values"]))
            for value, count in zip(item["Values"], counts, strict=True):
                slot.add(value, count)
        else:
            known = item["StatisticValues"]
            count, minimum, maximum = known["SampleCount"], known["Minimum"], known["Maximum"]
            if minimum == maximum and math.isclose(known["Sum"], minimum * count):
                slot.add(minimum, count)  # equal values: AWS gives percentiles of those
            else:
                slot.add_set(count, known["Sum"], minimum, maximum)


def _named(name: str, items: Sequence[Item]) -> list[tuple[str, Item]]:
    """Items with their names in error messages."""
    return [(f"{name}.member.{number}", item) for number, item in enumerate(items, 1)]


def _check(name: str, item: Item, now: datetime) -> None:
    given = [member for member in ("Value", "Values", "StatisticValues") if member in item]
    if not given:
        raise missing(
            f"One of the parameters {name}.Value, {name}.Values and {name}.StatisticValues is "
            "required."
        )
    if len(given) > 1:
        raise invalid_combination(
            f"The parameters {name}.{given[0]} and {name}.{given[1]} are mutually exclusive and "
            "you have specified both."
        )
    dimensions_of(item.get("Dimensions", ()))
    _check_numbers(name, item)
    if item.get("StorageResolution", 60) not in (1, 60):
        raise invalid_value(
            f"The value {item['StorageResolution']} for parameter {name}.StorageResolution is "
            "invalid."
        )
    at = item.get("Timestamp", now)
    if at < now - OLDEST:
        raise invalid_value(
            f"The parameter {name}.Timestamp must specify a time within the past two weeks."
        )
    if at > now + NEWEST:
        raise invalid_value(
            f"The parameter {name}.Timestamp must specify a time no more than two hours in the "
            "future."
        )


def _check_numbers(name: str, item: Item) -> None:
    values, counts = item.get("Values", ()), item.get("Counts")
    if "Values" in item and not values:
        raise missing(f"The parameter {name}.Values is required.")
    if len(values) > MAX_VALUES:
        raise invalid_value(
            f"The collection {name}.Values must not have a size greater than {MAX_VALUES}."
        )
    if counts is not None and len(counts) != len(values):
        raise invalid_value(
            f"The parameters {name}.Values and {name}.Counts must be of the same size."
        )
    numbers = {f"{name}.Value": item["Value"]} if "Value" in item else {}
    numbers |= {f"{name}.Values.member.{n}": value for n, value in enumerate(values, 1)}
    numbers |= {
        f"{name}.StatisticValues.{member}": value
        for member, value in item.get("StatisticValues", {}).items()
    }
    for parameter, value in numbers.items():
        if not math.isfinite(value) or abs(value) > LARGEST:
            raise invalid_value(f"The value {value} for parameter {parameter} is invalid.")
    for number, count in enumerate(counts or (), 1):
        if not math.isfinite(count) or count <= 0:
            raise invalid_value(
                f"The value {count} for parameter {name}.Counts.member.{number} is invalid."
            )
    known = item.get("StatisticValues")
    if known is not None and (known["SampleCount"] <= 0 or known["Minimum"] > known["Maximum"]):
        raise invalid_value(f"The value of parameter {name}.StatisticValues is invalid.")
