"""The output of an instance -> events of a log stream.

In: `feed` with pieces of bytes as they come from a pipe. Out: lines, in batches, to a LogSink, and
one by one to `on_line`. Batches keep the sink's cost (a write to the disk each) away from programs
that print much; `close` gives out what is left, so that everything is readable afterwards.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from fogbank.cloud.ports import LogEvent, LogSink
from fogbank.core.clock import Clock, epoch_ms

log = logging.getLogger("fogbank.logs")

BATCH_S = 0.1
BATCH_BYTES = 64 * 1024
MAX_EVENT_BYTES = 256 * 1024 - 26
"""A larger event is refused by CloudWatch Logs (user guide, quotas: 256 KB, of which 26 bytes are
the event's own); the line goes on in the next event."""


def ignore_line(line: str, timestamp_ms: int) -> None:
    """For a log that nobody else reads."""


class LogCapture:
    """Writes to one stream of one group. Use on the event loop.

    on_line: called with each event's text and timestamp, before it is readable.

    A carriage return overwrites a line on a terminal: of a progress bar, only the last state before
    the line feed becomes an event. Empty lines are dropped: CloudWatch Logs has no empty events.
    """

    def __init__(
        self,
        sink: LogSink,
        group: str,
        stream: str,
        clock: Clock,
        on_line: Callable[[str, int], None] = ignore_line,
    ) -> None:
        self._sink = sink
        self._group = group
        self._stream = stream
        self._clock = clock
        self._on_line = on_line
        self._partial = bytearray()
        self._events: list[LogEvent] = []
        self._num_bytes = 0
        self._last_ms = 0
        self._flusher: asyncio.Task[None] | None = None

    def feed(self, piece: bytes) -> None:
        """Take a piece of output; its end need not be the end of a line or of a character."""
        head, feed, rest = piece.rpartition(b"\n")
        if not feed:
            self._partial += piece
        else:
            lines = (bytes(self._partial) + head).split(b"\n")
            self._partial = bytearray(rest)
            for line in lines:
                self._take(line)
        self._shorten_partial()
        if self._num_bytes >= BATCH_BYTES:
            self._flush()
        elif self._events and self._flusher is None:
            self._flusher = asyncio.create_task(self._flush_later(), name=f"log {self._stream}")

    def say(self, text: str) -> None:
        """An event of the cloud's own, between the lines of the program."""
        self._add(text)
        self._flush()

    async def close(self) -> None:
        """Give out everything, also a last line without an end. `feed` may be called again."""
        line, self._partial = bytes(self._partial), bytearray()
        self._take(line)
        self._flush()
        flusher, self._flusher = self._flusher, None
        if flusher is not None:
            flusher.cancel()
            await asyncio.wait({flusher})

    def _shorten_partial(self) -> None:
        if len(self._partial) <= MAX_EVENT_BYTES:
            return
        # Of the states of a progress bar only the last one counts, and whether it is complete.
        bare = self._partial.rstrip(b"\r")
        state = bare.rpartition(b"\r")[2]
        self._partial = state + (b"\r" if len(bare) < len(self._partial) else b"")
        while len(self._partial) > MAX_EVENT_BYTES:
            self._add(self._partial[:MAX_EVENT_BYTES].decode(errors="replace"))
            del self._partial[:MAX_EVENT_BYTES]

    def _take(self, line: bytes) -> None:
        states = [state for state in line.split(b"\r") if state.strip()]
        if not states:
            return
        state = states[-1]
        for start in range(0, len(state), MAX_EVENT_BYTES):
            self._add(state[start : start + MAX_EVENT_BYTES].decode(errors="replace"))

    def _add(self, text: str) -> None:
        # The wall clock may be set back; a stream's timestamps never go back.
        self._last_ms = max(self._last_ms, epoch_ms(self._clock.now()))
        self._events.append(LogEvent(self._last_ms, text))
        self._num_bytes += len(text)
        self._on_line(text, self._last_ms)

    def _flush(self) -> None:
        events, self._events, self._num_bytes = self._events, [], 0
        if not events:
            return
        try:
            self._sink.append(self._group, self._stream, events)
        except OSError as error:  # a full disk takes log lines, it does not take the job
            log.error("%d lines of %s %s lost: %s", len(events), self._group, self._stream, error)

    async def _flush_later(self) -> None:
        await self._clock.sleep(BATCH_S)
        self._flusher = None
        self._flush()
