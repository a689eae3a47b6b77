"""What a target tracking policy would do: (policy, load) -> instances and activities, in no time.

The rules are those of the cloud itself (`cloud.rules`), minute by minute of a virtual clock; what
is simple here is the endpoint: instances that are asked for come `start_s` later, all together,
and each request adds 1 / instances to the metric. Source of the method: SageMaker developer guide,
"Load testing your auto scaling configuration".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from fogbank.cloud.records.alarm import AlarmState
from fogbank.cloud.rules.alarm import EXTRA_PERIODS, AlarmSettings, Datapoint, Evaluation, evaluate
from fogbank.cloud.rules.scaling import Bounds, Measure, Past, Proposal, Standing, decide
from fogbank.cloud.rules.target_tracking import (
    HIGH_PERIODS,
    LOW_PERIODS,
    LOW_SHARE,
    TargetTracking,
    propose_in,
    propose_out,
)

MINUTE_S = 60
START = datetime(2026, 1, 1, tzinfo=UTC)

LoadPerS = Callable[[float], float]
"""Seconds since the start -> requests a second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScalingPlan:
    """What is to be tried.

    target:   invocations a minute and instance.
    start_s:  from asking for an instance to its first request. AWS: 180 to 480 s for CPU types.
    lag_s:    how late CloudWatch has a minute's datapoint; a whole number of minutes.
    """

    target: float
    minimum: int = 1
    maximum: int = 3
    out_cooldown_s: float = 300.0
    in_cooldown_s: float = 300.0
    start_s: float = 300.0
    lag_s: float = 60.0


@dataclass(frozen=True, slots=True)
class Change:
    """An activity: at that second, from so many instances to so many."""

    at_s: float
    before: int
    after: int


@dataclass(frozen=True, slots=True)
class Simulation:
    """instances, invocations: minute by minute; of the latter, a minute and instance."""

    plan: ScalingPlan
    instances: tuple[int, ...]
    invocations: tuple[float, ...]
    changes: tuple[Change, ...]

    @property
    def instance_hours(self) -> float:
        return sum(self.instances) / 60

    @property
    def minutes_above_target(self) -> int:
        return self.minutes_above(self.plan.target)

    def minutes_above(self, invocations: float) -> int:
        """How many minutes had more than so many invocations an instance."""
        return sum(value > invocations for value in self.invocations)


@dataclass(slots=True)
class _Endpoint:
    """Instances that come when their time has come."""

    serving: int
    desired: int
    before: int = 0
    ready_s: float | None = None
    cooldown_s: float = 0.0
    last: Past | None = None
    changes: list[Change] = field(default_factory=list)

    def ask(self, proposal: Proposal, now_s: float, start_s: float) -> None:
        self.changes.append(Change(now_s, self.desired, proposal.capacity))
        self.before, self.desired = self.desired, proposal.capacity
        self.cooldown_s = proposal.cooldown_s
        self.ready_s = now_s + (start_s if self.desired > self.before else 0.0)

    def settle(self, now_s: float) -> None:
        if self.ready_s is not None and self.ready_s <= now_s:
            self.serving = self.desired
            self.last = Past(
                direction="out" if self.desired > self.before else "in",
                desired=self.desired,
                ended=START + timedelta(seconds=self.ready_s),
                cooldown_s=self.cooldown_s,
            )
            self.ready_s = None


def simulate(plan: ScalingPlan, load_per_s: LoadPerS, *, minutes: int) -> Simulation:
    """`minutes` of a load that is asked for once a minute, at its middle."""
    policy = TargetTracking(
        name="policy",
        target_value=plan.target,
        out_cooldown_s=plan.out_cooldown_s,
        in_cooldown_s=plan.in_cooldown_s,
    )
    high = _alarm("GreaterThanThreshold", plan.target, HIGH_PERIODS)
    low = _alarm("LessThanThreshold", plan.target * LOW_SHARE, LOW_PERIODS)
    bounds = Bounds(plan.minimum, plan.maximum)
    endpoint = _Endpoint(serving=plan.minimum, desired=plan.minimum)
    points: list[Datapoint] = []
    instances: list[int] = []
    states: dict[str, AlarmState] = {"high": "INSUFFICIENT_DATA", "low": "INSUFFICIENT_DATA"}
    for minute in range(minutes):
        begin_s = float(minute * MINUTE_S)
        endpoint.settle(begin_s)
        instances.append(endpoint.serving)
        requests = load_per_s(begin_s + MINUTE_S / 2) * MINUTE_S
        points.append(Datapoint(START + timedelta(seconds=begin_s), requests / endpoint.serving))
        now_s = begin_s + MINUTE_S
        endpoint.settle(now_s)
        known = points[: len(points) - round(plan.lag_s / MINUTE_S)]
        proposals: list[Proposal] = []
        for name, settings, propose in (
            ("high", high, propose_out),
            ("low", low, propose_in),
        ):
            found = _evaluate(settings, known, states[name])
            states[name] = found.state
            if found.state == "ALARM":
                newest = Measure(found.used[-1].value, found.used[-1].at)
                proposals.append(propose(policy, newest, endpoint.serving, bounds, name))
        standing = Standing(
            bounds=bounds,
            capacity=endpoint.desired,
            running=endpoint.ready_s is not None,
            can_change=endpoint.ready_s is None,
            last=endpoint.last,
            scale_in_policies=frozenset({policy.name}),
        )
        change = decide(standing, proposals, START + timedelta(seconds=now_s)).change
        if change is not None:
            endpoint.ask(change, now_s, plan.start_s)
    return Simulation(
        plan,
        tuple(instances),
        tuple(point.value for point in points),
        tuple(endpoint.changes),
    )


def _alarm(comparison: str, threshold: float, periods: int) -> AlarmSettings:
    return AlarmSettings(
        comparison=comparison, threshold=threshold, periods=periods, to_alarm=periods
    )


def _evaluate(settings: AlarmSettings, known: list[Datapoint], state: AlarmState) -> Evaluation:
    size = settings.periods + EXTRA_PERIODS
    range_: list[Datapoint | None] = [None] * max(0, size - len(known))
    range_ += known[-size:]
    return evaluate(settings, range_, state)
