"""Alarms that are watched: metric in, state and history out, minute by minute of a manual clock."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from cloud.aws import NOW, SCOPE
from fogbank.cloud.machines.alarms import AlarmEvaluation
from fogbank.cloud.ports import Datum
from fogbank.cloud.records.alarm import Alarm, AlarmEvent
from fogbank.cloud.rules.alarm import Evaluation
from fogbank.cloud.state.database import Database
from fogbank.cloud.state.metric_store import MetricStore
from fogbank.cloud.state.records import SqliteRecords
from fogbank.testing.clock import ManualClock

REQUEST = {
    "Namespace": "Test",
    "MetricName": "Load",
    "Statistic": "Sum",
    "Period": 60,
    "EvaluationPeriods": 3,
    "Threshold": 25.0,
    "ComparisonOperator": "GreaterThanThreshold",
}


class Watch:
    """A cloud's worth of metrics, records and a clock."""

    def __init__(self, *, time_scale: float = 1.0, clock: ManualClock | None = None) -> None:
        self.clock = clock or ManualClock(NOW)
        self.records = SqliteRecords(Database(":memory:"))
        self.store = MetricStore(Database(":memory:", schema="telemetry"), self.clock)
        self.alarms = AlarmEvaluation(self.records, self.store, self.clock, time_scale=time_scale)
        self.heard: list[tuple[str, Evaluation]] = []
        self.alarms.listeners.append(lambda alarm, found: self.heard.append((alarm.name, found)))

    def put(self, name: str = "high", **changes: Any) -> None:
        self.records.put(
            Alarm(
                name=name,
                arn=SCOPE.arn("cloudwatch", f"alarm:{name}"),
                request={**REQUEST, "AlarmName": name, **changes},
                configured=self.clock.now(),
                updated=self.clock.now(),
                transitioned=self.clock.now(),
            )
        )

    def alarm(self, name: str = "high") -> Alarm:
        found = self.records.get(Alarm, name)
        assert found is not None
        return found

    def record(self, value: float, *, resolution_s: int = 60) -> None:
        datum = Datum("Load", value, self.clock.now(), storage_resolution_s=resolution_s)
        self.store.record("Test", [datum])

    async def pass_by(self, *values: float | None, period_s: float = 60) -> None:
        """A period for each value, which is measured at its beginning."""
        for value in values:
            if value is not None:
                self.record(value, resolution_s=1 if period_s < 60 else 60)
            await self.clock.advance(period_s)


@pytest.mark.docs
async def test_three_bad_minutes_make_an_alarm_and_a_good_one_ends_it() -> None:
    watch = Watch()
    watch.put()
    watch.alarms.start()
    await watch.pass_by(30.0, 40.0)
    assert watch.alarm().state == "INSUFFICIENT_DATA"
    await watch.pass_by(50.0)
    assert watch.alarm().state == "ALARM"
    assert watch.alarm().transitioned == NOW + timedelta(minutes=3)
    data = json.loads(watch.alarm().state_reason_data or "")
    assert data["recentDatapoints"] == [30.0, 40.0, 50.0]
    assert (data["threshold"], data["period"], data["statistic"]) == (25.0, 60, "Sum")
    await watch.pass_by(10.0)
    assert watch.alarm().state == "OK"
    await watch.pass_by(None, None, None, None, None)
    assert watch.alarm().state == "INSUFFICIENT_DATA"
    await watch.alarms.stop()
    changes = [event.summary for event in watch.records.all(AlarmEvent)]
    assert changes == [
        "Alarm updated from INSUFFICIENT_DATA to ALARM",
        "Alarm updated from ALARM to OK",
        "Alarm updated from OK to INSUFFICIENT_DATA",
    ]


async def test_listeners_hear_every_evaluation_not_only_changes() -> None:
    watch = Watch()
    watch.put()
    watch.alarms.start()
    await watch.pass_by(30.0, 30.0, 30.0, 30.0)
    await watch.alarms.stop()
    assert [found.state for _, found in watch.heard][-2:] == ["ALARM", "ALARM"]
    assert len(watch.heard) == 4


@pytest.mark.docs
async def test_short_periods_are_evaluated_every_ten_seconds() -> None:
    watch = Watch()
    watch.put(Period=10)
    watch.alarms.start()
    await watch.pass_by(30.0, 30.0, 30.0, period_s=10)
    await watch.alarms.stop()
    assert watch.alarm().transitioned == NOW + timedelta(seconds=30)
    assert watch.alarm().state == "ALARM"


@pytest.mark.docs
async def test_an_expression_is_watched_like_a_metric() -> None:
    watch = Watch()
    metric = {"Metric": {"Namespace": "Test", "MetricName": "Load"}, "Period": 60, "Stat": "Sum"}
    watch.put(
        Metrics=[
            {"Id": "load", "MetricStat": metric, "ReturnData": False},
            {"Id": "half", "Expression": "load / 2"},
        ]
    )
    watch.alarms.start()
    await watch.pass_by(60.0, 60.0, 60.0)
    assert watch.alarm().state == "ALARM"
    await watch.pass_by(40.0)
    await watch.alarms.stop()
    assert watch.alarm().state == "OK"


async def test_time_that_runs_sixty_times_faster_turns_minutes_into_seconds() -> None:
    watch = Watch(time_scale=60)
    watch.put()
    watch.alarms.start()
    # One request a second is sixty a minute: above 25, as it would be in real time.
    await watch.pass_by(1.0, 1.0, 1.0, period_s=1)
    await watch.alarms.stop()
    assert watch.alarm().state == "ALARM"
    assert watch.alarm().transitioned == NOW + timedelta(seconds=3)
    assert watch.heard[-1][1].used[-1].value == 60.0


async def test_an_alarm_that_is_changed_is_judged_anew_and_one_that_is_deleted_no_more() -> None:
    watch = Watch()
    watch.put()
    watch.alarms.start()
    await watch.pass_by(30.0, 30.0, 30.0)
    watch.put(Threshold=100.0)
    await watch.pass_by(30.0)
    assert watch.alarm().state == "OK"
    watch.records.delete(Alarm, "high")
    heard = len(watch.heard)
    await watch.pass_by(30.0)
    await watch.alarms.stop()
    assert len(watch.heard) == heard


class EarlyClock(ManualClock):
    """Its timers ring a millisecond early, as an event loop's may."""

    async def sleep(self, seconds: float) -> None:
        await super().sleep(seconds - 0.001)


@pytest.mark.parametrize("clock", [ManualClock(NOW), EarlyClock(NOW)])
async def test_each_period_is_judged_once(clock: ManualClock) -> None:
    watch = Watch(clock=clock)
    watch.put("fast", Period=10, EvaluationPeriods=1)
    watch.put("slow")
    watch.alarms.start()
    await watch.clock.advance(120)
    await watch.alarms.stop()
    names = [name for name, _ in watch.heard]
    assert (names.count("fast"), names.count("slow")) == (12, 2)
