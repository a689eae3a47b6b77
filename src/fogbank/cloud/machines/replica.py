"""One replica of a production variant: a container that serves, from its first file to its last.

In: a Variant, a share of the host, a folder, and how long its instance takes to come. Out:
`state`, which the rule reads, and a door for the router. Stages: instance there, model data in
place, program started, /ping answers 200 (healthy), pings fail (unhealthy), ended. Its owner is
told of every change.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from fogbank.cloud.machines.engine import Engine, EngineError, Instance, InstanceSpec, Usage
from fogbank.cloud.machines.log_capture import LogCapture
from fogbank.cloud.machines.model_data import ModelDataError, ModelStore
from fogbank.cloud.machines.nofollow import remove_tree
from fogbank.cloud.machines.replica_http import ReplicaGone, ReplicaHttp
from fogbank.cloud.machines.router import RoutedReplica
from fogbank.cloud.machines.shares import Lease
from fogbank.cloud.machines.threads import in_thread
from fogbank.cloud.records.hosting import Variant
from fogbank.cloud.rules.endpoint_fleet import ReplicaState
from fogbank.core.clock import Clock

log = logging.getLogger("fogbank.hosting")

PORT = 8080
"""The port of the container contract; every replica has an address of its own."""

FIRST_PING_EVERY_S = 0.02
SLOWEST_FIRST_PING_S = 0.25
"""Until the first good ping they come often: a start should not cost more than the model's load."""

PING_EVERY_S = 5.0
PING_LIMIT_S = 2.0
"""SageMaker pings a serving container periodically and gives it 2 s to answer (developer guide,
"How containers serve requests")."""

PING_FAILURES = 3
"""Pings in a row without an answer that make a container unhealthy: one may meet a busy moment."""

WORDS_CHARS = 700
"""How much of a container's last words goes into a FailureReason of 1,024 characters: the end of
them, where the error is."""

DRAIN_LIMIT_S = 60.0
STOP_GRACE_S = 10.0


@dataclass(frozen=True, slots=True)
class ReplicaEnd:
    """Why a replica is no more. refused: no other attempt can work (bad model data)."""

    words: str
    refused: bool = False


class Replica:
    """A started replica runs by itself until `stop`; `end` is set when it has ended otherwise."""

    def __init__(
        self,
        *,
        id: str,
        variant: Variant,
        folder: Path,
        lease: Lease,
        engine: Engine,
        models: ModelStore,
        capture: LogCapture,
        clock: Clock,
        spec: Callable[[], InstanceSpec],
        changed: Callable[[], None],
        provision_s: float = 0.0,
    ) -> None:
        self.id = id
        self.variant = variant
        self.state: ReplicaState = "provisioning" if provision_s else "starting"
        self.since: datetime = clock.now()
        self.end: ReplicaEnd | None = None
        self.routed = RoutedReplica(
            id, ReplicaHttp(lease.address, PORT), share=lease.share, usage=self._usage
        )
        self._folder = folder
        self._lease = lease
        self._engine = engine
        self._models = models
        self._capture = capture
        self._clock = clock
        self._spec = spec
        self._changed = changed
        self._provision_s = provision_s
        self._instance: Instance | None = None
        self._life = asyncio.create_task(self._live(), name=f"replica {id}")

    def _usage(self) -> Usage | None:
        return None if self._instance is None else self._instance.usage()

    async def _live(self) -> None:
        try:
            self.end = await self._serve()
        except (EngineError, OSError, LookupError) as error:
            self.end = ReplicaEnd(str(error))
        except Exception as error:
            log.exception("replica %s", self.id)
            self.end = ReplicaEnd(f"Fogbank could not run the container: {error!r}")
        finally:
            await self._put_away()
        self._changed()

    async def _serve(self) -> ReplicaEnd:
        if self._provision_s:
            await self._clock.sleep(self._provision_s)
            self._enter("starting")
        try:
            await self._models.place(self.variant.container, self._folder / "ml" / "model")
        except ModelDataError as error:
            return ReplicaEnd(str(error), refused=True)
        self._instance = await self._engine.start(self._spec())
        health = asyncio.create_task(self._watch_health(), name=f"health of {self.id}")
        try:
            ended = await self._instance.wait()
        finally:
            health.cancel()
        await self._capture.close()
        how = (
            "ran out of memory"
            if ended.oom
            else (f"exit code {ended.code}" if ended.signal is None else f"signal {ended.signal}")
        )
        return ReplicaEnd(f"{how}: {ended.last_words[-WORDS_CHARS:]}".rstrip(": \n"))

    async def _watch_health(self) -> None:
        pause_s = FIRST_PING_EVERY_S
        while not await self._ping():
            await self._clock.sleep(pause_s)
            pause_s = min(SLOWEST_FIRST_PING_S, pause_s * 1.3)
        failures = 0
        while failures < PING_FAILURES:
            self._enter("healthy")
            await self._clock.sleep(PING_EVERY_S)
            failures = 0 if await self._ping() else failures + 1
        self._enter("unhealthy")

    async def _ping(self) -> bool:
        try:
            async with asyncio.timeout(PING_LIMIT_S):
                answer = await self.routed.http.request("GET", "/ping", {})
        except (ReplicaGone, TimeoutError):
            return False
        return answer.status == 200

    def _enter(self, state: ReplicaState) -> None:
        if state != self.state:
            self.state = state
            self.since = self._clock.now()
            self._changed()

    async def stop(self) -> None:
        """Let the requests in flight end, then end the program. Taken out of routing before."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_LIMIT_S):
                await self.routed.idle.wait()
        if self._instance is not None:
            await self._instance.terminate(STOP_GRACE_S)
        await self.abandon()

    async def abandon(self) -> None:
        """End it now, whatever it does."""
        if self._instance is None:
            self._life.cancel()  # still waiting for the instance, or bringing the model data
        else:
            await self._instance.kill()
        with contextlib.suppress(asyncio.CancelledError):
            await self._life

    async def _put_away(self) -> None:
        self.routed.http.close()
        await self._capture.close()
        self._lease.release()
        await in_thread(remove_tree, self._folder)
