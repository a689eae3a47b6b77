"""The life of an endpoint: (endpoint, what the machine sees, now) -> what to start and stop, and
the new record.

    Creating -> InService | Failed      Updating -> InService      Deleting -> gone

`next_step` is level-triggered: ask whenever something changed and at `wait_until`. How an update
moves the traffic is the matter of `rules.deployment`, what a fleet needs that of
`rules.endpoint_fleet`. The note docs/design/endpoint.md draws the states. Sources: SageMaker API
reference, DescribeEndpoint; developer guide, "Custom Inference Code with Hosting Services" and
"Blue/Green Deployments".
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from fogbank.cloud.records.hosting import Endpoint, Variant
from fogbank.cloud.rules import deployment
from fogbank.cloud.rules.endpoint_fleet import (
    NO_CAPACITY,
    Observation,
    Start,
    Stop,
    counted,
    is_short,
    is_whole,
    trouble_of,
    unwanted,
    work_for,
)

FAILURE_REASON_CHARS = 1024
"""The longest FailureReason that the model allows."""


@dataclass(frozen=True, kw_only=True)
class Decision:
    """endpoint: the record as it should be now: write it when it differs from the one you gave.
    start, stop:  what to do; write the record first, so that a crash repeats the work.
    reason:       why, for the log.
    remove:       nothing runs any more: delete the record.
    wait_until:   ask again then at the latest; None: only a change needs an answer.

    Routing follows from the record: healthy replicas of `endpoint.variants` by `current_weight`,
    and of `endpoint.pending_variants` as far as `endpoint.shift` says.
    """

    endpoint: Endpoint
    reason: str
    start: tuple[Start, ...] = ()
    stop: tuple[Stop, ...] = ()
    remove: bool = False
    wait_until: datetime | None = None


def next_step(endpoint: Endpoint, seen: Observation, now: datetime) -> Decision:
    """What to do now. docs/design/endpoint.md has the table."""
    match endpoint.status:
        case "Deleting":
            return _deleting(endpoint, seen)
        case "Failed":
            stop = tuple(Stop(replica_id=r.id, reason="endpoint failed") for r in seen.replicas)
            return Decision(endpoint=endpoint, reason="only DeleteEndpoint is left", stop=stop)
        case "Creating" if endpoint.pending_variants:
            return _creating(endpoint, seen, now)
        case "Updating" | "RollingBack" if endpoint.pending_variants:
            if endpoint.shift is not None and endpoint.shift.stage == "Deleting":
                return _leaving_one_fleet(endpoint, seen, now)
            return _updating(endpoint, seen, now)
        case "Updating" | "RollingBack":
            return _scaling(endpoint, seen, now)
        case "InService" | "SystemUpdating":
            return _serving(endpoint, seen, now)
        case "Creating":
            raise RuntimeError(f"endpoint {endpoint.name} is Creating without pending variants")


def _deleting(endpoint: Endpoint, seen: Observation) -> Decision:
    stop = tuple(Stop(replica_id=r.id, reason="endpoint deleted") for r in seen.replicas)
    if stop:
        return Decision(endpoint=endpoint, reason="replicas are still there", stop=stop)
    return Decision(endpoint=endpoint, reason="nothing runs any more", remove=True)


def _serving(endpoint: Endpoint, seen: Observation, now: datetime) -> Decision:
    work = work_for(endpoint.variants, seen, now)
    work.stop.extend(unwanted(endpoint.variants, seen))
    return Decision(
        endpoint=replace(endpoint, variants=counted(endpoint.variants, seen)),
        reason="in service",
        start=tuple(work.start),
        stop=tuple(work.stop),
        wait_until=work.wait_until(),
    )


def _creating(endpoint: Endpoint, seen: Observation, now: datetime) -> Decision:
    trouble = _deployment_trouble(endpoint, seen, now)
    if trouble:
        failed = replace(
            _without_pending(endpoint, now),
            status="Failed",
            failure_reason=trouble[:FAILURE_REASON_CHARS],
        )
        return replace(next_step(failed, seen, now), reason=trouble)
    pending = counted(endpoint.pending_variants, seen)
    if is_whole(pending):
        return replace(
            _serving(_in_service(endpoint, endpoint.pending_variants, now), seen, now),
            reason="every new replica is healthy",
        )
    return _both_fleets(endpoint, seen, now, "new replicas are starting")


def _updating(endpoint: Endpoint, seen: Observation, now: datetime) -> Decision:
    """A new fleet beside the old one, which is whole until the new one has proved itself."""
    trouble = _deployment_trouble(endpoint, seen, now)
    if trouble:
        return _rolling_back(endpoint, seen, now, trouble)
    pending = counted(endpoint.pending_variants, seen)
    fleet = deployment.FleetSeen(
        num_instances=sum(variant.desired_count for variant in pending),
        is_whole=is_whole(pending),
    )
    move = deployment.next_move(endpoint, fleet, seen.alarms, now, time_scale=seen.time_scale)
    if move.rollback:
        return _rolling_back(endpoint, seen, now, move.reason)
    decision = _both_fleets(replace(endpoint, shift=move.shift), seen, now, move.reason)
    waits = [until for until in (decision.wait_until, move.wait_until) if until is not None]
    return replace(decision, wait_until=min(waits, default=None))


def _both_fleets(endpoint: Endpoint, seen: Observation, now: datetime, reason: str) -> Decision:
    fleets = (*endpoint.variants, *endpoint.pending_variants)
    work = work_for(fleets, seen, now)
    work.stop.extend(unwanted(fleets, seen))
    return Decision(
        endpoint=_count_both(endpoint, seen),
        reason=reason,
        start=tuple(work.start),
        stop=tuple(work.stop),
        wait_until=work.wait_until(),
    )


def _rolling_back(endpoint: Endpoint, seen: Observation, now: datetime, trouble: str) -> Decision:
    """All traffic goes back to the old fleet, which has been there all the time."""
    back = replace(
        endpoint,
        status="RollingBack",
        shift=deployment.rolled_back(now),
        failure_reason=trouble[:FAILURE_REASON_CHARS],
        modified=now,
    )
    return replace(next_step(back, seen, now), reason=trouble)


def _leaving_one_fleet(endpoint: Endpoint, seen: Observation, now: datetime) -> Decision:
    """The end of an update: of the old fleet when it succeeded, of the new one when it is rolled
    back. In service when nothing of that fleet is left."""
    succeeded = endpoint.status == "Updating"
    staying = endpoint.pending_variants if succeeded else endpoint.variants
    wanted = {(variant.name, variant.generation) for variant in staying}
    work = work_for(staying, seen, now)
    gone = unwanted(staying, seen)
    if not gone and seen.leaving <= wanted:
        in_service = _in_service(endpoint, staying, now)
        ended = "the old fleet has ended" if succeeded else "the new fleet has ended"
        return replace(_serving(in_service, seen, now), reason=ended)
    return Decision(
        endpoint=_count_both(endpoint, seen),
        reason="a fleet is ending",
        start=tuple(work.start),
        stop=(*work.stop, *gone),
        wait_until=work.wait_until(),
    )


def _in_service(endpoint: Endpoint, staying: tuple[Variant, ...], now: datetime) -> Endpoint:
    """At the end of a create or an update: `staying` is one of its two fleets."""
    is_new = staying == endpoint.pending_variants
    return replace(
        _without_pending(endpoint, now),
        status="InService",
        config_name=(endpoint.pending_config if is_new else None) or endpoint.config_name,
        variants=staying,
        failure_reason=None if is_new else endpoint.failure_reason,
    )


def _without_pending(endpoint: Endpoint, now: datetime) -> Endpoint:
    return replace(
        endpoint,
        pending_variants=(),
        pending_config=None,
        pending_since=None,
        pending_deployment=None,
        shift=None,
        modified=now,
    )


def _deployment_trouble(endpoint: Endpoint, seen: Observation, now: datetime) -> str:
    """Why the new fleet will not come up, or does not stay up; empty while there is hope."""
    for variant in endpoint.pending_variants:
        trouble = trouble_of(variant, seen, now) or (NO_CAPACITY if is_short(variant, seen) else "")
        if trouble:
            return trouble
    return ""


def _scaling(endpoint: Endpoint, seen: Observation, now: datetime) -> Decision:
    """UpdateEndpointWeightsAndCapacities: counts change in place, nothing is replaced."""
    if endpoint.status == "Updating":
        for variant in endpoint.variants:
            trouble = trouble_of(variant, seen, now, since=endpoint.pending_since)
            if trouble:
                return _scaling_failed(endpoint, seen, now, trouble)
            if is_short(variant, seen):
                # Observed: in service at the old count, and without a FailureReason.
                return replace(
                    _scaling_failed(endpoint, seen, now, ""), reason="no instance has come"
                )
    decision = _serving(endpoint, seen, now)
    found = decision.endpoint.variants
    if all(v.current_count == v.desired_count for v in found) and not decision.stop:
        done = replace(decision.endpoint, status="InService", pending_since=None, modified=now)
        return replace(decision, endpoint=done, reason="every variant has its instances")
    return replace(decision, reason="instances are coming or going")


def _scaling_failed(endpoint: Endpoint, seen: Observation, now: datetime, trouble: str) -> Decision:
    back = tuple(
        replace(v, desired_count=min(v.desired_count, max(1, v.current_count)))
        for v in counted(endpoint.variants, seen)
    )
    rolling_back = replace(
        endpoint,
        status="RollingBack",
        variants=back,
        pending_since=None,
        failure_reason=trouble[:FAILURE_REASON_CHARS] or None,
        modified=now,
    )
    return replace(_scaling(rolling_back, seen, now), reason=trouble)


def _count_both(endpoint: Endpoint, seen: Observation) -> Endpoint:
    return replace(
        endpoint,
        variants=counted(endpoint.variants, seen),
        pending_variants=counted(endpoint.pending_variants, seen),
    )
