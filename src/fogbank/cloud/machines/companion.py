"""Processes of the cloud's own: `enter.py` beside an instance, `job_network.py` behind a network.

Each is at the other end of a socket. It gets an order, a line of JSON, and answers with a line.
When the socket closes, also because the cloud was killed, it ends what it keeps and itself.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fogbank.cloud.machines.engine import EngineError
from fogbank.cloud.machines.process_instance import MARK, PIECE_BYTES


@dataclass(frozen=True, slots=True)
class Companion:
    """Made by `start_companion`. events: what it says. commands: what it is told."""

    process: asyncio.subprocess.Process
    events: asyncio.StreamReader
    commands: asyncio.StreamWriter

    async def order(self, order: dict[str, Any]) -> dict[str, Any]:
        """Tell it what to do. Its first answer; only a `message` where it has none any more."""
        self.commands.write(json.dumps(order).encode() + b"\n")
        await self.commands.drain()
        line = await self.events.readline()
        answer: dict[str, Any] = json.loads(line) if line else {}
        return answer or {"message": "it was killed while starting"}

    async def give_up(self) -> None:
        """Returns when it has ended."""
        self.commands.close()
        await self.process.communicate()


async def start_companion(
    name: str, folder: Path, *arguments: str, piped: bool = False
) -> Companion:
    """Start Python with these arguments and, behind them, the number of the socket's descriptor.

    name:   for messages. folder: by which a later run finds it.
    piped:  whether its output, and that of what it starts, is to be read; else it is lost.
    Raises EngineError.
    """
    ours, theirs = socket.socketpair()
    try:
        with theirs:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-I", "-S", *arguments, str(theirs.fileno())),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE if piped else asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.STDOUT if piped else None,
                limit=PIECE_BYTES,
                env={MARK: str(folder.resolve())},
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
            )
    except OSError as error:
        ours.close()
        raise EngineError(f"{name}: cannot start a process: {error}") from error
    except BaseException:  # a stop came in the middle; a process sees the end of its socket
        ours.close()
        raise
    return Companion(process, *await asyncio.open_connection(sock=ours))
