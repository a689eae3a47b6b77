"""Lines of functions and of Lambda itself, in order."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from cloud.machines.training_site import MemoryLogs
from fogbank.cloud.machines.functions.function_log import TAIL_BYTES, FunctionLog, OutputPipe
from fogbank.cloud.machines.log_capture import MAX_EVENT_BYTES
from fogbank.core.clock import SystemClock
from fogbank.testing.clock import ManualClock


@pytest.fixture
def sink() -> MemoryLogs:
    return MemoryLogs()


@pytest.fixture
def log(sink: MemoryLogs) -> FunctionLog:
    return FunctionLog(sink, "group", "stream", ManualClock())


async def test_lines_are_events(log: FunctionLog, sink: MemoryLogs) -> None:
    log.say("START")
    log.feed(b"one\ntw")
    log.feed(b"o\n\nno end")
    log.say("END")
    log.flush()
    assert sink.lines == ["START\n", "one\n", "two\n", "\n", "no end\n", "END\n"]
    assert sink.num_appends == 1


@pytest.mark.observed
async def test_a_traceback_is_one_event(log: FunctionLog, sink: MemoryLogs) -> None:
    """The runtime joins its lines with carriage returns."""
    log.feed(b"[ERROR] ValueError: no\rTraceback (most recent call last):\r  File\n")
    log.flush()
    assert sink.lines == ["[ERROR] ValueError: no\nTraceback (most recent call last):\n  File\n"]


async def test_large_and_broken_lines(log: FunctionLog, sink: MemoryLogs) -> None:
    log.feed(b"x" * (MAX_EVENT_BYTES + 10))
    log.feed("ä".encode()[:1])
    log.feed("ä".encode()[1:] + b"\xff\n")
    log.flush()
    assert [len(line) for line in sink.lines] == [MAX_EVENT_BYTES + 1, 10 + 3]
    assert sink.lines[1].endswith("ä\ufffd\n")


async def test_it_is_readable_soon(sink: MemoryLogs) -> None:
    clock = ManualClock()
    log = FunctionLog(sink, "group", "stream", clock)
    log.say("START")
    await clock.settle()
    assert sink.lines == []
    await clock.advance(0.11)
    assert sink.lines == ["START\n"]


async def test_a_full_disk_takes_lines_not_calls() -> None:
    class Full(MemoryLogs):
        def append(self, group: str, stream: str, events: object) -> None:
            raise OSError(28, "No space left on device")

    log = FunctionLog(Full(), "group", "stream", ManualClock())
    log.say("START")
    log.flush()


@pytest.mark.docs
async def test_the_tail_is_the_last_4_kb_of_the_call(log: FunctionLog) -> None:
    log.say("of another call")
    log.begin_call()
    log.say("START")
    assert log.tail == b"START\n"
    log.feed(b"".join(b"%05d\n" % number for number in range(2000)))
    assert len(log.tail) == TAIL_BYTES
    assert log.tail.endswith(b"01999\n")
    log.flush()


async def test_what_was_written_before_is_there_after_a_drain(tmp_path: Path) -> None:
    taken: list[bytes] = []
    pipe = OutputPipe(tmp_path / "pipe", taken.append, SystemClock())
    pipe.open()
    writer = os.open(pipe.path, os.O_WRONLY)
    os.write(writer, b"x" * 60_000)
    assert taken == [], "the event loop has not run since"
    pipe.drain()
    assert sum(map(len, taken)) == 60_000
    os.write(writer, b"later")
    await asyncio.sleep(0.01)
    assert taken[-1] == b"later"
    os.close(writer)
    await asyncio.sleep(0.01)
    pipe.open()  # a second start
    writer = os.open(pipe.path, os.O_WRONLY)
    os.write(writer, b"again")
    pipe.close()
    assert taken[-1] == b"again"
    os.close(writer)


class Laborious(ManualClock):
    """Between two looks at it, a tenth of a second has passed."""

    def __init__(self) -> None:
        super().__init__()
        self._looks = 0

    def monotonic_s(self) -> float:
        self._looks += 1
        return super().monotonic_s() + self._looks / 10


async def test_who_writes_without_end_does_not_hold_up_the_cloud(tmp_path: Path) -> None:
    clock = Laborious()
    taken: list[bytes] = []
    pipe = OutputPipe(tmp_path / "pipe", taken.append, clock)
    pipe.open()
    writer = os.open(pipe.path, os.O_WRONLY)
    os.write(writer, b"x")
    await clock.settle()
    os.write(writer, b"y")
    await clock.settle()
    assert taken == [b"x"], "it rests four times as long as the first took"
    await clock.advance(0.41)
    assert taken == [b"x", b"y"]
    os.write(writer, b"z")
    pipe.drain()
    assert taken == [b"x", b"y", b"z"], "also while it rests"
    pipe.close()
    os.close(writer)
