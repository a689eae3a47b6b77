"""Which replica gets an invocation, what becomes of it when that goes wrong, what is measured."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack

import pytest

from cloud.machines.container_double import Peer, Serve, container
from cloud.machines.training_site import MemoryMetrics
from fogbank.cloud.machines.endpoint_metrics import NAMESPACE
from fogbank.cloud.machines.replica_http import ReplicaHttp
from fogbank.cloud.machines.router import (
    MAX_OUTSTANDING,
    MAX_SENDS,
    RoutedReplica,
    RoutedVariant,
    Router,
)
from fogbank.cloud.ports import Invocation, InvocationTimeout, NoAnswer, NoCapacity
from fogbank.cloud.rules.routing import Strategy
from fogbank.testing.clock import ManualClock


class Fleet:
    """A router and containers that it may route to."""

    def __init__(self, stack: AsyncExitStack) -> None:
        self.clock = ManualClock()
        self.metrics = MemoryMetrics()
        self.router = Router(self.metrics, self.clock, limit_s=5, recovery_wait_s=5)
        self._stack = stack
        self._num_replicas = 0

    async def replica(self, serve: Serve) -> RoutedReplica:
        return self._routed((await self._stack.enter_async_context(container(serve))).port)

    async def dead_replica(self) -> RoutedReplica:
        """Nobody listens at its address any more."""
        async with container() as found:
            pass
        return self._routed(found.port)

    def _routed(self, port: int) -> RoutedReplica:
        self._num_replicas += 1
        http = ReplicaHttp("127.0.0.1", port)
        self._stack.callback(http.close)
        return RoutedReplica(f"i-{self._num_replicas}", http)

    def route(
        self, *replicas: RoutedReplica, strategy: Strategy = "LEAST_OUTSTANDING_REQUESTS"
    ) -> None:
        self.router.set_route("dogs", [RoutedVariant("AllTraffic", 1.0, strategy, replicas)])

    async def invoke(self, text: str = "x", target: str | None = None) -> tuple[str, str]:
        """(the container's body, the variant that answered)"""
        result = await self.router.invoke(
            Invocation("dogs", text.encode(), {"content-type": "text/plain"}, target)
        )
        return result.body.decode(), result.variant

    def measured(self) -> list[tuple[str, float, str]]:
        return [(datum.name, datum.value, datum.unit) for _, datum in self.metrics.data]

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            while not condition():  # noqa: ASYNC110 - counters have no events
                await asyncio.sleep(0)


@pytest.fixture
async def fleet() -> AsyncIterator[Fleet]:
    async with AsyncExitStack() as stack:
        yield Fleet(stack)


def says(word: str, status: int = 200) -> Serve:
    async def serve(peer: Peer) -> None:
        while await peer.request() is not None:
            peer.answer(word, status)

    return serve


def waits_for(event: asyncio.Event, word: str = "done") -> Serve:
    async def serve(peer: Peer) -> None:
        while await peer.request() is not None:
            await event.wait()
            peer.answer(word)

    return serve


async def breaks_off(peer: Peer) -> None:
    """Dies of each request before it has said a byte."""
    await peer.request()


@pytest.mark.docs  # ProductionVariant, InitialVariantWeight
async def test_variants_share_the_traffic_by_weight(fleet: Fleet) -> None:
    many, few, none = [await fleet.replica(says(word)) for word in ("many", "few", "none")]
    fleet.router.set_route(
        "dogs",
        [
            RoutedVariant("Many", 3.0, "RANDOM", (many,)),
            RoutedVariant("Few", 1.0, "RANDOM", (few,)),
            RoutedVariant("None", 0.0, "RANDOM", (none,)),
        ],
    )
    counted = Counter([await fleet.invoke() for _ in range(400)])
    assert counted.keys() == {("many", "Many"), ("few", "Few")}
    # 300 are expected, with a standard deviation of 9.
    assert 240 < counted["many", "Many"] < 360


@pytest.mark.docs  # InvokeEndpoint, TargetVariant
async def test_a_target_variant_overrides_the_weights(fleet: Fleet) -> None:
    fleet.router.set_route(
        "dogs",
        [
            RoutedVariant("A", 1.0, "RANDOM", (await fleet.replica(says("a")),)),
            RoutedVariant("B", 0.0, "RANDOM", (await fleet.replica(says("b")),)),
        ],
    )
    assert await fleet.invoke(target="B") == ("b", "B")
    with pytest.raises(LookupError, match="Variant C not found for endpoint dogs"):
        await fleet.invoke(target="C")


async def test_an_endpoint_without_a_route(fleet: Fleet) -> None:
    with pytest.raises(LookupError, match="dogs is not in service"):
        await fleet.invoke()
    fleet.route(await fleet.replica(says("a")))
    assert await fleet.invoke() == ("a", "AllTraffic")
    fleet.router.remove_route("dogs")
    with pytest.raises(LookupError, match="dogs is not in service"):
        await fleet.invoke()


@pytest.mark.docs  # RoutingConfig, LEAST_OUTSTANDING_REQUESTS
async def test_the_least_busy_replica_is_taken(fleet: Fleet) -> None:
    free = asyncio.Event()
    replicas = [await fleet.replica(waits_for(free, word)) for word in "abc"]
    fleet.route(*replicas)
    running = [asyncio.create_task(fleet.invoke()) for _ in range(6)]
    await fleet.until(lambda: sum(replica.outstanding for replica in replicas) == 6)
    assert [replica.outstanding for replica in replicas] == [2, 2, 2]
    assert not any(replica.idle.is_set() for replica in replicas)
    free.set()
    assert sorted(body for body, _ in await asyncio.gather(*running)) == [*"aabbcc"]
    assert all(replica.idle.is_set() for replica in replicas)


async def test_a_replica_takes_only_so_many(fleet: Fleet) -> None:
    replica = await fleet.replica(says("a"))
    fleet.route(replica)
    replica.outstanding = MAX_OUTSTANDING
    with pytest.raises(NoCapacity, match="no instance of variant AllTraffic can take"):
        await fleet.invoke()
    replica.outstanding -= 1
    assert await fleet.invoke() == ("a", "AllTraffic")


@pytest.mark.docs  # InvokeEndpoint: a container must answer within 60 seconds
async def test_a_container_that_takes_too_long(fleet: Fleet) -> None:
    slow = await fleet.replica(waits_for(asyncio.Event()))
    fleet.route(slow)
    impatient = Router(fleet.metrics, fleet.clock, limit_s=0.02)
    impatient.set_route("dogs", [RoutedVariant("AllTraffic", 1.0, "RANDOM", (slow,))])
    with pytest.raises(InvocationTimeout, match=r"within 0\.02 s"):
        await impatient.invoke(Invocation("dogs", b"x", {}))
    assert slow.outstanding == 0
    assert ("Invocation5XXErrors", 1.0, "Count") in fleet.measured()


async def test_a_replica_that_has_gone_is_left_out(fleet: Fleet) -> None:
    fleet.route(*[await fleet.dead_replica() for _ in range(5)], await fleet.replica(says("a")))
    for _ in range(20):
        assert await fleet.invoke() == ("a", "AllTraffic")
    errors = [value for name, value, _ in fleet.measured() if name == "Invocation5XXErrors"]
    assert errors == [0.0] * 20


async def test_a_request_that_breaks_off_is_tried_once_more(fleet: Fleet) -> None:
    broken = await fleet.replica(breaks_off)
    fleet.route(broken, await fleet.replica(says("a")))
    for _ in range(20):
        assert await fleet.invoke() == ("a", "AllTraffic")


async def test_a_request_that_kills_does_not_kill_them_all(fleet: Fleet) -> None:
    met: list[int] = []

    def dies(number: int) -> Serve:
        async def serve(peer: Peer) -> None:
            await peer.request()
            met.append(number)

        return serve

    fleet.route(*[await fleet.replica(dies(number)) for number in range(5)])
    with pytest.raises(NoAnswer):
        await fleet.invoke()
    assert len(met) == MAX_SENDS
    assert ("Invocation5XXErrors", 1.0, "Count") in fleet.measured()


async def test_half_an_answer_is_not_tried_again(fleet: Fleet) -> None:
    async def half(peer: Peer) -> None:
        await peer.request()
        peer.send("HTTP/1.1 200 OK\n")

    fleet.route(*[await fleet.replica(half) for _ in range(2)])
    with pytest.raises(NoAnswer, match="closed the connection"):
        await fleet.invoke()


@pytest.mark.parametrize("dead", [False, True])
async def test_a_request_waits_for_a_replica_that_comes(fleet: Fleet, dead: bool) -> None:
    """None is there, or the only one has just died and hosting has not noticed yet."""
    gone = [await fleet.dead_replica()] if dead else []
    fleet.route(*gone)
    waiting = asyncio.create_task(fleet.invoke())
    for _ in range(20):
        await asyncio.sleep(0)
    fleet.route()  # hosting has noticed: nothing has come yet
    for _ in range(20):
        await asyncio.sleep(0)
    assert not waiting.done()
    fleet.route(await fleet.replica(says("a")))
    assert await waiting == ("a", "AllTraffic")


async def test_a_request_does_not_wait_for_ever(fleet: Fleet) -> None:
    router = Router(fleet.metrics, fleet.clock, recovery_wait_s=0.02)
    router.set_route("dogs", [RoutedVariant("AllTraffic", 1.0, "RANDOM", ())])
    with pytest.raises(NoCapacity, match=r"variant AllTraffic within 0\.02 s"):
        await router.invoke(Invocation("dogs", b"x", {}))


async def test_an_endpoint_that_is_deleted_meanwhile(fleet: Fleet) -> None:
    fleet.route()
    waiting = asyncio.create_task(fleet.invoke())
    await asyncio.sleep(0)
    fleet.router.remove_route("dogs")
    with pytest.raises(LookupError, match="dogs is not in service"):
        await waiting


async def test_an_update_moves_new_requests_and_leaves_the_old_ones(fleet: Fleet) -> None:
    free = asyncio.Event()
    old = await fleet.replica(waits_for(free, "old"))
    fleet.route(old)
    running = asyncio.create_task(fleet.invoke())
    await fleet.until(lambda: old.outstanding == 1)
    fleet.route(await fleet.replica(says("new")))
    assert await fleet.invoke() == ("new", "AllTraffic")
    free.set()
    assert await running == ("old", "AllTraffic")


@pytest.mark.docs  # developer guide, "SageMaker AI endpoint invocation metrics"
@pytest.mark.parametrize(
    ("status", "errors_4xx", "errors_5xx"), [(200, 0.0, 0.0), (400, 1.0, 0.0), (500, 0.0, 1.0)]
)
async def test_what_is_measured(
    fleet: Fleet, status: int, errors_4xx: float, errors_5xx: float
) -> None:
    async def serve(peer: Peer) -> None:
        await peer.request()
        await fleet.clock.advance(0.25)
        peer.answer("a", status)

    fleet.route(await fleet.replica(serve), await fleet.replica(serve))
    await fleet.invoke()
    assert fleet.measured() == [
        ("Invocations", 1.0, "Count"),
        ("InvocationsPerInstance", 0.5, "Count"),
        ("Invocation4XXErrors", errors_4xx, "Count"),
        ("Invocation5XXErrors", errors_5xx, "Count"),
        ("InvocationModelErrors", max(errors_4xx, errors_5xx), "Count"),
        ("ModelLatency", 250_000.0, "Microseconds"),
        ("OverheadLatency", 0.0, "Microseconds"),
    ]
    for namespace, datum in fleet.metrics.data:
        assert namespace == NAMESPACE == "AWS/SageMaker"
        assert datum.dimensions == {"EndpointName": "dogs", "VariantName": "AllTraffic"}
        assert datum.at == fleet.clock.now().replace(microsecond=0)
