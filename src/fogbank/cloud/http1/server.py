"""A listening socket in, connections that `answer` serves out; a graceful stop. See ADR 11 for why
this is no general server.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from email.utils import format_datetime

from fogbank.cloud.http1.connection import Answer, Connection
from fogbank.core.clock import Clock

KEEP_ALIVE_S = 75.0
"""A connection on which nothing happens for that long is closed."""

BACKLOG = 2048
_SWEEP_S = 5.0


class HttpServer:
    """Answers every connection to a listening socket with `answer`, until `stop`."""

    def __init__(
        self,
        answer: Answer,
        clock: Clock,
        *,
        grace_s: float,
        keep_alive_s: float = KEEP_ALIVE_S,
    ) -> None:
        self.answer = answer
        self.clock = clock
        self.connections: set[Connection] = set()
        self.is_draining = False
        self._grace_s = grace_s
        self._keep_alive_s = keep_alive_s
        self._server: asyncio.Server | None = None
        self._sweeper: asyncio.Task[None] | None = None
        self._all_gone = asyncio.Event()
        self._date = ""
        self._dated_s = -1.0

    async def start(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: Connection(self, loop), sock=listener, backlog=BACKLOG
        )
        self._sweeper = asyncio.create_task(self._sweep(), name="idle connections")

    async def stop(self) -> None:
        """No new connections; what is being answered is finished, in `grace_s` at most."""
        if self._server is None or self._sweeper is None:
            return
        self._server.close()
        self._sweeper.cancel()
        self.is_draining = True
        for connection in list(self.connections):
            connection.close_if_idle()
        if self.connections:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._grace_s):
                    await self._all_gone.wait()
        left = [connection.abort() for connection in list(self.connections)]
        cut = [task for task in left if task is not None]
        if cut:
            await asyncio.wait(cut)

    async def _sweep(self) -> None:
        while True:
            await self.clock.sleep(_SWEEP_S)
            limit_s = self.clock.monotonic_s() - self._keep_alive_s
            for connection in list(self.connections):
                if connection.active_s < limit_s:
                    connection.close_if_idle()

    def remember(self, connection: Connection) -> None:
        self.connections.add(connection)

    def forget(self, connection: Connection) -> None:
        self.connections.discard(connection)
        if self.is_draining and not self.connections:
            self._all_gone.set()

    def date(self) -> str:
        """The Date header's value, made once a second."""
        now_s = self.clock.monotonic_s()
        if now_s - self._dated_s >= 1 or self._dated_s < 0:
            self._date = format_datetime(self.clock.now(), usegmt=True)
            self._dated_s = now_s
        return self._date
