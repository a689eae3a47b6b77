"""What a target tracking policy wants: (its target, its alarms, the metric, the capacity) -> a
proposal, or the reason for none; and the two alarms that it rests on.

Sources: Application Auto Scaling User Guide, "Target tracking scaling policies"; the alarms'
figures are those of public records of real accounts. How far AWS scales in at a time is not
documented ("more gradually"): SCALE_IN_STEP is our choice.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fogbank.cloud.rules.scaling import Bounds, Measure, Proposal

SCALE_IN_STEP = 1
"""How much capacity one scale-in takes away at most."""

LOW_SHARE = 0.9
"""The low alarm's threshold, as a share of the target."""

HIGH_PERIODS, LOW_PERIODS = 3, 15
"""Datapoints in a row for the two alarms of a SageMaker variant."""

LAMBDA_LOW_PERIODS = 3
"""Provisioned concurrency of Lambda scales in as soon as it scales out (Lambda Developer Guide)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetTracking:
    """The part of the policy's configuration that decides.

    out_cooldown_s, in_cooldown_s: of the configuration, or the defaults of what is scaled.
    """

    name: str
    target_value: float
    out_cooldown_s: float
    in_cooldown_s: float
    scale_in: bool = True

    @classmethod
    def of(
        cls, name: str, config: Mapping[str, Any], *, default_cooldown_s: float
    ) -> TargetTracking:
        """From TargetTrackingScalingPolicyConfiguration."""
        return cls(
            name=name,
            target_value=config["TargetValue"],
            out_cooldown_s=config.get("ScaleOutCooldown", default_cooldown_s),
            in_cooldown_s=config.get("ScaleInCooldown", default_cooldown_s),
            scale_in=not config.get("DisableScaleIn", False),
        )


def propose_out(
    policy: TargetTracking, metric: Measure, capacity: int, bounds: Bounds, cause: str
) -> Proposal:
    """While the high alarm is in ALARM. The metric is the average over the instances, so that
    capacity x metric / target of them would bring it to its target; rounded up, so that it is
    never too little. 1 instance, metric 300, target 120: 2.5, so 3."""
    want = math.ceil(_exact(capacity * metric.value / policy.target_value))
    return Proposal(
        policy=policy.name,
        measured=metric.at,
        direction="out",
        capacity=max(capacity, min(bounds.maximum, want)),
        cooldown_s=policy.out_cooldown_s,
        cause=cause,
    )


def propose_in(
    policy: TargetTracking, metric: Measure, capacity: int, bounds: Bounds, cause: str
) -> Proposal:
    """While the low alarm is in ALARM: one step down, never below what the metric asks for."""
    want = math.ceil(_exact(capacity * metric.value / policy.target_value))
    return Proposal(
        policy=policy.name,
        measured=metric.at,
        direction="in",
        capacity=min(capacity, max(bounds.minimum, want, capacity - SCALE_IN_STEP)),
        cooldown_s=policy.in_cooldown_s,
        cause=cause,
    )


def _exact(value: float) -> float:
    """Without what binary fractions add: 3 * 0.7 / 0.7 must not become 4."""
    return round(value, 9)


def alarm_requests(
    *,
    prefix: str,
    ids: tuple[str, str],
    metric: Mapping[str, Any],
    target_value: float,
    policy_arn: str,
    low_periods: int = LOW_PERIODS,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """PutMetricAlarm's input for the (high, low) alarm of a policy.

    prefix: `TargetTracking-endpoint/E/variant/V`. ids: what ends the two names, random UUIDs.
    metric: Namespace, MetricName, Dimensions, Statistic, Unit and Period, or Metrics.
    """
    description = f"DO NOT EDIT OR DELETE. For TargetTrackingScaling policy {policy_arn}."

    def request(
        side: str, number: str, comparison: str, threshold: float, n: int
    ) -> dict[str, Any]:
        return {
            **metric,
            "AlarmName": f"{prefix}-Alarm{side}-{number}",
            "AlarmDescription": description,
            "ActionsEnabled": True,
            "AlarmActions": [policy_arn],
            "ComparisonOperator": comparison,
            "Threshold": threshold,
            "EvaluationPeriods": n,
        }

    high = request("High", ids[0], "GreaterThanThreshold", target_value, HIGH_PERIODS)
    low = request("Low", ids[1], "LessThanThreshold", _exact(target_value * LOW_SHARE), low_periods)
    return high, low
