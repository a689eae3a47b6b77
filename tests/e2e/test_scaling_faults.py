"""What goes wrong while an endpoint is scaled, on real replicas; alarms and cooldowns sixty times
faster. (A server that is killed in mid-activity: test_auto_scaling.py.)
"""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest

from e2e.account import Account, refusal
from e2e.waiting import until
from fogbank.core.clock import SystemClock
from fogbank.testing.cloud import RunningCloud

MOODY = """
import os, time

def model_fn(model_dir):
    mood = open(os.environ["MOOD"]).read()
    if mood == "sick":
        raise RuntimeError("the weights do not load")
    time.sleep({"slow": 3.0}.get(mood, 0.0))
    return None

def transform_fn(model, body, content_type, accept):
    time.sleep(float(body))
    return '"' + os.environ["FOGBANK_INSTANCE"] + '"', "application/json"
"""
"""A model that starts as the file MOOD says; it takes as long as it is told and says who it is."""


class Scaled:
    """An endpoint whose variant is a scalable target: `bound` is what scales it."""

    def __init__(self, account: Account, name: str, mood: Path) -> None:
        self.account = account
        self.name = name
        self._mood = mood
        self.mood("well")
        account.deploy(name, MOODY, environment={"MOOD": str(mood)})
        account.in_service(name)
        self.scaling = account.client("application-autoscaling")
        self.variant = {
            "ServiceNamespace": "sagemaker",
            "ResourceId": f"endpoint/{name}/variant/AllTraffic",
            "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
        }
        self.bound(1)

    def mood(self, mood: str) -> None:
        """Of the replicas that start from now on."""
        self._mood.write_text(mood)

    def bound(self, count: int) -> None:
        self.scaling.register_scalable_target(**self.variant, MinCapacity=count, MaxCapacity=count)

    def has(self, count: int) -> None:
        """Wait until so many serve and no activity is under way."""

        def probe() -> bool:
            running = any(each["StatusCode"] == "InProgress" for each in self.activities())
            return self.count() == count and not running

        until(probe, f"{count} instances of {self.name}")
        self.account.in_service(self.name)

    def count(self) -> int:
        return int(
            self.account.endpoint(self.name)["ProductionVariants"][0]["CurrentInstanceCount"]
        )

    def activities(self) -> list[dict[str, Any]]:
        """The newest first."""
        found: list[dict[str, Any]] = self.scaling.describe_scaling_activities(**self.variant)[
            "ScalingActivities"
        ]
        return found

    def under_way(self, desired: int) -> dict[str, Any]:
        """The activity that sets that count, once it has begun."""

        def probe() -> dict[str, Any] | None:
            found = self.activities()[:1]
            words = f"Setting desired instance count to {desired}."
            is_it = found and found[0]["Description"] == words
            return found[0] if is_it and found[0]["StatusCode"] == "InProgress" else None

        return until(probe, f"an activity towards {desired}")

    def in_flight(self, num: int) -> None:
        """Wait until the replicas have so many requests together."""
        dimensions = {"EndpointName": self.name, "VariantName": "AllTraffic"}
        cloudwatch, now = self.account.client("cloudwatch"), SystemClock().now

        def probe() -> bool:
            points = cloudwatch.get_metric_statistics(
                Namespace="AWS/SageMaker",
                MetricName="ConcurrentRequestsPerModel",
                Dimensions=[{"Name": name, "Value": dimensions[name]} for name in dimensions],
                StartTime=now() - timedelta(seconds=10),
                EndTime=now() + timedelta(seconds=1),
                Period=1,
                Statistics=["Sum"],
            )["Datapoints"]
            return bool(points) and max(point["Sum"] for point in points) >= num

        until(probe, f"{num} requests in flight", limit_s=5)

    def invoke(self, seconds: float = 0.0) -> str:
        """The instance that answered."""
        return str(self.account.invoke(self.name, json.dumps(seconds)))


def processes(instance: str) -> list[psutil.Process]:
    """The program of one instance, where it still runs. (The process ids that it sees are those of
    its namespace; what the cloud puts around it is not meant.)"""
    found = []
    for process in psutil.process_iter():
        try:
            is_its = process.environ().get("FOGBANK_INSTANCE") == instance
            if is_its and "fogbank.images.inference" in " ".join(process.cmdline()):
                found.append(process)
        except psutil.Error:
            continue  # it has ended meanwhile, or is none of ours
    return found


def signal_all(instance: str, number: int) -> None:
    found = processes(instance)
    assert found, f"{instance} does not run"
    for process in found:
        process.send_signal(number)


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    cloud = RunningCloud(
        tmp_path_factory.mktemp("faults"), environment={"FOGBANK_TIME_SCALE": "60"}
    ).start()
    yield Account(cloud, "faults")
    assert cloud.stop() == 0


@pytest.fixture(scope="module")
def shared(account: Account, tmp_path_factory: pytest.TempPathFactory) -> Scaled:
    return Scaled(account, "moody", tmp_path_factory.mktemp("mood") / "mood")


