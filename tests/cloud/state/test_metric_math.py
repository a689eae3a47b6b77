"""Metric math: what each function gives, gaps, and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fogbank.cloud.state.metric_math import MathError, compute, names_in

TIMES = [0, 60, 120]
SERIES = {
    "m1": {0: 10.0, 60: 20.0, 120: 30.0},
    "m2": {0: 2.0, 120: 5.0},
    "z": {0: 0.0, 60: 1.0, 120: 0.0},
}


@pytest.mark.docs
@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("m1", [10, 20, 30]),
        ("m1 / m2", [5, None, 6]),
        ("100 * m2 / m1", [20, None, 50 / 3]),
        ("-m1 + 1", [-9, -19, -29]),
        ("(m1 - 10) ^ 2", [0, 100, 400]),
        ("m1 / z", [None, 20, None]),
        ("7", [7, 7, 7]),
        ("1 / 0", [None, None, None]),
        ("FILL(m2, 0)", [2, 0, 5]),
        ("FILL(m2, REPEAT)", [2, 2, 5]),
        ("m1 / FILL(m2, 1)", [5, 20, 6]),
        ("SUM([m1, m2])", [12, 20, 35]),
        ("MAX([m1, 15])", [15, 20, 30]),
        ("AVG(METRICS())", [4, 10.5, 35 / 3]),
        ("AVG(m1)", [20, 20, 20]),
        ("MIN(m1)", [10, 10, 10]),
        ("ABS(m1 - 20)", [10, 0, 10]),
        ("CEIL(m1 / 3)", [4, 7, 10]),
        ("IF(m1 > 15, m1, 0)", [0, 20, 30]),
        ("IF(m1 > 15, m1)", [None, 20, 30]),
        ("IF(m1 > 15 AND m1 < 25, 1, 0)", [0, 1, 0]),
        ("m1 <= 10 || m1 >= 30", [1, 0, 1]),
        ("RATE(m1)", [None, 1 / 6, 1 / 6]),
        ("DIFF(m1)", [None, 10, 10]),
        ("LOG10(m1 * 0)", [None, None, None]),
    ],
)
def test_expressions(expression: str, expected: list[float | None]) -> None:
    found = compute(expression, SERIES, TIMES)
    assert [found.get(at) for at in TIMES] == [
        None if value is None else pytest.approx(value) for value in expected
    ]


@pytest.mark.parametrize(
    ("expression", "why"),
    [
        ("m1 +", "not understood"),
        ("m9 + 1", "names m9"),
        ("STDDEV(m1)", "STDDEV is not one of"),
        ("FILL(m1)", "other arguments"),
        ("[m1, m2]", "several series"),
        ("METRICS() + 1", "several series"),
        ("m1.keys()", "not something"),
        ("__import__('os')", "is not one of"),
        ("'text'", "not something"),
        ("lambda: 1", "not something"),
        ("(" * 500 + "m1" + ")" * 500, "not understood"),
    ],
)
def test_what_cannot_be_computed_says_why(expression: str, why: str) -> None:
    with pytest.raises(MathError, match=why):
        compute(expression, SERIES, TIMES)


def test_an_expression_says_which_series_it_needs() -> None:
    assert names_in("IF(m1 > e2, FILL(m3, REPEAT), SUM([m4]))") == {"m1", "e2", "m3", "m4"}


@given(st.dictionaries(st.sampled_from(TIMES), st.floats(-1e6, 1e6)))
def test_a_gap_stays_a_gap_until_it_is_filled(series: dict[int, float]) -> None:
    assert set(compute("m * 2 + 1", {"m": series}, TIMES)) == set(series)
    assert set(compute("FILL(m, 0) * 2", {"m": series}, TIMES)) == set(TIMES)
