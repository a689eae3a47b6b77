"""Asynchronous events: taken from their queue, run, tried again, and reported in the end.

In: `QueuedEvent` records. Out: calls of the invoker, records with the next attempt's time, records
deleted and destinations told. One task an event; what is queued survives a restart, and an event
whose attempt was cut short is run again (at least once, as on AWS). The rule is
`rules.function_events`.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import defaultdict

from fogbank.cloud.machines.functions.destinations import DeliveryFailed, Destinations
from fogbank.cloud.machines.reconcile import Reconciler, changed_or_due
from fogbank.cloud.ports import (
    FunctionCall,
    FunctionInvoker,
    FunctionThrottled,
    FunctionUnavailable,
    MetricSink,
    Records,
)
from fogbank.cloud.records.function import (
    LATEST,
    Alias,
    EventInvokeConfig,
    Function,
    FunctionVersion,
    QueuedEvent,
)
from fogbank.cloud.rules import function_events as rule
from fogbank.cloud.rules import function_metrics as metrics
from fogbank.cloud.rules.function_routing import version_of_alias
from fogbank.core.clock import Clock

log = logging.getLogger("fogbank.functions")

PARALLEL_EVENTS = 50
"""So many events of a function run at once: a long queue must not start a thousand processes."""


class AsyncEvents:
    def __init__(
        self,
        records: Records,
        invoker: FunctionInvoker,
        destinations: Destinations,
        sink: MetricSink,
        clock: Clock,
    ) -> None:
        self._records = records
        self._invoker = invoker
        self._destinations = destinations
        self._sink = sink
        self._clock = clock
        self._random = random.Random()  # noqa: S311 - a share of the traffic is no secret
        self._of_before: set[str] = set()
        self._turns: defaultdict[str, asyncio.Semaphore] = defaultdict(
            lambda: asyncio.Semaphore(PARALLEL_EVENTS)
        )
        self._reconciler = Reconciler(
            records,
            QueuedEvent,
            wants=lambda _: True,
            keep=self._keep,
            broken=self._broken,
        )

    def start(self) -> None:
        self._of_before = {event.key for event in self._records.all(QueuedEvent)}
        self._reconciler.start()

    async def stop(self) -> None:
        """What is queued stays queued."""
        await self._reconciler.stop()

    async def _keep(self, key: str, changed: asyncio.Event) -> None:
        event = self._records.get(QueuedEvent, key)
        if event is not None and key not in self._of_before:
            self._count("AsyncEventsReceived", 1, event)
        while event is not None:
            now = self._clock.now()
            if event.due > now:
                changed.clear()
                await changed_or_due(changed, event.due, self._clock)
            else:
                await self._attempt(event)
            event = self._records.get(QueuedEvent, key)

    async def _attempt(self, event: QueuedEvent) -> None:
        config = self._config(event)
        async with self._turns[event.function]:
            if self._records.get(QueuedEvent, event.key) is None:
                return
            now = self._clock.now()
            if rule.is_too_old(event, config, now):
                await self._conclude(
                    event, config, rule.Conclusion("EventAgeExceeded", "it waited for too long")
                )
                return
            version = self._version(event)
            if version is None:
                log.warning("event %s is dropped: nothing of that name is left", event.key)
                self._count("AsyncEventsDropped", 1, event)
                self._records.delete(QueuedEvent, event.key)
                return
            age_ms = (now - event.accepted).total_seconds() * 1000
            self._count("AsyncEventAge", age_ms, event)
            outcome = await self._run(event, version)
        decision = rule.after_attempt(event, config, outcome, self._clock.now())
        if isinstance(decision, rule.Retry):
            log.info(
                "event %s is tried again at %s: %s", event.key, decision.event.due, decision.reason
            )
            self._records.put(decision.event)
        else:
            await self._conclude(event, config, decision)

    async def _run(
        self, event: QueuedEvent, version: FunctionVersion
    ) -> rule.Answered | rule.NotRun:
        if version.state != "Active":
            return rule.NotRun(f"the function is {version.state}")
        call = FunctionCall(
            function=event.function,
            version=version.version,
            qualifier=event.qualifier,
            payload=event.payload.encode(),
            request_id=event.request_id,
        )
        try:
            result = await self._invoker.call(call)
        except FunctionThrottled as throttled:
            function = self._records.get(Function, event.function)
            switched_off = function is not None and function.reserved_concurrency == 0
            return rule.NotRun(throttled.reason, switched_off)
        except (FunctionUnavailable, LookupError) as error:
            return rule.NotRun(str(error))
        return rule.Answered(result.payload, version.version, result.error)

    def _version(self, event: QueuedEvent) -> FunctionVersion | None:
        qualifier = event.qualifier or LATEST
        alias = self._records.get(Alias, f"{event.function}:{qualifier}")
        if alias is not None:
            qualifier = version_of_alias(alias, self._random.random())
        return self._records.get(FunctionVersion, f"{event.function}:{qualifier}")

    def _config(self, event: QueuedEvent) -> EventInvokeConfig | None:
        key = f"{event.function}:{event.qualifier or LATEST}"
        return self._records.get(EventInvokeConfig, key)

    async def _conclude(
        self, event: QueuedEvent, config: EventInvokeConfig | None, conclusion: rule.Conclusion
    ) -> None:
        if not conclusion.success:
            log.info("event %s: %s: %s", event.key, conclusion.condition, conclusion.reason)
            self._count("AsyncEventsDropped", 1, event)
        await self._tell(event, config, conclusion)
        # Last: a crash before this repeats the event, it does not lose its record.
        self._records.delete(QueuedEvent, event.key)

    async def _tell(
        self, event: QueuedEvent, config: EventInvokeConfig | None, conclusion: rule.Conclusion
    ) -> None:
        function = self._records.get(Function, event.function)
        if function is None:
            return
        version = self._version(event)
        # Who has both a destination and a dead-letter queue gets the event in both.
        receivers = {
            "DestinationDeliveryFailures": None
            if config is None
            else config.on_success_arn
            if conclusion.success
            else config.on_failure_arn,
            "DeadLetterErrors": None
            if conclusion.success or version is None
            else version.dead_letter_arn,
        }
        arn = f"{function.arn}:{event.qualifier or LATEST}"
        record = rule.invocation_record(event, conclusion, arn, self._clock.now())
        for failure_metric, destination in receivers.items():
            if destination is None:
                continue
            try:
                await self._destinations.deliver(destination, event.function, record)
            except DeliveryFailed as error:
                log.warning("the record of event %s was not delivered: %s", event.key, error)
                self._count(failure_metric, 1, event)

    def _count(self, name: str, value: float, event: QueuedEvent) -> None:
        subject = metrics.Subject(event.function, event.qualifier, event.qualifier or LATEST)
        self._sink.record(
            metrics.NAMESPACE, metrics.event_metric(name, value, subject, self._clock.now())
        )

    def _broken(self, key: str, error: Exception) -> None:
        """It would be taken up again at once: a bug must not become a busy loop."""
        log.error("event %s is dropped: %r", key, error)
        self._records.delete(QueuedEvent, key)
