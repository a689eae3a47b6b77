"""SIGKILL of the server: what iam, logs and cloudwatch have acknowledged is still there."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from fogbank.core.clock import SystemClock, epoch_ms
from fogbank.testing.cloud import RunningCloud


@pytest.fixture
def own_cloud(tmp_path: Path) -> Iterator[RunningCloud]:
    running = RunningCloud(tmp_path / "home").start()
    yield running
    running.stop()


def test_a_killed_server_comes_back_with_everything(own_cloud: RunningCloud) -> None:
    now = SystemClock().now()
    before = own_cloud.client("sts").get_caller_identity()
    own_cloud.client("iam").create_user(UserName="survivor")
    logs = own_cloud.client("logs")
    logs.create_log_group(logGroupName="g")
    logs.create_log_stream(logGroupName="g", logStreamName="s")
    events = [{"timestamp": epoch_ms(now), "message": f"line {n}"} for n in range(500)]
    logs.put_log_events(logGroupName="g", logStreamName="s", logEvents=events)
    own_cloud.client("cloudwatch").put_metric_data(
        Namespace="Kill", MetricData=[{"MetricName": "m", "Timestamp": now, "Value": 7.0}]
    )

    own_cloud.kill()
    own_cloud.start()

    after = own_cloud.client("sts").get_caller_identity()
    assert (after["Arn"], after["UserId"]) == (before["Arn"], before["UserId"])
    assert own_cloud.client("iam").get_user(UserName="survivor")["User"]["UserName"] == "survivor"
    found = own_cloud.client("logs").get_log_events(
        logGroupName="g", logStreamName="s", startFromHead=True
    )
    assert [event["message"] for event in found["events"]] == [e["message"] for e in events]
    (point,) = own_cloud.client("cloudwatch").get_metric_statistics(
        Namespace="Kill",
        MetricName="m",
        StartTime=now - timedelta(minutes=5),
        EndTime=now + timedelta(minutes=5),
        Period=60,
        Statistics=["Sum"],
    )["Datapoints"]
    assert point["Sum"] == 7.0
