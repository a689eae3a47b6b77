"""How an update moves the traffic from the old fleet to the new one, and when it moves it back:
(how far it is, policy, what is seen, now) -> the next stage, or why to roll back.

    new fleet starts -> ActivatingTraffic -> Baking -> TerminationWait -> Deleting (the old fleet)
                              ^----------------'  canary: 2 steps, linear: as many as it takes
    an alarm, the time limit: -> Deleting (the new fleet), all traffic with the old one at once

Source: SageMaker developer guide, "Deployment guardrails for updating models in production".
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal

from fogbank.cloud.records.hosting import Endpoint, ShiftStage, TrafficShift, Variant

TrafficRouting = Literal["ALL_AT_ONCE", "CANARY", "LINEAR"]

SIZE_OF = {"CANARY": "CanarySize", "LINEAR": "LinearStepSize"}
"""The member of TrafficRoutingConfiguration that says how large a step is."""

WHOLE = 1 - 1e-6
"""A share from which on it is all of the traffic: ten tenths need not sum to 1."""


@dataclass(frozen=True, kw_only=True)
class CapacitySize:
    """A part of a fleet: so many instances, or so much of its capacity in percent."""

    type: Literal["INSTANCE_COUNT", "CAPACITY_PERCENT"]
    value: int

    def share(self, num_instances: int) -> float:
        """Of a fleet of so many instances; more than 1 where it is larger than that."""
        return self.value / (num_instances if self.type == "INSTANCE_COUNT" else 100)


@dataclass(frozen=True, kw_only=True)
class Policy:
    """A DeploymentConfig, understood. Seconds are AWS's: they pass faster by the time scale.

    step:     how much of the new fleet is activated at first (CANARY) or each time (LINEAR); None:
              all of it.
    limit_s:  MaximumExecutionTimeoutInSeconds; None: no limit.
    alarms:   the names of the alarms that roll the update back.
    """

    routing: TrafficRouting = "ALL_AT_ONCE"
    step: CapacitySize | None = None
    wait_s: int = 0
    termination_wait_s: int = 0
    limit_s: int | None = None
    alarms: tuple[str, ...] = ()

    @classmethod
    def of(cls, config: Mapping[str, Any] | None) -> Policy:
        """`config` has passed the service's checks; None: AWS's default, all at once."""
        config = config or {}
        watched = config.get("AutoRollbackConfiguration", {}).get("Alarms", ())
        alarms = tuple(alarm["AlarmName"] for alarm in watched)
        blue_green = config.get("BlueGreenUpdatePolicy")
        if blue_green is None:
            return cls(alarms=alarms)
        traffic = blue_green["TrafficRoutingConfiguration"]
        routing: TrafficRouting = traffic["Type"]
        size = traffic[SIZE_OF[routing]] if routing in SIZE_OF else None
        return cls(
            routing=routing,
            step=None if size is None else CapacitySize(type=size["Type"], value=size["Value"]),
            wait_s=traffic["WaitIntervalInSeconds"],
            termination_wait_s=blue_green.get("TerminationWaitInSeconds", 0),
            limit_s=blue_green.get("MaximumExecutionTimeoutInSeconds"),
            alarms=alarms,
        )

    def next_share(self, share: float, num_instances: int) -> float:
        """What the new fleet takes after one more step. num_instances: of the whole new fleet."""
        if self.step is None or (self.routing == "CANARY" and share > 0):
            return 1.0
        further = share + self.step.share(num_instances)
        return 1.0 if further >= WHOLE else round(further, 9)

    def num_steps(self, num_instances: int) -> int:
        """How many steps it takes until the new fleet has all traffic; each is baked."""
        if self.step is None:
            return 1
        if self.routing == "CANARY":
            return 2
        return math.ceil(WHOLE / self.step.share(num_instances))


@dataclass(frozen=True, kw_only=True)
class AlarmSeen:
    """An alarm in state ALARM, and why it is."""

    name: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class FleetSeen:
    """The new fleet. is_whole: all of its `num_instances` are healthy."""

    num_instances: int
    is_whole: bool


@dataclass(frozen=True, kw_only=True)
class Move:
    """shift:    how far the update is now. None: not a request has moved yet.
    reason:      why.
    rollback:    it has to be undone, for `reason`.
    wait_until:  ask again then at the latest.
    """

    shift: TrafficShift | None
    reason: str
    rollback: bool = False
    wait_until: datetime | None = None


def next_move(
    endpoint: Endpoint,
    fleet: FleetSeen,
    alarms: Sequence[AlarmSeen],
    now: datetime,
    *,
    time_scale: float = 1.0,
) -> Move:
    """What becomes of an update that has not come to Deleting.

    alarms: those of the policy that are in state ALARM. One stage at a time: the record is written
    and the traffic routed before the next.
    """
    policy, shift = Policy.of(endpoint.pending_deployment), endpoint.shift
    if alarms:
        return Move(shift=shift, reason=tripped_words(alarms), rollback=True)
    limit: datetime | None = None
    if policy.limit_s is not None and not _is_complete(shift):
        limit = (endpoint.pending_since or endpoint.modified) + timedelta(
            seconds=policy.limit_s / time_scale
        )
        if now >= limit:
            return Move(shift=shift, reason=time_limit_words(policy.limit_s), rollback=True)
    stay = Move(shift=shift, reason="not every new replica is healthy", wait_until=limit)
    if shift is None:
        return _activate(policy, 0.0, fleet, now) if fleet.is_whole else stay
    match shift.stage:
        case "ActivatingTraffic":
            return _enter("Baking", shift, "the new part is watched", now)
        case "Baking" | "TerminationWait":
            is_baking = shift.stage == "Baking"
            seconds = policy.wait_s if is_baking else policy.termination_wait_s
            until = shift.since + timedelta(seconds=seconds / time_scale)
            if now < until:
                due = until if limit is None else min(until, limit)
                return replace(stay, reason=f"{shift.stage} for {seconds} s", wait_until=due)
            if not fleet.is_whole:
                return stay
            if not is_baking:
                return _enter("Deleting", shift, "the old fleet is not needed any more", now)
            if shift.share < 1.0:
                return _activate(policy, shift.share, fleet, now)
            return _enter("TerminationWait", shift, "the new fleet serves everything", now)
        case "Deleting":
            raise RuntimeError(f"endpoint {endpoint.name} has moved its traffic already")


def _is_complete(shift: TrafficShift | None) -> bool:
    """The wait before the old fleet ends comes "after the completion of an endpoint deployment"
    (API reference, BlueGreenUpdatePolicy). AWS's own example of a canary bakes 2 x 600 s, waits
    another 600 s and has a limit of 1,800 s."""
    return shift is not None and shift.stage == "TerminationWait"


def _activate(policy: Policy, share: float, fleet: FleetSeen, now: datetime) -> Move:
    further = policy.next_share(share, fleet.num_instances)
    shift = TrafficShift(stage="ActivatingTraffic", since=now, share=further)
    return Move(shift=shift, reason=f"{further:.0%} of the traffic moves", wait_until=now)


def _enter(stage: ShiftStage, shift: TrafficShift, reason: str, now: datetime) -> Move:
    return Move(shift=replace(shift, stage=stage, since=now), reason=reason, wait_until=now)


def tripped_words(tripped: Sequence[AlarmSeen]) -> str:
    """FailureReason of an update that alarms have undone."""
    causes = "; ".join(f"{alarm.name} ({alarm.reason})" for alarm in tripped)
    return (
        "The update was rolled back: of the alarms in its AutoRollbackConfiguration, these are in "
        f"state ALARM: {causes}"
    )


def time_limit_words(limit_s: int) -> str:
    """FailureReason of an update that took too long."""
    return (
        f"The update was rolled back: it was not complete within {limit_s} s "
        "(MaximumExecutionTimeoutInSeconds)."
    )


def rolled_back(now: datetime) -> TrafficShift:
    """All traffic is with the old fleet again; the new one ends."""
    return TrafficShift(stage="Deleting", since=now, share=0.0)


def num_activated(variant: Variant, share: float) -> int:
    """Instances of a new variant that take requests at that share of the traffic: as many as make
    the same share of it, so that each has the load that it will have in the end."""
    return math.ceil(round(variant.desired_count * share, 6))


def fleet_shares(endpoint: Endpoint, *, old_serves: bool, new_serves: bool) -> tuple[float, float]:
    """The shares of the requests for the old and the new fleet; they sum to 1.

    old_serves, new_serves: whether the fleet has a healthy replica. One that takes requests and has
    none at the moment leaves its share to the other, so that no request has to wait for it.
    """
    new = 0.0 if endpoint.shift is None else endpoint.shift.share
    if not new_serves and old_serves:
        new = 0.0
    elif new > 0.0 and not old_serves and new_serves:
        new = 1.0
    return 1.0 - new, new


def divided(share: float, variants: Sequence[Variant]) -> list[float]:
    """A fleet's share of the requests among its variants, by weight. Where all have weight 0 they
    are alike."""
    total = sum(variant.current_weight for variant in variants)
    return [
        share * (variant.current_weight / total if total > 0 else 1 / len(variants))
        for variant in variants
    ]
