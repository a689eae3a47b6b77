"""RegisterScalableTarget, DescribeScalableTargets, DeregisterScalableTarget.

Says what may be scaled and how far; `machines.autoscaling` moves the capacity inside the bounds.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from fogbank.cloud.context import Context, Params, Result
from fogbank.cloud.errors import ValidationException
from fogbank.cloud.ports import Records
from fogbank.cloud.records.scaling import ScalableTarget
from fogbank.cloud.records.tags import Tags
from fogbank.cloud.rules.scalable import scalable
from fogbank.cloud.services.application_autoscaling.common import (
    check_filters,
    existing_target,
    is_asked_for,
    key_of,
    page,
)
from fogbank.cloud.services.base import operation
from fogbank.cloud.state import scalable_targets
from fogbank.core.arn import Scope

CapacityOf = Callable[[str], int | None]

_SUSPENDED = (
    ("DynamicScalingInSuspended", "scale_in_suspended"),
    ("DynamicScalingOutSuspended", "scale_out_suspended"),
    ("ScheduledScalingSuspended", "scheduled_suspended"),
)


class Targets:
    def __init__(self, records: Records, scope: Scope, capacity_of: CapacityOf) -> None:
        self._records = records
        self._scope = scope
        self._capacity_of = capacity_of

    @operation("RegisterScalableTarget")
    def register(self, context: Context, params: Params) -> Result:
        """Registers, or changes what is given of a target that is registered."""
        key = key_of(params)
        kind = scalable(params["ServiceNamespace"], params["ScalableDimension"])
        found = self._records.get(ScalableTarget, key)
        if found is None and self._capacity_of(key) is None:
            raise ValidationException(
                f"{params['ServiceNamespace']} resource doesn't exist: {params['ResourceId']}"
            )
        suspended = params.get("SuspendedState", {})
        changes: dict[str, Any] = {
            field: suspended[member] for member, field in _SUSPENDED if member in suspended
        }
        for member, field in (("MinCapacity", "minimum"), ("MaxCapacity", "maximum")):
            if member in params:
                changes[field] = params[member]
            elif found is None:
                raise ValidationException(
                    f"{member} is required when a scalable target is registered."
                )
        if found is None:
            target = ScalableTarget(
                namespace=params["ServiceNamespace"],
                resource=params["ResourceId"],
                dimension=params["ScalableDimension"],
                arn=self._scope.arn(
                    "application-autoscaling", f"scalable-target/{secrets.token_hex(13)}"
                ),
                role_arn=kind.role_arn(self._scope.account),
                created=context.received,
                **changes,
            )
        else:
            target = replace(found, **changes)
        if not kind.least <= target.minimum <= target.maximum:
            raise ValidationException(
                f"Minimum capacity must be at least {kind.least} and no more than maximum "
                f"capacity: they are {target.minimum} and {target.maximum}."
            )
        with self._records.transaction():
            self._records.put(target)
            if params.get("Tags"):
                self._records.put(Tags(arn=target.arn, tags=params["Tags"]))
        return {"ScalableTargetARN": target.arn}

    @operation("DescribeScalableTargets")
    def describe(self, context: Context, params: Params) -> Result:
        check_filters(params)
        found = [
            target
            for target in self._records.all(ScalableTarget)
            if is_asked_for(target.key, params)
            and target.resource in (params.get("ResourceIds") or (target.resource,))
        ]
        return page(found, params, "ScalableTargets", _shape)

    @operation("DeregisterScalableTarget")
    def deregister(self, context: Context, params: Params) -> Result:
        """Its policies, their alarms and its scheduled actions go with it; what is running stays
        as large as it is."""
        scalable_targets.deregister(
            self._records, existing_target(self._records, params), context.received
        )
        return {}


def _shape(target: ScalableTarget) -> dict[str, Any]:
    return {
        "ServiceNamespace": target.namespace,
        "ResourceId": target.resource,
        "ScalableDimension": target.dimension,
        "MinCapacity": target.minimum,
        "MaxCapacity": target.maximum,
        "RoleARN": target.role_arn,
        "CreationTime": target.created,
        "SuspendedState": {member: getattr(target, field) for member, field in _SUSPENDED},
        "ScalableTargetARN": target.arn,
    }
