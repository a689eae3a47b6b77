"""One log stream on disk: an append-only file of JSON lines, read in time order by pages.

Lines are kept in the order in which they came in: `[timestamp_ms, ingested_ms, message]`. A line
is written with one `write`, so a killed process leaves at most one torn line at the end, which is
cut off when the file is opened again.

The file is a sequence of *runs*: at most RUN_BYTES long, timestamps never falling within one. The
index holds a few numbers for each run; reading merges the runs that overlap and loads no others.
Whole runs are also noted in a side file, so that opening a large stream reads only its end.

An event's place in the stream is `(timestamp_ms, offset of its line)`: a total order that never
changes, whatever comes in later.
"""

from __future__ import annotations

import heapq
import json
import os
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

RUN_BYTES = 64 * 1024

Place = tuple[int, int]
"""(timestamp_ms, offset): of an event, or between two events."""

START: Place = (-1, -1)
END: Place = (2**63, 0)


class StoredEvent(NamedTuple):
    place: Place
    ingested_ms: int
    message: str

    @property
    def timestamp_ms(self) -> int:
        return self.place[0]

    @property
    def after(self) -> Place:
        """The place right behind this event."""
        return (self.place[0], self.place[1] + 1)


@dataclass(slots=True)
class Run:
    """A stretch of the file from byte `offset` to byte `end`, in time order."""

    offset: int
    end: int
    first_ms: int
    last_ms: int
    ingested_ms: int

    @property
    def first(self) -> Place:
        return (self.first_ms, self.offset)

    @property
    def last(self) -> Place:
        """Not before its last event and before any later place."""
        return (self.last_ms, self.end - 1)


_RUN = struct.Struct("<5q")


