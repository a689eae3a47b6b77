"""Targets side by side: the rows, what is said of them, the picture."""

from __future__ import annotations

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from fogbank.ops.load.profile import Trace, shape
from fogbank.planner.scaling_comparison import Row, compare, load_of, remarks
from fogbank.planner.scaling_picture import draw
from fogbank.planner.scaling_simulation import ScalingPlan

HOURLY = shape("hourly", 0.1, 1, 6 * 3600)
PLAN = ScalingPlan(target=1, in_cooldown_s=30, out_cooldown_s=30)


def rows(
    *targets: float, usd_per_hour: float | None = 0.1, sustained: float | None = 4
) -> list[Row]:
    return compare(
        PLAN,
        targets,
        load_of(HOURLY),
        minutes=360,
        usd_per_hour=usd_per_hour,
        sustained_per_s=sustained,
    )


@pytest.mark.observed
def test_the_same_service_for_less() -> None:
    found = rows(10, 25, 120)
    assert [round(row.simulation.instance_hours, 1) for row in found] == [9.6, 9.4, 6.0]
    assert [row.minutes_overloaded for row in found] == [0, 0, 0]
    assert found[2].usd == pytest.approx(0.6)
    said = remarks(found, HOURLY.peak_per_s)
    assert "target 10 needs 60% more instance-hours than 120" in said[-1]
    assert "is never overloaded" in said[-1]


def test_what_is_unknown_is_not_nothing() -> None:
    (row,) = rows(10, usd_per_hour=None, sustained=None)
    assert row.usd is None
    assert row.minutes_overloaded is None
    assert row.to_json()["usd"] is None


def test_instances_that_come_too_late_are_said() -> None:
    found = rows(10, sustained=0.5)
    assert found[0].minutes_overloaded == 6 * 9  # until the first new instance serves
    said = remarks(found, HOURLY.peak_per_s)
    assert any("in 54 minutes" in remark and "raise min" in remark for remark in said)


def test_a_maximum_that_is_too_low_is_said() -> None:
    (said,) = remarks(rows(18, sustained=None), 1)
    assert said == (
        "target 18: with at most 3 instances it is kept up to 0.9 requests a second, and the "
        "peak is 1."
    )
    assert remarks(rows(20, sustained=None), 1) == []


def test_a_trace_is_counted_by_the_minute() -> None:
    load = load_of(Trace([0.0, 1.0, 59.9, 60.0, 130.0, 130.0]))
    assert [load(minute * 60 + 30) * 60 for minute in range(4)] == [3, 1, 2, 0]


def test_the_picture_has_a_part_for_each_target() -> None:
    found = rows(10, 120)
    with Image.open(io.BytesIO(draw(found, load_of(HOURLY)))) as picture:
        assert (picture.format, picture.size) == ("PNG", (1440, 777))


LOADS = st.lists(st.floats(0, 20), min_size=1, max_size=20)


@settings(max_examples=40)
@given(LOADS, st.floats(1, 400), st.integers(1, 5), st.integers(0, 5))
def test_instances_that_are_never_paid_for_never_serve(
    loads: list[float], target: float, minimum: int, more: int
) -> None:
    """Instance-hours lie between those of the smallest and of the largest endpoint, and without a
    change they are those of the smallest."""
    plan = ScalingPlan(target=target, minimum=minimum, maximum=minimum + more)
    (row,) = compare(plan, [target], lambda at_s: loads[int(at_s // 300) % len(loads)], minutes=120)
    hours = row.simulation.instance_hours
    assert minimum * 2 - 1e-9 <= hours <= (minimum + more) * 2 + 1e-9
    if not row.simulation.changes:
        assert hours == pytest.approx(minimum * 2)
    changes = row.simulation.changes
    assert all(change.before != change.after for change in changes)
    assert [change.before for change in changes[1:]] == [change.after for change in changes[:-1]]


@settings(max_examples=40)
@given(LOADS, st.floats(1, 400))
def test_no_load_and_no_room_change_nothing(loads: list[float], target: float) -> None:
    quiet = compare(PLAN, [target], lambda _: 0.0, minutes=120)[0].simulation
    assert quiet.changes == ()
    fixed = ScalingPlan(target=target, minimum=2, maximum=2)
    (row,) = compare(fixed, [target], lambda at_s: loads[int(at_s // 300) % len(loads)], minutes=90)
    assert row.simulation.changes == ()


@settings(max_examples=40)
@given(LOADS, st.floats(1, 400))
def test_until_the_first_change_a_higher_target_never_acts_earlier(
    loads: list[float], target: float
) -> None:
    """Until then both have seen the same, so that this holds for any load; later it does not: who
    has more instances sees less."""
    low, high = compare(
        PLAN,
        [target, target * 1.5],
        lambda at_s: loads[int(at_s // 300) % len(loads)],
        minutes=120,
    )
    first = [
        row.simulation.changes[0].at_s if row.simulation.changes else float("inf")
        for row in (low, high)
    ]
    assert first[0] <= first[1]
