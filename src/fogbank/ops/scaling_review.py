"""What is likely to go wrong with a scaling policy: (spec, what was measured, how it stands, the
account's quota) -> warnings. Pure.

Each says what happens and what to do. Source: SageMaker developer guide, "Load testing your auto
scaling configuration"; the alarm figures of public records of real accounts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fogbank.ops.capacity import FILE_NAME, Capacity
from fogbank.ops.scalable_variant import variant_key
from fogbank.ops.spec_scaling import AUTO, METRICS, Scaling

if TYPE_CHECKING:
    from fogbank.ops.instance_quota import InstanceQuota
    from fogbank.ops.kinds.scaling import Found
    from fogbank.ops.spec import Endpoint

HIGH_WINDOW_S = 180
"""AlarmHigh needs three minutes in a row."""

SAFETY_FACTOR = 0.5
"""Of the highest rate that an instance sustained, so much is the target (developer guide)."""

LOW_TARGET = 60
"""Invocations a minute: one a second."""


def target_of(scaling: Scaling, capacity: Capacity | None) -> float | None:
    """The policy's target: the given one, or max RPS x 0.5 x 60. None where that is still to be
    measured: the endpoint is not scaled then."""
    if scaling.target != AUTO:
        assert not isinstance(scaling.target, str)
        return float(scaling.target)
    if capacity is None:
        return None
    return round(capacity.max_requests_per_s * SAFETY_FACTOR * 60, 2)


def remarks(
    endpoint: Endpoint,
    capacity: Capacity | None,
    *,
    found: Found | None = None,
    quota: InstanceQuota | None = None,
) -> tuple[str, ...]:
    """What a person should know about the instances that fogbank.yaml asks for; mostly nothing.

    found: how the endpoint is scaled now. quota: None where nobody has looked.
    """
    return (
        *suspension(found),
        *_of_section(endpoint, capacity),
        *(quota_warnings(endpoint, quota) if quota else ()),
    )


def _of_section(endpoint: Endpoint, capacity: Capacity | None) -> tuple[str, ...]:
    scaling = endpoint.scaling
    if scaling is None:
        return ()
    if target_of(scaling, capacity) is None:
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


def suspension(found: Found | None) -> tuple[str, ...]:
    """Who has switched the scaling off, and how it goes on."""
    if found is None:
        return ()
    if found.before_pause is not None:
        return (
            "`fogbank scale measure` suspended the scaling. Unless it still runs, it was killed: "
            "`fogbank scale set` or `fogbank up` lets the endpoint scale again.",
        )
    if not found.suspended:
        return ()
    key = variant_key(found.endpoint)
    state = ",".join(f"{name}=false" for name in found.suspended)
    return (
        f"somebody has suspended the scaling ({', '.join(found.suspended)}), and fogbank leaves "
        "that as it is. So it goes on: `aws application-autoscaling register-scalable-target "
        f"--service-namespace {key['ServiceNamespace']} --resource-id {key['ResourceId']} "
        f"--scalable-dimension {key['ScalableDimension']} --suspended-state {state}`.",
    )


def quota_warnings(endpoint: Endpoint, quota: InstanceQuota) -> tuple[str, ...]:
    """Where the account may not have as many instances as fogbank.yaml asks for. An update has
    both fleets at once (developer guide, "Blue/Green Deployments")."""
    if quota.unreadable:
        return (
            f"whether the account may have so many {quota.instance_type} for endpoints is not "
            f"known here: {quota.unreadable}",
        )
    if quota.limit is None:
        return ()
    found: list[str] = []
    first, most = endpoint.instance_count, _most(endpoint)
    may = (
        f"the account may have {quota.limit} {quota.instance_type} for endpoints, all of them "
        "together"
    )
    ask = "Ask AWS Service Quotas for more"
    if first > quota.limit:
        found.append(
            f"instance_count is {first}, and {may}: the endpoint cannot be deployed "
            f"(ResourceLimitExceeded). {ask}, or lower instance_count."
        )
    elif most > quota.limit:
        found.append(
            f"max is {most}, and {may}: scaling beyond that fails with ResourceLimitExceeded. "
            f"{ask}, or lower max."
        )
    side_by_side = quota.limit // 2
    if first <= quota.limit and most > side_by_side:
        found.append(
            "a new model is started beside the old one (blue/green), which takes twice the "
            f"instances while both are there, of the {quota.limit} that the account may have: "
            + (
                f"it fails with ResourceLimitExceeded. {ask}."
                if first > side_by_side
                else f"with more than {side_by_side} serving it fails with ResourceLimitExceeded. "
                f"{ask}, or deploy while no more serve."
            )
        )
    return tuple(found)


def _most(endpoint: Endpoint) -> int:
    """Instances that fogbank.yaml lets the endpoint have, at whatever time."""
    scaling = endpoint.scaling
    if scaling is None:
        return endpoint.instance_count
    scheduled = [bound for entry in scaling.schedule for bound in (entry.min, entry.max) if bound]
    return max([scaling.max, *scheduled])


def warnings(scaling: Scaling, capacity: Capacity | None) -> tuple[str, ...]:
    """What is likely to go wrong wherever it runs."""
    found: list[str] = []
    target = None if scaling.target == AUTO else float(scaling.target)
    if scaling.metric == "invocations" and target is not None:
        found += _of_target(scaling, target, capacity)
    if min(scaling.scale_in_cooldown_s, scaling.scale_out_cooldown_s) < HIGH_WINDOW_S:
        found.append(
            f"a cooldown is shorter than the {HIGH_WINDOW_S} s that the alarm takes to notice: it "
            "makes nothing faster, it only lets instances come and go more often."
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
