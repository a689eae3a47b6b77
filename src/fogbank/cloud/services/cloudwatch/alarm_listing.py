"""DescribeAlarms, DescribeAlarmsForMetric, DescribeAlarmHistory (CloudWatch API Reference)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from fogbank.cloud.context import Context, Params, Result
from fogbank.cloud.errors import ServiceError
from fogbank.cloud.ports import Records
from fogbank.cloud.records.alarm import Alarm, AlarmEvent
from fogbank.cloud.services.base import operation
from fogbank.cloud.services.cloudwatch.parameters import dimensions_of, invalid_combination
from fogbank.cloud.services.paging import BadToken, page_by_place

PAGE_SIZE, HISTORY_PAGE_SIZE = 50, 100
METRIC_ALARM = "MetricAlarm"

T = TypeVar("T")


class AlarmListing:
    def __init__(self, records: Records) -> None:
        self._records = records

    @operation("DescribeAlarms")
    def describe_alarms(self, context: Context, params: Params) -> Result:
        if "AlarmNames" in params and "AlarmNamePrefix" in params:
            raise invalid_combination(
                "AlarmNames and AlarmNamePrefix cannot be specified together."
            )
        if any(name in params for name in ("ChildrenOfAlarmName", "ParentsOfAlarmName")):
            found: list[Alarm] = []  # no composite alarms, so nobody has children or parents
        elif METRIC_ALARM not in params.get("AlarmTypes", (METRIC_ALARM,)):
            found = []
        else:
            found = [
                alarm
                for alarm in self._records.all(Alarm, prefix=params.get("AlarmNamePrefix", ""))
                if alarm.name in params.get("AlarmNames", (alarm.name,))
                and alarm.state == params.get("StateValue", alarm.state)
                and _has_action(alarm, params.get("ActionPrefix"))
            ]
        shown, more = _page(found, params, PAGE_SIZE)
        return {"MetricAlarms": [_shape(alarm) for alarm in shown], "CompositeAlarms": [], **more}

    @operation("DescribeAlarmsForMetric")
    def describe_alarms_for_metric(self, context: Context, params: Params) -> Result:
        """Alarms on exactly that metric; not those whose expression uses it."""
        wanted = dimensions_of(params.get("Dimensions", ()))
        filters = ("MetricName", "Namespace", "Statistic", "ExtendedStatistic", "Period", "Unit")
        found = [
            alarm
            for alarm in self._records.all(Alarm)
            if all(alarm.request.get(name) == params[name] for name in filters if name in params)
            and dimensions_of(alarm.request.get("Dimensions", ())) == wanted
        ]
        return {"MetricAlarms": [_shape(alarm) for alarm in found]}

    @operation("DescribeAlarmHistory")
    def describe_alarm_history(self, context: Context, params: Params) -> Result:
        found = [
            event
            for event in self._records.all(AlarmEvent)
            if event.alarm == params.get("AlarmName", event.alarm)
            and event.type == params.get("HistoryItemType", event.type)
            and params.get("StartDate", event.at) <= event.at <= params.get("EndDate", event.at)
            and METRIC_ALARM in params.get("AlarmTypes", (METRIC_ALARM,))
        ]
        if params.get("ScanBy", "TimestampDescending") == "TimestampDescending":
            found.reverse()
        shown, more = _page(found, params, HISTORY_PAGE_SIZE)
        return {"AlarmHistoryItems": [_event(event) for event in shown], **more}


def _has_action(alarm: Alarm, prefix: str | None) -> bool:
    if prefix is None:
        return True
    kinds = ("AlarmActions", "OKActions", "InsufficientDataActions")
    return any(arn.startswith(prefix) for kind in kinds for arn in alarm.request.get(kind, ()))


def _page(found: Sequence[T], params: Params, size: int) -> tuple[Sequence[T], dict[str, str]]:
    """A page, and NextToken where there is more."""
    try:
        shown, more = page_by_place(found, params.get("NextToken"), params.get("MaxRecords", size))
    except BadToken as error:
        raise ServiceError("InvalidNextToken", "The next token specified is invalid.") from error
    return shown, {} if more is None else {"NextToken": more}


def _shape(alarm: Alarm) -> dict[str, Any]:
    request = alarm.request
    shape = {
        **{"OKActions": [], "AlarmActions": [], "InsufficientDataActions": []},
        **({} if "Metrics" in request else {"Dimensions": []}),
        **request,
        "ActionsEnabled": request.get("ActionsEnabled", True),
        "AlarmArn": alarm.arn,
        "AlarmConfigurationUpdatedTimestamp": alarm.configured,
        "StateValue": alarm.state,
        "StateReason": alarm.state_reason,
        "StateUpdatedTimestamp": alarm.updated,
        "StateTransitionedTimestamp": alarm.transitioned,
    }
    if alarm.state_reason_data is not None:
        shape["StateReasonData"] = alarm.state_reason_data
    return shape


def _event(event: AlarmEvent) -> dict[str, Any]:
    return {
        "AlarmName": event.alarm,
        "AlarmType": METRIC_ALARM,
        "Timestamp": event.at,
        "HistoryItemType": event.type,
        "HistorySummary": event.summary,
        "HistoryData": event.data,
    }
