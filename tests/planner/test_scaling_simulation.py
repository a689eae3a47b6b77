"""Policies in virtual time: worked numbers of one load, and laws for any."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fogbank.planner.scaling_simulation import Change, ScalingPlan, Simulation, simulate

SIX_HOURS = 360


def hourly_burst(at_s: float) -> float:
    """One request a second for the first ten minutes of each hour, and then one in ten."""
    return 1.0 if at_s % 3600 < 600 else 0.1


def after_six_hours(target: float) -> Simulation:
    plan = ScalingPlan(target=target, out_cooldown_s=30, in_cooldown_s=30)
    return simulate(plan, hourly_burst, minutes=SIX_HOURS)


@pytest.mark.parametrize(
    ("target", "num_changes", "instance_hours"), [(10, 18, 9.6), (25, 18, 9.4), (120, 0, 6.0)]
)
def test_a_target_that_one_instance_can_serve_costs_instances_for_nothing(
    target: float, num_changes: int, instance_hours: float
) -> None:
    found = after_six_hours(target)
    assert len(found.changes) == num_changes
    assert found.instance_hours == pytest.approx(instance_hours)


def test_the_first_step_comes_when_three_minutes_are_known() -> None:
    # Three bad minutes, known a minute late; in again after fifteen good ones.
    found = after_six_hours(10)
    assert found.changes[0] == Change(240, 1, 3)
    assert found.changes[1].before == 3
    assert found.changes[1].after == 2


def test_instances_serve_only_when_they_have_started() -> None:
    plan = ScalingPlan(target=10, start_s=300, lag_s=0)
    found = simulate(plan, lambda _: 1.0, minutes=15)
    assert found.changes[0] == Change(180, 1, 3)
    assert found.instances[:8] == (1,) * 8
    assert found.instances[8] == 3


LOADS = st.lists(st.floats(0, 20), min_size=1, max_size=40)
PLANS = st.builds(
    ScalingPlan,
    target=st.floats(1, 500),
    minimum=st.integers(1, 3),
    maximum=st.integers(3, 9),
    out_cooldown_s=st.floats(0, 600),
    in_cooldown_s=st.floats(0, 600),
    start_s=st.floats(0, 600),
    lag_s=st.sampled_from([0.0, 60.0, 120.0]),
)


def run(plan: ScalingPlan, loads: list[float]) -> Simulation:
    return simulate(plan, lambda at_s: loads[int(at_s // 180) % len(loads)], minutes=120)


@settings(max_examples=30)
@given(PLANS, LOADS)
def test_capacity_stays_within_its_bounds(plan: ScalingPlan, loads: list[float]) -> None:
    found = run(plan, loads)
    assert all(plan.minimum <= number <= plan.maximum for number in found.instances)
    assert all(plan.minimum <= change.after <= plan.maximum for change in found.changes)


@settings(max_examples=30)
@given(PLANS, LOADS)
def test_the_same_load_gives_the_same_activities(plan: ScalingPlan, loads: list[float]) -> None:
    assert run(plan, loads) == run(plan, loads)


@settings(max_examples=30)
@given(PLANS, LOADS)
def test_nothing_is_taken_away_while_anything_cools_down(
    plan: ScalingPlan, loads: list[float]
) -> None:
    changes = run(plan, loads).changes
    for before, change in pairwise(changes):
        if change.after < change.before:
            grew = before.after > before.before
            cooldown_s = plan.out_cooldown_s if grew else plan.in_cooldown_s
            ended_s = before.at_s + (plan.start_s if grew else 0)
            assert change.at_s >= ended_s + cooldown_s - 1e-6


@settings(max_examples=30)
@given(PLANS, st.floats(0, 20))
def test_a_steady_load_settles(plan: ScalingPlan, load: float) -> None:
    found = simulate(replace(plan, maximum=9), lambda _: load, minutes=240)
    wanted = math.ceil(round(load * 60 / plan.target, 9))
    if plan.minimum <= wanted <= 9:
        assert found.instances[-1] >= wanted
