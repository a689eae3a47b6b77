"""What a step scaling policy wants: (its steps, the metric, the alarm's threshold, the capacity)
-> a proposal, or none where no step fits.

Source: Application Auto Scaling User Guide, "Step scaling policies" and the API reference,
StepScalingPolicyConfiguration.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from fogbank.cloud.errors import ValidationException
from fogbank.cloud.rules.scaling import Bounds, Measure, Proposal


@dataclass(frozen=True, slots=True)
class Step:
    """Bounds are distances from the alarm's threshold; -inf and inf where they are left out."""

    lower: float
    upper: float
    adjustment: int

    def holds(self, distance: float) -> bool:
        """Above the threshold the lower bound belongs to the step, below it the upper one."""
        if distance >= 0:
            return self.lower <= distance < self.upper
        return self.lower < distance <= self.upper


@dataclass(frozen=True, slots=True, kw_only=True)
class StepScaling:
    """min_magnitude: of PercentChangeInCapacity, at least so many instances at a time."""

    name: str
    adjustment_type: str
    steps: Sequence[Step]
    cooldown_s: float
    min_magnitude: int = 0

    @classmethod
    def of(cls, name: str, config: Mapping[str, Any], *, default_cooldown_s: float) -> StepScaling:
        """From StepScalingPolicyConfiguration. Raises ValidationException for steps that overlap,
        leave a gap or are open twice on one side."""
        if "AdjustmentType" not in config or not config.get("StepAdjustments"):
            raise ValidationException(
                "AdjustmentType and at least one of StepAdjustments must be specified for a step "
                "scaling policy"
            )
        steps = sorted(map(_step, config["StepAdjustments"]), key=lambda step: step.lower)
        _check(steps)
        return cls(
            name=name,
            adjustment_type=config["AdjustmentType"],
            steps=steps,
            cooldown_s=config.get("Cooldown", default_cooldown_s),
            min_magnitude=config.get("MinAdjustmentMagnitude", 0),
        )


def _step(given: Mapping[str, Any]) -> Step:
    lower = given.get("MetricIntervalLowerBound", -math.inf)
    upper = given.get("MetricIntervalUpperBound", math.inf)
    if lower >= upper:
        raise ValidationException(
            "The upper bound of a step adjustment must be greater than its lower bound"
        )
    return Step(lower, upper, given["ScalingAdjustment"])


def _check(steps: Sequence[Step]) -> None:
    if sum(step.lower == -math.inf for step in steps) > 1:
        raise ValidationException(
            "At most one StepAdjustment may have an unspecified MetricIntervalLowerBound"
        )
    if sum(step.upper == math.inf for step in steps) > 1:
        raise ValidationException(
            "At most one StepAdjustment may have an unspecified MetricIntervalUpperBound"
        )
    for one, other in pairwise(steps):
        if one.upper > other.lower:
            raise ValidationException("StepAdjustment intervals can't overlap")
        if one.upper < other.lower:
            raise ValidationException("There must not be a gap between StepAdjustment intervals")


def propose(
    policy: StepScaling,
    metric: Measure,
    threshold: float,
    capacity: int,
    bounds: Bounds,
    cause: str,
) -> Proposal | None:
    """While an alarm that names the policy is in ALARM; None where no step holds the metric or the
    step that does changes nothing."""
    distance = metric.value - threshold
    step = next((step for step in policy.steps if step.holds(distance)), None)
    if step is None:
        return None
    want = _adjusted(policy, step.adjustment, capacity)
    if want == capacity:
        return None
    return Proposal(
        policy=policy.name,
        measured=metric.at,
        direction="out" if want > capacity else "in",
        capacity=bounds.clamp(want),
        cooldown_s=policy.cooldown_s,
        cause=cause,
    )


def _adjusted(policy: StepScaling, adjustment: int, capacity: int) -> int:
    match policy.adjustment_type:
        case "ExactCapacity":
            return adjustment
        case "PercentChangeInCapacity":
            change = _whole(capacity * adjustment / 100)
            if change and abs(change) < policy.min_magnitude:
                change = int(math.copysign(policy.min_magnitude, change))
            return capacity + change
        case _:
            return capacity + adjustment


def _whole(change: float) -> int:
    """Percentages seldom make whole instances: beyond 1 they are rounded towards zero (12.7 to 12,
    -6.67 to -6), and up to 1 away from it (0.67 to 1, -0.58 to -1)."""
    if change == 0:
        return 0
    return int(change) if abs(change) > 1 else int(math.copysign(1, change))
