"""How a scalable target goes: with all that hangs on it. DeregisterScalableTarget does it, and
DeleteEndpoint for the variants of the endpoint.
"""

from __future__ import annotations

from datetime import datetime

from fogbank.cloud.ports import Records
from fogbank.cloud.records.scaling import ScalableTarget, ScalingPolicy, ScheduledAction
from fogbank.cloud.records.tags import Tags
from fogbank.cloud.state import alarms


def deregister(records: Records, target: ScalableTarget, now: datetime) -> None:
    """Its policies, their alarms, its scheduled actions and tags go with it; what was done stays
    to be read."""
    with records.transaction():
        for policy in records.all(ScalingPolicy, prefix=f"{target.key}|"):
            for alarm in policy.alarms:
                alarms.delete(records, alarm, now)
            records.delete(ScalingPolicy, policy.key)
        for action in records.all(ScheduledAction, prefix=f"{target.key}|"):
            records.delete(ScheduledAction, action.key)
        records.delete(Tags, target.arn)
        records.delete(ScalableTarget, target.key)
