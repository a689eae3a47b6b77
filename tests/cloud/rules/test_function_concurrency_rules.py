"""The concurrency and rate limits of functions, one by one and as laws."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fogbank.cloud.rules.function_concurrency import (
    Admission,
    Bucket,
    Demand,
    Rates,
    Throttle,
    admit,
    pool_size,
)

CALM = Demand(
    reserved=None,
    provisioned=0,
    on_demand=0,
    pool=1000,
    pool_used=0,
    units=0,
    idle_units=0,
    idle=0,
    account_limit=1000,
)


def decide(demand: Demand, rates: Rates | None = None, now_s: float = 0.0) -> Admission | Throttle:
    return admit(demand, rates or Rates(), now_s)[0]


def reason(demand: Demand, rates: Rates | None = None) -> str:
    found = decide(demand, rates)
    assert isinstance(found, Throttle), found
    assert found.words
    return found.reason


def where(demand: Demand) -> tuple[str, bool]:
    found = decide(demand)
    assert isinstance(found, Admission), found
    return found.where, found.spilled


@pytest.mark.docs
def test_a_free_environment_is_used_before_a_new_one_is_made() -> None:
    assert where(CALM) == ("cold", False)
    assert where(replace(CALM, idle=1)) == ("warm", False)


@pytest.mark.docs
def test_reserved_zero_switches_off_even_what_is_provisioned() -> None:
    off = replace(CALM, reserved=0, idle=3, units=1, idle_units=1)
    assert reason(off) == "ReservedFunctionConcurrentInvocationLimitExceeded"


@pytest.mark.docs
def test_a_reservation_is_a_ceiling() -> None:
    reserved = replace(CALM, reserved=5, on_demand=4, idle=2)
    assert where(reserved) == ("warm", False)
    full = replace(reserved, on_demand=5)
    assert reason(full) == "ReservedFunctionConcurrentInvocationLimitExceeded"


@pytest.mark.docs
def test_a_reservation_is_a_guarantee() -> None:
    """The pool of the others is full; that does not concern a function with its own."""
    assert where(replace(CALM, reserved=5, pool=10, pool_used=10)) == ("cold", False)


@pytest.mark.docs
def test_without_a_reservation_the_pool_is_the_ceiling() -> None:
    assert where(replace(CALM, pool=10, pool_used=9)) == ("cold", False)
    assert reason(replace(CALM, pool=10, pool_used=10)) == "ConcurrentInvocationLimitExceeded"


@pytest.mark.docs
def test_the_pool_is_what_nobody_has_reserved_or_provisioned() -> None:
    assert pool_size(1000, [400, 100], [20]) == 480
    assert pool_size(10, [10], [5]) == 0


@pytest.mark.docs
def test_provisioned_environments_count_against_the_reservation() -> None:
    """All of it provisioned: whoever calls $LATEST is throttled, though nothing runs."""
    latest = replace(CALM, reserved=3, provisioned=3)
    assert reason(latest) == "ReservedFunctionConcurrentInvocationLimitExceeded"
    alias = replace(latest, units=3, idle_units=3)
    assert where(alias) == ("provisioned", False)


@pytest.mark.docs
def test_what_the_provisioned_cannot_take_spills_over() -> None:
    busy = replace(CALM, reserved=5, provisioned=3, units=3, idle_units=0)
    assert where(busy) == ("cold", True)
    assert where(replace(busy, on_demand=1, idle=1)) == ("warm", True)
    assert reason(replace(busy, on_demand=2)) == "ReservedFunctionConcurrentInvocationLimitExceeded"


@pytest.mark.docs
@pytest.mark.parametrize(
    ("reserved", "limit", "expected"),
    [
        (None, 2, "FunctionInvocationRateLimitExceeded"),
        (3, 1000, "ReservedFunctionInvocationRateLimitExceeded"),
    ],
)
def test_ten_requests_a_second_for_each_execution(
    reserved: int | None, limit: int, expected: str
) -> None:
    demand = replace(CALM, reserved=reserved, account_limit=limit, idle=1)
    allowed = 10 * (limit if reserved is None else reserved)
    rates = Rates()
    for _ in range(allowed):
        decision, rates = admit(demand, rates, 0.0)
        assert isinstance(decision, Admission)
    assert reason(demand, rates) == expected
    # One tenth of a second later one tenth of the rate is there again, not more.
    again = 0
    while isinstance(admit(demand, rates, 0.1)[0], Admission):
        rates = admit(demand, rates, 0.1)[1]
        again += 1
    assert again == allowed // 10


@pytest.mark.docs
def test_a_provisioned_unit_serves_ten_requests_a_second() -> None:
    demand = replace(CALM, provisioned=1, units=1, idle_units=1)
    rates = Rates()
    taken: list[tuple[str, bool]] = []
    for _ in range(11):
        decision, rates = admit(demand, rates, 0.0)
        assert isinstance(decision, Admission)
        taken.append((decision.where, decision.spilled))
    assert taken == [("provisioned", False)] * 10 + [("cold", True)]


@pytest.mark.docs
def test_a_function_gains_a_thousand_environments_in_ten_seconds() -> None:
    demand = replace(CALM, account_limit=10_000, pool=10_000)
    rates = Rates()
    for _ in range(1000):
        decision, rates = admit(demand, rates, 5.0)
        assert isinstance(decision, Admission)
    assert reason(demand, rates) == "ConcurrentInvocationLimitExceeded"
    # Refilled continuously: 100 a second.
    decision, rates = admit(demand, rates, 5.011)
    assert isinstance(decision, Admission)
    # A free environment needs none of it.
    assert isinstance(decide(replace(demand, idle=1), rates, 5.011), Admission)


@pytest.mark.docs
def test_unused_environments_are_not_saved_up() -> None:
    demand = replace(CALM, account_limit=10_000, pool=10_000)
    _, rates = admit(demand, Rates(), 0.0)
    num = 0
    while isinstance(admit(demand, rates, 3600.0)[0], Admission):
        rates = admit(demand, rates, 3600.0)[1]
        num += 1
    assert num == 1000


demands = st.builds(
    Demand,
    reserved=st.none() | st.integers(0, 6),
    provisioned=st.integers(0, 4),
    on_demand=st.integers(0, 6),
    pool=st.integers(0, 6),
    pool_used=st.integers(0, 8),
    units=st.integers(0, 4),
    idle_units=st.integers(0, 4),
    idle=st.integers(0, 3),
    account_limit=st.integers(1, 10),
)
buckets = st.builds(Bucket, tokens=st.floats(0, 20), at_s=st.floats(0, 10))
rates_of_before = st.builds(Rates, requests=buckets, provisioned=buckets, environments=buckets)


@given(demands, rates_of_before)
def test_law_a_throttled_event_takes_nothing(demand: Demand, rates: Rates) -> None:
    decision, after = admit(demand, rates, 10.0)
    if isinstance(decision, Throttle):
        assert after == rates
    else:
        assert after != rates


@given(demands, rates_of_before)
def test_law_more_room_never_throttles(demand: Demand, rates: Rates) -> None:
    """What is admitted is admitted with one more execution in pool and reservation, too."""
    if isinstance(admit(demand, rates, 10.0)[0], Throttle):
        return
    roomier = replace(
        demand,
        pool=demand.pool + 1,
        account_limit=demand.account_limit + 1,
        reserved=None if demand.reserved is None else demand.reserved + 1,
    )
    assert isinstance(admit(roomier, rates, 10.0)[0], Admission)


@given(demands)
def test_law_nothing_runs_over_a_ceiling(demand: Demand) -> None:
    found = decide(demand)
    if isinstance(found, Throttle) or found.where == "provisioned":
        return
    if demand.reserved is None:
        assert demand.pool_used < demand.pool
    else:
        assert demand.on_demand + demand.provisioned < demand.reserved


@given(st.lists(st.floats(0, 3), max_size=60), st.integers(1, 20))
def test_law_a_bucket_never_gives_more_than_its_size_and_its_rate(
    pauses: list[float], size: int
) -> None:
    bucket, now_s, taken = Bucket(), 0.0, 0
    for pause in pauses:
        now_s += pause
        after = bucket.take(now_s, size, 2.0)
        if after is not None:
            bucket, taken = after, taken + 1
    assert taken <= size + 2.0 * now_s + 1e-6
