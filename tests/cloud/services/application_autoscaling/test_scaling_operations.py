"""Application Auto Scaling on the wire side: targets, policies with their alarms, schedules."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any

import pytest

from cloud.aws import NOW, SCOPE, Service, context, refused
from fogbank.cloud.records.alarm import Alarm
from fogbank.cloud.records.scaling import ScalingActivity
from fogbank.cloud.services.application_autoscaling import rooms
from fogbank.cloud.state.database import Database
from fogbank.cloud.state.records import SqliteRecords

VARIANT = {
    "ServiceNamespace": "sagemaker",
    "ResourceId": "endpoint/dogs/variant/AllTraffic",
    "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
}
KEY = "|".join(VARIANT.values())
TRACKING: dict[str, Any] = {
    "PolicyType": "TargetTrackingScaling",
    "TargetTrackingScalingPolicyConfiguration": {
        "TargetValue": 120.0,
        "PredefinedMetricSpecification": {
            "PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"
        },
    },
}
STEPS: dict[str, Any] = {
    "PolicyType": "StepScaling",
    "StepScalingPolicyConfiguration": {
        "AdjustmentType": "ChangeInCapacity",
        "StepAdjustments": [{"MetricIntervalLowerBound": 0.0, "ScalingAdjustment": 1}],
    },
}


class AutoScaling:
    def __init__(self) -> None:
        self.records = SqliteRecords(Database(":memory:"))
        known = {KEY: 1}
        self.service = Service("application-autoscaling", *rooms(self.records, SCOPE, known.get))

    def call(self, operation: str, **params: Any) -> Any:
        return self.service.call(operation, context(), {**VARIANT, **params})

    def register(self, **params: Any) -> Any:
        return self.call("RegisterScalableTarget", **{"MinCapacity": 1, "MaxCapacity": 3, **params})

    def policy(self, name: str = "keep", **params: Any) -> Any:
        return self.call("PutScalingPolicy", PolicyName=name, **{**TRACKING, **params})

    def listed(self, what: str, **params: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.service.call(
            f"Describe{what}", context(), {"ServiceNamespace": "sagemaker", **params}
        )[what]
        return found

    def alarms(self) -> list[str]:
        return [alarm.name for alarm in self.records.all(Alarm)]


@pytest.fixture
def scaling() -> AutoScaling:
    return AutoScaling()


@pytest.mark.docs
def test_a_target_is_registered_changed_and_described(scaling: AutoScaling) -> None:
    arn = scaling.register(Tags={"team": "dogs"})["ScalableTargetARN"]
    assert re.fullmatch(
        r"arn:aws:application-autoscaling:us-east-1:123456789012:scalable-target/\w+", arn
    )
    suspended = {"DynamicScalingInSuspended": True}
    assert scaling.call("RegisterScalableTarget", MaxCapacity=5, SuspendedState=suspended) == {
        "ScalableTargetARN": arn
    }
    (target,) = scaling.listed("ScalableTargets")
    assert target == {
        **VARIANT,
        "MinCapacity": 1,
        "MaxCapacity": 5,
        "RoleARN": "arn:aws:iam::123456789012:role/aws-service-role/"
        "sagemaker.application-autoscaling.amazonaws.com/"
        "AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint",
        "CreationTime": NOW,
        "SuspendedState": {
            "DynamicScalingInSuspended": True,
            "DynamicScalingOutSuspended": False,
            "ScheduledScalingSuspended": False,
        },
        "ScalableTargetARN": arn,
    }
    tags = scaling.service.call("ListTagsForResource", context(), {"ResourceARN": arn})
    assert tags == {"Tags": {"team": "dogs"}}


@pytest.mark.observed
def test_a_tracking_policy_owns_two_alarms(scaling: AutoScaling) -> None:
    scaling.register()
    answer = scaling.policy()
    assert re.fullmatch(
        r"arn:aws:autoscaling:us-east-1:123456789012:scalingPolicy:[0-9a-f-]{36}:"
        r"resource/sagemaker/endpoint/dogs/variant/AllTraffic:policyName/keep",
        answer["PolicyARN"],
    )
    names = [alarm["AlarmName"] for alarm in answer["Alarms"]]
    prefix = "TargetTracking-endpoint/dogs/variant/AllTraffic"
    assert re.fullmatch(rf"{prefix}-AlarmHigh-[0-9a-f-]{{36}}", names[0])
    assert re.fullmatch(rf"{prefix}-AlarmLow-[0-9a-f-]{{36}}", names[1])
    high = scaling.records.get(Alarm, names[0])
    assert high is not None
    assert high.request["AlarmActions"] == [answer["PolicyARN"]]
    assert high.request["Dimensions"] == [
        {"Name": "EndpointName", "Value": "dogs"},
        {"Name": "VariantName", "Value": "AllTraffic"},
    ]
    assert (high.request["Statistic"], high.request["Period"]) == ("Sum", 60)


@pytest.mark.docs
def test_a_policy_that_is_put_again_keeps_its_arn_and_its_alarms(scaling: AutoScaling) -> None:
    scaling.register()
    first = scaling.policy()
    config = {**TRACKING["TargetTrackingScalingPolicyConfiguration"], "TargetValue": 60.0}
    second = scaling.policy(TargetTrackingScalingPolicyConfiguration=config)
    assert second == first
    low = scaling.records.get(Alarm, first["Alarms"][1]["AlarmName"])
    assert low is not None
    assert low.request["Threshold"] == 54.0
    (policy,) = scaling.listed("ScalingPolicies")
    assert policy["TargetTrackingScalingPolicyConfiguration"] == config


@pytest.mark.docs
def test_what_belongs_to_a_target_goes_with_it(scaling: AutoScaling) -> None:
    scaling.register()
    scaling.policy()
    scaling.call(
        "PutScheduledAction",
        ScheduledActionName="night",
        Schedule="cron(0 22 * * ? *)",
        ScalableTargetAction={"MaxCapacity": 1},
    )
    assert len(scaling.alarms()) == 2
    scaling.call("DeregisterScalableTarget")
    assert scaling.alarms() == []
    assert scaling.listed("ScalingPolicies") == scaling.listed("ScheduledActions") == []
    with refused("ObjectNotFoundException", 400, "No scalable target registered"):
        scaling.call("DeregisterScalableTarget")


@pytest.mark.docs
def test_deleting_a_policy_deletes_its_own_alarms_only(scaling: AutoScaling) -> None:
    scaling.register()
    scaling.policy()
    steps = scaling.policy("steps", **STEPS)
    scaling.records.put(
        Alarm(
            name="mine",
            arn="arn",
            request={"AlarmActions": [steps["PolicyARN"]]},
            configured=NOW,
            updated=NOW,
            transitioned=NOW,
        )
    )
    named = {policy["PolicyName"]: policy for policy in scaling.listed("ScalingPolicies")}
    assert [alarm["AlarmName"] for alarm in named["steps"]["Alarms"]] == ["mine"]
    scaling.call("DeleteScalingPolicy", PolicyName="keep")
    scaling.call("DeleteScalingPolicy", PolicyName="steps")
    assert scaling.alarms() == ["mine"]
    with refused("ObjectNotFoundException", 400, "keep"):
        scaling.call("DeleteScalingPolicy", PolicyName="keep")


@pytest.mark.model
def test_a_custom_metric_and_metric_math_are_watched(scaling: AutoScaling) -> None:
    scaling.register()
    cpu = {
        "MetricName": "CPUUtilization",
        "Namespace": "/aws/sagemaker/Endpoints",
        "Dimensions": [{"Name": "EndpointName", "Value": "dogs"}],
        "Statistic": "Average",
    }
    answer = scaling.policy(
        TargetTrackingScalingPolicyConfiguration={
            "TargetValue": 50.0,
            "CustomizedMetricSpecification": cpu,
        }
    )
    high = scaling.records.get(Alarm, answer["Alarms"][0]["AlarmName"])
    assert high is not None
    assert {name: high.request[name] for name in cpu} == cpu
    assert high.request["Period"] == 60
    metric = {"Metric": {"Namespace": "A", "MetricName": "B"}, "Stat": "Sum"}
    queries = [
        {"Id": "m", "MetricStat": metric, "ReturnData": False},
        {"Id": "e", "Expression": "m"},
    ]
    math = scaling.policy(
        "math",
        TargetTrackingScalingPolicyConfiguration={
            "TargetValue": 50.0,
            "CustomizedMetricSpecification": {"Metrics": queries},
        },
    )
    watched = scaling.records.get(Alarm, math["Alarms"][0]["AlarmName"])
    assert watched is not None
    assert watched.request["Metrics"][0]["MetricStat"]["Period"] == 60


@pytest.mark.docs
def test_scheduled_actions_are_kept_and_changed(scaling: AutoScaling) -> None:
    scaling.register()
    scaling.call(
        "PutScheduledAction",
        ScheduledActionName="morning",
        Schedule="cron(0 8 * * ? *)",
        Timezone="Europe/Berlin",
        ScalableTargetAction={"MinCapacity": 2},
    )
    scaling.call(
        "PutScheduledAction",
        ScheduledActionName="morning",
        ScalableTargetAction={"MaxCapacity": 9},
    )
    (action,) = scaling.listed("ScheduledActions")
    assert (action["Schedule"], action["Timezone"]) == ("cron(0 8 * * ? *)", "Europe/Berlin")
    assert action["ScalableTargetAction"] == {"MinCapacity": 2, "MaxCapacity": 9}
    scaling.call("DeleteScheduledAction", ScheduledActionName="morning")
    assert scaling.listed("ScheduledActions") == []


def activity(number: int, started: datetime, **changes: Any) -> ScalingActivity:
    facts: dict[str, Any] = {
        "target": KEY,
        "number": number,
        "id": f"id-{number}",
        "description": "Setting desired instance count to 2.",
        "cause": "monitor alarm",
        "started": started,
        "status": "Successful",
        "before": 1,
        "desired": 2,
    }
    return ScalingActivity(**{**facts, **changes})


@pytest.mark.docs
def test_activities_come_newest_first_and_those_without_effect_on_request(
    scaling: AutoScaling,
) -> None:
    reasons = ({"Code": "AlreadyAtMaxCapacity", "CurrentCapacity": 3, "MaxCapacity": 3},)
    scaling.records.put(
        activity(1, NOW - timedelta(weeks=7)),
        activity(2, NOW - timedelta(hours=2), ended=NOW, message="done"),
        activity(3, NOW - timedelta(hours=1), not_scaled=reasons, status="Failed"),
    )
    (shown,) = scaling.listed("ScalingActivities")
    assert (shown["ActivityId"], shown["StatusMessage"], shown["EndTime"]) == ("id-2", "done", NOW)
    every = scaling.listed("ScalingActivities", IncludeNotScaledActivities=True)
    assert [each["ActivityId"] for each in every] == ["id-3", "id-2"]
    assert every[0]["NotScaledReasons"] == list(reasons)


@pytest.mark.model
def test_pages(scaling: AutoScaling) -> None:
    scaling.register()
    for name in ("a", "b", "c"):
        scaling.policy(name)
    first = scaling.call("DescribeScalingPolicies", MaxResults=2)
    second = scaling.call("DescribeScalingPolicies", NextToken=first["NextToken"])
    pages = first["ScalingPolicies"] + second["ScalingPolicies"]
    assert [policy["PolicyName"] for policy in pages] == ["a", "b", "c"]
    assert "NextToken" not in second
    with refused("InvalidNextTokenException", 400):
        scaling.call("DescribeScalingPolicies", NextToken="gibberish")


NO_TARGET = {"ResourceId": "endpoint/cats/variant/AllTraffic"}


@pytest.mark.docs
@pytest.mark.parametrize(
    ("operation", "params", "code", "words"),
    [
        ("RegisterScalableTarget", {"MinCapacity": 1}, "ValidationException", "MaxCapacity"),
        (
            "RegisterScalableTarget",
            {"MinCapacity": 4, "MaxCapacity": 3},
            "ValidationException",
            "no more than maximum",
        ),
        (
            "RegisterScalableTarget",
            {"MinCapacity": 0, "MaxCapacity": 3},
            "ValidationException",
            "at least 1",
        ),
        (
            "RegisterScalableTarget",
            {**NO_TARGET, "MinCapacity": 1, "MaxCapacity": 3},
            "ValidationException",
            "doesn't exist: endpoint/cats",
        ),
        (
            "RegisterScalableTarget",
            {"ResourceId": "endpoint/dogs", "MinCapacity": 1, "MaxCapacity": 3},
            "ValidationException",
            "endpoint/ENDPOINT/variant/VARIANT",
        ),
        (
            "RegisterScalableTarget",
            {"ServiceNamespace": "ecs", "ScalableDimension": "ecs:service:DesiredCount"},
            "ValidationException",
            "Unsupported service namespace",
        ),
        (
            "PutScalingPolicy",
            {**NO_TARGET, "PolicyName": "p", **TRACKING},
            "ObjectNotFoundException",
            "No scalable target registered",
        ),
        (
            "PutScheduledAction",
            {**NO_TARGET, "ScheduledActionName": "s", "Schedule": "rate(1 day)"},
            "ObjectNotFoundException",
            "No scalable target registered",
        ),
    ],
)
def test_what_cannot_be_is_refused(
    scaling: AutoScaling, operation: str, params: dict[str, Any], code: str, words: str
) -> None:
    with refused(code, 400, words):
        scaling.call(operation, **params)


@pytest.mark.docs
@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"PolicyType": "PredictiveScaling"}, "PredictiveScaling"),
        ({"TargetTrackingScalingPolicyConfiguration": {"TargetValue": 1.0}}, "Exactly one of"),
        (
            {
                "TargetTrackingScalingPolicyConfiguration": {
                    **TRACKING["TargetTrackingScalingPolicyConfiguration"],
                    "TargetValue": 0.0,
                }
            },
            "greater than 0",
        ),
        (
            {
                "TargetTrackingScalingPolicyConfiguration": {
                    "TargetValue": 1.0,
                    "PredefinedMetricSpecification": {
                        "PredefinedMetricType": "LambdaProvisionedConcurrencyUtilization"
                    },
                }
            },
            "SageMakerVariantInvocationsPerInstance",
        ),
        (
            {
                "TargetTrackingScalingPolicyConfiguration": {
                    "TargetValue": 1.0,
                    "CustomizedMetricSpecification": {"MetricName": "CPUUtilization"},
                }
            },
            "Namespace, Statistic",
        ),
        ({"PolicyType": "StepScaling"}, "StepScalingPolicyConfiguration is required"),
    ],
)
def test_policies_that_cannot_be_leave_nothing_behind(
    scaling: AutoScaling, params: dict[str, Any], words: str
) -> None:
    scaling.register()
    with refused("ValidationException", 400, words):
        scaling.policy(**params)
    assert scaling.alarms() == []
    assert scaling.listed("ScalingPolicies") == []


def test_a_policy_keeps_its_type(scaling: AutoScaling) -> None:
    scaling.register()
    scaling.policy()
    with refused("ValidationException", 400, "TargetTrackingScaling"):
        scaling.policy(**STEPS)


@pytest.mark.docs
@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"Schedule": "soon", "ScalableTargetAction": {"MinCapacity": 1}}, "Invalid schedule"),
        ({"ScalableTargetAction": {"MinCapacity": 1}}, "Schedule is required"),
        ({"Schedule": "rate(1 day)"}, "MinCapacity, MaxCapacity or both"),
        (
            {
                "Schedule": "rate(1 day)",
                "ScalableTargetAction": {"MinCapacity": 3, "MaxCapacity": 1},
            },
            "must not be greater",
        ),
        (
            {
                "Schedule": "rate(1 day)",
                "Timezone": "Mars/Olympus",
                "ScalableTargetAction": {"MinCapacity": 1},
            },
            "Invalid timezone",
        ),
    ],
)
def test_schedules_that_cannot_be_are_refused(
    scaling: AutoScaling, params: dict[str, Any], words: str
) -> None:
    scaling.register()
    with refused("ValidationException", 400, words):
        scaling.call("PutScheduledAction", ScheduledActionName="s", **params)
