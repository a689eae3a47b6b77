"""What is likely to go wrong with a scaling policy: (spec, what was measured) -> warnings. Pure.

Each says what happens and what to do. Source: SageMaker developer guide, "Load testing your auto
scaling configuration"; the alarm figures of public records of real accounts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fogbank.ops.capacity import FILE_NAME, Capacity
from fogbank.ops.spec_scaling import AUTO, METRICS, Scaling

if TYPE_CHECKING:
    from fogbank.ops.spec import Endpoint

HIGH_WINDOW_S = 180
"""AlarmHigh needs three minutes in a row."""

SAFETY_FACTOR = 0.5
"""Of the highest rate that an instance sustained, so much is the target (developer guide)."""

LOW_TARGET = 60
"""Invocations a minute: one a second."""


class NotMeasured(Exception):
    """`target: auto` without a measurement."""


def target_of(scaling: Scaling, capacity: Capacity | None) -> float:
    """The policy's target: the given one, or max RPS x 0.5 x 60. Raises NotMeasured."""
    if scaling.target != AUTO:
        assert not isinstance(scaling.target, str)
        return float(scaling.target)
    if capacity is None:
        raise NotMeasured
    return round(capacity.max_requests_per_s * SAFETY_FACTOR * 60, 2)


def unmeasured(scaling: Scaling, capacity: Capacity | None) -> bool:
    """Whether the endpoint is not scaled yet, because its target is still to be measured."""
    return scaling.target == AUTO and capacity is None


def remarks(endpoint: Endpoint, capacity: Capacity | None) -> tuple[str, ...]:
    """What a person should know about the scaling in fogbank.yaml; nothing where there is none."""
    scaling = endpoint.scaling
    if scaling is None:
        return ()
    if unmeasured(scaling, capacity):
        return (
            "endpoint.scaling.target is auto and nothing was measured yet, so the endpoint is not "
            "scaled: `fogbank scale measure` finds what one instance sustains, then `fogbank scale "
            "set` applies it.",
            *warnings(scaling, capacity),
        )
    found = warnings(scaling, capacity)
    if capacity is not None and capacity.instance_type != endpoint.instance_type:
        found += (
            f"{FILE_NAME} was measured on {capacity.instance_type}, and the endpoint has "
            f"{endpoint.instance_type}: measure again.",
        )
    return found


def meaning(metric: str | None, target: float, *, minimum: int, maximum: int) -> str:
    """What a target comes to, in words."""
    if metric is None or metric not in METRICS:
        return f"{target:g} of {metric}"
    words = f"{target:g} {METRICS[metric]}"
    match metric:
        case "invocations":
            rate = target / 60
            return (
                f"{words}: {rate * minimum:.3g} requests a second with {minimum}, "
                f"{rate * maximum:.3g} with {maximum}"
            )
        case "concurrency":
            return (
                f"{words}: {target * minimum:g} at a time with {minimum}, {target * maximum:g} "
                f"with {maximum}"
            )
        case _:
            return words


def warnings(
    scaling: Scaling, capacity: Capacity | None, quota: int | None = None
) -> tuple[str, ...]:
    """quota: instances of the type that the account may have for endpoints, where it is known."""
    found: list[str] = []
    target = None if scaling.target == AUTO else float(scaling.target)
    if scaling.metric == "invocations" and target is not None:
        found += _of_target(scaling, target, capacity)
    if min(scaling.scale_in_cooldown_s, scaling.scale_out_cooldown_s) < HIGH_WINDOW_S:
        found.append(
            f"a cooldown is shorter than the {HIGH_WINDOW_S} s that the alarm takes to notice: it "
            "makes nothing faster, it only lets instances come and go more often."
        )
    if quota is not None and scaling.max > quota:
        found.append(
            f"max is {scaling.max}, and the account may have {quota} of these instances for "
            "endpoints: scaling beyond that fails with ResourceLimitExceeded. Ask for a higher "
            "quota or lower max."
        )
    return tuple(found)


def _of_target(scaling: Scaling, target: float, capacity: Capacity | None) -> list[str]:
    if capacity is not None:
        advised = capacity.max_requests_per_s * SAFETY_FACTOR * 60
        if target < advised / 2:
            return [
                f"target {target:g} is invocations a minute and instance; one instance sustains "
                f"{capacity.max_requests_per_s:.1f} a second, so {advised:.0f} is what AWS "
                f"advises. With {target:g} instances are added that are not needed."
            ]
        if target > capacity.max_requests_per_s * 60:
            return [
                f"target {target:g} is more than the {capacity.max_requests_per_s * 60:.0f} "
                "invocations a minute that one instance sustains: it would be overloaded before "
                "another one is asked for."
            ]
        return []
    if target < LOW_TARGET:
        return [
            f"target {target:g} is invocations a minute and instance, not requests at a time: "
            f"{target / 60:.2g} requests a second would already add instances. `fogbank scale "
            "measure` finds out what one instance sustains; `metric: concurrency` counts requests "
            "at a time."
        ]
    return []
