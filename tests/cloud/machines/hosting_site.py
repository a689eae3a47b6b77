"""Hosting with containers that a test plays: what tests of endpoints need."""

from __future__ import annotations

import asyncio
import io
import os
import tarfile
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from cloud.machines.container_double import Peer, container
from cloud.machines.training_site import ROLE, MemoryMetrics, TrainingSite
from fogbank.cloud.machines.engine import Exit, InstanceSpec
from fogbank.cloud.machines.fake import FakeEngine, FakeInstance
from fogbank.cloud.machines.hosting import Endpoints
from fogbank.cloud.machines.instance_supply import InstanceSupply
from fogbank.cloud.machines.replica import PORT
from fogbank.cloud.machines.router import Router
from fogbank.cloud.machines.shares import Host, Shares
from fogbank.cloud.ports import Invocation
from fogbank.cloud.records.hosting import Endpoint, ShiftStage, Variant
from fogbank.core.arn import Scope
from fogbank.testing.clock import ManualClock

Play = Callable[[FakeInstance], Awaitable[None]]
"""What the program of an instance does."""


def archive(**files: str) -> bytes:
    """A model.tar.gz."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text.encode()))
    return buffer.getvalue()


class Stage:
    """What the container of a test says. Change it while it runs.

    word:    its answer to an invocation.
    ping:    the status of its answer to a ping.
    free:    while clear, invocations wait.
    num_waiting: how many do.
    """

    def __init__(self, word: str, *, ping: int = 200) -> None:
        self.word = word
        self.ping = ping
        self.free = asyncio.Event()
        self.free.set()
        self.num_waiting = 0

    async def play(self, instance: FakeInstance) -> None:
        async with container(self._serve, instance.spec.address, PORT):
            await instance.wait()

    async def _serve(self, peer: Peer) -> None:
        while (request := await peer.request()) is not None:
            if request[0].startswith("GET /ping "):
                peer.answer("", self.ping)
            else:
                self.num_waiting += 1
                await self.free.wait()
                self.num_waiting -= 1
                peer.answer(self.word)


def dies(words: str, **how: Any) -> Play:
    """A container that ends before its first ping."""

    async def play(instance: FakeInstance) -> None:
        instance.prints(words)
        instance.ends(Exit(**(how or {"code": 1})))

    return play


class PlayedEngine(FakeEngine):
    """play: what the next instances do."""

    def __init__(self, clock: ManualClock, play: Play) -> None:
        super().__init__(clock)
        self.play = play
        self._playing: set[asyncio.Task[None]] = set()

    async def start(self, spec: InstanceSpec) -> FakeInstance:
        instance = await super().start(spec)
        task = asyncio.create_task(self._act(instance))
        self._playing.add(task)
        task.add_done_callback(self._playing.discard)
        return instance

    async def _act(self, instance: FakeInstance) -> None:
        await self.play(instance)

    async def stop(self) -> None:
        await super().stop()
        if self._playing:
            await asyncio.wait(self._playing)


class HostingSite:
    """Endpoints with everything they need. Model data of every variant is s3://models/dogs.tar.gz.
    Time passes only in `until`."""

    def __init__(self, folder: Path, supply: InstanceSupply | None = None) -> None:
        self.clock = ManualClock()
        self.supply = supply
        self.engine = PlayedEngine(self.clock, Stage("old").play)
        around = TrainingSite(folder, self.engine, self.clock)
        self.records, self.objects, self.logs = around.records, around.objects, around.logs
        # Test processes that run at the same time must not meet on one address.
        self.shares = Shares(Host((0,), 4 << 30), network=os.getpid() % 65536)
        self.site = replace(around.site, shares=self.shares)
        self.root = self.site.hosting_root
        self.objects.add("models", "dogs.tar.gz", archive(weights="1 2 3"))
        self.begin()

    def begin(self) -> None:
        """A cloud that was started (again) on the same folder."""
        self.router = Router(MemoryMetrics(), self.clock)
        self.endpoints = Endpoints(self.records, self.router, self.site, self.supply)

    def variant(self, generation: int = 1, **changes: Any) -> Variant:
        values: dict[str, Any] = {
            "name": "AllTraffic",
            "model_name": "dogs",
            "container": {"Image": "image", "ModelDataUrl": "s3://models/dogs.tar.gz"},
            "execution_role_arn": ROLE,
            "instance_type": "ml.m5.large",
            "desired_count": 1,
            "desired_weight": 1.0,
            "generation": generation,
        }
        return Variant(**{**values, **changes})

    def create(self, **changes: Any) -> None:
        """What CreateEndpoint writes."""
        now = self.clock.now()
        self.records.put(
            Endpoint(
                name="dogs",
                arn=Scope().arn("sagemaker", "endpoint/dogs"),
                config_name="first",
                status="Creating",
                created=now,
                modified=now,
                pending_variants=(self.variant(**changes),),
                pending_config="first",
                pending_since=now,
            )
        )

    def update(self, deployment: Mapping[str, Any] | None = None, **changes: Any) -> None:
        """What UpdateEndpoint writes. deployment: its DeploymentConfig."""
        endpoint = self.endpoint
        generation = endpoint.generation + 1
        self.records.put(
            replace(
                endpoint,
                status="Updating",
                generation=generation,
                pending_variants=(self.variant(generation, **changes),),
                pending_config="second",
                pending_since=self.clock.now(),
                pending_deployment=deployment,
            )
        )

    def delete(self) -> None:
        """What DeleteEndpoint writes."""
        self.records.put(replace(self.endpoint, status="Deleting"))

    @property
    def endpoint(self) -> Endpoint:
        found = self.records.get(Endpoint, "dogs")
        assert found is not None
        return found

    @property
    def stage(self) -> ShiftStage | None:
        """How far an update has come."""
        return None if self.endpoint.shift is None else self.endpoint.shift.stage

    @property
    def is_deleted(self) -> bool:
        return self.records.get(Endpoint, "dogs") is None

    @property
    def folders(self) -> list[str]:
        return [path.name for path in self.root.iterdir()]

    async def invoke(self) -> str:
        return (await self.router.invoke(Invocation("dogs", b"x", {}))).body.decode()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Let things happen, and time pass, until the condition is true."""
        async with asyncio.timeout(20):
            while not condition():
                await self.clock.advance(0.1)
                await asyncio.sleep(0.001)  # answers of containers come through real sockets

    async def becomes(self, status: str) -> Endpoint:
        await self.until(lambda: self.endpoint.status == status)
        return self.endpoint
