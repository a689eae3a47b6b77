"""Output of an instance -> log events and metrics."""

from __future__ import annotations

import logging
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.machines.training_site import MemoryLogs, MemoryMetrics
from fogbank.cloud.machines.log_capture import MAX_EVENT_BYTES, LogCapture
from fogbank.cloud.machines.metric_capture import MetricCapture
from fogbank.cloud.records.training_job import OBJECTIVE_VALUES
from fogbank.cloud.rules.metric_definitions import compile_definitions
from fogbank.testing.clock import ManualClock


class Capture:
    def __init__(self) -> None:
        self.clock = ManualClock(datetime(2026, 11, 21, tzinfo=UTC))
        self.logs = MemoryLogs()
        self.log = LogCapture(self.logs, "group", "stream", self.clock)

    async def lines(self, *pieces: bytes) -> list[str]:
        for piece in pieces:
            self.log.feed(piece)
        await self.log.close()
        return self.logs.lines


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        ((b"a\nb\n",), ["a", "b"]),
        ((b"a", b"b\nc", b"d"), ["ab", "cd"]),
        ((b"a\r\nb\r\n",), ["a", "b"]),
        ((b" 10%\r 50%\r100%\n",), ["100%"]),
        ((b" 10%\r 50%", b"\r", b"100%\r\n"), ["100%"]),
        ((b" 10%\r 50%\r",), [" 50%"]),
        ((b"\n\n  \nx\n",), ["x"]),
        ((b"caf\xc3", b"\xa9\n"), ["café"]),
        ((b"\xff\xfe\n",), ["\ufffd\ufffd"]),
        ((b"x" * (MAX_EVENT_BYTES + 5) + b"\n",), ["x" * MAX_EVENT_BYTES, "x" * 5]),
        ((b"x" * MAX_EVENT_BYTES, b"y" * 5), ["x" * MAX_EVENT_BYTES, "y" * 5]),
        ((b"1%\r" * 200_000, b"2%\n"), ["2%"]),
    ],
)
async def test_pieces_become_lines(pieces: tuple[bytes, ...], expected: list[str]) -> None:
    assert await Capture().lines(*pieces) == expected


async def test_lines_are_written_together() -> None:
    capture = Capture()
    for number in range(50):
        capture.log.feed(b"line %d\n" % number)
    assert capture.logs.num_appends == 0
    await capture.clock.advance(0.1)
    assert (capture.logs.num_appends, len(capture.logs.lines)) == (1, 50)
    capture.log.feed(b"y" * 70_000 + b"\n")
    assert capture.logs.num_appends == 2, "much output does not wait"
    await capture.log.close()
    assert capture.clock.num_sleepers == 0


async def test_timestamps_do_not_go_back() -> None:
    capture = Capture()
    capture.log.feed(b"a\n")
    await capture.clock.advance(1)
    capture.log.feed(b"b\n")
    capture.log._clock = ManualClock(datetime(2020, 1, 1, tzinfo=UTC))
    capture.log.feed(b"c\n")
    await capture.log.close()
    stamps = [event.timestamp_ms for event in capture.logs.streams["group", "stream"]]
    assert stamps == [stamps[0], stamps[0] + 1000, stamps[0] + 1000]


async def test_a_full_disk_does_not_end_the_job(caplog: pytest.LogCaptureFixture) -> None:
    class Full(MemoryLogs):
        def append(self, *_: object) -> None:
            raise OSError(28, "No space left on device")

    log = LogCapture(Full(), "group", "stream", ManualClock())
    log.feed(b"a\nb\n")
    with caplog.at_level(logging.ERROR):
        await log.close()
    assert "2 lines of group stream lost" in caplog.text


@given(
    text=st.lists(st.text(st.characters(whitelist_categories=["L"]), min_size=1)), data=st.data()
)
async def test_where_the_output_is_cut_makes_no_difference(
    text: list[str], data: st.DataObject
) -> None:
    output = "".join(f"{line}\n" for line in text).encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(output)), max_size=6)))
    pieces = [output[a:b] for a, b in zip([0, *cuts], [*cuts, len(output)], strict=True)]
    assert await Capture().lines(*pieces) == text


@pytest.mark.docs
async def test_metrics_of_a_log() -> None:
    metrics = MemoryMetrics()
    definitions = compile_definitions(
        [{"Name": "loss", "Regex": "loss: ([0-9.]+)"}, {"Name": "acc", "Regex": "acc=([^ ]+)"}]
    )
    capture = MetricCapture(definitions, metrics, "dogs")
    log = LogCapture(MemoryLogs(), "g", "s", ManualClock(), capture.on_line)
    log.feed(b"loss: 2.5 acc=nan\nloss: 1.5\nnothing\n")
    await log.close()
    assert [(ns, d.name, d.value, d.dimensions) for ns, d in metrics.data] == [
        ("/aws/sagemaker/TrainingJobs", "loss", 2.5, {"TrainingJobName": "dogs"}),
        ("/aws/sagemaker/TrainingJobs", "loss", 1.5, {"TrainingJobName": "dogs"}),
    ]
    assert [(final.name, final.value) for final in capture.final] == [("loss", 1.5)]
    assert capture.objective_values == ()


async def test_the_curve_of_an_objective() -> None:
    definitions = compile_definitions(
        [{"Name": "loss", "Regex": "loss: ([0-9.]+)"}, {"Name": "acc", "Regex": "acc=([a-z0-9.]+)"}]
    )
    capture = MetricCapture(definitions, MemoryMetrics(), "dogs", objective="acc")
    for value in range(OBJECTIVE_VALUES + 5):
        capture.on_line(f"loss: 9 acc={value}", 0)
    assert capture.objective_values == tuple(map(float, range(OBJECTIVE_VALUES)))
    assert capture.final[1].value == OBJECTIVE_VALUES + 4
