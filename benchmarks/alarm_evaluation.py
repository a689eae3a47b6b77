"""One evaluation of every alarm of a large account: what the event loop has to do each minute."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from fogbank.cloud.machines.alarms import AlarmEvaluation
from fogbank.cloud.records.alarm import Alarm
from fogbank.cloud.state import alarms
from fogbank.cloud.state.database import Database
from fogbank.cloud.state.metric_store import Metric, MetricStore
from fogbank.cloud.state.records import SqliteRecords
from fogbank.core.arn import Scope
from fogbank.core.clock import SystemClock
from harness.bench import Bench
from harness.results import Result, Row, Series

NAME = "alarm_evaluation"
BUDGET = "1,000 alarms among 10,000 metrics are evaluated in ≤ 1 s"

_NUM_METRICS = 10_000
_NUM_ALARMS = 1_000
_MINUTES = 20
_PERIODS = 15
"""As many as target tracking's AlarmLow has: the longest that auto scaling makes."""
_ROUNDS = 10
_LIMIT_S = 1.0
_NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


def measure(bench: Bench) -> Result:
    bench.say("filling the store")
    records, store = _account(bench.scratch)
    evaluation = AlarmEvaluation(records, store, SystemClock())
    firing = [_evaluated_s(evaluation, _NOW)]  # all change their state: the first is the slowest
    states = {alarm.state for alarm in records.all(Alarm)}
    if states != {"ALARM", "OK"}:
        raise RuntimeError(f"the alarms were not evaluated: {states}")
    bench.say("evaluating")
    steady = [
        _evaluated_s(evaluation, _NOW + timedelta(seconds=number))
        for number in range(bench.rounds(_ROUNDS))
    ]
    rows = [
        Row(
            what=f"{_NUM_ALARMS:,} alarms, {_PERIODS} periods each, {_NUM_METRICS:,} metrics",
            fogbank=Series("s", tuple(steady)),
            limit=_LIMIT_S,
        ),
        Row(
            what="the same where every alarm changes its state",
            fogbank=Series("s", tuple(firing)),
        ),
    ]
    return Result(
        rows=rows,
        notes=[
            f"{_MINUTES} minutes of data for each metric, on disk. The event loop answers requests "
            "after every 50 alarms.",
        ],
    )


def _evaluated_s(evaluation: AlarmEvaluation, now: datetime) -> float:
    began = time.perf_counter()
    asyncio.run(evaluation.evaluate_due(now))
    return time.perf_counter() - began


def _account(folder: Path) -> tuple[SqliteRecords, MetricStore]:
    """Half of the alarms stand."""
    records = SqliteRecords(Database(folder / "records.db"))
    telemetry = Database(folder / "telemetry.db", schema="telemetry", synchronous="NORMAL")
    store = MetricStore(telemetry, SystemClock())
    for number in range(_NUM_METRICS):
        metric = Metric.of("Benchmark", "Load", {"Host": f"host-{number}"})
        for minute in range(1, _MINUTES + 1):
            at = _NOW - timedelta(minutes=minute)
            store.slot_at(metric, "Count", at, 60).add(float(number % 2))
    store.flush()
    with records.transaction():
        for number in range(_NUM_ALARMS):
            alarms.put(
                records,
                Scope(),
                {
                    "AlarmName": f"alarm-{number}",
                    "Namespace": "Benchmark",
                    "MetricName": "Load",
                    "Dimensions": [{"Name": "Host", "Value": f"host-{number}"}],
                    "Statistic": "Sum",
                    "Period": 60,
                    "EvaluationPeriods": _PERIODS,
                    "Threshold": 0.5,
                    "ComparisonOperator": "GreaterThanThreshold",
                },
                _NOW,
            )
    return records, store
