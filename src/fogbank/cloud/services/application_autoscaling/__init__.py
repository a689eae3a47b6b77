"""Application Auto Scaling: targets, policies, scheduled actions, what was done."""

from __future__ import annotations

from fogbank.cloud.ports import Records
from fogbank.cloud.services.application_autoscaling.activities import Activities
from fogbank.cloud.services.application_autoscaling.policies import Policies
from fogbank.cloud.services.application_autoscaling.scheduled_actions import ScheduledActions
from fogbank.cloud.services.application_autoscaling.tags import TargetTags
from fogbank.cloud.services.application_autoscaling.targets import CapacityOf, Targets
from fogbank.core.arn import Scope


def rooms(records: Records, scope: Scope, capacity_of: CapacityOf) -> tuple[object, ...]:
    """Everything that `base.dispatch_table` needs.

    capacity_of: (target key) -> what a resource has now; None where it does not exist.
    """
    return (
        Targets(records, scope, capacity_of),
        Policies(records, scope),
        ScheduledActions(records, scope),
        Activities(records),
        TargetTags(records),
    )