@pytest.fixture(scope="module", autouse=True)
def hanging(account: Account, tmp_path_factory: pytest.TempPathFactory) -> tuple[Scaled, str]:
    """An endpoint of two instances, and the one of them that hangs. Made before all others: the
    three health checks that fail take 20 s, in which the other tests run."""
    hanging = Scaled(account, "hanging", tmp_path_factory.mktemp("mood") / "mood")
    hung = hanging.invoke()
    hanging.bound(2)
    hanging.has(2)
    signal_all(hung, signal.SIGSTOP)
    return hanging, hung


@pytest.fixture
def scaled(shared: Scaled) -> Scaled:
    """One instance, and well."""
    shared.mood("well")
    shared.bound(1)
    shared.has(1)
    return shared


@pytest.mark.slow
def test_a_replica_that_is_slow_to_start_and_one_that_is_killed_meanwhile(scaled: Scaled) -> None:
    old = scaled.invoke()
    scaled.mood("slow")
    scaled.bound(2)
    activity = scaled.under_way(2)
    assert activity["StatusMessage"].endswith("Waiting for change to be fulfilled by sagemaker.")
    assert scaled.invoke() == old, "it serves on"
    assert scaled.account.endpoint(scaled.name)["EndpointStatus"] == "Updating"
    signal_all(old, signal.SIGKILL)
    # Half of it would still take a request, and break off.
    until(lambda: not processes(old), "its end")
    assert scaled.invoke() != old, "the request waited for a replica"
    scaled.has(2)
    assert scaled.activities()[0]["StatusCode"] == "Successful"
    assert {scaled.invoke() for _ in range(40)}.isdisjoint({old})


@pytest.mark.slow
def test_a_scale_out_that_fails_its_health_checks(scaled: Scaled) -> None:
    before = scaled.invoke()
    scaled.mood("sick")
    scaled.bound(2)
    scaled.under_way(2)
    failed = until(
        lambda: next(
            (each for each in scaled.activities() if each["StatusCode"] == "Failed"), None
        ),
        "the activity to fail",
    )
    assert failed["StatusMessage"].startswith(
        "Failed to set desired instance count to 2. Reason: The primary container for production "
        "variant AllTraffic did not pass the ping health check."
    )
    assert "the weights do not load" in failed["StatusMessage"]
    assert scaled.invoke() == before, "it serves on as it was"
    scaled.mood("well")
    scaled.has(2)  # the bound still stands: the next attempt succeeds
    assert "FailureReason" not in scaled.account.endpoint(scaled.name)


@pytest.mark.slow
def test_a_target_that_is_deregistered_in_mid_activity(scaled: Scaled) -> None:
    scaled.mood("slow")
    scaled.bound(2)
    scaled.under_way(2)
    scaled.scaling.deregister_scalable_target(**scaled.variant)
    scaled.has(2)
    assert scaled.activities()[0]["StatusCode"] == "Successful"


@pytest.mark.slow
def test_scaling_in_waits_for_the_requests_in_flight(scaled: Scaled) -> None:
    scaled.bound(2)
    scaled.has(2)
    with ThreadPoolExecutor(9) as pool:
        # They are counted once a second: all eight have to meet one count.
        answers = [pool.submit(scaled.invoke, 2.0) for _ in range(8)]
        scaled.in_flight(8)
        scaled.bound(1)
        until(lambda: scaled.count() == 1, "one instance out of routing", limit_s=2)
        later = scaled.invoke()
        instances = {answer.result() for answer in answers}
    assert len(instances) == 2, "both had requests when one of them was to go"
    (gone,) = instances - {later}
    until(lambda: not processes(gone), "its end")
    scaled.has(1)


@pytest.mark.slow
@pytest.mark.observed
def test_an_endpoint_that_is_deleted_while_it_is_scaled(account: Account, tmp_path: Path) -> None:
    doomed = Scaled(account, "doomed", tmp_path / "mood")
    doomed.scaling.put_scaling_policy(
        **doomed.variant,
        PolicyName="keep",
        PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration={
            "TargetValue": 100.0,
            "PredefinedMetricSpecification": {
                "PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"
            },
        },
    )
    doomed.mood("slow")
    doomed.bound(2)
    doomed.under_way(2)
    with refusal("ValidationException", "Cannot update in-progress endpoint"):
        account.sagemaker.delete_endpoint(EndpointName="doomed")
    doomed.has(2)
    account.delete_endpoint("doomed")
    targets = doomed.scaling.describe_scalable_targets(ServiceNamespace="sagemaker")
    resources = [target["ResourceId"] for target in targets["ScalableTargets"]]
    assert doomed.variant["ResourceId"] not in resources
    assert account.client("cloudwatch").describe_alarms()["MetricAlarms"] == []
    until(
        lambda: all(each["StatusCode"] != "InProgress" for each in doomed.activities()),
        "every activity to end",
    )


@pytest.mark.slow
def test_a_replica_that_hangs_is_replaced(hanging: tuple[Scaled, str]) -> None:
    scaled, hung = hanging
    until(lambda: not processes(hung), "the hung replica to go")
    scaled.has(2)
    instances = until(
        lambda: found if len(found := {scaled.invoke() for _ in range(20)}) == 2 else None,
        "both to answer",
    )
    assert hung not in instances
