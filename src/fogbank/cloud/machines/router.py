"""The data plane: InvokeEndpoint's bytes to a replica and back, untouched.

In: invocations, and a table of routes that hosting keeps current. Out: the container's answer.
Which variant and replica is the rule's choice (`rules.routing`); this room holds the connections,
counts what is in flight, keeps the 60 s limit and measures.
"""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from fogbank.cloud.machines.endpoint_metrics import Fleet, Gauge, VariantMeter
from fogbank.cloud.machines.engine import Share, Usage
from fogbank.cloud.machines.replica_http import Answer, ReplicaGone, ReplicaHttp
from fogbank.cloud.ports import (
    Invocation,
    InvocationResult,
    InvocationTimeout,
    MetricSink,
    NoAnswer,
    NoCapacity,
)
from fogbank.cloud.rules.routing import Strategy, choose_replica, choose_variant
from fogbank.core.clock import Clock

INVOCATION_LIMIT_S = 60.0
"""A container must answer within this (operations of InvokeEndpoint, API reference)."""

MAX_OUTSTANDING = 1000
"""Requests in flight to one replica; more are refused at once instead of piling up."""

RECOVERY_WAIT_S = 20.0
"""How long a request waits for a replica where there is none at the moment: after a restart of the
cloud, or of a container that died. Then it is refused with 503."""

MAX_SENDS = 2
"""How often one request may be given to containers that break off without a byte of an answer. Once
more, because a replica may have gone between two requests; not more, because a request that kills
its container would take one replica after the other with it."""


@dataclass(slots=True, eq=False)
class RoutedReplica:
    """A healthy replica and what is in flight to it. usage, share: what its program uses, and may
    use; None where that is not known."""

    id: str
    http: ReplicaHttp
    share: Share | None = None
    usage: Callable[[], Usage | None] = lambda: None
    outstanding: int = 0
    idle: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.idle.set()

    def begin(self) -> None:
        self.outstanding += 1
        self.idle.clear()

    def end(self) -> None:
        self.outstanding -= 1
        if not self.outstanding:
            self.idle.set()


@dataclass(frozen=True, slots=True)
class RoutedVariant:
    """A variant that serves: its share of the traffic and its healthy replicas."""

    name: str
    weight: float
    strategy: Strategy
    replicas: tuple[RoutedReplica, ...]


def _untried(variant: RoutedVariant, tried: set[str]) -> Sequence[RoutedReplica]:
    if not tried:
        return variant.replicas
    return [replica for replica in variant.replicas if replica.id not in tried]


