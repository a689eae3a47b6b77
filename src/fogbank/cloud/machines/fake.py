"""An engine that starts nothing: a test plays the programs' parts.

engine = FakeEngine(clock)
...
instance = engine.instances[0]
instance.prints("Testing Loss: 6.0\\n")
instance.ends(Exit(code=0))
"""

from __future__ import annotations

import asyncio
import signal
from dataclasses import replace
from pathlib import Path

from fogbank.cloud.machines.engine import (
    EngineError,
    Exit,
    InstanceSpec,
    Network,
    NetworkSpec,
    Usage,
)
from fogbank.cloud.machines.process_instance import LAST_WORDS_BYTES, last_words
from fogbank.core.clock import Clock


class FakeInstance:
    """See `engine.Instance`.

    obeys_sigterm: whether SIGTERM ends it, as it does a program without a handler.
    signals: what it was sent, in order.
    frozen: whether it has been frozen and not thawed.
    max_rss_bytes: what `usage` tells of its peak.
    """

    def __init__(self, spec: InstanceSpec, clock: Clock, number: int) -> None:
        self.spec = spec
        self.pid = number
        self.obeys_sigterm = True
        self.signals: list[signal.Signals] = []
        self.frozen = False
        self.max_rss_bytes = 0
        self._clock = clock
        self._tail = bytearray()
        self._end: asyncio.Future[Exit] = asyncio.get_running_loop().create_future()

    @property
    def has_ended(self) -> bool:
        return self._end.done()

    def prints(self, text: str) -> None:
        """The program writes."""
        piece = text.encode()
        self._tail += piece
        del self._tail[:-LAST_WORDS_BYTES]
        self.spec.output(piece)

    def ends(self, end: Exit) -> None:
        """The program ends; what it printed becomes its last words. Twice is a test's mistake."""
        self.frozen = False
        self._end.set_result(replace(end, last_words=last_words(bytes(self._tail))))

    async def wait(self) -> Exit:
        return await asyncio.shield(self._end)

    async def terminate(self, grace_s: float) -> Exit:
        if not self.has_ended:
            self.frozen = False
            self.signals.append(signal.SIGTERM)
            if self.obeys_sigterm:
                self.ends(Exit(signal=signal.SIGTERM))
        kill = asyncio.ensure_future(self._kill_after(grace_s))
        try:
            return await self.wait()
        finally:
            kill.cancel()

    async def _kill_after(self, grace_s: float) -> None:
        await self._clock.sleep(grace_s)
        await self.kill()

    async def kill(self) -> Exit:
        if not self.has_ended:
            self.signals.append(signal.SIGKILL)
            self.ends(Exit(signal=signal.SIGKILL))
        return await self.wait()

    async def freeze(self) -> None:
        self.frozen = not self.has_ended

    def thaw(self) -> None:
        self.frozen = False

    def usage(self) -> Usage:
        return Usage(0.0, 0, 0 if self.has_ended else 1, self.max_rss_bytes)


class FakeNetwork:
    """See `engine.Network`. closed: whether it was."""

    interface = "eth0"

    def __init__(self, spec: NetworkSpec) -> None:
        self.spec = spec
        self.addresses = tuple(f"10.77.0.{number + 1}" for number in range(len(spec.host_names)))
        self.variables = {"HTTPS_PROXY": "http://127.0.0.1:3128"} if spec.outside else {}
        self.closed = False

    async def close(self) -> None:
        self.closed = True


class FakeEngine:
    """See `engine.Engine`.

    instances: all that were started, in order. refusal: when set, `start` raises EngineError.
    swept: the folders that `sweep` was asked about. networks: all that were opened, in order.
    """

    name = "fake"

    def __init__(self, clock: Clock, *, can_mount: bool = False, can_network: bool = False) -> None:
        self.can_mount = can_mount
        self.can_network = can_network
        self.networks: list[FakeNetwork] = []
        self.instances: list[FakeInstance] = []
        self.refusal: str | None = None
        self.swept: list[Path] = []
        self._clock = clock

    @property
    def running(self) -> list[FakeInstance]:
        return [instance for instance in self.instances if not instance.has_ended]

    @property
    def _open_networks(self) -> list[Network]:
        return [network for network in self.networks if not network.closed]

    async def open_network(self, spec: NetworkSpec) -> FakeNetwork:
        if self.refusal is not None or not self.can_network:
            raise EngineError(self.refusal or f"{spec.name}: no networks here")
        network = FakeNetwork(spec)
        self.networks.append(network)
        return network

    async def start(self, spec: InstanceSpec) -> FakeInstance:
        if self.refusal is not None:
            raise EngineError(self.refusal)
        if (spec.views or spec.hidden or spec.binds) and not self.can_mount:
            raise EngineError(f"{spec.name}: no views, hidden folders and binds here")
        attached = None if spec.attachment is None else spec.attachment.network
        if attached is not None and attached not in self._open_networks:
            raise EngineError(f"{spec.name}: {attached} is not an open network of this engine")
        instance = FakeInstance(spec, self._clock, len(self.instances) + 1)
        self.instances.append(instance)
        return instance

    async def sweep(self, root: Path) -> list[str]:
        self.swept.append(root)
        return []

    async def stop(self) -> None:
        for instance in self.running:
            await instance.kill()
        for network in self.networks:
            await network.close()
