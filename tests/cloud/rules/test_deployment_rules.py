"""Updates that move the traffic step by step: timelines, rollbacks, laws of a simulated machine."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fogbank.cloud.records.hosting import Endpoint, TrafficShift, Variant
from fogbank.cloud.rules.deployment import (
    AlarmSeen,
    FleetSeen,
    Policy,
    divided,
    fleet_shares,
    next_move,
    num_activated,
    time_limit_words,
)
from fogbank.cloud.rules.endpoint import Decision, next_step
from fogbank.cloud.rules.endpoint_fleet import Observation, ReplicaSeen, VariantSeen

T0 = datetime(2026, 11, 21, 12, tzinfo=UTC)
CASES = json.loads((Path(__file__).parents[2] / "cases" / "deployments.json").read_text())
TIMELINES: list[dict[str, Any]] = CASES["timelines"]
ALARM = AlarmSeen(name="errors", reason="Threshold Crossed")


def variant(name: str = "AllTraffic", *, count: int, generation: int, weight: float = 1) -> Variant:
    return Variant(
        name=name,
        model_name="dogs",
        container={"Image": "pytorch-inference:2.6.0-cpu"},
        execution_role_arn="arn:aws:iam::123456789012:role/notebook",
        instance_type="ml.m5.large",
        desired_count=count,
        desired_weight=weight,
        current_weight=weight,
        generation=generation,
    )


def updating(config: Mapping[str, Any] | None, count: int = 1) -> Endpoint:
    """dogs-1 serves; dogs-2 shall replace it."""
    return Endpoint(
        name="dogs",
        arn="arn:aws:sagemaker:us-east-1:123456789012:endpoint/dogs",
        config_name="dogs-1",
        created=T0,
        modified=T0,
        status="Updating",
        generation=2,
        variants=(variant(count=count, generation=1),),
        pending_variants=(variant(count=count, generation=2),),
        pending_config="dogs-2",
        pending_since=T0,
        pending_deployment=config,
    )


def blue_green(traffic: Mapping[str, Any], **policy: int) -> dict[str, Any]:
    return {
        "BlueGreenUpdatePolicy": {
            "TrafficRoutingConfiguration": {"WaitIntervalInSeconds": 60, **traffic},
            **policy,
        },
        "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": "errors"}]},
    }


def canary(percent: int = 25, **policy: int) -> dict[str, Any]:
    size = {"Type": "CAPACITY_PERCENT", "Value": percent}
    return blue_green({"Type": "CANARY", "CanarySize": size}, **policy)


@dataclass
class World:
    """A machine that obeys. start_s: how long a replica takes to its first good ping. Stopped
    replicas are gone when they are looked for again."""

    record: Endpoint
    start_s: float = 0.0
    time_scale: float = 1.0
    alarms: tuple[AlarmSeen, ...] = ()
    troubles: tuple[VariantSeen, ...] = ()
    now: datetime = T0
    replicas: dict[str, ReplicaSeen] = field(default_factory=dict)
    leaving: frozenset[tuple[str, int]] = frozenset()
    decisions: list[Decision] = field(default_factory=list)
    moves: list[tuple[float, str, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        for old in self.record.variants:
            self._start(old, old.desired_count, "healthy")

    def _start(self, started: Variant, count: int, state: Any = "starting") -> None:
        for _ in range(count):
            id_ = str(len(self.replicas) + len(self.decisions) * 100)
            self.replicas[id_] = ReplicaSeen(
                id=id_,
                variant=started.name,
                generation=started.generation,
                state=state,
                since=self.now,
            )

    @property
    def elapsed_s(self) -> float:
        return (self.now - T0).total_seconds()

    def num_of(self, generation: int) -> int:
        return sum(each.generation == generation for each in self.replicas.values())

    def step(self) -> Decision:
        """Look once, and obey."""
        age = timedelta(seconds=self.start_s)
        for each in list(self.replicas.values()):
            if each.state == "starting" and self.now - each.since >= age:
                self.replicas[each.id] = replace(each, state="healthy")
        seen = Observation(
            replicas=tuple(self.replicas.values()),
            variants=self.troubles,
            leaving=self.leaving,
            alarms=self.alarms,
            time_scale=self.time_scale,
        )
        before = self.record.shift
        decision = next_step(self.record, seen, self.now)
        self.decisions.append(decision)
        self.record = decision.endpoint
        stopped = [self.replicas.pop(stop.replica_id) for stop in decision.stop]
        self.leaving = frozenset((gone.variant, gone.generation) for gone in stopped)
        for start in decision.start:
            self._start(start.variant, start.count)
        shift = self.record.shift
        if shift is not None and shift != before:
            self.moves.append((self.elapsed_s, shift.stage, shift.share))
        return decision

    def settle(self) -> Decision:
        """Ask until there is nothing more to do at this moment."""
        while True:
            before, leaving = self.record, self.leaving
            decision = self.step()
            if self.record == before and not (leaving or decision.stop or decision.start):
                return decision

    def until(self, second: float, *, tick_s: float = 5.0) -> Endpoint:
        """Let time pass, asking when it was asked for and every `tick_s`."""
        end = T0 + timedelta(seconds=second)
        while True:
            decision = self.settle()
            if self.now >= end:
                return self.record
            soon = min(end, self.now + timedelta(seconds=tick_s))
            self.now = min(soon, max(self.now, decision.wait_until or soon))


@pytest.mark.docs
@pytest.mark.parametrize("case", TIMELINES, ids=lambda case: str(case["name"]))
@pytest.mark.parametrize("time_scale", [1.0, 60.0])
def test_how_the_traffic_moves(case: dict[str, Any], time_scale: float) -> None:
    world = World(updating(case["config"], case["instances"]), time_scale=time_scale)
    record = world.until(2000 / time_scale)
    expected = [[at / time_scale, stage, share] for at, stage, share in case["stages"]]
    assert [[round(at, 4), *rest] for at, *rest in world.moves] == [
        [round(at, 4), *rest] for at, *rest in expected
    ]
    assert (record.status, record.config_name, record.failure_reason) == (
        "InService",
        "dogs-2",
        None,
    )
    assert (world.num_of(1), world.num_of(2)) == (0, case["instances"])


@pytest.mark.docs
def test_the_first_part_moves_when_the_whole_new_fleet_is_there() -> None:
    world = World(updating(canary(), 4), start_s=30)
    assert world.until(29).shift is None
    assert world.until(30).shift == TrafficShift(stage="Baking", since=world.now, share=0.25)


@pytest.mark.docs
@pytest.mark.parametrize(
    ("second", "stage"), [(10, "Baking"), (70, "Baking"), (130, "TerminationWait")]
)
def test_an_alarm_rolls_back_while_the_old_fleet_is_there(second: float, stage: str) -> None:
    world = World(updating(canary(TerminationWaitInSeconds=60), 4))
    shift = world.until(second).shift
    assert shift is not None
    assert shift.stage == stage
    world.alarms = (ALARM,)
    decision = world.step()
    assert (decision.endpoint.status, len(decision.stop)) == ("RollingBack", 4)
    assert fleet_shares(decision.endpoint, old_serves=True, new_serves=False) == (1.0, 0.0)
    world.step()
    assert world.record.status == "RollingBack", "the new fleet still finishes its requests"
    world.step()
    assert (world.record.status, world.record.config_name) == ("InService", "dogs-1")
    assert str(world.record.failure_reason).endswith("errors (Threshold Crossed)")
    assert (world.num_of(1), world.num_of(2)) == (4, 0)
    assert (world.record.pending_deployment, world.record.shift) == (None, None)


def test_an_alarm_that_stands_already_ends_the_update_before_it_begins() -> None:
    world = World(updating(canary()), alarms=(ALARM,))
    decision = world.step()
    assert (decision.start, decision.stop) == ((), ())
    assert (decision.endpoint.status, decision.endpoint.config_name) == ("InService", "dogs-1")
    assert "errors" in str(decision.endpoint.failure_reason)


@pytest.mark.docs
def test_after_its_end_an_update_is_not_rolled_back_any_more() -> None:
    world = World(updating(canary()))
    world.until(120)
    while world.record.status == "Updating":
        world.step()
    world.alarms = (ALARM,)
    assert world.until(200).config_name == "dogs-2"


@pytest.mark.docs
@pytest.mark.parametrize(("start_s", "is_late"), [(470, False), (481, True), (1e9, True)])
def test_an_update_that_takes_too_long_is_rolled_back(start_s: float, is_late: bool) -> None:
    """With two bakes of a minute and ten minutes in all, eight are left for the start."""
    patient = {"ContainerStartupHealthCheckTimeoutInSeconds": 3600}
    before = updating(canary(MaximumExecutionTimeoutInSeconds=600))
    fleet = tuple(replace(each, settings=patient) for each in before.pending_variants)
    world = World(replace(before, pending_variants=fleet), start_s=start_s)
    assert world.until(585).status == "Updating"
    record = world.until(600)
    assert (record.status, record.config_name) == ("InService", "dogs-1" if is_late else "dogs-2")
    assert record.failure_reason == (time_limit_words(600) if is_late else None)


@pytest.mark.docs
def test_the_time_limit_does_not_count_the_wait_before_the_old_fleet_ends() -> None:
    config = canary(TerminationWaitInSeconds=500, MaximumExecutionTimeoutInSeconds=600)
    assert World(updating(config), start_s=60).until(700).config_name == "dogs-2"


def test_a_new_fleet_that_does_not_stay_up_is_rolled_back() -> None:
    world = World(updating(canary(), 2))
    world.until(10)
    trouble = VariantSeen(
        variant="AllTraffic", generation=2, failures=2, last_failure=world.now, last_words="boom"
    )
    world.troubles = (trouble,)
    record = world.until(20)
    assert (record.status, record.config_name) == ("InService", "dogs-1")
    assert "boom" in str(record.failure_reason)


def test_a_bake_goes_on_until_every_replica_is_healthy_again() -> None:
    world = World(updating(canary(), 2), start_s=100)
    world.until(110)
    (lost, *_) = [each.id for each in world.replicas.values() if each.generation == 2]
    del world.replicas[lost]
    shift = world.until(200).shift
    assert shift is not None
    assert (shift.stage, shift.share) == ("Baking", 0.25)
    assert world.until(400).config_name == "dogs-2"


def test_the_end_of_a_fleet_is_waited_for() -> None:
    world = World(updating(None))
    while not world.step().stop:
        assert world.record.status == "Updating"
    for _ in range(5):
        world.leaving = frozenset({("AllTraffic", 1)})
        world.step()
        assert world.record.status == "Updating"
    world.leaving = frozenset()
    world.step()
    assert world.record.status == "InService"


@pytest.mark.parametrize("second", [0, 10, 70, 130])
def test_an_update_under_way_can_be_deleted(second: float) -> None:
    world = World(updating(canary(TerminationWaitInSeconds=60), 2))
    world.until(second)
    world.record = replace(world.record, status="Deleting")
    assert len(world.step().stop) == 4
    assert world.step().remove


def test_moving_traffic_that_has_moved_is_a_bug_and_says_so() -> None:
    record = updating(None)
    with pytest.raises(RuntimeError, match="moved its traffic already"):
        next_move(
            replace(record, shift=TrafficShift(stage="Deleting", since=T0, share=1.0)),
            FleetSeen(num_instances=1, is_whole=True),
            (),
            T0,
        )


@pytest.mark.parametrize(
    ("count", "share", "activated"),
    [(4, 0.25, 1), (4, 0.3, 2), (1, 0.1, 1), (3, 0.333333333, 1), (3, 0.666666666, 2), (7, 1.0, 7)],
)
def test_as_many_instances_are_activated_as_make_the_share(
    count: int, share: float, activated: int
) -> None:
    assert num_activated(variant(count=count, generation=2), share) == activated


def configs() -> st.SearchStrategy[dict[str, Any]]:
    """All that the service lets pass, for fleets of 2 to 10 instances."""
    waits = st.integers(0, 90)
    sizes = st.one_of(
        st.builds(lambda value: {"Type": "CAPACITY_PERCENT", "Value": value}, st.integers(10, 50)),
        st.just({"Type": "INSTANCE_COUNT", "Value": 1}),
    )
    traffic = st.one_of(
        st.builds(lambda wait: {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": wait}, waits),
        st.builds(
            lambda wait, size: {
                "Type": "CANARY",
                "CanarySize": size,
                "WaitIntervalInSeconds": wait,
            },
            waits,
            sizes,
        ),
        st.builds(
            lambda wait, size: {
                "Type": "LINEAR",
                "LinearStepSize": size,
                "WaitIntervalInSeconds": wait,
            },
            waits,
            sizes,
        ),
    )
    return st.builds(
        lambda routing, wait: blue_green(routing, TerminationWaitInSeconds=wait), traffic, waits
    )


def check_laws(world: World, count: int) -> None:
    """What holds for every update, whatever became of it."""
    last, rolled_back = 0.0, False
    for decision in world.decisions:
        record = decision.endpoint
        rolled_back = rolled_back or record.status == "RollingBack"
        shift = record.shift
        if record.status == "Updating" and shift is not None:
            assert shift.share >= last, "the new fleet's share never shrinks"
            last = shift.share
        if rolled_back and shift is not None:
            assert shift.share == 0.0, "and after a rollback it is nothing, for good"
        if record.status == "Updating" and (shift is None or shift.stage != "Deleting"):
            assert decision.stop == (), "both fleets are whole"
            missing = sum(start.count for start in decision.start if start.variant.generation == 1)
            assert record.variants[0].current_count + missing <= count


@settings(max_examples=60)
@given(configs(), st.integers(2, 10), st.integers(0, 60), st.floats(0, 1))
def test_an_update_of_healthy_replicas_always_ends(
    config: dict[str, Any], count: int, start_s: int, killed: float
) -> None:
    """Also one in whose middle the host restarted: every replica is gone, the record is there."""
    world = World(updating(config, count), start_s=start_s)
    policy = Policy.of(config)
    length_s = policy.num_steps(count) * policy.wait_s + policy.termination_wait_s + start_s
    world.until(round(killed * length_s))
    world.replicas.clear()
    record = world.until(length_s + start_s + 60)
    assert (record.status, record.config_name) == ("InService", "dogs-2")
    assert (world.num_of(1), world.num_of(2)) == (0, count)
    check_laws(world, count)


@settings(max_examples=60)
@given(configs(), st.integers(2, 10), st.integers(0, 60), st.floats(0, 1))
def test_an_alarm_always_ends_with_the_old_configuration(
    config: dict[str, Any], count: int, start_s: int, when: float
) -> None:
    world = World(updating(config, count), start_s=start_s)
    policy = Policy.of(config)
    length_s = policy.num_steps(count) * policy.wait_s + policy.termination_wait_s + start_s
    world.until(when * length_s)
    is_over = world.record.status != "Updating"
    world.alarms = (ALARM,)
    world.until(length_s + 30)
    world.alarms = ()
    record = world.until(2 * length_s + 60)
    assert record.status == "InService"
    assert record.config_name == ("dogs-2" if is_over else "dogs-1")
    assert (record.failure_reason is None) == is_over
    assert world.num_of(2 if is_over else 1) == count == len(world.replicas)
    check_laws(world, count)


@given(
    st.sampled_from([None, 0.0, 0.25, 0.9, 1.0]),
    st.booleans(),
    st.booleans(),
    st.lists(st.floats(0, 10), min_size=1, max_size=4),
    st.lists(st.floats(0, 10), min_size=1, max_size=4),
)
def test_shares_of_the_traffic_sum_to_one(
    share: float | None,
    old_serves: bool,
    new_serves: bool,
    old_weights: list[float],
    new_weights: list[float],
) -> None:
    shift = None if share is None else TrafficShift(stage="Baking", since=T0, share=share)
    record = replace(
        updating(None),
        shift=shift,
        variants=tuple(
            variant(str(at), count=1, generation=1, weight=weight)
            for at, weight in enumerate(old_weights)
        ),
        pending_variants=tuple(
            variant(str(at), count=1, generation=2, weight=weight)
            for at, weight in enumerate(new_weights)
        ),
    )
    old, new = fleet_shares(record, old_serves=old_serves, new_serves=new_serves)
    weights = [*divided(old, record.variants), *divided(new, record.pending_variants)]
    assert min(weights) >= 0
    assert sum(weights) == pytest.approx(1.0)
    if old_serves and not new_serves:
        assert new == 0.0, "no request waits for a fleet that cannot answer"
    if new_serves and not old_serves and share:
        assert old == 0.0
    if share is None:
        assert new == 0.0, "nothing moves before the new fleet is there"
