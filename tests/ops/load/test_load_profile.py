"""When requests are due: shapes, Poisson arrivals, traces."""

from __future__ import annotations

import statistics
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fogbank.core.errors import InputError
from fogbank.ops.load.profile import SHAPES, Trace, arrivals, read_trace, shape


@pytest.mark.parametrize(
    ("name", "rates"),
    [
        ("constant", [2, 2, 2, 2, 2]),
        ("ramp", [2, 4, 6, 8, 9.92]),
        ("step", [2, 4, 6, 8, 10]),
        ("spike", [2, 10, 2, 2, 2]),
        ("day", [1, 5.5, 10, 5.5, 1]),
        ("hourly", [10, 10, 10, 10, 10]),
    ],
)
def test_shapes(name: str, rates: list[float]) -> None:
    found = shape(name, 2, None if name == "constant" else 10, 100)
    assert [found.rate_per_s(at) for at in (0, 25, 50, 75, 99)] == pytest.approx(rates, abs=0.02)


def test_hourly_is_high_for_ten_minutes_of_each_hour() -> None:
    found = shape("hourly", 0.1, 1, 6 * 3600)
    assert [found.rate_per_s(at) for at in (0, 599, 600, 3599, 3600)] == [1, 1, 0.1, 0.1, 1]


def test_without_a_peak_it_is_five_times_the_rate() -> None:
    assert shape("spike", 2, None, 10).peak_per_s == 10
    assert shape("constant", 2, None, 10).peak_per_s == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("wave", 1, None, 10), "constant, ramp, step, spike, day"),
        (("constant", 0, None, 10), "greater than 0"),
        (("constant", 1, None, 0), "greater than 0"),
        (("spike", 5, 2, 10), "below the rate"),
    ],
)
def test_shapes_that_cannot_be(
    arguments: tuple[str, float, float | None, float], words: str
) -> None:
    with pytest.raises(InputError, match=words):
        shape(*arguments)


def test_poisson_arrivals_have_the_rate_and_the_spread_of_poisson() -> None:
    times = list(arrivals(shape("constant", 50, None, 200), seed=1))
    assert len(times) == pytest.approx(10_000, rel=0.05)
    gaps = [later - earlier for earlier, later in pairwise(times)]
    # Of an exponential distribution mean and standard deviation are the same.
    assert statistics.stdev(gaps) == pytest.approx(statistics.mean(gaps), rel=0.05)


def test_arrivals_follow_the_shape() -> None:
    times = list(arrivals(shape("spike", 10, 100, 100), seed=3))
    inside = sum(20 <= time < 50 for time in times)
    assert inside == pytest.approx(3000, rel=0.1)
    assert len(times) - inside == pytest.approx(700, rel=0.15)


def test_even_arrivals_are_evenly_spaced() -> None:
    times = list(arrivals(shape("constant", 4, None, 10), seed=0, evenly=True))
    assert len(times) == 40
    assert {round(later - earlier, 2) for earlier, later in pairwise(times)} == {0.25}


@given(st.sampled_from(SHAPES), st.integers(0, 1000), st.booleans())
def test_arrivals_are_in_order_within_the_time_and_repeatable(
    name: str, seed: int, evenly: bool
) -> None:
    profile = shape(name, 2, 10 if name != "constant" else None, 5)
    times = list(arrivals(profile, seed=seed, evenly=evenly))
    assert times == sorted(times)
    assert all(0 <= time < 5 for time in times)
    assert times == list(arrivals(profile, seed=seed, evenly=evenly))


def test_a_trace_is_read_and_begins_at_zero() -> None:
    trace = read_trace("# when, who\n100.5, anna\n\n99.5\n103.0 # late\n")
    assert trace == Trace([0.0, 1.0, 3.5])
    assert list(arrivals(trace, seed=0)) == [0.0, 1.0, 3.5]
    assert trace.duration_s == 3.5
    assert trace.peak_per_s == 1


@pytest.mark.parametrize(("text", "words"), [("1\ntwo\n", "line 2"), ("# nothing\n", "no times")])
def test_a_trace_that_cannot_be_read_says_where(text: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        read_trace(text)
