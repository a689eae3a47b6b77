"""`endpoint.update`: a new model takes over step by step, and an alarm brings the old one back.
A minute of baking is a second here."""

from __future__ import annotations

import pytest

from cli.scaled_project import INFERENCE, NAME, ScaledProject
from fogbank.testing.cloud import RunningCloud

ALARM = "scaled-errors"


def serving(cloud: RunningCloud) -> str:
    found: str = cloud.client("sagemaker").describe_endpoint(EndpointName=NAME)[
        "EndpointConfigName"
    ]
    return found


@pytest.mark.slow
def test_a_canary_takes_over_and_an_alarm_keeps_the_old_model(
    unscaled: ScaledProject, fast_cloud: RunningCloud
) -> None:
    project, inference = unscaled, unscaled.folder / "inference.py"
    cloudwatch = fast_cloud.client("cloudwatch")
    cloudwatch.put_metric_alarm(
        AlarmName=ALARM,
        Namespace="AWS/SageMaker",
        MetricName="Invocation5XXErrors",
        Dimensions=[
            {"Name": "EndpointName", "Value": NAME},
            {"Name": "VariantName", "Value": "AllTraffic"},
        ],
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanOrEqualToThreshold",
        TreatMissingData="ignore",
    )
    project.write(f"{{update: {{step_percent: 50, bake_s: 60, rollback_on: [{ALARM}]}}}}")
    first = serving(fast_cloud)
    inference.write_text(f"{INFERENCE}# another model\n")
    project.does("deploy")
    second = serving(fast_cloud)
    assert second != first
    kept = fast_cloud.client("sagemaker").describe_endpoint(EndpointName=NAME)
    policy = kept["LastDeploymentConfig"]["BlueGreenUpdatePolicy"]
    assert policy["TrafficRoutingConfiguration"]["Type"] == "CANARY"

    cloudwatch.set_alarm_state(AlarmName=ALARM, StateValue="ALARM", StateReason="a bad model")
    inference.write_text(f"{INFERENCE}# a third model\n")
    refused = project.types("deploy")
    assert refused.exit_code != 0
    assert f"goes on serving {second}" in refused.stderr
    assert ALARM in refused.stderr
    assert serving(fast_cloud) == second
    inference.write_text(INFERENCE)
    cloudwatch.delete_alarms(AlarmNames=[ALARM])
