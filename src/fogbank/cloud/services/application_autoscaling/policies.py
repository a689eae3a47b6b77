"""PutScalingPolicy, DescribeScalingPolicies, DeleteScalingPolicy.

A target tracking policy makes, owns and deletes its two alarms; a step policy is named by alarms
that somebody else makes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from uuid import uuid4

from fogbank.cloud.context import Context, Params, Result
from fogbank.cloud.errors import ValidationException
from fogbank.cloud.ports import Records
from fogbank.cloud.records.alarm import Alarm
from fogbank.cloud.records.scaling import ScalableTarget, ScalingPolicy
from fogbank.cloud.rules.scalable import scalable, watched_metric
from fogbank.cloud.rules.step_scaling import StepScaling
from fogbank.cloud.rules.target_tracking import alarm_requests
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
from fogbank.cloud.state import alarms
from fogbank.core.arn import Scope

_CONFIGS = {
    "StepScaling": "StepScalingPolicyConfiguration",
    "TargetTrackingScaling": "TargetTrackingScalingPolicyConfiguration",
}


class Policies:
    def __init__(self, records: Records, scope: Scope) -> None:
        self._records = records
        self._scope = scope

    @operation("PutScalingPolicy")
    def put(self, context: Context, params: Params) -> Result:
        """Creates, or replaces the whole configuration of a policy of that name."""
        target = existing_target(self._records, params)
        name: str = params["PolicyName"]
        found = self._records.get(ScalingPolicy, f"{target.key}|{name}")
        type_ = params.get("PolicyType") or (found.type if found else "StepScaling")
        if type_ not in _CONFIGS:
            raise ValidationException(
                f"Fogbank does not support PolicyType {type_} yet. Nothing was changed."
            )
        if found is not None and found.type != type_:
            raise ValidationException(
                f"The policy {name} is of type {found.type}: the type of a policy cannot change. "
                "Delete it first."
            )
        config = params.get(_CONFIGS[type_])
        if not config:
            raise ValidationException(f"{_CONFIGS[type_]} is required for PolicyType {type_}.")
        policy = ScalingPolicy(
            target=target.key,
            name=name,
            arn=found.arn
            if found
            else owned_arn(self._scope, target, "scalingPolicy", f"policyName/{name}"),
            type=type_,
            config=config,
            created=found.created if found else context.received,
        )
        with self._records.transaction():
            if type_ == "TargetTrackingScaling":
                policy = self._with_alarms(policy, target, found, context)
            else:
                kind = scalable(target.namespace, target.dimension)
                StepScaling.of(name, config, default_cooldown_s=kind.default_cooldown_s)
            self._records.put(policy)
        return {"PolicyARN": policy.arn, "Alarms": self._alarms(policy)}

    def _with_alarms(
        self,
        policy: ScalingPolicy,
        target: ScalableTarget,
        found: ScalingPolicy | None,
        context: Context,
    ) -> ScalingPolicy:
        """Write the two alarms; those of an earlier version of the policy keep their names."""
        kind = scalable(target.namespace, target.dimension)
        metric = watched_metric(kind, kind.parts(target.resource), policy.config)
        if policy.config["TargetValue"] <= 0:
            raise ValidationException("TargetValue must be greater than 0.")
        prefix = f"TargetTracking-{target.resource}"
        if found is None:
            ids = (str(uuid4()), str(uuid4()))
        else:
            high_name, low_name = found.alarms
            ids = (
                high_name.removeprefix(f"{prefix}-AlarmHigh-"),
                low_name.removeprefix(f"{prefix}-AlarmLow-"),
            )
        requests = alarm_requests(
            prefix=prefix,
            ids=ids,
            metric=metric,
            target_value=policy.config["TargetValue"],
            policy_arn=policy.arn,
            low_periods=kind.low_periods,
        )
        for request in requests:
            alarms.put(self._records, self._scope, request, context.received)
        return replace(policy, alarms=tuple(request["AlarmName"] for request in requests))

    def _alarms(self, policy: ScalingPolicy) -> list[dict[str, str]]:
        """The policy's own alarms, or those of others that name it."""
        if policy.type == "TargetTrackingScaling":
            named = [self._records.get(Alarm, name) for name in policy.alarms]
            found = [alarm for alarm in named if alarm is not None]
        else:
            found = [
                alarm
                for alarm in self._records.all(Alarm)
                if policy.arn in alarm.request.get("AlarmActions", ())
            ]
        return [{"AlarmName": alarm.name, "AlarmARN": alarm.arn} for alarm in found]

    @operation("DescribeScalingPolicies")
    def describe(self, context: Context, params: Params) -> Result:
        check_filters(params)
        found = [
            policy
            for policy in self._records.all(ScalingPolicy)
            if is_asked_for(policy.target, params)
            and policy.name in (params.get("PolicyNames") or (policy.name,))
        ]
        return page(found, params, "ScalingPolicies", self._shape)

    def _shape(self, policy: ScalingPolicy) -> Mapping[str, Any]:
        return {
            **described(policy.target),
            "PolicyARN": policy.arn,
            "PolicyName": policy.name,
            "PolicyType": policy.type,
            _CONFIGS[policy.type]: policy.config,
            "Alarms": self._alarms(policy),
            "CreationTime": policy.created,
        }

    @operation("DeleteScalingPolicy")
    def delete(self, context: Context, params: Params) -> Result:
        """A target tracking policy's alarms go with it; a step policy's are somebody else's."""
        with self._records.transaction():
            policy = self._records.delete(ScalingPolicy, f"{key_of(params)}|{params['PolicyName']}")
            if policy is None:
                raise not_found(f"No scaling policy named {params['PolicyName']} found for", params)
            for alarm in policy.alarms:
                alarms.delete(self._records, alarm, context.received)
        return {}
