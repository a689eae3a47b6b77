"""PutScheduledAction, DescribeScheduledActions, DeleteScheduledAction."""

from __future__ import annotations

from typing import Any

from fogbank.cloud.context import Context, Params, Result
from fogbank.cloud.errors import ValidationException
from fogbank.cloud.ports import Records
from fogbank.cloud.records.scaling import ScheduledAction
from fogbank.cloud.rules.schedule import next_due
from fogbank.cloud.services.application_autoscaling.common import (
    check_filters,
    described,
    existing_target,
    is_asked_for,
    key_of,
    not_found,
    owned_arn,
    page,
)
from fogbank.cloud.services.base import operation
from fogbank.core.arn import Scope


class ScheduledActions:
    def __init__(self, records: Records, scope: Scope) -> None:
        self._records = records
        self._scope = scope

    @operation("PutScheduledAction")
    def put(self, context: Context, params: Params) -> Result:
        """Creates, or changes what is given of an action of that name."""
        target = existing_target(self._records, params)
        name: str = params["ScheduledActionName"]
        found = self._records.get(ScheduledAction, f"{target.key}|{name}")
        schedule = params.get("Schedule") or (found.schedule if found else None)
        bounds = params.get("ScalableTargetAction", {})
        minimum = bounds.get("MinCapacity", found.minimum if found else None)
        maximum = bounds.get("MaxCapacity", found.maximum if found else None)
        if schedule is None:
            raise ValidationException("Schedule is required for a new scheduled action.")
        if minimum is None and maximum is None:
            raise ValidationException(
                "ScalableTargetAction needs MinCapacity, MaxCapacity or both."
            )
        if minimum is not None and maximum is not None and minimum > maximum:
            raise ValidationException(
                f"MinCapacity {minimum} must not be greater than MaxCapacity {maximum}."
            )
        timezone = params.get("Timezone") or (found.timezone if found else "UTC")
        next_due(schedule, timezone, context.received, context.received)
        start = params.get("StartTime") or (found.start if found else None)
        end = params.get("EndTime") or (found.end if found else None)
        if start is not None and end is not None and start >= end:
            raise ValidationException("StartTime must be earlier than EndTime.")
        self._records.put(
            ScheduledAction(
                target=target.key,
                name=name,
                arn=found.arn
                if found
                else owned_arn(
                    self._scope, target, "scheduledAction", f"scheduledActionName/{name}"
                ),
                schedule=schedule,
                timezone=timezone,
                start=start,
                end=end,
                minimum=minimum,
                maximum=maximum,
                created=context.received,
            )
        )
        return {}

    @operation("DescribeScheduledActions")
    def describe(self, context: Context, params: Params) -> Result:
        check_filters(params)
        found = [
            action
            for action in self._records.all(ScheduledAction)
            if is_asked_for(action.target, params)
            and action.name in (params.get("ScheduledActionNames") or (action.name,))
        ]
        return page(found, params, "ScheduledActions", _shape)

    @operation("DeleteScheduledAction")
    def delete(self, context: Context, params: Params) -> Result:
        name: str = params["ScheduledActionName"]
        if self._records.delete(ScheduledAction, f"{key_of(params)}|{name}") is None:
            raise not_found(f"No scheduled action named {name} found for", params)
        return {}


def _shape(action: ScheduledAction) -> dict[str, Any]:
    bounds = {"MinCapacity": action.minimum, "MaxCapacity": action.maximum}
    times = {"StartTime": action.start, "EndTime": action.end}
    return {
        **described(action.target),
        "ScheduledActionName": action.name,
        "ScheduledActionARN": action.arn,
        "Schedule": action.schedule,
        "Timezone": action.timezone,
        **{name: value for name, value in times.items() if value is not None},
        "ScalableTargetAction": {k: v for k, v in bounds.items() if v is not None},
        "CreationTime": action.created,
    }
