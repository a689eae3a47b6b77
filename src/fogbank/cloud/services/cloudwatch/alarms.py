"""PutMetricAlarm, DeleteAlarms, SetAlarmState, EnableAlarmActions, DisableAlarmActions.

Says what is to be watched; `machines.alarms` watches. Sources: CloudWatch API Reference; User
Guide, "Using Amazon CloudWatch alarms".
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from fogbank.cloud.context import Context, Params, Result
from fogbank.cloud.errors import ServiceError
from fogbank.cloud.ports import Records
from fogbank.cloud.records.alarm import Alarm
from fogbank.cloud.records.tags import Tags
from fogbank.cloud.rules import alarm as rule
from fogbank.cloud.services.base import operation
from fogbank.cloud.services.cloudwatch.parameters import (
    dimensions_of,
    invalid_combination,
    invalid_value,
)
from fogbank.cloud.services.cloudwatch.parameters import missing as missing_parameter
from fogbank.cloud.state import alarms
from fogbank.cloud.state.metric_query import is_period, read_queries
from fogbank.cloud.state.metric_search import Search
from fogbank.cloud.state.statistics import STATISTICS, statistic
from fogbank.core.arn import Scope

MAX_EVALUATED_S = 7 * 86_400
"""EvaluationPeriods x Period may not be longer: a week for periods of an hour and more."""

DAY_S = 86_400

_TREATMENTS = ("breaching", "notBreaching", "ignore", "missing")

_SINGLE = ("MetricName", "Namespace", "Dimensions", "Period", "Unit", "Statistic")
_UNSUPPORTED = ("ThresholdMetricId", "EvaluationCriteria", "EvaluationInterval")


class Alarms:
    def __init__(self, records: Records, scope: Scope) -> None:
        self._records = records
        self._scope = scope

    @operation("PutMetricAlarm")
    def put_metric_alarm(self, context: Context, params: Params) -> Result:
        """An alarm that exists keeps its state, unless it is created anew under the name."""
        check(params)
        request = {key: value for key, value in params.items() if key != "Tags"}
        is_new = self._records.get(Alarm, params["AlarmName"]) is None
        with self._records.transaction():
            alarm = alarms.put(self._records, self._scope, request, context.received)
            if is_new and params.get("Tags"):
                tags = {tag["Key"]: tag["Value"] for tag in params["Tags"]}
                self._records.put(Tags(arn=alarm.arn, tags=tags))
        return {}

    @operation("DeleteAlarms")
    def delete_alarms(self, context: Context, params: Params) -> Result:
        """All or none: a name that does not exist is an error only if it stands alone."""
        names: list[str] = params["AlarmNames"]
        if len(names) == 1 and self._records.get(Alarm, names[0]) is None:
            raise not_found(names[0])
        with self._records.transaction():
            for name in names:
                alarms.delete(self._records, name, context.received)
        return {}

    @operation("SetAlarmState")
    def set_alarm_state(self, context: Context, params: Params) -> Result:
        """Until the next evaluation, which sees what the metric says."""
        alarm = self._alarm(params["AlarmName"])
        data: str | None = params.get("StateReasonData")
        if data is not None and not _is_json(data):
            raise ServiceError(
                "InvalidFormat", "TemplateBody was not valid JSON: StateReasonData is not."
            )
        alarms.change_state(
            self._records,
            alarm,
            params["StateValue"],
            params["StateReason"],
            data,
            context.received,
        )
        return {}

    @operation("EnableAlarmActions")
    def enable_alarm_actions(self, context: Context, params: Params) -> Result:
        return self._set_actions(params["AlarmNames"], enabled=True)

    @operation("DisableAlarmActions")
    def disable_alarm_actions(self, context: Context, params: Params) -> Result:
        return self._set_actions(params["AlarmNames"], enabled=False)

    def _set_actions(self, names: list[str], *, enabled: bool) -> Result:
        """Names that do not exist are passed over, as on AWS."""
        found = [self._records.get(Alarm, name) for name in names]
        self._records.put(
            *(
                replace(alarm, request={**alarm.request, "ActionsEnabled": enabled})
                for alarm in found
                if alarm is not None
            )
        )
        return {}

    def _alarm(self, name: str) -> Alarm:
        alarm = self._records.get(Alarm, name)
        if alarm is None:
            raise not_found(name)
        return alarm


def not_found(name: str) -> ServiceError:
    return ServiceError("ResourceNotFound", f"Alarm {name} does not exist", status=404)


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def check(params: Mapping[str, Any]) -> None:
    """Raises what CloudWatch answers to an alarm that cannot be."""
    for name in _UNSUPPORTED:
        if name in params:
            raise invalid_value(
                f"Fogbank does not support {name} in PutMetricAlarm yet: it watches metrics and "
                "expressions with a static Threshold. Nothing was created."
            )
    for name in ("ComparisonOperator", "EvaluationPeriods", "Threshold"):
        if name not in params:
            raise missing_parameter(f"The parameter {name} is required.")
    if params["ComparisonOperator"] not in rule.STATIC_COMPARISONS:
        raise invalid_value(
            f"The ComparisonOperator {params['ComparisonOperator']} needs an anomaly detection "
            f"model, which Fogbank has not: use one of {', '.join(rule.STATIC_COMPARISONS)}."
        )
    treatment = params.get("TreatMissingData", "missing")
    if treatment not in _TREATMENTS:
        raise invalid_value(
            f"The value {treatment} for parameter TreatMissingData is not supported. Valid values "
            f"are: {', '.join(_TREATMENTS)}."
        )
    periods: int = params["EvaluationPeriods"]
    if params.get("DatapointsToAlarm", 1) > periods:
        raise invalid_value(
            "DatapointsToAlarm must be less than or equal to EvaluationPeriods: "
            f"{params['DatapointsToAlarm']} is greater than {periods}."
        )
    period_s = _checked_metrics(params) if params.get("Metrics") else _checked_metric(params)
    longest_s = MAX_EVALUATED_S if period_s >= 3600 else DAY_S
    if periods * period_s > longest_s:
        raise invalid_value(
            "Metrics cannot be checked across more than "
            f"{'a week' if longest_s > DAY_S else 'a day'} "
            f"(EvaluationPeriods * Period must be <= {longest_s})."
        )


def _checked_metric(params: Mapping[str, Any]) -> int:
    for name in ("MetricName", "Namespace", "Period"):
        if name not in params:
            raise missing_parameter(f"The parameter {name} is required.")
    if ("Statistic" in params) == ("ExtendedStatistic" in params):
        raise invalid_combination(
            "Exactly one of Statistic and ExtendedStatistic must be specified."
        )
    extended = params.get("ExtendedStatistic")
    if extended is not None and (extended in STATISTICS or statistic(extended) is None):
        raise invalid_value(
            f"The value {extended} for parameter ExtendedStatistic is not supported."
        )
    if not is_period(params["Period"]):
        raise invalid_value("Period must be 10, 20, 30 or a multiple of 60.")
    dimensions_of(params.get("Dimensions", ()))
    return int(params["Period"])


def _checked_metrics(params: Mapping[str, Any]) -> int:
    given = [name for name in (*_SINGLE, "ExtendedStatistic") if name in params]
    if given:
        raise invalid_combination(f"Metrics cannot be specified together with {', '.join(given)}.")
    queries = read_queries(params["Metrics"])
    if any(isinstance(query.source, Search) for query in queries):
        raise invalid_value("SEARCH cannot be used in an alarm.")
    returned = [query for query in queries if query.returned]
    if len(returned) != 1:
        raise invalid_combination(
            "Exactly one element of the metrics list should return data: set ReturnData to false "
            "for the others."
        )
    return returned[0].period_s