class Router:
    """Implements `ports.Invoker`."""

    def __init__(
        self,
        metrics: MetricSink,
        clock: Clock,
        *,
        limit_s: float = INVOCATION_LIMIT_S,
        recovery_wait_s: float = RECOVERY_WAIT_S,
    ) -> None:
        self._metrics = metrics
        self._clock = clock
        self._limit_s = limit_s
        self._recovery_wait_s = recovery_wait_s
        self._routes: dict[str, tuple[RoutedVariant, ...]] = {}
        self._changed: dict[str, asyncio.Event] = {}
        self._meters: dict[tuple[str, str], VariantMeter] = {}
        self._random = random.Random()  # noqa: S311 - a share of the traffic is no secret

    def set_route(self, endpoint: str, variants: Sequence[RoutedVariant]) -> None:
        """What serves `endpoint` from now on. Requests in flight end where they are."""
        self._routes[endpoint] = tuple(variants)
        self._wake(endpoint)

    def remove_route(self, endpoint: str) -> None:
        self._routes.pop(endpoint, None)
        self._wake(endpoint)

    def fleet(self) -> Fleet:
        """Who serves what at the moment."""
        found: defaultdict[tuple[str, str], list[Gauge]] = defaultdict(list)
        for endpoint, variants in self._routes.items():
            for variant in variants:  # of one name there are two while an update moves traffic
                found[endpoint, variant.name].extend(
                    Gauge(replica.id, replica.outstanding, replica.usage, replica.share)
                    for replica in variant.replicas
                )
        return found

    def meter(self, endpoint: str, variant: str) -> VariantMeter:
        """Where a variant's invocations are counted."""
        found = self._meters.get((endpoint, variant))
        if found is None:
            found = VariantMeter(self._metrics, endpoint, variant)
            self._meters[endpoint, variant] = found
        return found

    def _wake(self, endpoint: str) -> None:
        changed = self._changed.pop(endpoint, None)
        if changed is not None:
            changed.set()

    async def invoke(self, invocation: Invocation) -> InvocationResult:
        """See `ports.Invoker`."""
        started_s = self._clock.monotonic_s()
        tried: set[str] = set()
        num_sent = 0
        while True:
            variant = self._variant(invocation)
            if not _untried(variant, tried):
                variant = await self._recovered(invocation, tried)
            replica = self._replica(variant, tried)
            tried.add(replica.id)
            sent_s = self._clock.monotonic_s()
            try:
                answer = await self._exchange(replica, invocation)
            except TimeoutError:
                self._measure(invocation.endpoint, variant, started_s, sent_s, 500)
                raise InvocationTimeout(
                    f"the container did not answer within {self._limit_s:g} s"
                ) from None
            except ReplicaGone as gone:
                num_sent += gone.num_sent
                if gone.answered or num_sent >= MAX_SENDS:
                    self._measure(invocation.endpoint, variant, started_s, sent_s, 500)
                    raise NoAnswer(str(gone)) from gone
                continue  # no byte came back: another replica may do it
            self._measure(invocation.endpoint, variant, started_s, sent_s, answer.status)
            return InvocationResult(answer.status, answer.headers, answer.body, variant.name)

    async def _exchange(self, replica: RoutedReplica, invocation: Invocation) -> Answer:
        replica.begin()
        try:
            return await replica.http.request(
                "POST",
                "/invocations",
                invocation.headers,
                invocation.body,
                limit_s=self._limit_s,
            )
        finally:
            replica.end()

    async def _recovered(self, invocation: Invocation, tried: set[str]) -> RoutedVariant:
        """Wait until a replica is there that was not tried. Which variant was meant is asked again:
        an update may have changed them meanwhile."""
        try:
            async with asyncio.timeout(self._recovery_wait_s):
                while not _untried(variant := self._variant(invocation), tried):
                    changed = self._changed.setdefault(invocation.endpoint, asyncio.Event())
                    await changed.wait()
                return variant
        except TimeoutError:
            raise NoCapacity(
                f"no healthy instance of variant {variant.name} within {self._recovery_wait_s:g} s"
            ) from None

    def _variant(self, invocation: Invocation) -> RoutedVariant:
        variants = self._routes.get(invocation.endpoint)
        if not variants:
            raise LookupError(f"Endpoint {invocation.endpoint} is not in service")
        if invocation.target_variant is not None:
            # Of one name there are two while an update moves the traffic to a new fleet.
            variants = tuple(each for each in variants if each.name == invocation.target_variant)
            if not variants:
                raise LookupError(
                    f"Variant {invocation.target_variant} not found for endpoint "
                    f"{invocation.endpoint}"
                )
        weights = [variant.weight for variant in variants]
        return variants[choose_variant(weights, self._random.random())]

    def _replica(self, variant: RoutedVariant, tried: set[str]) -> RoutedReplica:
        replicas = [
            replica for replica in _untried(variant, tried) if replica.outstanding < MAX_OUTSTANDING
        ]
        if not replicas:
            raise NoCapacity(f"no instance of variant {variant.name} can take the request now")
        outstanding = [replica.outstanding for replica in replicas]
        return replicas[choose_replica(outstanding, self._random.random(), variant.strategy)]

    def _measure(
        self, endpoint: str, variant: RoutedVariant, started_s: float, sent_s: float, status: int
    ) -> None:
        now_s = self._clock.monotonic_s()
        self.meter(endpoint, variant.name).invoked(
            self._clock.now(),
            num_instances=len(variant.replicas),
            status=status,
            model_s=now_s - sent_s,
            overhead_s=sent_s - started_s,
        )
