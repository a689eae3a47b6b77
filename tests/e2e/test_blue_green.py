"""Updates under load: a canary that loses no request, an alarm that undoes a bad model, a server
that is killed in between. Time passes sixty times faster: a wait of a minute is a second."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
from botocore.exceptions import ClientError

from e2e.account import ECHO, Account, refusal
from e2e.waiting import until
from fogbank.testing.cloud import RunningCloud

BAD = f"""{ECHO}
def predict_fn(data, model):
    raise ValueError("this model is no good")
"""


@pytest.fixture(scope="module")
def fast(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    environment = {"FOGBANK_TIME_SCALE": "60"}
    cloud = RunningCloud(tmp_path_factory.mktemp("blue-green"), environment=environment).start()
    try:
        account = Account(cloud, "blue-green")
        account.deploy("dogs")
        for name, code in (("better", ECHO), ("bad", BAD)):
            account.create_model(name, code)
            account.create_config(name, {"VariantName": "AllTraffic", "ModelName": name})
        # Invocation5XXErrors of a minute that has no requests are no errors.
        account.client("cloudwatch").put_metric_alarm(
            AlarmName="errors",
            Namespace="AWS/SageMaker",
            MetricName="Invocation5XXErrors",
            Dimensions=[
                {"Name": "EndpointName", "Value": "dogs"},
                {"Name": "VariantName", "Value": "AllTraffic"},
            ],
            Statistic="Sum",
            Period=60,
            EvaluationPeriods=1,
            Threshold=0,
            ComparisonOperator="GreaterThanThreshold",
            TreatMissingData="notBreaching",
        )
        account.in_service("dogs")
        yield account
    finally:
        cloud.stop()


def canary(wait_s: int, termination_wait_s: int = 0) -> dict[str, Any]:
    return {
        "BlueGreenUpdatePolicy": {
            "TrafficRoutingConfiguration": {
                "Type": "CANARY",
                "CanarySize": {"Type": "CAPACITY_PERCENT", "Value": 50},
                "WaitIntervalInSeconds": wait_s,
            },
            "TerminationWaitInSeconds": termination_wait_s,
        },
        "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": "errors"}]},
    }


def update(account: Account, config: str, deployment: Mapping[str, Any]) -> None:
    account.sagemaker.update_endpoint(
        EndpointName="dogs", EndpointConfigName=config, DeploymentConfig=deployment
    )


def status_of(account: Account) -> tuple[str, str | None]:
    """The endpoint's status, and that of the variant that comes."""
    found = account.endpoint("dogs")
    pending = found.get("PendingDeploymentSummary", {}).get("ProductionVariants", [{}])
    statuses = pending[0].get("VariantStatus", [{}])
    return found["EndpointStatus"], statuses[0].get("Status")


@contextmanager
def load(account: Account) -> Iterator[Counter[str]]:
    """Callers that ask one request after the other; who answered, or how it failed."""
    stop, answers = threading.Event(), Counter[str]()

    def call() -> None:
        while not stop.wait(0.02):
            try:
                answers[account.invoke("dogs")["model"]] += 1
            except ClientError as error:
                answers[error.response["Error"]["Code"]] += 1

    threads = [threading.Thread(target=call) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        yield answers
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def clear_alarm(account: Account) -> None:
    """Wait until nothing of another test's errors is left."""
    cloudwatch = account.client("cloudwatch")

    def is_clear() -> bool:
        (alarm,) = cloudwatch.describe_alarms(AlarmNames=["errors"])["MetricAlarms"]
        return bool(alarm["StateValue"] == "OK")

    until(is_clear, "the alarm to be OK")


@pytest.mark.slow
@pytest.mark.docs
def test_a_canary_moves_to_a_new_model_and_loses_no_request(fast: Account) -> None:
    clear_alarm(fast)
    deployment = canary(90, 30)
    seen: list[tuple[str, str | None]] = []
    with load(fast) as answers:
        until(lambda: answers["dogs"] > 5, "requests")
        update(fast, "better", deployment)
        with refusal("ValidationException", "Cannot update in-progress endpoint"):
            update(fast, "bad", deployment)

        def is_over() -> bool:
            seen.append(status_of(fast))
            return seen[-1][0] != "Updating"

        until(is_over, "the end of the update")
        before = answers["better"]
        until(lambda: answers["better"] > before + 5, "requests to the new model")
    assert set(answers) == {"dogs", "better"}, "every request was answered, by one of the two"
    assert {("Updating", "Creating"), ("Updating", "Baking")} <= set(seen)
    endpoint = fast.endpoint("dogs")
    assert (endpoint["EndpointStatus"], endpoint["EndpointConfigName"]) == ("InService", "better")
    assert endpoint["LastDeploymentConfig"] == deployment
    assert "FailureReason" not in endpoint


@pytest.mark.docs
def test_the_alarm_of_a_bad_model_brings_the_old_one_back(fast: Account) -> None:
    clear_alarm(fast)
    good = fast.endpoint("dogs")["EndpointConfigName"]
    with load(fast) as answers:
        update(fast, "bad", canary(3600))  # only the alarm can end that within a minute

        def is_over() -> bool:
            return status_of(fast)[0] == "InService"

        until(is_over, "the rollback", limit_s=30)
        failed = answers["ModelError"]
        before = answers[good]
        until(lambda: answers[good] > before + 10, "requests to the old model")
    assert set(answers) == {good, "ModelError"}
    assert failed > 0
    assert answers["ModelError"] <= failed + 2, "at most those that were on their way"
    endpoint = fast.endpoint("dogs")
    assert endpoint["EndpointConfigName"] == good
    assert "errors (Threshold Crossed" in endpoint["FailureReason"]
    with refusal("ValidationException", "missing-alarm"):
        update(
            fast,
            "bad",
            {"AutoRollbackConfiguration": {"Alarms": [{"AlarmName": "missing-alarm"}]}},
        )


@pytest.mark.slow
def test_a_server_that_is_killed_in_the_middle_of_an_update_goes_on(fast: Account) -> None:
    clear_alarm(fast)
    fast.create_config("again", {"VariantName": "AllTraffic", "ModelName": "better"})
    update(fast, "again", canary(60))
    until(lambda: status_of(fast) == ("Updating", "Baking"), "the canary")
    fast.cloud.kill()
    fast.cloud.start()
    assert status_of(fast) == ("Updating", "Baking")
    assert fast.invoke("dogs")["model"] in ("dogs", "better")
    fast.in_service("dogs")
    assert fast.endpoint("dogs")["EndpointConfigName"] == "again"
