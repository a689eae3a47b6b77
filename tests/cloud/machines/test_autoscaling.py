"""Scaling policies that act: load in, instance counts and activities out, on a manual clock.

The endpoint is a record whose instances come some seconds after they are asked for; the metric is
what the router would count: each request adds 1 / instances.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from cloud.aws import NOW, SCOPE, Service, context
from fogbank.cloud.machines.alarms import AlarmEvaluation
from fogbank.cloud.machines.autoscaling import AutoScaling
from fogbank.cloud.machines.scalable_resources import Resources
from fogbank.cloud.ports import Datum
from fogbank.cloud.records.alarm import Alarm
from fogbank.cloud.records.function import ProvisionedConcurrency
from fogbank.cloud.records.hosting import Endpoint, Variant
from fogbank.cloud.records.scaling import ScalingActivity, ScalingPolicy
from fogbank.cloud.rules.endpoint_quota import InstanceCounts
from fogbank.cloud.services.application_autoscaling import rooms
from fogbank.cloud.state.database import Database
from fogbank.cloud.state.metric_store import MetricStore
from fogbank.cloud.state.records import SqliteRecords
from fogbank.testing.clock import ManualClock

VARIANT = {
    "ServiceNamespace": "sagemaker",
    "ResourceId": "endpoint/dogs/variant/AllTraffic",
    "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
}
ALIAS = {
    "ServiceNamespace": "lambda",
    "ResourceId": "function:dogs:live",
    "ScalableDimension": "lambda:function:ProvisionedConcurrency",
}
START_S = 120.0


class World:
    """An endpoint of one variant, its load, and everything that scales it."""

    def __init__(
        self,
        *,
        time_scale: float = 1.0,
        records: SqliteRecords | None = None,
        quota: InstanceCounts | None = None,
    ) -> None:
        self.clock = ManualClock(NOW)
        self.records = records or SqliteRecords(Database(":memory:"))
        self.store = MetricStore(Database(":memory:", schema="telemetry"), self.clock)
        resources = Resources(self.records, quota)
        self.alarms = AlarmEvaluation(self.records, self.store, self.clock, time_scale=time_scale)
        self.scaling = AutoScaling(
            self.records, resources, self.alarms, self.clock, time_scale=time_scale
        )
        self.service = Service(
            "application-autoscaling", *rooms(self.records, SCOPE, resources.desired)
        )
        self.time_scale = time_scale
        self.updated_s: float | None = None
        self.start_s = START_S / time_scale
        if records is None:
            self.put_endpoint(1)

    def put_endpoint(self, count: int) -> None:
        variant = Variant(
            name="AllTraffic",
            model_name="dogs",
            container={},
            execution_role_arn="",
            instance_type="ml.m5.large",
            desired_count=count,
            desired_weight=1,
            current_count=count,
        )
        self.records.put(
            Endpoint(
                name="dogs",
                arn="arn",
                config_name="dogs",
                status="InService",
                created=NOW,
                modified=NOW,
                variants=(variant,),
            )
        )

    def call(self, operation: str, **params: Any) -> None:
        known = {"RegisterScalableTarget": {"MinCapacity": 1, "MaxCapacity": 3}}
        target = VARIANT if "ServiceNamespace" not in params else {}
        given = {**target, **known.get(operation, {}), **params}
        self.service.call(operation, context(now=self.clock.now()), given)

    def track(self, target: float = 120.0, name: str = "keep", **config: Any) -> None:
        self.call(
            "PutScalingPolicy",
            PolicyName=name,
            PolicyType="TargetTrackingScaling",
            TargetTrackingScalingPolicyConfiguration={
                "TargetValue": target,
                "PredefinedMetricSpecification": {
                    "PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"
                },
                **config,
            },
        )

    @property
    def endpoint(self) -> Endpoint:
        found = self.records.get(Endpoint, "dogs")
        assert found is not None
        return found

    @property
    def count(self) -> int:
        return self.endpoint.variants[0].desired_count

    @property
    def activities(self) -> list[ScalingActivity]:
        return self.records.all(ScalingActivity)

    @property
    def done(self) -> list[tuple[str, int, int]]:
        """(status, before, desired) of the activities that asked for another capacity."""
        return [(a.status, a.before, a.desired) for a in self.activities if not a.not_scaled]

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        self.alarms.start()
        self.scaling.start()
        await self.clock.settle()
        yield
        await self.scaling.stop()
        await self.alarms.stop()

    async def load(self, requests_a_minute: float, minutes: int) -> None:
        """So much load for so long, in steps of a (scaled) second's tenth of a minute."""
        for _ in range(minutes * 6):
            current = max(1, self.endpoint.variants[0].current_count)
            per_step = requests_a_minute / 6 / self.time_scale
            datum = Datum(
                "InvocationsPerInstance",
                per_step / current,
                self.clock.now(),
                dimensions={"EndpointName": "dogs", "VariantName": "AllTraffic"},
                storage_resolution_s=60 if self.time_scale == 1 else 1,
            )
            self.store.record("AWS/SageMaker", [datum])
            await self.clock.advance(10 / self.time_scale)
            await self._keep()

    async def _keep(self) -> None:
        """Instances that were asked for come after a while, all together."""
        endpoint, now_s = self.endpoint, self.clock.monotonic_s()
        if endpoint.status != "Updating":
            self.updated_s = None
        elif self.updated_s is None:
            self.updated_s = now_s
        elif now_s - self.updated_s >= self.start_s:
            variants = tuple(
                replace(each, current_count=each.desired_count) for each in endpoint.variants
            )
            self.records.put(replace(endpoint, status="InService", variants=variants))
            await self.clock.settle()


