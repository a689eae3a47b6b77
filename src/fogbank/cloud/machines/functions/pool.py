"""All execution environments of the cloud: who is free, who is at work, what each is kept for.

In: requests for environments, ends of calls, changed versions. Out: `Slot`s, and the counts that
the concurrency rule asks for. The pool decides nothing about limits.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass

from fogbank.cloud.machines.engine import EngineError
from fogbank.cloud.machines.functions.environment import Environment, InitType
from fogbank.cloud.ports import FunctionUnavailable, Records
from fogbank.cloud.records.function import FunctionVersion
from fogbank.core.clock import Clock

log = logging.getLogger("fogbank.functions")

IDLE_LIMIT_S = 300.0
"""An on-demand environment that had nothing to do for that long is ended. AWS promises no time;
minutes are what people see."""

_SWEEP_S = 5.0

StartEnvironment = Callable[[FunctionVersion, InitType], Awaitable[Environment]]
"""Puts an environment together, not initialised. LookupError, ValueError, OSError."""

Made = tuple[object, ...]


def made_of(version: FunctionVersion) -> Made:
    """What an environment is made of: where it differs, the environment is of an old version."""
    return (
        version.code_sha256,
        version.handler,
        version.runtime,
        version.role_arn,
        version.timeout_s,
        version.memory_mb,
        version.ephemeral_storage_mb,
        dict(version.environment),
        version.layers,
        version.settings.get("LoggingConfig"),
    )


@dataclass(slots=True, eq=False)
class Slot:
    """A place for one environment.

    owner: key of the provisioned concurrency that it belongs to; None: on demand.
    environment: None while it is put together. initialised: it can take events.
    """

    version: FunctionVersion
    owner: str | None
    environment: Environment | None = None
    initialised: bool = False
    busy: bool = False
    leaving: bool = False
    last_used_s: float = 0.0

    @property
    def ready(self) -> bool:
        """It can take an event, now or after the one that it has."""
        if self.environment is None or self.environment.ended:
            return False
        return self.initialised and not self.leaving

    @property
    def free(self) -> bool:
        return self.ready and not self.busy


class Pool:
    """freed: called with an owner's key when one of its slots has ended by itself."""

    def __init__(
        self,
        start: StartEnvironment,
        records: Records,
        clock: Clock,
        *,
        idle_limit_s: float = IDLE_LIMIT_S,
    ) -> None:
        self._start = start
        self._records = records
        self._clock = clock
        self._idle_limit_s = idle_limit_s
        self._slots: dict[str, list[Slot]] = {}
        self._leaving: set[asyncio.Task[None]] = set()
        self._reaper: asyncio.Task[None] | None = None
        self.freed: Callable[[str], None] = _nobody

    def open(self) -> None:
        self._records.subscribe(FunctionVersion, self._version_changed)
        self._reaper = asyncio.create_task(self._reap(), name="idle environments")

    async def close(self) -> None:
        """End every environment."""
        if self._reaper is not None:
            self._reaper.cancel()
            await asyncio.wait({self._reaper})
            self._reaper = None
        for slot in list(self._all()):
            self.discard(slot)
        while self._leaving:
            await asyncio.wait(self._leaving)

    def _all(self) -> Iterator[Slot]:
        for slots in self._slots.values():
            yield from slots

    # -- counts --------------------------------------------------------------------------------

    def on_demand_busy(self, function: str) -> int:
        """Events of a function that run on environments which are nobody's."""
        return sum(slot.busy and slot.owner is None for slot in self._slots.get(function, ()))

    def busy(self, function: str) -> int:
        return sum(slot.busy for slot in self._slots.get(function, ()))

    def functions(self) -> set[str]:
        """Names of the functions that have environments."""
        return set(self._slots)

    def all_busy(self) -> int:
        return sum(slot.busy for slot in self._all())

    def owned(self, owner: str) -> list[Slot]:
        """The slots of a provisioned concurrency, oldest first."""
        function = owner.partition(":")[0]
        slots = self._slots.get(function, ())
        return [slot for slot in slots if slot.owner == owner and not slot.leaving]

    def find_free(self, version: FunctionVersion, owner: str | None) -> list[Slot]:
        """Free environments of exactly this version, the one used last at the end."""
        found = [
            slot
            for slot in self._slots.get(version.function, ())
            if slot.free
            and slot.owner == owner
            and slot.version.version == version.version
            and (slot.version is version or made_of(slot.version) == made_of(version))
        ]
        return sorted(found, key=lambda slot: slot.last_used_s)

    # -- coming and going ------------------------------------------------------------------------

    def add(self, version: FunctionVersion, owner: str | None, *, busy: bool) -> Slot:
        """A place that counts from now on."""
        slot = Slot(version, owner, busy=busy, last_used_s=self._clock.monotonic_s())
        self._slots.setdefault(version.function, []).append(slot)
        return slot

    async def fill(self, slot: Slot) -> Environment:
        """Put the slot's environment together and initialise it. Raises FunctionUnavailable; the
        slot is gone then."""
        init_type: InitType = "on-demand" if slot.owner is None else "provisioned-concurrency"
        try:
            environment = slot.environment = await self._start(slot.version, init_type)
            if self._has(slot):
                await environment.initialise()
            if not self._has(slot):  # it was given up meanwhile
                await environment.retire()
                raise FunctionUnavailable("the environment was ended while it started")
        except (LookupError, ValueError, OSError, EngineError) as error:
            self.discard(slot)
            raise FunctionUnavailable(str(error)) from error
        except BaseException:
            self.discard(slot)
            raise
        slot.initialised = True
        if not slot.busy:
            environment.rest()
        return environment

    def _has(self, slot: Slot) -> bool:
        """Also one that leaves after its event: who called before an update gets the old code."""
        return slot in self._slots.get(slot.version.function, ())

    def release(self, slot: Slot) -> None:
        """Its event is over."""
        slot.busy = False
        slot.last_used_s = self._clock.monotonic_s()
        if not slot.ready:
            self.discard(slot)

    def dismiss(self, slot: Slot) -> None:
        """It is not needed any more: ends now, or when its event is over."""
        if slot.busy:
            slot.leaving = True
        else:
            self.discard(slot)

    def discard(self, slot: Slot) -> None:
        """End its environment now."""
        slots = self._slots.get(slot.version.function, [])
        if slot not in slots:
            return
        slots.remove(slot)
        if not slots:
            del self._slots[slot.version.function]
        was_wanted = not slot.leaving
        slot.leaving = True
        if slot.environment is not None:
            self._retire(slot.environment)
        if slot.owner is not None and was_wanted:
            self.freed(slot.owner)

    def _retire(self, environment: Environment) -> None:
        task = asyncio.create_task(environment.retire(), name=f"retire {environment.id}")
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)

    def _is_current(self, slot: Slot) -> bool:
        version = self._records.get(FunctionVersion, slot.version.key)
        return version is not None and made_of(version) == made_of(slot.version)

    def _version_changed(self, key: str) -> None:
        function = key.partition(":")[0]
        for slot in list(self._slots.get(function, ())):
            if slot.version.key == key and not self._is_current(slot):
                self.dismiss(slot)

    async def _reap(self) -> None:
        while True:
            await self._clock.sleep(min(_SWEEP_S, self._idle_limit_s))
            limit_s = self._clock.monotonic_s() - self._idle_limit_s
            for slot in list(self._all()):
                if slot.owner is None and slot.free and slot.last_used_s <= limit_s:
                    self.discard(slot)


def _nobody(owner: str) -> None:
    """Until somebody keeps provisioned environments."""
