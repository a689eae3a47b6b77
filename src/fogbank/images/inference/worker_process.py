"""Start a worker process. In: an interpreter and an environment. Out: the process and our end of
its socket. Separate from the pool so that the first workers load while asyncio is imported.
"""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass

from fogbank.images.overlay import Interpreter


@dataclass(frozen=True)
class WorkerProcess:
    process: subprocess.Popen[bytes]
    socket: socket.socket


@dataclass(frozen=True)
class WorkerStarter:
    """Starts workers that run the user's code in `interpreter`."""

    interpreter: Interpreter
    environ: Mapping[str, str]

    def start(self, index: int) -> WorkerProcess:
        """Start worker number `index`; its output goes where ours goes."""
        ours, theirs = socket.socketpair()
        with theirs:
            process = subprocess.Popen(
                [
                    str(self.interpreter.python),
                    *("-m", "fogbank.images.inference.worker"),
                    *(str(theirs.fileno()), str(index)),
                ],
                env={**self.interpreter.on(self.environ), "PYTHONUNBUFFERED": "1"},
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )
        return WorkerProcess(process, ours)