@pytest.fixture
def world() -> World:
    return World()


@pytest.mark.observed
async def test_a_spike_goes_from_one_to_three_and_back_to_one(world: World) -> None:
    world.call("RegisterScalableTarget")
    world.track()
    async with world.running():
        await world.load(60, 5)
        assert world.count == 1
        await world.load(330, 3)  # three bad minutes, and not before
        assert world.count == 3
        (out,) = world.activities
        assert out.description == "Setting desired instance count to 3."
        high = world.records.all(Alarm)[0].name
        assert out.cause == f"monitor alarm {high} in state ALARM triggered policy keep"
        assert out.status == "InProgress"
        assert out.message == (
            "Successfully set desired instance count to 3. Waiting for change to be fulfilled by "
            "sagemaker."
        )
        await world.load(330, 3)
        assert world.activities[0].status == "Successful"
        assert world.activities[0].message == (
            "Successfully set desired instance count to 3. Change successfully fulfilled by "
            "sagemaker."
        )
        await world.load(6, 14)
        assert world.count == 3  # fifteen quiet minutes are needed
        await world.load(6, 30)
        assert world.count == 1
    assert world.done == [("Successful", 1, 3), ("Successful", 3, 2), ("Successful", 2, 1)]


@pytest.mark.docs
async def test_scaling_in_waits_for_its_cooldown(world: World) -> None:
    world.put_endpoint(3)
    world.call("RegisterScalableTarget")
    world.track(ScaleInCooldown=600)
    async with world.running():
        await world.load(0, 16)
        assert world.count == 2
        await world.load(0, 10)  # two minutes for the change, and not yet ten since
        assert world.count == 2
        await world.load(0, 3)
        assert world.count == 1


@pytest.mark.docs
async def test_a_bound_moves_the_capacity_at_once(world: World) -> None:
    async with world.running():
        world.call("RegisterScalableTarget", MinCapacity=2)
        await world.load(0, 3)
        world.call("RegisterScalableTarget", MinCapacity=1, MaxCapacity=1)
        await world.load(0, 3)
    assert [(activity.desired, activity.cause) for activity in world.activities] == [
        (2, "minimum capacity was set to 2"),
        (1, "maximum capacity was set to 1"),
    ]
    assert {activity.status for activity in world.activities} == {"Successful"}


@pytest.mark.docs
async def test_without_data_nothing_happens(world: World) -> None:
    world.put_endpoint(3)
    world.call("RegisterScalableTarget")
    world.track()
    async with world.running():
        await world.clock.advance(3600)
    assert world.count == 3
    assert world.activities == []


@pytest.mark.docs
async def test_what_is_suspended_starts_again_when_it_is_resumed(world: World) -> None:
    world.call("RegisterScalableTarget", SuspendedState={"DynamicScalingOutSuspended": True})
    world.track()
    async with world.running():
        await world.load(600, 6)
        assert world.activities == []
        world.call("RegisterScalableTarget", SuspendedState={"DynamicScalingOutSuspended": False})
        await world.load(600, 1)
        assert world.count == 3


