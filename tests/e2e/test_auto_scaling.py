"""An endpoint that grows by itself: real replicas, real load, time sixty times faster.

A minute of alarms and cooldowns is a second here; requests are as fast as ever. That it shrinks by
itself takes a quarter of an hour without load, also then 15 s: cli/test_load.py waits for that.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from e2e.account import Account
from e2e.waiting import until
from fogbank.testing.cloud import RunningCloud

VARIANT = {
    "ServiceNamespace": "sagemaker",
    "ResourceId": "endpoint/scaled/variant/AllTraffic",
    "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
}


@pytest.fixture(scope="module")
def fast(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    # An instance takes a second to come: an activity under way can be seen.
    environment = {"FOGBANK_TIME_SCALE": "60", "FOGBANK_INSTANCE_START_S": "60"}
    cloud = RunningCloud(tmp_path_factory.mktemp("fast"), environment=environment).start()
    try:
        account = Account(cloud, "fast")
        account.deploy("scaled")
        account.in_service("scaled")
        yield account
    finally:
        cloud.stop()


@contextmanager
def load(account: Account, *, callers: int, pause_s: float = 0.05) -> Iterator[list[Exception]]:
    """Callers that ask one request after the other; what goes wrong is in the list."""
    stop, errors = threading.Event(), list[Exception]()

    def call() -> None:
        while not stop.wait(pause_s):
            try:
                account.invoke("scaled")
            except Exception as error:
                errors.append(error)

    threads = [threading.Thread(target=call) for _ in range(callers)]
    for thread in threads:
        thread.start()
    try:
        yield errors
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def activities(account: Account, **params: Any) -> list[dict[str, Any]]:
    """The oldest first."""
    found = account.client("application-autoscaling").describe_scaling_activities(
        ServiceNamespace="sagemaker", **params
    )["ScalingActivities"]
    return list(reversed(found))


def ended(account: Account) -> list[dict[str, Any]]:
    """All activities, once none is under way."""

    def probe() -> list[dict[str, Any]] | None:
        found = activities(account)
        return None if any(each["StatusCode"] == "InProgress" for each in found) else found

    return until(probe, "every activity to end")


def count(account: Account) -> int:
    variants = account.endpoint("scaled")["ProductionVariants"]
    return int(variants[0]["CurrentInstanceCount"])


@pytest.mark.slow
@pytest.mark.observed
def test_a_spike_brings_three_instances(fast: Account) -> None:
    scaling, cloudwatch = fast.client("application-autoscaling"), fast.client("cloudwatch")
    scaling.register_scalable_target(**VARIANT, MinCapacity=1, MaxCapacity=3)
    scaling.put_scaling_policy(
        **VARIANT,
        PolicyName="SageMakerEndpointInvocationScalingPolicy",
        PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration={
            "TargetValue": 300.0,  # a minute and an instance: five a second
            "PredefinedMetricSpecification": {
                "PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"
            },
            "ScaleInCooldown": 60,
            "ScaleOutCooldown": 60,
        },
    )
    with load(fast, callers=4) as errors:
        until(lambda: count(fast) == 3, "three instances", limit_s=60)
    assert errors == []
    first = activities(fast)[0]
    (high,) = cloudwatch.describe_alarms(
        AlarmNamePrefix="TargetTracking-endpoint/scaled/variant/AllTraffic-AlarmHigh"
    )["MetricAlarms"]
    assert first["Cause"] == (
        f"monitor alarm {high['AlarmName']} in state ALARM triggered policy "
        "SageMakerEndpointInvocationScalingPolicy"
    )
    with load(fast, callers=1, pause_s=1) as errors:
        until(
            lambda: (
                cloudwatch.describe_alarms(AlarmNames=[high["AlarmName"]])["MetricAlarms"][0][
                    "StateValue"
                ]
                == "OK"
            ),
            "the alarm to end",
        )
    assert errors == []
    assert {each["StatusCode"] for each in ended(fast)} == {"Successful"}
    history = cloudwatch.describe_alarm_history(
        AlarmName=high["AlarmName"], HistoryItemType="StateUpdate"
    )["AlarmHistoryItems"]
    assert (
        "to ALARM" in history[-1]["HistorySummary"] or "to ALARM" in history[-2]["HistorySummary"]
    )


@pytest.mark.slow
def test_a_server_that_is_killed_in_mid_activity_goes_on(fast: Account) -> None:
    scaling = fast.client("application-autoscaling")
    scaling.register_scalable_target(**VARIANT, MinCapacity=4, MaxCapacity=4)
    until(
        lambda: any(each["StatusCode"] == "InProgress" for each in activities(fast)) or None,
        "an activity under way",
    )
    fast.cloud.kill()
    fast.cloud.start()
    until(lambda: count(fast) == 4, "four instances")
    outcomes = [(each["Cause"], each["StatusCode"]) for each in ended(fast)]
    assert ("minimum capacity was set to 4", "Successful") in outcomes
