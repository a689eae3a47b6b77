"""CloudWatch's statistics, by the user guide's definitions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fogbank.cloud.state.aggregate import Aggregate
from fogbank.cloud.state.statistics import statistic


def aggregate(*values: float) -> Aggregate:
    found = Aggregate()
    for value in values:
        found.add(value)
    return found


def value_of(name: str, *values: float) -> float | None:
    compute = statistic(name)
    assert compute is not None, name
    return compute(aggregate(*values))


TEN = tuple(float(value) for value in range(1, 11))


@pytest.mark.docs
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("SampleCount", 10),
        ("Average", 5.5),
        ("Sum", 55),
        ("Minimum", 1),
        ("Maximum", 10),
        ("p50", 5),
        ("p90", 9),
        ("tm90", 5),
        ("TM(:90%)", 5),
        ("TM(10%:90%)", 5.5),
        ("TM(10%:)", 6),
        ("TM(2:8)", 5.5),
        ("ts90", 45),
        ("TS(80%:)", 19),
        ("TS(8:)", 19),
        ("tc90", 9),
        ("TC(2:5)", 3),
        ("wm90", 5.4),
        ("WM(10%:90%)", 5.5),
        ("PR(:3)", 30),
        ("PR(3:5)", 20),
        ("PR(9:)", 10),
        ("IQM", 5.5),
        ("tm25.5", (1 + 2 + 3 * 0.55) / 2.55),
    ],
)
def test_of_one_to_ten(name: str, expected: float) -> None:
    assert value_of(name, *TEN) == pytest.approx(expected)


@pytest.mark.parametrize(
    "name",
    [
        "Median",
        "p101",
        "tm101",
        "TM(:)",
        "TM(10%:90)",
        "TM(90%:10%)",
        "TM(10%:110%)",
        "PR(10%:90%)",
        "WM(1:5)",
        "TM(5:5)",
        "tm",
        "p-1",
        "iqm",
    ],
)
def test_what_is_no_statistic(name: str) -> None:
    assert statistic(name) is None


def test_a_range_without_data_has_no_mean_but_a_count() -> None:
    assert value_of("TM(100:200)", *TEN) is None
    assert value_of("TC(100:200)", *TEN) == 0


def test_statistic_sets_have_no_distribution() -> None:
    compute = statistic("tm90")
    assert compute is not None
    known = Aggregate()
    known.add_set(3, 6.0, 1.0, 3.0)
    assert compute(known) is None


@given(
    st.lists(st.floats(0, 1e6), min_size=1, max_size=30),
    st.floats(0, 99).map(lambda value: round(value, 2)),
)
def test_trimming_keeps_the_mean_within_the_data(values: list[float], percent: float) -> None:
    trimmed = value_of(f"TM({percent}%:)", *values)
    assert trimmed is not None
    low, high = min(values), max(values)
    assert low - 1e-6 <= trimmed <= high * (1 + 1e-9) + 1e-6
    assert trimmed >= sum(values) / len(values) * (1 - 1e-9) - 1e-6
