"""Whether a capacity changes: (bounds, what policies propose, what was done before, now) -> the one
change to make, or why none is made.

`decide` knows nothing of metrics: `target_tracking` and `step_scaling` make the proposals from
them. Times are those of the rules' clock. Sources: Application Auto Scaling User Guide, "How
target tracking works", "Cooldown periods", "Multiple scaling policies", "Suspend and resume
scaling"; API reference, NotScaledReason. docs/design/auto-scaling.md draws it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

Direction = Literal["out", "in"]


@dataclass(frozen=True, slots=True)
class Bounds:
    """MinCapacity and MaxCapacity of a scalable target, both included."""

    minimum: int
    maximum: int

    def clamp(self, capacity: int) -> int:
        return min(self.maximum, max(self.minimum, capacity))


@dataclass(frozen=True, slots=True)
class Measure:
    """A datapoint of the metric that a policy follows. at: where its period begins."""

    value: float
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """What one policy wants. capacity: within the bounds; the present one where it finds that
    nothing is to be done although its alarm stands. measured: of the datapoint it rests on."""

    policy: str
    measured: datetime
    direction: Direction
    capacity: int
    cooldown_s: float
    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """The last change that succeeded."""

    direction: Direction
    desired: int
    ended: datetime
    cooldown_s: float

    def cools_until(self) -> datetime:
        return self.ended + timedelta(seconds=self.cooldown_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How the target stands.

    capacity:  what is desired now. running: whether an activity is under way.
    can_change: whether the service takes a new capacity at all (an endpoint that is being updated
               does not).
    last:      the last successful change by a policy.
    scale_in_policies: names of all policies that may scale in: they must agree.
    """

    bounds: Bounds
    capacity: int
    running: bool = False
    can_change: bool = True
    last: Past | None = None
    scale_in_policies: frozenset[str] = frozenset()
    out_suspended: bool = False
    in_suspended: bool = False


@dataclass(frozen=True, slots=True)
class NotScaled:
    """Members of NotScaledReason; the numbers where the code has them."""

    code: str
    current: int | None = None
    minimum: int | None = None
    maximum: int | None = None

    def members(self) -> Mapping[str, str | int]:
        """By AWS's names."""
        given = {
            "CurrentCapacity": self.current,
            "MinCapacity": self.minimum,
            "MaxCapacity": self.maximum,
        }
        return {"Code": self.code, **{k: v for k, v in given.items() if v is not None}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """change: the proposal to carry out, None for nothing. not_scaled: why not, where AWS makes an
    activity of it, for `refused`. reason: in our words, for the log and for people."""

    reason: str
    change: Proposal | None = None
    refused: Proposal | None = None
    not_scaled: NotScaled | None = None


def decide(standing: Standing, proposals: Sequence[Proposal], now: datetime) -> Decision:
    """Out if any policy wants out, the largest wins; in only if all that may want in, the largest
    capacity wins.

    A datapoint from before the last change has ended says nothing of the capacity that there is
    now: scaled by it, 300 invocations on one instance would ask for 3 instances, then for 8.
    """
    if standing.last is not None:
        ended = standing.last.ended
        fresh = [proposal for proposal in proposals if proposal.measured >= ended]
        if proposals and not fresh:
            return Decision(reason="nothing has been measured since the last change")
        proposals = fresh
    outs = [proposal for proposal in proposals if proposal.direction == "out"]
    if outs:
        return _out(standing, max(outs, key=lambda proposal: proposal.capacity), now)
    ins = [proposal for proposal in proposals if proposal.direction == "in"]
    if not ins:
        return Decision(reason="no policy asks for a change")
    waiting = standing.scale_in_policies - {proposal.policy for proposal in ins}
    if waiting:
        return Decision(reason=f"{', '.join(sorted(waiting))} does not want to scale in")
    return _in(standing, max(ins, key=lambda proposal: proposal.capacity), now)


def _out(standing: Standing, best: Proposal, now: datetime) -> Decision:
    if standing.out_suspended:
        return Decision(reason="scaling out is suspended")
    if best.capacity <= standing.capacity:
        if standing.running:
            return Decision(reason="the activity under way brings as much")
        at_maximum = standing.capacity >= standing.bounds.maximum
        return _refuse(
            best,
            NotScaled(
                "AlreadyAtMaxCapacity" if at_maximum else "AlreadyAtDesiredCapacity",
                current=standing.capacity,
                maximum=standing.bounds.maximum if at_maximum else None,
            ),
        )
    last = standing.last
    if (
        last is not None
        and last.direction == "out"
        and now < last.cools_until()
        and best.capacity <= last.desired
    ):
        return Decision(
            reason=f"the scale-out to {last.desired} cools down until {last.cools_until():%H:%M:%S}"
        )
    return _change(standing, best)


def _in(standing: Standing, best: Proposal, now: datetime) -> Decision:
    if standing.in_suspended:
        return Decision(reason="scaling in is suspended")
    if standing.running:
        return Decision(reason="an activity is under way: nothing is taken away meanwhile")
    if standing.last is not None and now < standing.last.cools_until():
        return Decision(
            reason=f"the scale-{standing.last.direction} to {standing.last.desired} cools down "
            f"until {standing.last.cools_until():%H:%M:%S}"
        )
    if best.capacity >= standing.capacity:
        if standing.capacity <= standing.bounds.minimum:
            return _refuse(
                best,
                NotScaled(
                    "AlreadyAtMinCapacity",
                    current=standing.capacity,
                    minimum=standing.bounds.minimum,
                ),
            )
        # With one instance less, the metric would be above its target again.
        return _refuse(best, NotScaled("AutoScalingAnticipatedFlapping"))
    return _change(standing, best)


def _change(standing: Standing, proposal: Proposal) -> Decision:
    if not standing.can_change:
        return _refuse(proposal, NotScaled("TargetServicePutResourceAsUnscalable"))
    return Decision(
        reason=f"{proposal.policy} wants {proposal.capacity} instead of {standing.capacity}",
        change=proposal,
    )


def _refuse(proposal: Proposal, why: NotScaled) -> Decision:
    return Decision(reason=why.code, refused=proposal, not_scaled=why)
