"""Makes endpoints true: reconciles Endpoint records with replicas that serve.

One task an endpoint. It shows the rule (`rules.endpoint.next_step`) what there is, writes the
record that the rule returns, starts and stops what it says, tells the router who serves, and
sleeps until something changes. A restart of the cloud is nothing special: no replicas are seen,
so the rule starts them.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from fogbank.cloud.machines.instance_supply import InstanceSupply
from fogbank.cloud.machines.nofollow import remove_tree
from fogbank.cloud.machines.reconcile import Reconciler
from fogbank.cloud.machines.replica import Replica
from fogbank.cloud.machines.replica_start import ReplicaStarter
from fogbank.cloud.machines.router import RoutedVariant, Router
from fogbank.cloud.machines.shares import Lease, demand_of
from fogbank.cloud.machines.site import Site
from fogbank.cloud.machines.threads import in_thread
from fogbank.cloud.ports import Records
from fogbank.cloud.records.alarm import Alarm
from fogbank.cloud.records.hosting import Endpoint, Variant
from fogbank.cloud.rules import deployment
from fogbank.cloud.rules.endpoint import FAILURE_REASON_CHARS, next_step
from fogbank.cloud.rules.endpoint_fleet import Observation, ReplicaSeen, Start, Stop, VariantSeen
from fogbank.cloud.rules.routing import DEFAULT_STRATEGY, Strategy

log = logging.getLogger("fogbank.hosting")


@dataclass(slots=True)
class _Trouble:
    """What `VariantSeen` tells about one deployed variant.

    num_spare:   instances whose container has ended: the next one needs not wait for its instance.
    short_since: since when there have been fewer instances than were asked for.
    """

    failures: int = 0
    last_failure: datetime | None = None
    last_words: str = ""
    refused: str | None = None
    num_spare: int = 0
    short_since: datetime | None = None


StartReplica = Callable[[str, str, Variant, Lease, Callable[[], None], float], Replica]
"""(replica id, endpoint name, variant, lease, changed, seconds until its instance is there) -> a
replica that starts itself."""


class _Keeper:
    """Keeps one endpoint as its record says."""

    def __init__(
        self,
        name: str,
        changed: asyncio.Event,
        records: Records,
        router: Router,
        site: Site,
        start_replica: StartReplica,
        supply: InstanceSupply,
    ) -> None:
        self.name = name
        self._records = records
        self._router = router
        self._shares = site.shares
        self._clock = site.clock
        self._start_replica = start_replica
        self._supply = supply
        self._replicas: dict[str, Replica] = {}
        self._troubles: defaultdict[tuple[str, int], _Trouble] = defaultdict(_Trouble)
        self._leaving: dict[asyncio.Task[None], Replica] = {}
        self._watched: frozenset[str] = frozenset()
        self._wake = changed

    async def run(self) -> None:
        """Until the endpoint is gone, or has failed and nothing of it runs."""
        found = self._records.get(Endpoint, self.name)
        for variant in () if found is None else (*found.variants, *found.pending_variants):
            # What an earlier run of the cloud had: its instances are there.
            trouble = self._troubles[variant.name, variant.generation]
            trouble.num_spare = variant.current_count
        try:
            while (endpoint := self._records.get(Endpoint, self.name)) is not None:
                self._wake.clear()
                self._collect_ended()
                now = self._clock.now()
                decision = next_step(endpoint, self._observe(endpoint, now), now)
                if decision.endpoint != endpoint:
                    log.info("endpoint %s: %s", self.name, decision.reason)
                    self._records.put(decision.endpoint)
                for stop in decision.stop:
                    self._stop(stop, now)
                    self._wake.set()  # it is out of service now, not when its requests have ended
                self._route(decision.endpoint)
                if decision.remove:
                    if self._leaving:
                        await asyncio.wait(self._leaving)
                    self._records.delete(Endpoint, self.name)
                    break
                is_short = self._start_all(decision.start, now)
                if decision.endpoint.status == "Failed" and not self._replicas:
                    break
                until = decision.wait_until
                if is_short:
                    again = now + timedelta(seconds=self._supply.ask_again_s)
                    until = again if until is None else min(until, again)
                await self._sleep(until)
        finally:
            self._router.remove_route(self.name)

    async def _sleep(self, until: datetime | None) -> None:
        if until is None:
            await self._wake.wait()
            return
        seconds = max(0.0, (until - self._clock.now()).total_seconds())
        alarm = asyncio.ensure_future(self._clock.sleep(seconds))
        woken = asyncio.ensure_future(self._wake.wait())
        try:
            await asyncio.wait({alarm, woken}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            alarm.cancel()
            woken.cancel()

    def _observe(self, endpoint: Endpoint, now: datetime) -> Observation:
        self._watched = frozenset(deployment.Policy.of(endpoint.pending_deployment).alarms)
        return Observation(
            replicas=tuple(
                ReplicaSeen(
                    id=replica.id,
                    variant=replica.variant.name,
                    generation=replica.variant.generation,
                    state=replica.state,
                    since=replica.since,
                )
                for replica in self._replicas.values()
            ),
            variants=tuple(
                VariantSeen(
                    variant=variant,
                    generation=generation,
                    failures=trouble.failures,
                    last_failure=trouble.last_failure,
                    last_words=trouble.last_words,
                    refused=trouble.refused,
                    short_s=0.0
                    if trouble.short_since is None
                    else (now - trouble.short_since).total_seconds() * self._supply.time_scale,
                )
                for (variant, generation), trouble in self._troubles.items()
            ),
            leaving=frozenset(_fleet_of(replica) for replica in self._leaving.values()),
            alarms=tuple(self._in_alarm()),
            time_scale=self._supply.time_scale,
        )

    def _in_alarm(self) -> Iterator[deployment.AlarmSeen]:
        for name in sorted(self._watched):
            alarm = self._records.get(Alarm, name)
            if alarm is not None and alarm.state == "ALARM":
                yield deployment.AlarmSeen(name=name, reason=alarm.state_reason)

    def hear(self, alarm: str) -> None:
        """An alarm has changed."""
        if alarm in self._watched:
            self._wake.set()

    def _collect_ended(self) -> None:
        """Forget replicas that ended by themselves, remember how; forgive where all is well."""
        for replica in list(self._replicas.values()):
            trouble = self._troubles[replica.variant.name, replica.variant.generation]
            if replica.end is not None:
                del self._replicas[replica.id]
                self._supply.give_back(replica.variant.instance_type)
                trouble.num_spare += 1
                trouble.failures += 1
                trouble.last_failure = self._clock.now()
                trouble.last_words = replica.end.words
                if replica.end.refused:
                    trouble.refused = replica.end.words
                log.warning("endpoint %s: %s ended: %s", self.name, replica.id, replica.end.words)
            elif replica.state == "healthy" and (
                trouble.last_failure is None or replica.since > trouble.last_failure
            ):
                trouble.failures = 0

    def _start_all(self, starts: Sequence[Start], now: datetime) -> bool:
        """Start what there are instances for. True where there are too few."""
        wanted = {(start.variant.name, start.variant.generation) for start in starts}
        for key, trouble in self._troubles.items():
            if key not in wanted:
                trouble.short_since = None
        shortfalls = [start.count - self._start(start, now) for start in starts]
        return any(shortfalls)

    def _start(self, start: Start, now: datetime) -> int:
        """How many were started."""
        variant = start.variant
        trouble = self._troubles[variant.name, variant.generation]
        given = self._supply.take(variant.instance_type, start.count)
        if given == start.count:
            trouble.short_since = None
        elif trouble.short_since is None:
            trouble.short_since = now
            log.warning(
                "endpoint %s: %d of %d instances of %s: there are no more",
                *(self.name, given, start.count, variant.instance_type),
            )
        if not given:
            return 0
        for lease in self._shares.lease(demand_of(variant.instance_type), given):
            has_instance = trouble.num_spare > 0
            trouble.num_spare -= has_instance
            replica_id = f"i-{secrets.token_hex(8)}{secrets.randbelow(16):x}"
            self._replicas[replica_id] = self._start_replica(
                replica_id,
                self.name,
                variant,
                lease,
                self._wake.set,
                0.0 if has_instance else self._supply.start_s,
            )
        return given

    def _stop(self, stop: Stop, now: datetime) -> None:
        replica = self._replicas.pop(stop.replica_id)
        log.info("endpoint %s: %s is stopped: %s", self.name, replica.id, stop.reason)
        trouble = self._troubles[replica.variant.name, replica.variant.generation]
        trouble.num_spare = trouble.num_spare + 1 if stop.failed else 0
        if stop.failed:
            trouble.failures += 1
            trouble.last_failure = now
            trouble.last_words = stop.reason
        leaving = asyncio.create_task(
            replica.abandon() if stop.failed else replica.stop(), name=f"stop {replica.id}"
        )
        self._leaving[leaving] = replica
        leaving.add_done_callback(self._left)

    def _left(self, task: asyncio.Task[None]) -> None:
        self._supply.give_back(self._leaving.pop(task).variant.instance_type)
        self._wake.set()  # an update may wait for the end of a fleet

    def _route(self, endpoint: Endpoint) -> None:
        if not endpoint.variants or endpoint.status == "Deleting":
            self._router.remove_route(self.name)
            return
        self._router.set_route(self.name, list(self._routed(endpoint)))

    def _routed(self, endpoint: Endpoint) -> Iterator[RoutedVariant]:
        """Who serves: while an update moves the traffic, variants of both fleets."""
        healthy: defaultdict[tuple[str, int], list[Replica]] = defaultdict(list)
        for replica in self._replicas.values():
            if replica.state == "healthy":
                healthy[_fleet_of(replica)].append(replica)
        old, new = endpoint.variants, endpoint.pending_variants
        old_share, new_share = deployment.fleet_shares(
            endpoint,
            old_serves=any((each.name, each.generation) in healthy for each in old),
            new_serves=any((each.name, each.generation) in healthy for each in new),
        )
        for share, fleet in ((old_share, old), (new_share, new)):
            if share == 0.0:
                continue
            for variant, weight in zip(fleet, deployment.divided(share, fleet), strict=True):
                replicas = healthy[variant.name, variant.generation]
                if fleet is new:
                    replicas = replicas[: deployment.num_activated(variant, share)]
                routed = tuple(replica.routed for replica in replicas)
                yield RoutedVariant(variant.name, weight, _strategy(variant), routed)

    async def abandon(self) -> None:
        """End every replica now, also those that let their requests end; the record stays."""
        kept = list(self._replicas.values())
        self._replicas.clear()
        await asyncio.gather(*(replica.abandon() for replica in (*kept, *self._leaving.values())))
        for replica in kept:
            self._supply.give_back(replica.variant.instance_type)
        if self._leaving:
            await asyncio.wait(self._leaving)


def _fleet_of(replica: Replica) -> tuple[str, int]:
    return replica.variant.name, replica.variant.generation


def _strategy(variant: Variant) -> Strategy:
    routing: Mapping[str, Strategy] = (variant.settings or {}).get("RoutingConfig") or {}
    return routing.get("RoutingStrategy", DEFAULT_STRATEGY)


class Endpoints:
    """All endpoints of the cloud. `start` begins to keep them, `stop` ends every replica."""

    def __init__(
        self, records: Records, router: Router, site: Site, supply: InstanceSupply | None = None
    ) -> None:
        self._records = records
        self._router = router
        self._site = site
        self._supply = supply or InstanceSupply()
        self._start_replica = ReplicaStarter(site)
        self._keepers: dict[str, _Keeper] = {}
        records.subscribe(Alarm, self._tell_keepers)
        self._reconciler = Reconciler(
            records,
            Endpoint,
            wants=lambda endpoint: endpoint.status != "Failed",
            keep=self._keep,
            broken=self._broken,
        )

    async def start(self) -> None:
        """Ends what an earlier run left, then keeps every endpoint until `stop`."""
        root = self._site.hosting_root
        root.mkdir(parents=True, exist_ok=True)
        for name in await self._site.engine.sweep(root):
            log.warning("%s had survived the last run of the cloud and was ended", name)
        for folder in root.iterdir():
            await in_thread(remove_tree, folder)
        self._reconciler.start()

    async def stop(self) -> None:
        """The records stay as they are: the next run starts the replicas again."""
        await self._reconciler.stop()

    async def _keep(self, name: str, changed: asyncio.Event) -> None:
        keeper = _Keeper(
            name,
            changed,
            self._records,
            self._router,
            self._site,
            self._start_replica,
            self._supply,
        )
        self._keepers[name] = keeper
        try:
            await keeper.run()
        finally:
            del self._keepers[name]
            await keeper.abandon()

    def _tell_keepers(self, alarm: str) -> None:
        for keeper in self._keepers.values():
            keeper.hear(alarm)

    def _broken(self, name: str, error: Exception) -> None:
        endpoint = self._records.get(Endpoint, name)
        if endpoint is not None:
            reason = f"Fogbank could not keep the endpoint: {error!r}"
            self._records.put(
                replace(
                    endpoint,
                    status="Failed",
                    failure_reason=reason[:FAILURE_REASON_CHARS],
                    modified=self._site.clock.now(),
                )
            )
