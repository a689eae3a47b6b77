"""One task for each record that asks for work; tasks are woken when their record changes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Generic, TypeVar

from fogbank.cloud.ports import Records
from fogbank.cloud.records.base import Record
from fogbank.core.clock import Clock

R = TypeVar("R", bound=Record)

log = logging.getLogger("fogbank.machines")


async def changed_or_due(event: asyncio.Event, due: datetime | None, clock: Clock) -> None:
    """Wait until the event is set, or that time has come: then the event is set by us."""
    alarm = None if due is None else asyncio.create_task(_ring(event, due, clock))
    try:
        await event.wait()
    finally:
        if alarm is not None:
            alarm.cancel()


async def _ring(event: asyncio.Event, at: datetime, clock: Clock) -> None:
    await clock.sleep((at - clock.now()).total_seconds())
    event.set()


class Reconciler(Generic[R]):
    """wants: whether a record needs a task.
    keep: does the work of one key until nothing is left to do; it is given an event that is set
          whenever the record changes (and which it clears).
    broken: told when `keep` raised: a bug, or a world that it does not know how to face.
    """

    def __init__(
        self,
        records: Records,
        kind: type[R],
        *,
        wants: Callable[[R], bool],
        keep: Callable[[str, asyncio.Event], Awaitable[None]],
        broken: Callable[[str, Exception], None],
    ) -> None:
        self._records = records
        self._kind = kind
        self._wants = wants
        self._keep = keep
        self._broken = broken
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._events: dict[str, asyncio.Event] = {}
        self._open = False

    def start(self) -> None:
        """Take up every record that wants work, and from now on each that comes."""
        self._open = True
        self._records.subscribe(self._kind, self._wake)
        for record in self._records.all(self._kind):
            self._wake(record.key)

    async def stop(self) -> None:
        """Cancel all tasks and wait until they have put their things away."""
        self._open = False
        tasks = tuple(self._tasks.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _wake(self, key: str) -> None:
        if not self._open:
            return
        if key in self._tasks:
            self._events[key].set()
            return
        record = self._records.get(self._kind, key)
        if record is not None and self._wants(record):
            event = self._events[key] = asyncio.Event()
            self._tasks[key] = asyncio.create_task(
                self._run(key, event), name=f"{self._kind.kind} {key}"
            )

    async def _run(self, key: str, event: asyncio.Event) -> None:
        try:
            await self._keep(key, event)
        except Exception as error:
            log.exception("%s %s", self._kind.kind, key)
            self._broken(key, error)
        finally:
            del self._tasks[key], self._events[key]
        # The record may have changed after the last look at it.
        self._wake(key)
