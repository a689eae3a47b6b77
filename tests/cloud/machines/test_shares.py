"""How a host is shared out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fogbank.cloud.machines.engine import Share
from fogbank.cloud.machines.shares import GIB, Demand, Host, Shares, allocate, demand_of, this_host

HOST = Host((0, 1, 2, 3), 16 * GIB)


@pytest.mark.docs
@pytest.mark.parametrize(
    ("name", "num_vcpus", "gib"),
    [
        ("ml.m5.large", 2, 8),
        ("ml.m5.xlarge", 4, 16),
        ("ml.m5.4xlarge", 16, 64),
        ("ml.c5.2xlarge", 8, 16),
        ("ml.r5.large", 2, 16),
        ("ml.t3.medium", 2, 4),
        ("ml.t2.large", 2, 8),
        ("m5.large", 2, 8),
        ("ml.g4dn.xlarge", 4, 16),
    ],
)
def test_what_instance_types_promise(name: str, num_vcpus: int, gib: int) -> None:
    assert demand_of(name) == Demand(num_vcpus, gib * GIB)


def test_an_instance_gets_what_its_type_promises_where_that_is_there() -> None:
    assert allocate(HOST, [], demand_of("ml.m5.large")) == (Share((0, 1), 8 * GIB),)


def test_the_second_one_gets_the_other_processors() -> None:
    (first,) = allocate(HOST, [], demand_of("ml.m5.large"))
    assert allocate(HOST, [first], demand_of("ml.m5.large")) == (Share((2, 3), 8 * GIB),)


def test_two_that_start_together_halve_the_host() -> None:
    assert allocate(HOST, [], demand_of("ml.m5.4xlarge"), 2) == (
        Share((0, 1), 8 * GIB),
        Share((2, 3), 8 * GIB),
    )


def test_anything_else_gets_the_whole_host() -> None:
    assert allocate(HOST, [], demand_of("local")) == (Share((0, 1, 2, 3), 16 * GIB),)


DEMANDS = st.builds(Demand, st.integers(1, 96), st.integers(1, 400).map(lambda gib: gib * GIB))


@given(demands=st.lists(st.tuples(DEMANDS, st.integers(1, 8)), max_size=6))
def test_every_instance_can_run_however_full_the_host_is(
    demands: list[tuple[Demand, int]],
) -> None:
    running: list[Share] = []
    for demand, num_instances in demands:
        shares = allocate(HOST, running, demand, num_instances)
        assert len(shares) == num_instances
        for share in shares:
            assert 1 <= len(share.cpus) <= demand.num_vcpus
            assert set(share.cpus) <= set(HOST.cpus)
            assert len(set(share.cpus)) == len(share.cpus)
            assert share.memory_bytes <= demand.memory_bytes
        fair = min(demand.memory_bytes, HOST.memory_bytes // 4 // num_instances)
        assert all(share.memory_bytes >= fair for share in shares)
        assert sum(share.memory_bytes for share in shares) <= HOST.memory_bytes
        running += shares


def test_leases_have_addresses_of_their_own_and_come_back() -> None:
    shares = Shares(HOST, network=90 * 256 + 3)
    first, second = shares.lease(demand_of("ml.m5.large"), 2)
    assert (first.address, second.address) == ("127.90.3.1", "127.90.3.2")
    first.release()
    first.release()
    (third,) = shares.lease(demand_of("ml.m5.large"))
    assert third.address == "127.90.3.1"
    first.release()
    assert shares.num_leases == 2, "a lease that was given back has no say over its address"


def test_this_host_has_something_to_share() -> None:
    host = this_host()
    assert host.cpus
    assert host.memory_bytes > 0
