"""Weights and least outstanding requests: laws."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from fogbank.cloud.rules.routing import choose_replica, choose_variant

draws = st.floats(0, 1, exclude_max=True, allow_nan=False)
weights = st.lists(st.floats(0, 1e6, allow_subnormal=False), min_size=1, max_size=6)


@pytest.mark.docs
@given(st.lists(st.integers(0, 9), min_size=1, max_size=6))
def test_over_evenly_spread_draws_each_variant_gets_its_weight(shares: list[int]) -> None:
    total = sum(shares)
    assume(total > 0)
    got = [0] * len(shares)
    for draw in range(total):
        got[choose_variant(shares, (draw + 0.5) / total)] += 1
    assert got == shares


@pytest.mark.docs
@given(weights, draws)
def test_a_variant_of_weight_zero_gets_nothing_unless_all_have_zero(
    shares: list[float], draw: float
) -> None:
    chosen = choose_variant(shares, draw)
    assert 0 <= chosen < len(shares)
    assert shares[chosen] > 0 or not any(share > 0 for share in shares)


@given(st.integers(1, 6))
def test_variants_that_all_have_weight_zero_are_alike(count: int) -> None:
    chosen = [choose_variant([0.0] * count, (draw + 0.5) / count) for draw in range(count)]
    assert chosen == list(range(count))


@pytest.mark.docs
@given(st.lists(st.integers(0, 50), min_size=1, max_size=8), draws)
def test_least_outstanding_requests_never_takes_a_busier_replica(
    outstanding: list[int], draw: float
) -> None:
    chosen = choose_replica(outstanding, draw, "LEAST_OUTSTANDING_REQUESTS")
    assert outstanding[chosen] == min(outstanding)


@pytest.mark.docs
@given(st.integers(1, 8), st.booleans())
def test_equals_share_the_traffic(count: int, least: bool) -> None:
    strategy = "LEAST_OUTSTANDING_REQUESTS" if least else "RANDOM"
    chosen = [
        choose_replica([3] * count, (draw + 0.5) / count, strategy)  # type: ignore[arg-type]
        for draw in range(count)
    ]
    assert chosen == list(range(count))


@pytest.mark.docs
@given(st.lists(st.integers(0, 50), min_size=1, max_size=8))
def test_random_does_not_look_at_the_load(outstanding: list[int]) -> None:
    last = (len(outstanding) - 0.5) / len(outstanding)
    assert choose_replica(outstanding, last) == len(outstanding) - 1


def test_nothing_to_choose_from_is_an_error() -> None:
    with pytest.raises(ValueError, match="no variant"):
        choose_variant([], 0.5)
    with pytest.raises(ValueError, match="no replica"):
        choose_replica([], 0.5)
