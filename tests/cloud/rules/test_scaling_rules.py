"""Scaling decisions: AWS's arithmetic by worked numbers, and laws that hold for any load."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fogbank.cloud.errors import ValidationException
from fogbank.cloud.rules.scaling import (
    Bounds,
    Decision,
    Measure,
    Past,
    Proposal,
    Standing,
    decide,
)
from fogbank.cloud.rules.step_scaling import StepScaling, propose
from fogbank.cloud.rules.target_tracking import (
    TargetTracking,
    alarm_requests,
    propose_in,
    propose_out,
)

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
BOUNDS = Bounds(1, 3)


def tracking(
    name: str = "keep", target: float = 120.0, cooldown_s: float = 300.0
) -> TargetTracking:
    config = {"TargetValue": target}
    return TargetTracking.of(name, config, default_cooldown_s=cooldown_s)


def out(policy: str, capacity: int) -> Proposal:
    return Proposal(
        policy=policy,
        direction="out",
        measured=NOW,
        capacity=capacity,
        cooldown_s=300,
        cause="high",
    )


def in_(policy: str, capacity: int) -> Proposal:
    return Proposal(
        policy=policy, direction="in", measured=NOW, capacity=capacity, cooldown_s=300, cause="low"
    )


def past(direction: str, desired: int, seconds_ago: float, cooldown_s: float = 300) -> Past:
    return Past(
        direction="out" if direction == "out" else "in",
        desired=desired,
        ended=NOW - timedelta(seconds=seconds_ago),
        cooldown_s=cooldown_s,
    )


def code(decision: Decision) -> str | None:
    return decision.not_scaled.code if decision.not_scaled else None


@pytest.mark.docs
@pytest.mark.parametrize(
    ("capacity", "metric", "wanted"),
    [(1, 121.0, 2), (1, 300.0, 3), (2, 130.0, 3), (1, 9000.0, 3), (3, 119.0, 3), (1, 120.0, 1)],
)
def test_scaling_out_is_proportional_and_rounded_up(
    capacity: int, metric: float, wanted: int
) -> None:
    assert propose_out(tracking(), Measure(metric, NOW), capacity, BOUNDS, "").capacity == wanted


@pytest.mark.docs
@pytest.mark.parametrize(
    ("capacity", "metric", "wanted"), [(3, 0.0, 2), (3, 100.0, 3), (2, 0.0, 1), (1, 0.0, 1)]
)
def test_scaling_in_goes_step_by_step(capacity: int, metric: float, wanted: int) -> None:
    assert propose_in(tracking(), Measure(metric, NOW), capacity, BOUNDS, "").capacity == wanted


def test_binary_fractions_start_no_instance() -> None:
    # 3 * 0.7 / 0.7 is 3.0000000000000004 in binary: rounded up that would be 4.
    policy = tracking(target=0.7)
    assert propose_out(policy, Measure(0.7, NOW), 3, Bounds(1, 9), "").capacity == 3


@pytest.mark.docs
def test_the_largest_scale_out_wins_over_any_scale_in() -> None:
    standing = Standing(bounds=Bounds(1, 9), capacity=4)
    proposals = [out("a", 5), in_("b", 2), out("c", 7)]
    decision = decide(standing, proposals, NOW)
    assert decision.change == out("c", 7)


@pytest.mark.docs
def test_scaling_in_needs_every_policy_and_takes_the_largest() -> None:
    standing = Standing(bounds=Bounds(1, 9), capacity=5, scale_in_policies=frozenset({"a", "b"}))
    assert decide(standing, [in_("a", 4)], NOW).change is None
    assert decide(standing, [in_("a", 3), in_("b", 4)], NOW).change == in_("b", 4)


@pytest.mark.docs
def test_a_scale_out_that_cools_down_gives_way_to_a_larger_one_only() -> None:
    standing = Standing(bounds=Bounds(1, 9), capacity=3, last=past("out", 4, 10))
    assert decide(standing, [out("a", 4)], NOW).change is None
    assert decide(standing, [out("a", 5)], NOW).change == out("a", 5)


@pytest.mark.docs
@pytest.mark.parametrize("direction", ["out", "in"])
def test_any_cooldown_keeps_scaling_in_back(direction: str) -> None:
    cooling = Standing(bounds=BOUNDS, capacity=3, last=past(direction, 3, 299))
    assert decide(cooling, [in_("a", 2)], NOW).change is None
    cool = Standing(bounds=BOUNDS, capacity=3, last=past(direction, 3, 300))
    assert decide(cool, [in_("a", 2)], NOW).change == in_("a", 2)


@pytest.mark.docs
def test_a_scale_in_that_cools_down_does_not_hold_back_a_scale_out() -> None:
    standing = Standing(bounds=BOUNDS, capacity=1, last=past("in", 1, 1))
    assert decide(standing, [out("a", 2)], NOW).change == out("a", 2)


def test_a_datapoint_of_before_the_last_change_decides_nothing() -> None:
    standing = Standing(bounds=Bounds(1, 9), capacity=3, last=past("out", 3, 30))
    stale = replace(out("a", 8), measured=NOW - timedelta(seconds=31))
    assert decide(standing, [stale], NOW).change is None
    fresh = replace(stale, measured=NOW - timedelta(seconds=30))
    assert decide(standing, [stale, fresh], NOW).change == fresh


@pytest.mark.model
def test_reasons_for_doing_nothing_are_aws_codes() -> None:
    at_maximum = decide(Standing(bounds=BOUNDS, capacity=3), [out("a", 3)], NOW)
    assert at_maximum.not_scaled is not None
    assert at_maximum.not_scaled.members() == {
        "Code": "AlreadyAtMaxCapacity",
        "CurrentCapacity": 3,
        "MaxCapacity": 3,
    }
    assert code(decide(Standing(bounds=BOUNDS, capacity=2), [out("a", 2)], NOW)) == (
        "AlreadyAtDesiredCapacity"
    )
    at_minimum = decide(Standing(bounds=BOUNDS, capacity=1), [in_("a", 1)], NOW)
    assert at_minimum.not_scaled is not None
    assert at_minimum.not_scaled.members() == {
        "Code": "AlreadyAtMinCapacity",
        "CurrentCapacity": 1,
        "MinCapacity": 1,
    }
    flapping = decide(Standing(bounds=BOUNDS, capacity=2), [in_("a", 2)], NOW)
    assert code(flapping) == "AutoScalingAnticipatedFlapping"
    updating = Standing(bounds=BOUNDS, capacity=1, running=True, can_change=False)
    assert code(decide(updating, [out("a", 2)], NOW)) == "TargetServicePutResourceAsUnscalable"


@pytest.mark.model
def test_the_alarms_of_a_policy_are_those_of_aws() -> None:
    high, low = alarm_requests(
        prefix="TargetTracking-endpoint/dogs/variant/AllTraffic",
        ids=("1f", "2f"),
        metric={"Namespace": "AWS/SageMaker", "MetricName": "InvocationsPerInstance"},
        target_value=120.0,
        policy_arn="arn:policy",
    )
    assert high["AlarmName"] == "TargetTracking-endpoint/dogs/variant/AllTraffic-AlarmHigh-1f"
    assert (high["Threshold"], high["EvaluationPeriods"]) == (120.0, 3)
    assert high["ComparisonOperator"] == "GreaterThanThreshold"
    assert low["AlarmName"] == "TargetTracking-endpoint/dogs/variant/AllTraffic-AlarmLow-2f"
    assert (low["Threshold"], low["EvaluationPeriods"]) == (108.0, 15)
    assert low["ComparisonOperator"] == "LessThanThreshold"


STEPS = {
    "AdjustmentType": "ChangeInCapacity",
    "StepAdjustments": [
        {"MetricIntervalLowerBound": 0, "MetricIntervalUpperBound": 10, "ScalingAdjustment": 1},
        {"MetricIntervalLowerBound": 10, "ScalingAdjustment": 4},
        {"MetricIntervalLowerBound": -20, "MetricIntervalUpperBound": 0, "ScalingAdjustment": -1},
        {"MetricIntervalUpperBound": -20, "ScalingAdjustment": -2},
    ],
}


@pytest.mark.docs
@pytest.mark.parametrize(
    ("metric", "wanted"),
    [(50.0, 6), (59.9, 6), (60.0, 9), (49.9, 4), (30.0, 3), (29.0, 3), (30.1, 4)],
)
def test_steps_own_the_bound_nearer_to_the_threshold(metric: float, wanted: int) -> None:
    policy = StepScaling.of("steps", STEPS, default_cooldown_s=300)
    found = propose(policy, Measure(metric, NOW), 50.0, 5, Bounds(1, 20), "")
    assert found is not None
    assert found.capacity == wanted


@pytest.mark.docs
@pytest.mark.parametrize(
    ("percent", "capacity", "wanted"),
    [(127, 10, 22), (67, 1, 2), (-58, 1, 0), (-67, 10, 4), (10, 10, 11), (15, 10, 11)],
)
def test_percentages_are_rounded_as_the_guide_says(
    percent: int, capacity: int, wanted: int
) -> None:
    config = {
        "AdjustmentType": "PercentChangeInCapacity",
        "StepAdjustments": [{"MetricIntervalLowerBound": 0, "ScalingAdjustment": percent}],
    }
    policy = StepScaling.of("steps", config, default_cooldown_s=300)
    found = propose(policy, Measure(60.0, NOW), 50.0, capacity, Bounds(0, 100), "")
    assert found is not None
    assert found.capacity == wanted


@pytest.mark.docs
@pytest.mark.parametrize(
    "steps",
    [
        [(0, 10), (5, 20)],
        [(0, 10), (20, 30)],
        [(None, 0), (None, 10)],
        [(0, None), (10, None)],
        [(10, 0)],
    ],
)
def test_steps_that_overlap_or_leave_gaps_are_refused(
    steps: list[tuple[float | None, float | None]],
) -> None:
    adjustments = []
    for lower, upper in steps:
        entry: dict[str, float] = {"ScalingAdjustment": 1}
        if lower is not None:
            entry["MetricIntervalLowerBound"] = lower
        if upper is not None:
            entry["MetricIntervalUpperBound"] = upper
        adjustments.append(entry)
    config = {"AdjustmentType": "ChangeInCapacity", "StepAdjustments": adjustments}
    with pytest.raises(ValidationException):
        StepScaling.of("steps", config, default_cooldown_s=300)


METRICS = st.floats(0, 5000)
CAPACITIES = st.integers(1, 3)


@given(METRICS, CAPACITIES, st.floats(1, 1000))
def test_capacity_stays_within_its_bounds(metric: float, capacity: int, target: float) -> None:
    policy = tracking(target=target)
    standing = Standing(bounds=BOUNDS, capacity=capacity)
    for proposal in (
        propose_out(policy, Measure(metric, NOW), capacity, BOUNDS, ""),
        propose_in(policy, Measure(metric, NOW), capacity, BOUNDS, ""),
    ):
        change = decide(standing, [proposal], NOW).change
        assert change is None or BOUNDS.minimum <= change.capacity <= BOUNDS.maximum


@given(METRICS, METRICS, CAPACITIES, st.floats(1, 1000))
def test_more_load_never_means_fewer_instances(
    one: float, other: float, capacity: int, target: float
) -> None:
    less, more = sorted((one, other))
    for rule in (propose_out, propose_in):
        wanted = [
            rule(tracking(target=target), Measure(metric, NOW), capacity, BOUNDS, "").capacity
            for metric in (less, more)
        ]
        assert wanted == sorted(wanted)


@given(
    st.lists(st.tuples(st.booleans(), st.integers(1, 9)), max_size=4),
    st.integers(1, 9),
    st.floats(0, 600),
    st.booleans(),
)
def test_nothing_is_taken_away_in_a_cooldown_or_during_an_activity(
    wishes: list[tuple[bool, int]], capacity: int, seconds_ago: float, running: bool
) -> None:
    proposals = [
        out(f"p{n}", max(wish, capacity)) if is_out else in_(f"p{n}", min(wish, capacity))
        for n, (is_out, wish) in enumerate(wishes)
    ]
    standing = Standing(
        bounds=Bounds(1, 9),
        capacity=capacity,
        last=past("out", capacity, seconds_ago),
        running=running,
    )
    change = decide(standing, proposals, NOW).change
    if change is not None and change.capacity < capacity:
        assert not running
        assert seconds_ago >= 300 or math.isclose(seconds_ago, 300)


@given(st.lists(st.integers(1, 9), max_size=4), st.integers(1, 9))
def test_what_is_suspended_does_not_act(wishes: list[int], capacity: int) -> None:
    standing = Standing(
        bounds=Bounds(1, 9), capacity=capacity, out_suspended=True, in_suspended=True
    )
    proposals = [
        out(f"p{n}", wish) if wish > capacity else in_(f"p{n}", wish)
        for n, wish in enumerate(wishes)
    ]
    assert decide(standing, proposals, NOW).change is None
