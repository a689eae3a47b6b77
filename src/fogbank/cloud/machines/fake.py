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

from fogbank.cloud.machines.engine import EngineError, Exit, InstanceSpec, Usage
from fogbank.cloud.machines.process import LAST_WORDS_BYTES, last_words
from fogbank.core.clock import Clock


class FakeInstance:
    """See `engine.Instance`.

    obeys_sigterm: whether SIGTERM ends it, as it does a program without a handler.
    signals: what it was sent, in order.
    """

    def __init__(self, spec: InstanceSpec, clock: Clock, number: int) -> None:
        self.spec = spec
        self.pid = number
        self.obeys_sigterm = True
        self.signals: list[signal.Signals] = []
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
        self._end.set_result(replace(end, last_words=last_words(bytes(self._tail))))

    async def wait(self) -> Exit:
        return await asyncio.shield(self._end)

    async def terminate(self, grace_s: float) -> Exit:
        if not self.has_ended:
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

    def usage(self) -> Usage:
        return Usage(0.0, 0, 0 if self.has_ended else 1)


class FakeEngine:
    """See `engine.Engine`.

    instances: all that were started, in order. refusal: when set, `start` raises EngineError.
    swept: the folders that `sweep` was asked about.
    """

    name = "fake"

    def __init__(self, clock: Clock, *, can_mount: bool = False) -> None:
        self.can_mount = can_mount
        self.instances: list[FakeInstance] = []
        self.refusal: str | None = None
        self.swept: list[Path] = []
        self._clock = clock

    @property
    def running(self) -> list[FakeInstance]:
        return [instance for instance in self.instances if not instance.has_ended]

    async def start(self, spec: InstanceSpec) -> FakeInstance:
        if self.refusal is not None:
            raise EngineError(self.refusal)
        instance = FakeInstance(spec, self._clock, len(self.instances) + 1)
        self.instances.append(instance)
        return instance

    async def sweep(self, root: Path) -> list[str]:
        self.swept.append(root)
        return []

    async def stop(self) -> None:
        for instance in self.running:
            await instance.kill()