@pytest.mark.model
async def test_a_policy_at_its_maximum_says_so_once(world: World) -> None:
    world.put_endpoint(3)
    world.call("RegisterScalableTarget")
    world.track()
    async with world.running():
        await world.load(9000, 10)
    (activity,) = world.activities
    assert activity.not_scaled == (
        {"Code": "AlreadyAtMaxCapacity", "CurrentCapacity": 3, "MaxCapacity": 3},
    )


@pytest.mark.docs
async def test_alarms_whose_actions_are_off_do_nothing(world: World) -> None:
    world.call("RegisterScalableTarget")
    world.track()
    for alarm in world.records.all(Alarm):
        world.records.put(replace(alarm, request={**alarm.request, "ActionsEnabled": False}))
    async with world.running():
        await world.load(9000, 6)
    assert world.activities == []


@pytest.mark.docs
async def test_an_instance_that_does_not_start_fails_the_activity(world: World) -> None:
    world.call("RegisterScalableTarget")
    world.track()
    async with world.running():
        await world.load(330, 4)
        back = replace(world.endpoint.variants[0], desired_count=1, current_count=1)
        reason = "did not pass the ping health check"
        world.records.put(
            replace(world.endpoint, status="InService", variants=(back,), failure_reason=reason)
        )
        await world.clock.settle()
    assert world.activities[0].status == "Failed"
    assert world.activities[0].message == (
        "Failed to set desired instance count to 3. Reason: did not pass the ping health check"
    )


async def test_a_deleted_endpoint_ends_the_activity_and_harms_no_other_target(
    world: World,
) -> None:
    world.call("RegisterScalableTarget")
    world.track()
    async with world.running():
        await world.load(330, 4)
        world.records.delete(Endpoint, "dogs")
        await world.clock.advance(30)
    (activity,) = world.activities
    assert activity.status == "Failed"
    assert "does not exist any more" in activity.message


@pytest.mark.observed
async def test_a_change_without_capacity_is_unfulfilled(world: World) -> None:
    world.call("RegisterScalableTarget")
    world.track()
    async with world.running():
        await world.load(330, 4)
        back = replace(world.endpoint.variants[0], desired_count=1, current_count=1)
        world.records.put(replace(world.endpoint, status="InService", variants=(back,)))
        await world.clock.settle()
    assert world.activities[0].status == "Unfulfilled"
    assert "not fulfilled by sagemaker: it is 1." in world.activities[0].message


@pytest.mark.observed
async def test_beyond_the_quota_the_activity_fails_and_is_written_once() -> None:
    world = World(quota=InstanceCounts({"ml.m5.large": 2}))
    world.call("RegisterScalableTarget")
    world.track()
    async with world.running():
        await world.load(330, 8)
        assert world.count == 1
        (activity,) = world.activities
        assert activity.status == "Failed"
        assert activity.message.startswith(
            "Failed to set desired instance count to 3. Reason: The account-level service limit "
            "'ml.m5.large for endpoint usage' is 2 Instances, with current utilization of 1 "
            "Instances and a request delta of 2 Instances. "
        )
        assert (
            "(Service: AmazonSageMaker; Status Code: 400; Error Code: ResourceLimitExceeded; "
            "Request ID: "
        ) in activity.message
        await world.load(200, 5)  # less load asks for less, which the quota allows
    assert world.done == [("Failed", 1, 3), ("Successful", 1, 2)]


async def test_a_target_that_is_deregistered_in_mid_activity_stays_as_large_as_it_is(
    world: World,
) -> None:
    world.call("RegisterScalableTarget")
    world.track()
    async with world.running():
        await world.load(330, 4)
        world.call("DeregisterScalableTarget")
        await world.load(0, 30)
    assert world.count == 3
    assert world.done == [("Successful", 1, 3)]


async def test_a_restart_in_mid_activity_goes_on_where_it_was(world: World) -> None:
    world.call("RegisterScalableTarget")
    world.track()
    async with world.running():
        await world.load(330, 4)
        assert world.activities[0].status == "InProgress"
    again = World(records=world.records)
    again.updated_s = 0.0
    async with again.running():
        await again.load(330, 3)
        assert again.done == [("Successful", 1, 3)]
        again.call("RegisterScalableTarget", MinCapacity=4, MaxCapacity=4)
        await again.load(330, 4)
    assert again.done == [("Successful", 1, 3), ("Successful", 3, 4)]


