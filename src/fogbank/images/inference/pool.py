"""The worker processes of a server, seen from the event loop. In: invocations. Out: replies.

An invocation goes to an idle worker or waits in line. A worker that dies or that takes too long is
replaced; whoever waited for it gets a 500. A worker that ends before its model is loaded ends the
whole server: the next one would not do better, and the host has to hear of it.
"""

from __future__ import annotations

import asyncio
import socket
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

from fogbank.images.inference.frames import LENGTHS, Invocation, Reply
from fogbank.images.inference.worker_process import WorkerProcess

_TEXT = "text/plain; charset=utf-8"
_DYING_S = 1.0


class Starter(Protocol):
    """Starts worker processes."""

    def start(self, index: int) -> WorkerProcess: ...


class Ticket:
    """One invocation in the pool: waiting, with a worker, or done."""

    __slots__ = ("_on_reply", "invocation")

    def __init__(self, invocation: Invocation, on_reply: Callable[[Reply], None]) -> None:
        self.invocation = invocation
        self._on_reply: Callable[[Reply], None] | None = on_reply

    @property
    def is_wanted(self) -> bool:
        return self._on_reply is not None

    def abandon(self) -> None:
        """The client has gone: nobody waits for the reply."""
        self._on_reply = None

    def resolve(self, reply: Reply) -> None:
        on_reply, self._on_reply = self._on_reply, None
        if on_reply is not None:
            on_reply(reply)


class Pool:
    """A fixed number of workers and the line before them. Lives on one event loop."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        starter: Starter,
        *,
        invocation_timeout_s: float,
        max_waiting: int,
    ) -> None:
        self._loop = loop
        self._starter = starter
        self._invocation_timeout_s = invocation_timeout_s
        self._max_waiting = max_waiting
        self._workers: list[_Worker] = []
        self._idle: list[_Worker] = []
        self._waiting: deque[Ticket] = deque()
        self._closing = False
        self.load_failed: asyncio.Future[int] = loop.create_future()
        """The exit code of the first worker that ended before its model was loaded."""

    async def open(self, started: Sequence[WorkerProcess]) -> None:
        """Take over worker processes that were started just now."""
        for index, process in enumerate(started):
            await self._adopt(index, process)

    @property
    def is_healthy(self) -> bool:
        """Whether a worker has its model loaded and lives."""
        return any(worker.is_ready for worker in self._workers)

    def submit(self, ticket: Ticket) -> None:
        """Serve the ticket as soon as a worker is free; too long a line refuses it with 503."""
        if len(self._waiting) >= self._max_waiting:  # those that gave up hold no place
            self._waiting = deque(each for each in self._waiting if each.is_wanted)
        if self._idle:
            self._idle.pop().serve(ticket)
        elif len(self._waiting) < self._max_waiting:
            self._waiting.append(ticket)
        else:
            busy = (
                f"no worker is free and {self._max_waiting} requests wait already "
                "(FOGBANK_MAX_WAITING); use more instances, or try again later"
            )
            ticket.resolve(Reply(503, _TEXT, [], busy.encode()))

    async def close(self) -> None:
        """End the workers: by closing their sockets, and by force where that does not help."""
        self._closing = True
        for worker in self._workers:
            worker.hang_up()
        ended = [worker.ended.wait() for worker in self._workers]
        if ended:
            await asyncio.wait([asyncio.ensure_future(each) for each in ended], timeout=_DYING_S)
        for worker in self._workers:
            worker.kill()

    async def _adopt(self, index: int, process: WorkerProcess) -> None:
        worker = _Worker(
            index, process.process, self._loop, self._invocation_timeout_s, self._worker_is_idle
        )
        self._workers.append(worker)
        await worker.connect(process.socket)
        threading.Thread(target=self._watch, args=(worker,), daemon=True).start()

    def _watch(self, worker: _Worker) -> None:
        """In a thread of its own: the socket's end is no proof, a grandchild may hold it open."""
        worker.process.wait()
        try:
            self._loop.call_soon_threadsafe(self._worker_ended, worker)
        except RuntimeError:  # the loop is closed: so are we
            return

    def _worker_is_idle(self, worker: _Worker) -> None:
        while self._waiting:
            ticket = self._waiting.popleft()
            if ticket.is_wanted:
                worker.serve(ticket)
                return
        self._idle.append(worker)

    def _worker_ended(self, worker: _Worker) -> None:
        self._workers.remove(worker)
        if worker in self._idle:
            self._idle.remove(worker)
        was_ready = worker.is_ready
        worker.bury()
        if self._closing:
            return
        if not was_ready:
            if not self.load_failed.done():
                self.load_failed.set_result(worker.process.returncode)
            return
        replacement = self._starter.start(worker.index)
        self._loop.create_task(self._adopt(worker.index, replacement))


class _Worker(asyncio.Protocol):
    """One worker process and our end of its socket."""

    def __init__(
        self,
        index: int,
        process: subprocess.Popen[bytes],
        loop: asyncio.AbstractEventLoop,
        timeout_s: float,
        on_idle: Callable[[_Worker], None],
    ) -> None:
        self.index = index
        self.process = process
        self.is_ready = False
        self.ticket: Ticket | None = None
        self.ended = asyncio.Event()
        self._loop = loop
        self._timeout_s = timeout_s
        self._on_idle = on_idle
        self._buffer = bytearray()
        self._transport: asyncio.WriteTransport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._last_words = "the worker that served the request died"

    async def connect(self, sock: socket.socket) -> None:
        await self._loop.create_connection(lambda: self, sock=sock)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport

    def serve(self, ticket: Ticket) -> None:
        assert self._transport is not None
        self.ticket = ticket
        self._timer = self._loop.call_later(self._timeout_s, self._take_too_long)
        self._transport.write(ticket.invocation.encode())

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if len(self._buffer) < LENGTHS.size:
            return
        meta_length, body_length = LENGTHS.unpack_from(self._buffer)
        end = LENGTHS.size + meta_length + body_length
        if len(self._buffer) < end:
            return
        view = memoryview(self._buffer)
        meta = bytes(view[LENGTHS.size : LENGTHS.size + meta_length])
        body = bytes(view[LENGTHS.size + meta_length : end])
        view.release()
        self._buffer.clear()  # a worker never speaks twice without being asked
        if not self.is_ready:
            self.is_ready = True
        else:
            self._finish(Reply.decode(meta, body))
        self._on_idle(self)

    def hang_up(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()

    def bury(self) -> None:
        """The process has ended: whoever waits for it hears of it."""
        self.ended.set()
        self.is_ready = False
        self.hang_up()
        self._finish(Reply(500, _TEXT, [], self._last_words.encode()))

    def _finish(self, reply: Reply) -> None:
        if self._timer is not None:
            self._timer.cancel()
        ticket, self.ticket = self.ticket, None
        if ticket is not None:
            ticket.resolve(reply)

    def _take_too_long(self) -> None:
        self._last_words = (
            f"the model did not answer within {self._timeout_s:g} seconds; its worker is restarted"
        )
        self.process.kill()
