"""What an endpoint sustains, found by asking: an instance of known speed, in virtual time."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fogbank.ops.load.generator import NOT_SENT, OK, Sample
from fogbank.ops.load.measure import Round, best, judge, measure, next_rate
from fogbank.testing.clock import ManualClock


class Instance:
    """Answers one request after the other, each in `service_s` seconds of the clock; with more than
    `queue` waiting it refuses."""

    def __init__(self, service_s: float, *, queue: int = 10_000, error: str = OK) -> None:
        self.clock = ManualClock()
        self._service_s = service_s
        self._queue = queue
        self._error = error
        self._waiting = 0
        self._free_s = 0.0

    async def send(self) -> str:
        if self._waiting >= self._queue:
            return "Throttling"
        self._waiting += 1
        now_s = self.clock.monotonic_s()
        self._free_s = max(self._free_s, now_s) + self._service_s
        await self.clock.sleep(self._free_s - now_s)
        self._waiting -= 1
        return self._error

    async def measured(self, limit_ms: float = 500, max_per_s: float = 500) -> list[Round]:
        told: list[Round] = []
        task = asyncio.create_task(
            measure(
                self.send,
                self.clock,
                latency_limit_ms=limit_ms,
                max_per_s=max_per_s,
                done=told.append,
            )
        )
        while not task.done():
            await self.clock.advance(5)
        assert await task == told
        return told


@pytest.mark.parametrize("service_s", [0.25, 0.02])
async def test_what_one_after_the_other_can_do_is_found(service_s: float) -> None:
    found = best(await Instance(service_s).measured())
    assert found is not None
    assert 1 / service_s / 1.25 <= found.rate_per_s <= 1 / service_s
    assert found.p90_ms is not None
    assert found.p90_ms <= 500


async def test_refused_requests_are_too_much() -> None:
    rounds = await Instance(0.05, queue=2).measured()
    assert any("failed (Throttling)" in each.too_much for each in rounds)
    found = best(rounds)
    assert found is not None
    assert found.rate_per_s <= 20


async def test_an_endpoint_that_fails_has_no_rounds() -> None:
    assert await Instance(0.05, error="ModelError").measured() == []


async def test_a_limit_that_one_request_misses_ends_without_a_best_one() -> None:
    rounds = await Instance(0.8).measured(limit_ms=500)
    assert best(rounds) is None
    assert [each.too_much for each in rounds] == ["one request alone takes 800 ms"]


async def test_a_slow_model_gets_the_time_it_needs() -> None:
    found = best(await Instance(6.0).measured(limit_ms=20_000))
    assert found is not None
    assert 1 / 8 <= found.rate_per_s * 6 <= 1
    assert found.num_requests >= 5


async def test_it_never_asks_for_more_than_it_may() -> None:
    rounds = await Instance(0.001).measured(max_per_s=30)
    assert max(each.rate_per_s for each in rounds) == 30
    assert best(rounds) == rounds[-1]


def samples(latency_s: list[float], *, late_s: float = 0.0, error: str = OK) -> list[Sample]:
    return [
        Sample(number * 0.1, each, each - late_s, error) for number, each in enumerate(latency_s)
    ]


def test_a_queue_that_grows_is_too_much_though_the_limit_is_kept() -> None:
    growing = judge(samples([0.02 + 0.01 * number for number in range(40)]), 10, 500)
    assert growing.p90_ms is not None
    assert growing.p90_ms < 500
    assert growing.too_much == "latency grew by 100 ms a second"


def test_a_sender_that_is_late_says_so() -> None:
    assert "could not send" in judge(samples([0.6] * 20, late_s=0.5), 100, 500).too_much
    assert "p90 is above" in judge(samples([0.6] * 20), 100, 500).too_much
    assert "not be sent" in judge(samples([0.1] * 20, error=NOT_SENT), 100, 500).too_much


@given(st.floats(0.2, 1000), st.floats(0.3, 1000), st.floats(1, 2000))
def test_the_search_ends_near_what_is_sustained(
    first_per_s: float, share: float, max_per_s: float
) -> None:
    """share: of the first rate, what is sustained."""
    sustained_per_s = share * first_per_s
    rounds: list[Round] = []
    while (rate_per_s := next_rate(rounds, first_per_s, max_per_s)) is not None:
        assert rate_per_s <= max_per_s
        assert rate_per_s not in [each.rate_per_s for each in rounds]
        rounds.append(
            Round(
                rate_per_s=rate_per_s,
                num_requests=1,
                p50_ms=1,
                p90_ms=1,
                too_much="late" if rate_per_s > sustained_per_s else "",
            )
        )
        assert len(rounds) < 30
    found = best(rounds)
    assert found is not None
    wanted = min(sustained_per_s, max_per_s)
    assert wanted / 1.21 <= found.rate_per_s <= wanted
