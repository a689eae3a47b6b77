"""How large the metric store grows while an endpoint serves for a week, on a clock of its own."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

from fogbank.cloud.machines.endpoint_metrics import INSTANCE_NAMESPACE, NAMESPACE, VariantMeter
from fogbank.cloud.ports import Datum
from fogbank.cloud.state.database import Database
from fogbank.cloud.state.metric_store import MetricStore
from harness.bench import Bench
from harness.results import Result, Row, Series

NAME = "metrics_growth"
BUDGET = "the metrics of an endpoint that serves for a week take ≤ 30 MB"

_DAYS = 7
_INSTANCES = 2
_REQUESTS_A_MINUTE = 6
_LIMIT_MB = 30.0
_DIMENSIONS = {"EndpointName": "dogs", "VariantName": "AllTraffic"}
_BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


class _Clock:
    """Where the benchmark says."""

    def __init__(self) -> None:
        self.time = _BEGIN

    def now(self) -> datetime:
        return self.time

    def monotonic_s(self) -> float:
        return (self.time - _BEGIN).total_seconds()

    async def sleep(self, seconds: float) -> None:
        raise RuntimeError("nobody sleeps here")


def measure(bench: Bench) -> Result:
    clock, path = _Clock(), bench.scratch / "telemetry.db"
    store = MetricStore(Database(path, schema="telemetry", synchronous="NORMAL"), clock)
    meter = VariantMeter(store, "dogs", "AllTraffic")
    num_days = 1 if bench.quick else _DAYS
    days_mb: list[float] = []
    began = time.perf_counter()
    for day in range(num_days):
        bench.say(f"day {day + 1} of {num_days}")
        for _ in range(24 * 60):
            _minute(store, meter, clock)
        days_mb.append(_size_mb(path))
    took_s = time.perf_counter() - began
    growth = [after - before for before, after in pairwise(days_mb)]
    rows = [
        Row(
            what=f"after {num_days} days",
            fogbank=Series("MB", (days_mb[-1],)),
            limit=_LIMIT_MB,
        ),
        Row(what="after the first day", fogbank=Series("MB", (days_mb[0],))),
    ]
    if growth:
        rows.append(Row(what="each later day", fogbank=Series("MB", tuple(growth))))
    return Result(
        rows=rows,
        notes=[
            f"One variant of {_INSTANCES} instances, {_REQUESTS_A_MINUTE} requests a minute, "
            "ConcurrentRequestsPerModel each second, processors and memory each minute. What is "
            "older than 3 hours is kept by the minute, than 15 days by 5 minutes.",
            f"Written and aged in {took_s:.0f} s: {took_s / num_days / 864:.3g} % of real time.",
        ],
    )


def _minute(store: MetricStore, meter: VariantMeter, clock: _Clock) -> None:
    for second in range(60):
        store.record(
            NAMESPACE,
            [
                Datum(
                    "ConcurrentRequestsPerModel",
                    float(second % 3),
                    clock.time,
                    "Count",
                    _DIMENSIONS,
                    count=_INSTANCES,
                    storage_resolution_s=1,
                )
            ],
        )
        if second % (60 // _REQUESTS_A_MINUTE) == 0:
            latency_s = 0.1 + clock.monotonic_s() % 977 / 10_000
            meter.invoked(
                clock.time,
                num_instances=_INSTANCES,
                status=200,
                model_s=latency_s,
                overhead_s=latency_s / 100,
            )
        clock.time += timedelta(seconds=1)
    store.record(
        INSTANCE_NAMESPACE,
        [
            Datum(name, clock.monotonic_s() % 89 + instance, clock.time, "Percent", _DIMENSIONS)
            for name in ("CPUUtilization", "MemoryUtilization")
            for instance in range(_INSTANCES)
        ],
    )
    store.flush()


def _size_mb(path: Path) -> float:
    """With the write-ahead log that lies beside it."""
    return sum(one.stat().st_size for one in path.parent.glob(f"{path.name}*")) / 1e6
