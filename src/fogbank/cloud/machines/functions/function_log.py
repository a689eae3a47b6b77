"""One environment's log stream, and the pipe through which a function writes to it.

In: pieces of the function's output, and lines of Lambda's own between them. Out: events of a log
stream, in batches, and the end of what one call wrote. An event ends with its line feed, as in
CloudWatch; carriage returns inside (the runtime joins the lines of a traceback with them) become
line feeds.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable
from pathlib import Path

from fogbank.cloud.machines.log_capture import BATCH_BYTES, BATCH_S, MAX_EVENT_BYTES
from fogbank.cloud.ports import LogEvent, LogSink
from fogbank.core.clock import Clock, epoch_ms

log = logging.getLogger("fogbank.functions")

TAIL_BYTES = 4096
"""How much LogType Tail shows."""

_PIECE_BYTES = 64 * 1024
_MAX_DRAINED = 16
"""Pieces. A pipe holds 64 KiB, so more than one was written meanwhile: by somebody who goes on."""
_BUSY_S, _REST = 0.002, 4


class FunctionLog:
    """Writes to one stream. Use on the event loop; `flush` at the end."""

    def __init__(self, sink: LogSink, group: str, stream: str, clock: Clock) -> None:
        self.group = group
        self.stream = stream
        self._sink = sink
        self._clock = clock
        self._partial = bytearray()
        self._tail = bytearray()
        self._events: list[LogEvent] = []
        self._num_bytes = 0
        self._last_ms = 0
        self._flusher: asyncio.Task[None] | None = None

    def feed(self, piece: bytes) -> None:
        """Output of the function; its end need not be the end of a line or of a character."""
        *lines, rest = piece.split(b"\n")
        for line in lines:
            self._add(bytes(self._partial) + line)
            self._partial.clear()
        self._partial += rest
        while len(self._partial) > MAX_EVENT_BYTES:
            self._add(bytes(self._partial[:MAX_EVENT_BYTES]))
            del self._partial[:MAX_EVENT_BYTES]

    def say(self, line: str) -> None:
        """A line of Lambda's own. What the function left without an end is a line before it."""
        if self._partial:
            self.feed(b"\n")
        self.feed(line.encode() + b"\n")

    def begin_call(self) -> None:
        """From here on the tail is that of a new call."""
        self._tail.clear()

    @property
    def tail(self) -> bytes:
        return bytes(self._tail)

    def flush(self) -> None:
        """Make everything readable, also a last line without an end."""
        if self._partial:
            self._add(bytes(self._partial))
            self._partial.clear()
        self._write()
        if self._flusher is not None:
            self._flusher.cancel()
            self._flusher = None

    def _add(self, line: bytes) -> None:
        line = line.rstrip(b"\r").replace(b"\r", b"\n") + b"\n"
        self._tail += line
        del self._tail[:-TAIL_BYTES]
        text = line.decode(errors="replace")
        # The wall clock may be set back; a stream's timestamps never go back.
        self._last_ms = max(self._last_ms, epoch_ms(self._clock.now()))
        self._events.append(LogEvent(self._last_ms, text))
        self._num_bytes += len(text)
        if self._num_bytes >= BATCH_BYTES:
            self._write()
        elif self._flusher is None:
            self._flusher = asyncio.create_task(self._write_later(), name=f"log {self.stream}")

    async def _write_later(self) -> None:
        await self._clock.sleep(BATCH_S)
        self._flusher = None
        self._write()

    def _write(self) -> None:
        events, self._events, self._num_bytes = self._events, [], 0
        if not events:
            return
        try:
            self._sink.append(self.group, self.stream, events)
        except OSError as error:  # a full disk takes log lines, it does not take the call
            log.error("%d lines of %s %s lost: %s", len(events), self.group, self.stream, error)


class OutputPipe:
    """A named pipe that a program writes to, and that can be read to its present end at any time:
    what a function wrote before it answered stands in the log before the call's END.

    (The pipe between an engine and its program is read when its turn comes, maybe later.)
    """

    def __init__(self, path: Path, take: Callable[[bytes], None], clock: Clock) -> None:
        self.path = path
        self._take = take
        self._clock = clock
        self._handle: int | None = None
        self._rest: asyncio.Task[None] | None = None

    def open(self) -> None:
        """Make the pipe, before the program starts. A pipe of an earlier start is replaced."""
        self.close()
        self.path.unlink(missing_ok=True)
        os.mkfifo(self.path, 0o600)
        self._handle = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        asyncio.get_running_loop().add_reader(self._handle, self._readable)

    def drain(self) -> None:
        """Take everything that has been written until now."""
        for _ in range(_MAX_DRAINED):
            if not self._read():
                return

    def close(self) -> None:
        """Take what is left and close. A program that still writes gets SIGPIPE."""
        if self._handle is None:
            return
        self.drain()
        handle, self._handle = self._handle, None
        if self._rest is not None:
            self._rest.cancel()
            self._rest = None
        asyncio.get_running_loop().remove_reader(handle)
        os.close(handle)

    def _read(self) -> int:
        if self._handle is None:
            return 0
        try:
            piece = os.read(self._handle, _PIECE_BYTES)
        except BlockingIOError:
            return 0
        if piece:
            self._take(piece)
        return len(piece)

    def _readable(self) -> None:
        assert self._handle is not None
        began_s = self._clock.monotonic_s()
        num_bytes = self._read()
        busy_s = self._clock.monotonic_s() - began_s
        if not num_bytes:
            # Every writer has gone: the pipe would be readable for ever.
            asyncio.get_running_loop().remove_reader(self._handle)
        elif busy_s > _BUSY_S and self._rest is None:
            # It prints faster than lines can be kept: it waits, the cloud does not.
            asyncio.get_running_loop().remove_reader(self._handle)
            self._rest = asyncio.create_task(self._resume_after(_REST * busy_s))

    async def _resume_after(self, pause_s: float) -> None:
        await self._clock.sleep(pause_s)
        self._rest = None
        if self._handle is not None:
            asyncio.get_running_loop().add_reader(self._handle, self._readable)
