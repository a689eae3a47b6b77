"""DescribeScalingActivities: what was done in the last six weeks, the newest first."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from fogbank.cloud.context import Context, Params, Result
from fogbank.cloud.ports import Records
from fogbank.cloud.records.scaling import ScalingActivity
from fogbank.cloud.services.application_autoscaling.common import (
    check_filters,
    described,
    is_asked_for,
    page,
)
from fogbank.cloud.services.base import operation

KEPT = timedelta(weeks=6)


class Activities:
    def __init__(self, records: Records) -> None:
        self._records = records

    @operation("DescribeScalingActivities")
    def describe(self, context: Context, params: Params) -> Result:
        """Those that changed nothing are shown where IncludeNotScaledActivities asks for them."""
        check_filters(params)
        everything = params.get("IncludeNotScaledActivities", False)
        found = [
            activity
            for activity in self._records.all(ScalingActivity)
            if is_asked_for(activity.target, params)
            and (everything or not activity.not_scaled)
            and context.received - activity.started <= KEPT
        ]
        found.sort(key=lambda activity: activity.number, reverse=True)
        return page(found, params, "ScalingActivities", _shape)


def _shape(activity: ScalingActivity) -> dict[str, Any]:
    shape: dict[str, Any] = {
        "ActivityId": activity.id,
        **described(activity.target),
        "Description": activity.description,
        "Cause": activity.cause,
        "StartTime": activity.started,
        "StatusCode": activity.status,
    }
    if activity.ended is not None:
        shape["EndTime"] = activity.ended
    if activity.message:
        shape["StatusMessage"] = activity.message
    if activity.not_scaled:
        shape["NotScaledReasons"] = list(activity.not_scaled)
    return shape
