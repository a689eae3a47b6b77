"""Gauges of endpoints: what comes each second and each minute, zeros for quiet variants."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from cloud.aws import NOW
from cloud.machines.training_site import MemoryMetrics
from fogbank.cloud.machines.endpoint_metrics import (
    INSTANCE_NAMESPACE,
    NAMESPACE,
    EndpointMetrics,
    Gauge,
    VariantMeter,
)
from fogbank.cloud.machines.engine import Share, Usage
from fogbank.cloud.records.scaling import ScalableTarget
from fogbank.cloud.state.database import Database
from fogbank.cloud.state.records import SqliteRecords
from fogbank.testing.clock import ManualClock

SHARE = Share((0, 1), 1000)


class Measured:
    """One variant with one replica, measured on a manual clock."""

    def __init__(self, *, time_scale: float = 1.0, clock: ManualClock | None = None) -> None:
        self.clock = clock or ManualClock(NOW)
        self.sink = MemoryMetrics()
        self.records = SqliteRecords(Database(":memory:"))
        self.variant_meter = VariantMeter(self.sink, "dogs", "AllTraffic")
        self.gauge = Gauge("i-1", 0, lambda: None, SHARE)
        self.metrics = EndpointMetrics(
            self.records,
            self.sink,
            lambda: {("dogs", "AllTraffic"): [self.gauge]},
            lambda endpoint, variant: self.variant_meter,
            self.clock,
            time_scale=time_scale,
        )

    def uses(self, cpu_s: float, rss_bytes: int) -> None:
        usage = Usage(cpu_s=cpu_s, rss_bytes=rss_bytes, num_processes=1, max_rss_bytes=rss_bytes)
        self.gauge = replace(self.gauge, usage=lambda: usage)

    def register(self) -> None:
        self.records.put(
            ScalableTarget(
                namespace="sagemaker",
                resource="endpoint/dogs/variant/AllTraffic",
                dimension="sagemaker:variant:DesiredInstanceCount",
                arn="arn",
                minimum=1,
                maximum=3,
                role_arn="arn",
                created=NOW,
            )
        )

    async def advance(self, seconds: float) -> None:
        self.metrics.start()
        await self.clock.advance(seconds)
        await self.metrics.stop()

    def values(self, name: str, namespace: str = NAMESPACE) -> list[float]:
        return [
            datum.value
            for found, datum in self.sink.data
            if (found, datum.name) == (namespace, name)
        ]


@pytest.mark.docs
async def test_requests_in_flight_are_a_high_resolution_metric() -> None:
    measured = Measured()
    measured.gauge = replace(measured.gauge, outstanding=7)
    await measured.advance(3)
    assert measured.values("ConcurrentRequestsPerModel") == [7, 7, 7]
    assert {datum.storage_resolution_s for _, datum in measured.sink.data} == {1}


@pytest.mark.docs
async def test_processors_and_memory_are_emitted_by_the_minute() -> None:
    measured = Measured()
    measured.uses(10.0, 250)
    await measured.advance(60)
    measured.uses(100.0, 500)
    await measured.advance(60)
    # 90 s of processor time in 60 s: one and a half CPUs.
    assert measured.values("CPUUtilization", INSTANCE_NAMESPACE) == [pytest.approx(150)]
    assert measured.values("MemoryUtilization", INSTANCE_NAMESPACE) == [25, 50]


@pytest.mark.docs
async def test_a_quiet_variant_under_auto_scaling_has_zeros_not_gaps() -> None:
    measured = Measured()
    await measured.advance(120)
    assert measured.values("InvocationsPerInstance") == []
    measured.register()
    await measured.advance(120)
    assert measured.values("InvocationsPerInstance") == [0, 0]
    zeros = [datum.at for _, datum in measured.sink.data if datum.name == "Invocations"]
    assert all(at.second == 59 for at in zeros)  # within the minute that they speak of


@pytest.mark.docs
async def test_a_minute_with_an_invocation_gets_no_zero() -> None:
    measured = Measured()
    measured.register()
    measured.variant_meter.invoked(
        NOW + timedelta(seconds=5), num_instances=2, status=200, model_s=0.1, overhead_s=0.0
    )
    await measured.advance(120)
    assert measured.values("InvocationsPerInstance") == [0.5, 0]


async def test_time_that_runs_faster_makes_minutes_of_seconds() -> None:
    measured = Measured(time_scale=60)
    measured.register()
    measured.uses(1.0, 100)
    await measured.advance(5)
    assert measured.values("InvocationsPerInstance") == [0] * 5
    assert len(measured.values("MemoryUtilization", INSTANCE_NAMESPACE)) == 5


class EarlyClock(ManualClock):
    """Its timers ring a millisecond early, as an event loop's may."""

    async def sleep(self, seconds: float) -> None:
        await super().sleep(seconds - 0.001)


async def test_a_timer_that_rings_early_does_not_measure_a_second_twice() -> None:
    measured = Measured(clock=EarlyClock(NOW))
    await measured.advance(5)
    assert len(measured.values("ConcurrentRequestsPerModel")) == 5