class LogFile:
    """path: the file of lines; `path` + `.runs` is the side file. Made at the first append."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._runs_path = path.with_name(path.name + ".runs")
        self._runs: list[Run] = []
        if path.exists():
            self._runs = self._noted_runs(path.stat().st_size)
            self._read_tail()

    @property
    def size_bytes(self) -> int:
        return self._runs[-1].end if self._runs else 0

    @property
    def first_ms(self) -> int | None:
        return min((run.first_ms for run in self._runs), default=None)

    @property
    def last_ms(self) -> int | None:
        return max((run.last_ms for run in self._runs), default=None)

    @property
    def ingested_ms(self) -> int | None:
        """When the newest line came in."""
        return self._runs[-1].ingested_ms if self._runs else None

    def append(self, events: Sequence[tuple[int, str]], ingested_ms: int) -> None:
        """(timestamp_ms, message) pairs, in any order; readable when this returns. Raises OSError
        where the disk is full."""
        if not events:
            return
        lines = [_line(timestamp_ms, ingested_ms, message) for timestamp_ms, message in events]
        self._write(b"".join(lines))
        known = len(self._runs)
        for (timestamp_ms, _), line in zip(events, lines, strict=True):
            self._index(timestamp_ms, ingested_ms, len(line))
        self._note(known)

    def _write(self, data: bytes) -> None:
        try:
            descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        except FileNotFoundError:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            written = os.write(descriptor, data)
            while written < len(data):
                written += os.write(descriptor, data[written:])
        except OSError:
            os.ftruncate(descriptor, self.size_bytes)
            raise
        finally:
            os.close(descriptor)

    def _index(self, timestamp_ms: int, ingested_ms: int, line_bytes: int) -> None:
        run = self._runs[-1] if self._runs else None
        offset = run.end if run else 0
        if run is None or timestamp_ms < run.last_ms or offset - run.offset >= RUN_BYTES:
            self._runs.append(
                Run(offset, offset + line_bytes, timestamp_ms, timestamp_ms, ingested_ms)
            )
            return
        run.end += line_bytes
        run.last_ms = timestamp_ms
        run.ingested_ms = ingested_ms

    def _note(self, known: int) -> None:
        """Write the runs that have been closed since there were `known` to the side file."""
        closed = self._runs[max(known - 1, 0) : -1]
        if closed:
            with self._runs_path.open("ab") as file:
                for run in closed:
                    file.write(
                        _RUN.pack(run.offset, run.end, run.first_ms, run.last_ms, run.ingested_ms)
                    )

    def _noted_runs(self, size_bytes: int) -> list[Run]:
        """The runs of the side file, as far as they make sense; it is cut to those. A crash may
        have left it short or torn: what is missing is found again in the lines themselves."""
        if not self._runs_path.exists():
            return []
        data = self._runs_path.read_bytes()
        runs: list[Run] = []
        for position in range(0, len(data) - _RUN.size + 1, _RUN.size):
            run = Run(*_RUN.unpack_from(data, position))
            start = runs[-1].end if runs else 0
            if run.offset != start or not start < run.end <= size_bytes:
                break
            runs.append(run)
        if len(data) != len(runs) * _RUN.size:
            os.truncate(self._runs_path, len(runs) * _RUN.size)
        return runs

    def _read_tail(self) -> None:
        """Index the lines behind the noted runs; cut off what is torn."""
        known = len(self._runs)
        # The last noted run is closed: what follows starts a run of its own.
        tail_start = self.size_bytes
        with self._path.open("rb") as file:
            file.seek(tail_start)
            for line in file:
                parsed = _parsed(line)
                if parsed is None:
                    break
                timestamp_ms, ingested_ms, _ = parsed
                if self.size_bytes == tail_start:
                    end = tail_start + len(line)
                    self._runs.append(Run(tail_start, end, timestamp_ms, timestamp_ms, ingested_ms))
                else:
                    self._index(timestamp_ms, ingested_ms, len(line))
        if self._path.stat().st_size != self.size_bytes:
            os.truncate(self._path, self.size_bytes)
        self._note(known + 1)

    def scan(
        self, lower: Place = START, upper: Place = END, *, backward: bool = False
    ) -> Iterator[StoredEvent]:
        """The events whose place is >= `lower` and < `upper`, in order (or in reverse). Lines that
        come in while the iterator is in use may or may not be seen."""
        sign = -1 if backward else 1

        def rank(place: Place) -> Place:
            return (sign * place[0], sign * place[1])

        waiting = sorted(
            (rank(run.last if backward else run.first), run.offset, run)
            for run in self._runs
            if run.last >= lower and run.first < upper
        )
        heap: list[tuple[Place, StoredEvent, Iterator[StoredEvent]]] = []
        opened = 0
        while heap or opened < len(waiting):
            while opened < len(waiting) and (not heap or waiting[opened][0] <= heap[0][0]):
                events = self._load(waiting[opened][2])
                inside = [event for event in events if lower <= event.place < upper]
                opened += 1
                rest = reversed(inside) if backward else iter(inside)
                first = next(rest, None)
                if first is not None:
                    heapq.heappush(heap, (rank(first.place), first, rest))
            if not heap:
                continue
            _, event, rest = heap[0]
            yield event
            following = next(rest, None)
            if following is None:
                heapq.heappop(heap)
            else:
                heapq.heapreplace(heap, (rank(following.place), following, rest))

    def _load(self, run: Run) -> list[StoredEvent]:
        descriptor = os.open(self._path, os.O_RDONLY)
        try:
            data = os.pread(descriptor, run.end - run.offset, run.offset)
        finally:
            os.close(descriptor)
        events: list[StoredEvent] = []
        offset = run.offset
        for line in data.splitlines(keepends=True):
            timestamp_ms, ingested_ms, message = json.loads(line)
            events.append(StoredEvent((timestamp_ms, offset), ingested_ms, message))
            offset += len(line)
        return events

    def remove(self) -> None:
        """Delete the lines for good."""
        self._path.unlink(missing_ok=True)
        self._runs_path.unlink(missing_ok=True)
        self._runs.clear()


def _line(timestamp_ms: int, ingested_ms: int, message: str) -> bytes:
    text = json.dumps([timestamp_ms, ingested_ms, message], ensure_ascii=False)
    return text.encode(errors="replace") + b"\n"


def _parsed(line: bytes) -> tuple[int, int, str] | None:
    """None for a line that a crash, or a power failure, has left torn."""
    if not line.endswith(b"\n"):
        return None
    try:
        timestamp_ms, ingested_ms, message = json.loads(line)
    except ValueError:
        return None
    return timestamp_ms, ingested_ms, message
