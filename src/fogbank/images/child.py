"""Run one process to its end. In: a command. Out: its exit code and the end of what it said on
standard error, all of which also went to our own standard error as it came.

While it runs, SIGTERM and SIGINT that reach us are passed on to it, so that a script may save a
checkpoint when its job is stopped.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

_READ_BYTES = 1 << 16
# After the process has ended, its grandchildren may hold the pipe open for ever (data loader
# workers); what it said itself is in the pipe by then and is read within this time.
_DRAIN_S = 1.0
_TRACEBACK = re.compile(r"(\[rank\d+\]: )?Traceback \(most recent call last\)")
_TORCHRUN_ERROR = "torch.distributed.elastic.multiprocessing.errors.ChildFailedError"
_TORCHRUN_LOG = "torch/distributed/elastic/"


@dataclass(frozen=True)
class Ended:
    """How a process ended."""

    exit_code: int
    """As the shell's parent sees it: negative is the number of the signal that killed it."""
    stderr_tail: str
    """The end of its standard error, decoded leniently."""


def run(
    command: Sequence[str],
    *,
    env: Mapping[str, str],
    cwd: Path,
    tail_bytes: int = 1 << 16,
) -> Ended:
    """Run `command` to its end; standard input is empty and standard output is ours.

    Must be called from the main thread (it sets signal handlers). Raises OSError where the command
    cannot be started.
    """
    process: subprocess.Popen[bytes] | None = None
    early: list[int] = []

    def pass_on(signum: int, _frame: FrameType | None) -> None:
        if process is None:
            early.append(signum)
        elif process.poll() is None:
            process.send_signal(signum)

    before = {number: signal.signal(number, pass_on) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        process = subprocess.Popen(
            command, env=dict(env), cwd=cwd, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        for signum in early:
            process.send_signal(signum)
        assert process.stderr is not None
        tail = _Tail(process.stderr.fileno(), tail_bytes)
        tail.start()
        exit_code = process.wait()
        tail.join(_DRAIN_S)
        return Ended(exit_code, tail.text())
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Tail(threading.Thread):
    """Copies a pipe to our standard error and remembers its end."""

    def __init__(self, fd: int, size_bytes: int) -> None:
        super().__init__(daemon=True)
        self._fd = fd
        self._size_bytes = size_bytes
        self._kept = bytearray()
        self._lock = threading.Lock()  # guards _kept

    def run(self) -> None:
        while chunk := os.read(self._fd, _READ_BYTES):
            with self._lock:
                self._kept += chunk
                if len(self._kept) > 2 * self._size_bytes:
                    del self._kept[: -self._size_bytes]
            view = memoryview(chunk)
            while view:
                view = view[os.write(2, view) :]

    def text(self) -> str:
        with self._lock:
            return bytes(self._kept[-self._size_bytes :]).decode("utf-8", "replace")


def last_words(stderr: str, size_chars: int = 700) -> str:
    """The part of a process's standard error that says why it failed, whole lines where they fit.

    That is the last Python traceback where there is one, else the last ten lines; of a long one the
    end, which names the exception. Progress bars overwrite themselves with carriage returns: only
    the last state of such a line counts. torchrun's own traceback follows that of the script and
    says nothing beside it.
    """
    lines = [line.rstrip("\r").rsplit("\r", 1)[-1].rstrip() for line in stderr.split("\n")]
    starts = [n for n, line in enumerate(lines) if _TRACEBACK.match(line)]
    end = next((n for n, line in enumerate(lines) if line.startswith(_TORCHRUN_ERROR)), None)
    if end is not None:
        starts = [n for n in starts if n < end]
        if len(starts) > 1:
            lines = [line for line in lines[: starts.pop()] if _TORCHRUN_LOG not in line]
        else:
            starts = [end]
    start = starts[-1] if starts else 0
    told = "\n".join(lines[start:]).strip().split("\n")
    if not starts:
        told = told[-10:]
    return _end_of(told, size_chars)


def _end_of(lines: list[str], size_chars: int) -> str:
    kept: list[str] = []
    room = size_chars
    for line in reversed(lines):
        if len(line) + 1 > room:
            if not kept:
                kept.append(line[:size_chars])
            break
        kept.append(line)
        room -= len(line) + 1
    return "\n".join(reversed(kept)).strip()
