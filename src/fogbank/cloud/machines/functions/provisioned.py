"""Keeps provisioned environments: reconciles `ProvisionedConcurrency` records with the pool.

One task a record. Woken when the record, its alias or a version changes (Application Auto Scaling
writes `requested`, for example) and when an environment has come up or has ended. A restart of the
cloud is nothing special: no environments are seen, so they are started.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace

from fogbank.cloud.machines.functions.pool import Pool, Slot, made_of
from fogbank.cloud.machines.reconcile import Reconciler
from fogbank.cloud.ports import FunctionUnavailable, MetricSink, Records
from fogbank.cloud.records.function import Alias, FunctionVersion, ProvisionedConcurrency
from fogbank.cloud.rules import function_metrics as metrics
from fogbank.cloud.rules import function_provisioned as rule
from fogbank.core.clock import Clock

log = logging.getLogger("fogbank.functions")

METRICS_EVERY_S = 10.0
"""How often utilization is said while nobody calls: several times in a metric's minute."""


class ProvisionedKeeper:
    """time_scale: how many times faster than real time a metric's minute passes."""

    def __init__(
        self,
        records: Records,
        pool: Pool,
        sink: MetricSink,
        clock: Clock,
        *,
        time_scale: float = 1.0,
    ) -> None:
        self._records = records
        self._pool = pool
        self._sink = sink
        self._clock = clock
        self._metrics_every_s = METRICS_EVERY_S / time_scale
        self._events: dict[str, asyncio.Event] = {}
        self._failures: dict[str, tuple[object, str]] = {}
        self._filling: set[asyncio.Task[None]] = set()
        self._metrics: asyncio.Task[None] | None = None
        self._reconciler = Reconciler(
            records,
            ProvisionedConcurrency,
            wants=lambda _: True,
            keep=self._keep,
            broken=self._broken,
        )

    def start(self) -> None:
        self._pool.freed = self._wake
        self._records.subscribe(Alias, self._wake)
        self._records.subscribe(FunctionVersion, self._wake_function)
        self._reconciler.start()
        self._metrics = asyncio.create_task(self._measure(), name="provisioned concurrency")

    async def stop(self) -> None:
        """The records stay: the next run starts the environments again."""
        if self._metrics is not None:
            self._metrics.cancel()
            await asyncio.wait({self._metrics})
            self._metrics = None
        await self._reconciler.stop()
        for task in self._filling:
            task.cancel()
        if self._filling:
            await asyncio.wait(self._filling)

    def _wake(self, key: str) -> None:
        event = self._events.get(key)
        if event is not None:
            event.set()

    def _wake_function(self, key: str) -> None:
        function = key.partition(":")[0]
        for other in self._events:
            if other.startswith(f"{function}:"):
                self._wake(other)

    async def _keep(self, key: str, changed: asyncio.Event) -> None:
        self._events[key] = changed
        try:
            while (record := self._records.get(ProvisionedConcurrency, key)) is not None:
                changed.clear()
                self._step(key, record)
                await changed.wait()
        finally:
            del self._events[key]
            self._failures.pop(key, None)
            for slot in self._pool.owned(key):
                self._pool.dismiss(slot)

    def _step(self, key: str, record: ProvisionedConcurrency) -> None:
        wanted = rule.split(record.requested, self._records.get(Alias, key), record.qualifier)
        target = self._target(record, wanted)
        failed_target, failure = self._failures.get(key, (None, None))
        if failed_target != target:
            failure = None
        slots = {str(id(slot)): slot for slot in self._pool.owned(key)}
        seen = [self._seen(name, slot) for name, slot in slots.items()]
        decision = rule.next_step(record, wanted, seen, failure)
        if decision.record != record:
            log.info("provisioned concurrency of %s: %s", key, decision.reason)
            self._records.put(decision.record)
        for name in decision.stop:
            self._pool.dismiss(slots[name])
        for number, count in decision.start.items():
            version = self._records.get(FunctionVersion, f"{record.function}:{number}")
            if version is None:
                self._fail(key, target, f"Version {number} does not exist.")
                continue
            for _ in range(count):
                slot = self._pool.add(version, key, busy=False)
                task = asyncio.create_task(self._fill(key, slot, target), name=f"fill {key}")
                self._filling.add(task)
                task.add_done_callback(self._filling.discard)

    def _target(self, record: ProvisionedConcurrency, wanted: dict[str, int]) -> object:
        """What a failure is about: another target is tried anew."""
        versions = (
            self._records.get(FunctionVersion, f"{record.function}:{number}") for number in wanted
        )
        return (
            record.modified,
            record.requested,
            wanted,
            [None if version is None else made_of(version) for version in versions],
        )

    def _seen(self, name: str, slot: Slot) -> rule.EnvironmentSeen:
        version = self._records.get(FunctionVersion, slot.version.key)
        current = version is not None and made_of(version) == made_of(slot.version)
        return rule.EnvironmentSeen(name, slot.version.version, slot.ready, current)

    async def _fill(self, key: str, slot: Slot, target: object) -> None:
        try:
            environment = await self._pool.fill(slot)
        except FunctionUnavailable as error:
            self._fail(key, target, str(error))
            return
        if environment.init_error is not None:
            log.warning("%s: init of a provisioned environment: %s", key, environment.init_error)
            self._fail(key, target, rule.INIT_FAILURE)
            self._pool.discard(slot)
        self._wake(key)

    def _fail(self, key: str, target: object, reason: str) -> None:
        self._failures[key] = (target, reason)
        self._wake(key)

    async def _measure(self) -> None:
        while True:
            await self._clock.sleep(self._metrics_every_s)
            for record in self._records.all(ProvisionedConcurrency):
                self._sink.record(
                    metrics.NAMESPACE,
                    metrics.provisioned_state(
                        record.function,
                        record.qualifier,
                        busy=sum(slot.busy for slot in self._pool.owned(record.key)),
                        allocated=record.allocated,
                        now=self._clock.now(),
                    ),
                )

    def _broken(self, key: str, error: Exception) -> None:
        record = self._records.get(ProvisionedConcurrency, key)
        if record is not None:
            reason = f"Fogbank could not keep the environments: {error!r}"
            self._records.put(replace(record, status="FAILED", status_reason=reason))
