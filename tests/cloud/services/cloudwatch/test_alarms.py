"""Alarms on the wire side: what is accepted, shown, refused and remembered."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from cloud.aws import NOW, SCOPE, Service, context, refused
from fogbank.cloud.services.cloudwatch.service import rooms
from fogbank.cloud.state.database import Database
from fogbank.cloud.state.metric_store import MetricStore
from fogbank.cloud.state.records import SqliteRecords
from fogbank.testing.clock import ManualClock

HIGH: dict[str, Any] = {
    "AlarmName": "high",
    "Namespace": "AWS/SageMaker",
    "MetricName": "InvocationsPerInstance",
    "Dimensions": [{"Name": "EndpointName", "Value": "dogs"}],
    "Statistic": "Sum",
    "Period": 60,
    "EvaluationPeriods": 3,
    "Threshold": 120.0,
    "ComparisonOperator": "GreaterThanThreshold",
}


class CloudWatch:
    def __init__(self) -> None:
        store = MetricStore(Database(":memory:", schema="telemetry"), ManualClock(NOW))
        records = SqliteRecords(Database(":memory:"))
        self.service = Service("cloudwatch", *rooms(store, records, SCOPE))

    def call(self, name: str, seconds: float = 0, **params: Any) -> Any:
        return self.service.call(name, context(now=NOW + timedelta(seconds=seconds)), params)

    def put(self, seconds: float = 0, /, **changes: Any) -> None:
        params = {**HIGH, **changes}
        given = {name: value for name, value in params.items() if value is not None}
        self.call("PutMetricAlarm", seconds, **given)

    def alarms(self, **params: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.call("DescribeAlarms", **params)["MetricAlarms"]
        return found


@pytest.fixture
def cloudwatch() -> CloudWatch:
    return CloudWatch()


@pytest.mark.docs
def test_a_new_alarm_has_insufficient_data(cloudwatch: CloudWatch) -> None:
    cloudwatch.put()
    (alarm,) = cloudwatch.alarms()
    assert alarm["StateValue"] == "INSUFFICIENT_DATA"
    assert alarm["StateReason"] == "Unchecked: Initial alarm creation"
    assert alarm["AlarmArn"] == "arn:aws:cloudwatch:us-east-1:123456789012:alarm:high"
    assert alarm["ActionsEnabled"] is True
    assert alarm["AlarmConfigurationUpdatedTimestamp"] == NOW
    assert {name: alarm[name] for name in HIGH} == HIGH


@pytest.mark.docs
def test_an_update_keeps_the_state_and_replaces_the_rest(cloudwatch: CloudWatch) -> None:
    cloudwatch.put(AlarmDescription="old")
    cloudwatch.call("SetAlarmState", 5, AlarmName="high", StateValue="ALARM", StateReason="drill")
    cloudwatch.put(10, Threshold=99.0)
    (alarm,) = cloudwatch.alarms()
    assert (alarm["StateValue"], alarm["StateReason"]) == ("ALARM", "drill")
    assert alarm["Threshold"] == 99.0
    assert "AlarmDescription" not in alarm
    assert alarm["StateTransitionedTimestamp"] == NOW + timedelta(seconds=5)


@pytest.mark.docs
def test_the_history_tells_what_happened(cloudwatch: CloudWatch) -> None:
    cloudwatch.put()
    cloudwatch.call("SetAlarmState", 1, AlarmName="high", StateValue="ALARM", StateReason="a")
    cloudwatch.call("SetAlarmState", 2, AlarmName="high", StateValue="ALARM", StateReason="b")
    cloudwatch.put(3)
    cloudwatch.call("DeleteAlarms", 4, AlarmNames=["high"])
    items = cloudwatch.call("DescribeAlarmHistory", AlarmName="high")["AlarmHistoryItems"]
    assert [(item["HistoryItemType"], item["HistorySummary"]) for item in items] == [
        ("ConfigurationUpdate", 'Alarm "high" deleted'),
        ("ConfigurationUpdate", 'Alarm "high" updated'),
        ("StateUpdate", "Alarm updated from INSUFFICIENT_DATA to ALARM"),
        ("ConfigurationUpdate", 'Alarm "high" created'),
    ]
    states = cloudwatch.call("DescribeAlarmHistory", HistoryItemType="StateUpdate")
    (change,) = states["AlarmHistoryItems"]
    assert json.loads(change["HistoryData"])["newState"] == {
        "stateValue": "ALARM",
        "stateReason": "a",
    }
    first = cloudwatch.call("DescribeAlarmHistory", MaxRecords=3, ScanBy="TimestampAscending")
    second = cloudwatch.call(
        "DescribeAlarmHistory", ScanBy="TimestampAscending", NextToken=first["NextToken"]
    )
    assert (len(first["AlarmHistoryItems"]), len(second["AlarmHistoryItems"])) == (3, 1)
    assert "NextToken" not in second


@pytest.mark.model
def test_alarms_are_found_by_name_prefix_state_and_action(cloudwatch: CloudWatch) -> None:
    cloudwatch.put(AlarmActions=["arn:aws:autoscaling:policy-1"])
    cloudwatch.put(AlarmName="low")
    cloudwatch.put(AlarmName="other", MetricName="Invocations")
    cloudwatch.call("SetAlarmState", AlarmName="low", StateValue="OK", StateReason="fine")

    def names(**params: Any) -> list[str]:
        return [alarm["AlarmName"] for alarm in cloudwatch.alarms(**params)]

    assert names() == ["high", "low", "other"]
    assert names(AlarmNames=["low", "none"]) == ["low"]
    assert names(AlarmNamePrefix="h") == ["high"]
    assert names(StateValue="OK") == ["low"]
    assert names(ActionPrefix="arn:aws:autoscaling:") == ["high"]
    assert names(AlarmTypes=["CompositeAlarm"]) == []
    page = cloudwatch.call("DescribeAlarms", MaxRecords=2)
    assert [alarm["AlarmName"] for alarm in page["MetricAlarms"]] == ["high", "low"]
    assert names(NextToken=page["NextToken"]) == ["other"]
    for_metric = cloudwatch.call(
        "DescribeAlarmsForMetric",
        Namespace="AWS/SageMaker",
        MetricName="InvocationsPerInstance",
        Dimensions=HIGH["Dimensions"],
    )
    assert [alarm["AlarmName"] for alarm in for_metric["MetricAlarms"]] == ["high", "low"]


@pytest.mark.docs
def test_actions_can_be_switched_off(cloudwatch: CloudWatch) -> None:
    cloudwatch.put()
    cloudwatch.call("DisableAlarmActions", AlarmNames=["high", "none"])
    assert cloudwatch.alarms()[0]["ActionsEnabled"] is False
    cloudwatch.call("EnableAlarmActions", AlarmNames=["high"])
    assert cloudwatch.alarms()[0]["ActionsEnabled"] is True


@pytest.mark.model
def test_tags(cloudwatch: CloudWatch) -> None:
    cloudwatch.put(Tags=[{"Key": "team", "Value": "dogs"}])
    arn = cloudwatch.alarms()[0]["AlarmArn"]
    cloudwatch.call("TagResource", ResourceARN=arn, Tags=[{"Key": "stage", "Value": "test"}])
    cloudwatch.call("UntagResource", ResourceARN=arn, TagKeys=["team"])
    assert cloudwatch.call("ListTagsForResource", ResourceARN=arn) == {
        "Tags": [{"Key": "stage", "Value": "test"}]
    }
    with refused("ResourceNotFoundException", 404, "does not exist"):
        cloudwatch.call("ListTagsForResource", ResourceARN=f"{arn}-none")


MATH: list[dict[str, Any]] = [
    {"Id": "e", "Expression": "m / 2"},
    {
        "Id": "m",
        "MetricStat": {
            "Metric": {"Namespace": "A", "MetricName": "B"},
            "Period": 60,
            "Stat": "Sum",
        },
        "ReturnData": False,
    },
]
ALONE = dict.fromkeys(("Namespace", "MetricName", "Dimensions", "Statistic", "Period"))


@pytest.mark.docs
def test_an_alarm_may_watch_an_expression(cloudwatch: CloudWatch) -> None:
    cloudwatch.put(**ALONE, Metrics=MATH)
    (alarm,) = cloudwatch.alarms()
    assert alarm["Metrics"] == MATH
    assert "Dimensions" not in alarm


@pytest.mark.docs
@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        ({"Threshold": None}, "MissingParameter", "Threshold"),
        ({"MetricName": None}, "MissingParameter", "MetricName"),
        ({"Statistic": None}, "InvalidParameterCombination", "Exactly one of Statistic"),
        ({"ExtendedStatistic": "p99"}, "InvalidParameterCombination", "Exactly one of"),
        ({"Statistic": None, "ExtendedStatistic": "p200"}, "InvalidParameterValue", "p200"),
        ({"Period": 45}, "InvalidParameterValue", "Period must be"),
        ({"DatapointsToAlarm": 4}, "InvalidParameterValue", "less than or equal to"),
        ({"TreatMissingData": "panic"}, "InvalidParameterValue", "notBreaching"),
        ({"EvaluationPeriods": 1441}, "InvalidParameterValue", "more than a day"),
        (
            {"Period": 3600, "EvaluationPeriods": 169},
            "InvalidParameterValue",
            "more than a week",
        ),
        (
            {"ComparisonOperator": "GreaterThanUpperThreshold"},
            "InvalidParameterValue",
            "anomaly detection",
        ),
        ({"ThresholdMetricId": "e"}, "InvalidParameterValue", "ThresholdMetricId"),
        ({"Metrics": MATH}, "InvalidParameterCombination", "together with MetricName"),
        (
            {**ALONE, "Metrics": [{**MATH[0], "ReturnData": False}, MATH[1]]},
            "InvalidParameterCombination",
            "Exactly one element",
        ),
        ({**ALONE, "Metrics": MATH[:1]}, "ValidationError", "names m"),
        (
            {**ALONE, "Metrics": [{"Id": "s", "Expression": "SEARCH('a', 'Sum', 60)"}]},
            "InvalidParameterValue",
            "SEARCH cannot be used in an alarm",
        ),
    ],
)
def test_alarms_that_cannot_be_are_refused(
    cloudwatch: CloudWatch, changes: dict[str, Any], code: str, words: str
) -> None:
    with refused(code, 400, words):
        cloudwatch.put(**changes)
    assert cloudwatch.alarms() == []


@pytest.mark.model
def test_what_does_not_exist_is_not_found(cloudwatch: CloudWatch) -> None:
    with refused("ResourceNotFound", 404, "none"):
        cloudwatch.call("DeleteAlarms", AlarmNames=["none"])
    with refused("ResourceNotFound", 404, "none"):
        cloudwatch.call("SetAlarmState", AlarmName="none", StateValue="OK", StateReason="")
    cloudwatch.put()
    with refused("InvalidFormat", 400, "JSON"):
        cloudwatch.call(
            "SetAlarmState",
            AlarmName="high",
            StateValue="OK",
            StateReason="",
            StateReasonData="{",
        )
    with refused("InvalidNextToken", 400):
        cloudwatch.call("DescribeAlarms", NextToken="gibberish")
