"""The AWS/Lambda metrics of one thing that happened: names, units, dimensions.

Sources: "Using CloudWatch metrics with Lambda", "Monitoring concurrency" (Lambda Developer Guide).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from fogbank.cloud.ports import Datum

NAMESPACE = "AWS/Lambda"


@dataclass(frozen=True, slots=True)
class Subject:
    """qualifier: what the caller named, "" for nothing. version: what runs for it."""

    function: str
    qualifier: str
    version: str

    @property
    def resource(self) -> str:
        return f"{self.function}:{self.qualifier}" if self.qualifier else self.function

    def dimensions(self) -> tuple[Mapping[str, str], ...]:
        """One datum each: all functions, the function, the resource that was called, and of an
        alias, which version ran."""
        function = {"FunctionName": self.function}
        resource = {**function, "Resource": self.resource}
        found: list[Mapping[str, str]] = [{}, function, resource]
        if self.qualifier not in ("", self.version):
            found.append({**resource, "ExecutedVersion": self.version})
        return tuple(found)

    def provisioned_dimensions(self) -> tuple[Mapping[str, str], ...]:
        """Of the metrics that only provisioned concurrency has."""
        resource = {"FunctionName": self.function, "Resource": self.resource}
        if self.qualifier in ("", self.version):
            return (resource,)
        return (resource, {**resource, "ExecutedVersion": self.version})


def _data(
    name: str,
    value: float,
    unit: str,
    dimensions: Iterable[Mapping[str, str]],
    now: datetime,
) -> list[Datum]:
    return [Datum(name, value, now, unit, one) for one in dimensions]


def begun(
    subject: Subject, *, executions: int, account: int, unreserved: int | None, now: datetime
) -> list[Datum]:
    """An event starts to run. executions: of the function now, this one included; account: of all
    functions; unreserved: of those without a reservation, None where this one has one."""
    everywhere, function, *others = subject.dimensions()
    found = _data("ConcurrentExecutions", account, "Count", [everywhere], now)
    found += _data("ConcurrentExecutions", executions, "Count", [function, *others], now)
    if unreserved is not None:
        found += _data("UnreservedConcurrentExecutions", unreserved, "Count", [everywhere], now)
    return found


def ended(subject: Subject, *, duration_ms: float, failed: bool, now: datetime) -> list[Datum]:
    """A function ran, with or without success."""
    dimensions = subject.dimensions()
    return [
        *_data("Invocations", 1, "Count", dimensions, now),
        *_data("Errors", float(failed), "Count", dimensions, now),
        *_data("Throttles", 0, "Count", dimensions, now),
        *_data("Duration", duration_ms, "Milliseconds", dimensions, now),
    ]


def throttled(subject: Subject, now: datetime) -> list[Datum]:
    """Neither an invocation nor an error."""
    return _data("Throttles", 1, "Count", subject.dimensions(), now)


def provisioned_used(subject: Subject, now: datetime) -> list[Datum]:
    return _data(
        "ProvisionedConcurrencyInvocations", 1, "Count", subject.provisioned_dimensions(), now
    )


def spilled(subject: Subject, now: datetime) -> list[Datum]:
    dimensions = subject.provisioned_dimensions()
    return _data("ProvisionedConcurrencySpilloverInvocations", 1, "Count", dimensions, now)


def provisioned_state(
    function: str, qualifier: str, *, busy: int, allocated: int, now: datetime
) -> list[Datum]:
    """How many provisioned environments are at work, and which part of them. Also said while nobody
    calls: scaling in is decided by it."""
    dimensions = [{"FunctionName": function, "Resource": f"{function}:{qualifier}"}]
    used = busy / allocated if allocated else 0.0
    return [
        *_data("ProvisionedConcurrentExecutions", busy, "Count", dimensions, now),
        *_data("ProvisionedConcurrencyUtilization", used, "None", dimensions, now),
    ]


def event_metric(name: str, value: float, subject: Subject, now: datetime) -> list[Datum]:
    """name: `AsyncEventsReceived`, `AsyncEventsDropped`, `DestinationDeliveryFailures`,
    `DeadLetterErrors` (counts) or `AsyncEventAge` (milliseconds)."""
    unit = "Milliseconds" if name == "AsyncEventAge" else "Count"
    return _data(name, value, unit, subject.dimensions(), now)
