"""The front process: HTTP on one side, the pool of workers on the other.

In: Settings, a listening socket, workers that are starting. Out: an exit code. Answers
`GET /ping` with 200 when a worker has the model loaded and with 503 until then; `POST
/invocations` with what the model answers. SIGTERM: no new connections, what runs is finished
within ten seconds, exit 0.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import sys
from collections.abc import Sequence
from typing import Any, Protocol

from fogbank.images.inference.frames import Invocation, Reply
from fogbank.images.inference.http1 import (
    CONTINUE,
    Refused,
    Request,
    RequestParser,
    encode_response,
)
from fogbank.images.inference.pool import Pool, Starter, Ticket
from fogbank.images.inference.settings import Settings
from fogbank.images.inference.worker_process import WorkerProcess

_DRAIN_S = 10.0
# A client that has begun a request has to go on with it; one that rests between two may rest.
_STALLED_S = 30.0
_LINGER_S = 2.0
_PIPELINED_BYTES = 1 << 16
_TEXT = "text/plain; charset=utf-8"


async def serve(
    settings: Settings, listener: socket.socket, starter: Starter, started: Sequence[WorkerProcess]
) -> int:
    """Serve until SIGTERM or SIGINT (answers 0) or until a worker cannot load the model (1)."""
    loop = asyncio.get_running_loop()
    pool = Pool(
        loop,
        starter,
        invocation_timeout_s=settings.invocation_timeout_s,
        max_waiting=settings.max_waiting,
    )
    front = Front(pool, settings.max_body_bytes)
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    server = await loop.create_server(front.connection, sock=listener)
    await pool.open(started)
    print(f"listening on {_address(listener)}", file=sys.stderr, flush=True)
    stop: asyncio.Future[Any] = asyncio.ensure_future(stopped.wait())
    await asyncio.wait([stop, pool.load_failed], return_when=asyncio.FIRST_COMPLETED)
    server.close()
    failed = pool.load_failed.done()
    if not failed:
        await front.drain()
    elif (exit_code := pool.load_failed.result()) != 1:  # with 1 the worker has said why
        print(f"a worker ended with {exit_code} before its model was loaded", file=sys.stderr)
    stop.cancel()
    await pool.close()
    return 1 if failed else 0


def _address(listener: socket.socket) -> str:
    name = listener.getsockname()
    return f"{name[0]}:{name[1]}" if isinstance(name, tuple) else str(name)


class Model(Protocol):
    """What serves invocations: the pool of workers."""

    @property
    def is_healthy(self) -> bool: ...
    def submit(self, ticket: Ticket) -> None: ...


class Front:
    """What the connections share: the routes, and the wish to stop."""

    def __init__(self, pool: Model, max_body_bytes: int, stalled_s: float = _STALLED_S) -> None:
        self.pool = pool
        self.max_body_bytes = max_body_bytes
        self.stalled_s = stalled_s
        self.connections: set[_Connection] = set()
        self.is_draining = False
        self._all_gone = asyncio.Event()

    def connection(self) -> asyncio.Protocol:
        """One client's connection, for an event loop's server."""
        return _Connection(asyncio.get_running_loop(), self)

    def answer_at_once(self, request: Request) -> Reply | None:
        """The reply to everything but an invocation, which is None."""
        match request.path, request.method:
            case "/invocations", "POST":
                return None
            case "/ping", "GET" | "HEAD":
                healthy = self.pool.is_healthy
                return Reply(200 if healthy else 503, _TEXT, [], b"" if healthy else b"loading\n")
            case "/ping", _:
                return Reply(405, _TEXT, [("allow", "GET, HEAD")], b"/ping takes GET")
            case "/invocations", _:
                return Reply(405, _TEXT, [("allow", "POST")], b"/invocations takes POST")
        return Reply(404, _TEXT, [], b"there are /ping and /invocations")

    async def drain(self) -> None:
        """Finish what runs, in bounded time; then close every connection."""
        self.is_draining = True
        for connection in list(self.connections):
            connection.close_if_idle()
        if self.connections:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._all_gone.wait(), _DRAIN_S)
        for connection in list(self.connections):
            connection.close()

    def forget(self, connection: _Connection) -> None:
        self.connections.discard(connection)
        if self.is_draining and not self.connections:
            self._all_gone.set()


class _Connection(asyncio.Protocol):
    """One client: reads a request, answers it, reads the next."""

    def __init__(self, loop: asyncio.AbstractEventLoop, front: Front) -> None:
        self._loop = loop
        self._front = front
        self._parser = RequestParser(front.max_body_bytes)
        self._transport: asyncio.Transport | None = None
        self._ticket: Ticket | None = None
        self._keep_alive = True
        self._stalled: asyncio.TimerHandle | None = None
        self._is_paused = False
        self._is_refused = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._front.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._front.forget(self)
        self._stop_timer()
        if self._ticket is not None:
            self._ticket.abandon()

    def data_received(self, data: bytes) -> None:
        if self._is_refused:
            return
        self._parser.feed(data)
        if self._ticket is None:
            self._read_on()
        elif self._parser.buffered_bytes > _PIPELINED_BYTES and self._transport is not None:
            self._is_paused = True
            self._transport.pause_reading()

    def close_if_idle(self) -> None:
        if self._ticket is None and self._parser.is_idle:
            self.close()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def _read_on(self) -> None:
        assert self._transport is not None
        while self._ticket is None and not self._is_refused and not self._transport.is_closing():
            try:
                request = self._parser.next()
            except Refused as refused:
                self._refuse(refused.status, refused.message)
                return
            if request is None:
                if self._parser.take_continue():
                    self._transport.write(CONTINUE)
                if not self._parser.is_idle and self._stalled is None:
                    self._stalled = self._loop.call_later(self._front.stalled_s, self._give_up)
                return
            self._stop_timer()
            self._begin(request)

    def _begin(self, request: Request) -> None:
        self._keep_alive = request.keep_alive
        reply = self._front.answer_at_once(request)
        if reply is not None:
            self._send(reply, with_body=request.method != "HEAD")
            return
        self._ticket = Ticket(Invocation(request.headers, request.body), self._finish)
        self._front.pool.submit(self._ticket)

    def _finish(self, reply: Reply) -> None:
        self._ticket = None
        self._send(reply)
        if self._transport is None or self._transport.is_closing():
            return
        if self._is_paused:
            self._is_paused = False
            self._transport.resume_reading()
        if not self._parser.is_idle:
            # Not from here: many requests sent at once would be as many nested calls.
            self._loop.call_soon(self._read_on)

    def _send(self, reply: Reply, *, with_body: bool = True) -> None:
        assert self._transport is not None
        keep_alive = self._keep_alive and not self._front.is_draining
        data = encode_response(
            reply.status, reply.body, reply.content_type, reply.headers, keep_alive=keep_alive
        )
        # One write for head and body: two small segments would wait for each other's
        # acknowledgement.
        self._transport.write(data if with_body else data[: len(data) - len(reply.body)])
        if not keep_alive and not self._is_refused:
            self._transport.close()

    def _refuse(self, status: int, message: str) -> None:
        """Answer, then let the client finish its sentence: closing while bytes of it are unread
        resets the connection, and the client would never see the answer."""
        assert self._transport is not None
        self._keep_alive = False
        self._is_refused = True
        self._stop_timer()
        self._send(Reply(status, _TEXT, [], message.encode()))
        self._transport.write_eof()
        self._stalled = self._loop.call_later(_LINGER_S, self.close)

    def _give_up(self) -> None:
        self._refuse(408, f"the request was not complete within {self._front.stalled_s:g} seconds")

    def _stop_timer(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None