@pytest.mark.docs
async def test_the_policy_that_wants_most_wins(world: World) -> None:
    world.call("RegisterScalableTarget", MaxCapacity=9)
    world.track(300.0, "slow")
    world.track(100.0, "fast")
    async with world.running():
        await world.load(500, 4)
    assert world.count == 5
    assert world.activities[0].policy == "fast"


@pytest.mark.docs
async def test_steps_follow_the_alarm_that_names_them(world: World) -> None:
    world.call("RegisterScalableTarget", MaxCapacity=9)
    world.call(
        "PutScalingPolicy",
        PolicyName="steps",
        PolicyType="StepScaling",
        StepScalingPolicyConfiguration={
            "AdjustmentType": "ChangeInCapacity",
            "StepAdjustments": [
                {
                    "MetricIntervalLowerBound": 0.0,
                    "MetricIntervalUpperBound": 100.0,
                    "ScalingAdjustment": 1,
                },
                {"MetricIntervalLowerBound": 100.0, "ScalingAdjustment": 4},
            ],
        },
    )
    (policy,) = world.records.all(ScalingPolicy)
    world.records.put(
        Alarm(
            name="mine",
            arn="arn",
            request={
                "AlarmName": "mine",
                "Namespace": "AWS/SageMaker",
                "MetricName": "InvocationsPerInstance",
                "Dimensions": [
                    {"Name": "EndpointName", "Value": "dogs"},
                    {"Name": "VariantName", "Value": "AllTraffic"},
                ],
                "Statistic": "Sum",
                "Period": 60,
                "EvaluationPeriods": 1,
                "Threshold": 100.0,
                "ComparisonOperator": "GreaterThanThreshold",
                "AlarmActions": [policy.arn],
            },
            configured=NOW,
            updated=NOW,
            transitioned=NOW,
        )
    )
    async with world.running():
        await world.load(150, 2)
        assert world.count == 2
        await world.load(900, 6)
    assert world.done[:2] == [("Successful", 1, 2), ("Successful", 2, 6)]


@pytest.mark.docs
async def test_a_schedule_sets_bounds_by_the_clock_and_its_time_zone(world: World) -> None:
    world.call("RegisterScalableTarget")
    world.call(
        "PutScheduledAction",
        ScheduledActionName="lunch",
        Schedule="cron(15 13 * * ? *)",  # 12:15 UTC
        Timezone="Europe/Berlin",
        ScalableTargetAction={"MinCapacity": 2},
    )
    async with world.running():
        await world.load(0, 14)
        assert world.count == 1
        await world.load(0, 2)
        assert world.count == 2
        await world.load(0, 60)
    assert [activity.cause for activity in world.activities] == ["minimum capacity was set to 2"]


async def test_time_that_runs_sixty_times_faster_scales_sixty_times_sooner() -> None:
    world = World(time_scale=60)
    world.call("RegisterScalableTarget")
    world.track()
    async with world.running():
        await world.load(330, 6)
        assert world.count == 3
        await world.load(6, 60)
        assert world.count == 1
    assert world.clock.monotonic_s() == pytest.approx(66)
    assert world.done == [("Successful", 1, 3), ("Successful", 3, 2), ("Successful", 2, 1)]


@pytest.mark.docs
async def test_provisioned_concurrency_scales_by_the_same_rules() -> None:
    world = World()
    world.records.put(
        ProvisionedConcurrency(
            function="dogs",
            qualifier="live",
            requested=2,
            allocated=2,
            available=2,
            status="READY",
            modified=NOW,
        )
    )
    world.call("RegisterScalableTarget", **ALIAS, MinCapacity=1, MaxCapacity=10)
    world.call(
        "PutScalingPolicy",
        **ALIAS,
        PolicyName="use",
        PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration={
            "TargetValue": 0.7,
            "PredefinedMetricSpecification": {
                "PredefinedMetricType": "LambdaProvisionedConcurrencyUtilization"
            },
        },
    )
    async with world.running():
        for _ in range(4):
            datum = Datum(
                "ProvisionedConcurrencyUtilization",
                1.0,
                world.clock.now(),
                dimensions={"FunctionName": "dogs", "Resource": "dogs:live"},
            )
            world.store.record("AWS/Lambda", [datum])
            await world.clock.advance(60)
        found = world.records.get(ProvisionedConcurrency, "dogs:live")
        assert found is not None
        assert (found.requested, found.status) == (3, "IN_PROGRESS")
    assert world.activities[0].description == "Setting provisioned concurrency to 3."
