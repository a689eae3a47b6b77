"""One instance as a group of processes: its output, its memory, its end.

In: a started `enter.py` and the socket to it. Out: see `engine.Instance`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import Iterable
from pathlib import Path

from fogbank.cloud.machines import procfs
from fogbank.cloud.machines.engine import EngineError, Exit, InstanceSpec, Usage
from fogbank.cloud.machines.enter import descendants
from fogbank.core.clock import Clock

LAST_WORDS_BYTES = 4096
PIECE_BYTES = 16 * 1024
MARK = "FOGBANK_INSTANCE"
"""The variable by which a process is recognized as an instance's; its value is the folder."""

RECORD = "process.json"
"""What the engine keeps in an instance's folder for as long as it lives."""

FREEZE_LIMIT_S = 5.0
_FREEZE_POLL_S = 0.0005
_FORK_S = 0.02
_BUSY_S, _REST = 0.002, 4
"""Output that takes longer than `_BUSY_S` a piece gets a fifth of the event loop at most."""


class ProcessInstance:
    """See `engine.Instance`. Made by `ProcessEngine.start`."""

    def __init__(
        self,
        spec: InstanceSpec,
        clock: Clock,
        process: asyncio.subprocess.Process,
        events: asyncio.StreamReader,
        commands: asyncio.StreamWriter,
        *,
        enclosed: bool,
    ) -> None:
        self.spec = spec
        self._enclosed = enclosed
        self._clock = clock
        self._process = process
        self._events = events
        self._commands = commands
        self._oom = False
        self._ending = False
        self._frozen = False
        self._stopped: set[int] = set()
        self._max_rss_bytes = 0
        self._tail = bytearray()
        self._output = asyncio.create_task(self._read_output(), name=f"output of {spec.name}")
        self._end = asyncio.create_task(self._live(), name=f"life of {spec.name}")

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def has_ended(self) -> bool:
        return self._end.done()

    async def wait(self) -> Exit:
        return await asyncio.shield(self._end)

    async def terminate(self, grace_s: float) -> Exit:
        self._ending = True
        self._command(b"T")
        self.thaw()
        kill = asyncio.ensure_future(self._kill_after(grace_s))
        try:
            return await self.wait()
        finally:
            kill.cancel()

    async def _kill_after(self, grace_s: float) -> None:
        await self._clock.sleep(grace_s)
        await self.kill()

    async def kill(self) -> Exit:
        self._ending = True
        _signal_all([self.pid], signal.SIGCONT)  # it does the killing; somebody may have stopped it
        self._command(b"K")
        return await self.wait()

    async def freeze(self) -> None:
        if self._ending:
            return
        self._frozen = True
        deadline_s = self._clock.monotonic_s() + FREEZE_LIMIT_S
        before: list[int] | None = None
        # A process that was in the middle of a fork, or whose parent ended while we looked, is seen
        # the next time: done when all of two equal lists have stopped.
        while self._frozen and not self.has_ended:
            pids = self._processes()
            running = [pid for pid in pids if not self._has_stopped(pid, deadline_s)]
            if not running and pids == before:
                return
            self._stopped.update(running)
            _signal_all(running, signal.SIGSTOP)
            if pids == before:
                if self._clock.monotonic_s() > deadline_s:
                    self.thaw()
                    raise EngineError(f"{self.spec.name}: these do not stop: {running}")
                await self._clock.sleep(_FREEZE_POLL_S)
            before = pids

    def _has_stopped(self, pid: int, deadline_s: float) -> bool:
        state = procfs.state(pid)
        if state == "D" and pid in self._stopped:
            # It stops before its next instruction. That may never be while all are frozen: a parent
            # in vfork(2) waits for a child that we have stopped. But one in fork(2) gets its time.
            return self._clock.monotonic_s() > deadline_s - FREEZE_LIMIT_S + _FORK_S
        return state in "TtZX"

    def thaw(self) -> None:
        if self._frozen:
            self._frozen = False
            # What the program itself had stopped stays so.
            _signal_all([pid for pid in self._processes() if pid in self._stopped], signal.SIGCONT)
            self._stopped.clear()

    def usage(self) -> Usage:
        pids = self._processes()
        self._note_peak(sum(map(procfs.max_rss_bytes, pids)))
        return Usage(
            cpu_s=sum(map(procfs.cpu_s, pids)),
            rss_bytes=sum(map(procfs.rss_bytes, pids)),
            num_processes=len(pids),
            max_rss_bytes=self._max_rss_bytes,
        )

    def _note_peak(self, rss_bytes: int) -> None:
        self._max_rss_bytes = max(self._max_rss_bytes, rss_bytes)

    def enforce_memory(self) -> None:
        """Kill everything where it uses more memory than its share."""
        limit = self.spec.share.memory_bytes
        pids = self._processes()
        rss_bytes = sum(map(procfs.rss_bytes, pids))
        self._note_peak(rss_bytes)
        if rss_bytes <= limit:
            return
        # Forked workers share pages with their parent: count again, exactly.
        if sum(map(procfs.pss_bytes, pids)) > limit:
            self._oom = True
            self._command(b"K")

    def _processes(self) -> list[int]:
        if self.has_ended:
            return []
        below = descendants(self.pid)
        return below[1:] if self._enclosed else below  # the first is init, which is ours

    def _command(self, command: bytes) -> None:
        if not self.has_ended and not self._commands.is_closing():
            self._commands.write(command)

    async def _read_output(self) -> None:
        assert self._process.stdout is not None
        while piece := await self._process.stdout.read(PIECE_BYTES):
            began_s = self._clock.monotonic_s()
            self._tail += piece
            del self._tail[:-LAST_WORDS_BYTES]
            self.spec.output(piece)
            busy_s = self._clock.monotonic_s() - began_s
            if busy_s > _BUSY_S:
                # It prints faster than lines can be kept (`yes`): it waits, the cloud does not.
                await self._clock.sleep(_REST * busy_s)

    async def _live(self) -> Exit:
        status: int | None = None
        with contextlib.suppress(ConnectionError):
            while line := await self._events.readline():
                event = json.loads(line)
                if event["event"] == "exit" and status is None:
                    status = event["status"]
                    self._note_peak(event.get("max_rss_bytes", 0))
        if status is None:
            # Somebody killed enter.py itself. What it watched may have lost its parent.
            end_marked(self.spec.folder)
        await self._process.wait()
        await self._output
        self._commands.close()
        with contextlib.suppress(ConnectionError):
            await self._commands.wait_closed()
        (self.spec.folder / RECORD).unlink(missing_ok=True)
        code = os.waitstatus_to_exitcode(signal.SIGKILL if status is None else status)
        return Exit(
            code=code if code >= 0 else None,
            signal=-code if code < 0 else None,
            oom=self._oom and code == -signal.SIGKILL,
            last_words=last_words(bytes(self._tail)),
        )


def _signal_all(pids: Iterable[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def last_words(tail: bytes) -> str:
    """The end of an output as text, without the beginning of it that was cut."""
    if len(tail) >= LAST_WORDS_BYTES:
        _, _, rest = tail.partition(b"\n")
        tail = rest or tail
    return tail.decode(errors="replace").strip()


def end_marked(folder: Path) -> list[int]:
    """Kill every process that was started with the mark of an instance at or below `folder`."""
    ended: list[int] = []
    for pid, value in procfs.with_environment(MARK):
        if Path(value).is_relative_to(folder) and procfs.start_ticks(pid) is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
                ended.append(pid)
    return ended
