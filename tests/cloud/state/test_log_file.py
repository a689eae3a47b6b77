from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fogbank.cloud.state.log_file import END, RUN_BYTES, START, LogFile, Place, StoredEvent

Batch = list[tuple[int, str]]

batches = st.lists(
    st.lists(st.tuples(st.integers(0, 20), st.text(max_size=8)), max_size=12), max_size=8
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "aa" / "stream.jsonl"


def pairs(file: LogFile, lower: Place = START, upper: Place = END) -> Batch:
    return [(event.timestamp_ms, event.message) for event in file.scan(lower, upper)]


def in_order(all_batches: list[Batch]) -> Batch:
    """By time; of equal times, the one that came in first."""
    return sorted((pair for batch in all_batches for pair in batch), key=lambda pair: pair[0])


# The fixture's folder is shared by the examples: each opens a file of its own.
many_files = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def fresh(path: Path) -> LogFile:
    file = LogFile(path)
    file.remove()
    return LogFile(path)


@many_files
@given(batches)
def test_reading_gives_everything_in_time_order_and_so_does_reading_after_a_restart(
    path: Path, all_batches: list[Batch]
) -> None:
    file = fresh(path)
    for batch in all_batches:
        file.append(batch, 1)
    assert pairs(file) == in_order(all_batches)
    again = LogFile(path)
    assert pairs(again) == in_order(all_batches)
    assert (again.first_ms, again.last_ms) == (file.first_ms, file.last_ms)
    assert [e.place for e in file.scan(backward=True)] == [e.place for e in file.scan()][::-1]


@many_files
@given(batches, st.integers(-1, 21), st.integers(-1, 21), st.integers(0, 400))
def test_a_range_is_inclusive_below_and_exclusive_above(
    path: Path, all_batches: list[Batch], low_ms: int, high_ms: int, offset: int
) -> None:
    file = fresh(path)
    for batch in all_batches:
        file.append(batch, 1)
    lower, upper = (low_ms, offset), (high_ms, 0)
    expected = [event for event in file.scan() if lower <= event.place < upper]
    assert list(file.scan(lower, upper)) == expected
    assert list(file.scan(lower, upper, backward=True)) == expected[::-1]


@many_files
@given(batches, st.integers(1, 5))
def test_pages_put_together_are_the_whole_stream_though_lines_come_in_between(
    path: Path, all_batches: list[Batch], limit: int
) -> None:
    """Each reader sees what lies behind its place at the time: nothing twice, nothing lost that
    came in later in time."""
    file = fresh(path)
    seen: list[StoredEvent] = []
    place = START
    for batch in [*all_batches, []]:
        file.append(batch, 1)
        page = [event for event, _ in zip(file.scan(place), range(limit), strict=False)]
        seen += page
        place = page[-1].after if page else place
    seen += file.scan(place)
    places = [event.place for event in seen]
    assert places == sorted(set(places))
    late = [event for event in file.scan() if event not in seen]
    assert all(event.place < places[-1] for event in late)


def test_events_of_one_millisecond_keep_their_order_across_runs_and_batches(path: Path) -> None:
    file = LogFile(path)
    file.append([(5, "a"), (5, "b")], 1)
    file.append([(3, "early"), (5, "c")], 1)
    file.append([(5, "d"), (9, "late")], 1)
    assert [message for _, message in pairs(file)] == ["early", "a", "b", "c", "d", "late"]


def test_a_page_reads_only_the_runs_that_it_needs(path: Path) -> None:
    class Counting(LogFile):
        loads = 0

        def _load(self, run: object) -> list[StoredEvent]:
            self.loads += 1
            return super()._load(run)  # type: ignore[arg-type]

    file = Counting(path)
    for second in range(60):
        file.append([(second * 1000 + n, "x" * 100) for n in range(500)], 1)
    assert file.size_bytes > 40 * RUN_BYTES
    page = [event for event, _ in zip(file.scan((30_000, 0)), range(100), strict=False)]
    assert page[0].timestamp_ms == 30_000
    assert file.loads <= 2
    assert next(file.scan(backward=True)).timestamp_ms == 59_499
    assert file.loads <= 3


@pytest.mark.parametrize("torn", [b'[7,1,"half', b"[", b'[7,1,"no newline"]', b"\0\0\n"])
def test_a_torn_last_line_is_cut_off_and_appending_goes_on(path: Path, torn: bytes) -> None:
    LogFile(path).append([(1, "a"), (2, "b")], 1)
    with path.open("ab") as raw:
        raw.write(torn)
    file = LogFile(path)
    file.append([(3, "c")], 1)
    assert [message for _, message in pairs(file)] == ["a", "b", "c"]
    assert [json.loads(line)[2] for line in path.read_bytes().splitlines()] == ["a", "b", "c"]


@pytest.mark.parametrize("kept", [0, 1, 17, 40, 41, 80])
def test_a_short_torn_or_missing_side_file_is_found_again_from_the_lines(
    path: Path, kept: int
) -> None:
    file = LogFile(path)
    for batch in range(4):
        file.append([(batch * 1000 + n + 1, "x" * 100) for n in range(700)], batch)
    expected = list(file.scan())
    runs = path.with_name(path.name + ".runs")
    size = runs.stat().st_size
    assert size >= 80
    os.truncate(runs, kept)
    again = LogFile(path)
    assert list(again.scan()) == expected
    assert again.ingested_ms == 3
    again.append([(0, "first")], 9)
    assert next(LogFile(path).scan()).message == "first"


def test_a_side_file_that_is_ahead_of_the_lines_is_not_believed(path: Path) -> None:
    file = LogFile(path)
    file.append([(n, "x" * 100) for n in range(2000)], 1)
    os.truncate(path, RUN_BYTES // 2)
    again = LogFile(path)
    messages = pairs(again)
    assert 0 < len(messages) < 2000
    assert messages == [(n, "x" * 100) for n in range(len(messages))]


def test_opening_reads_only_what_follows_the_noted_runs(path: Path) -> None:
    file = LogFile(path)
    file.append([(n, "x" * 100) for n in range(2000)], 1)
    with path.open("r+b") as raw:
        raw.write(b"?" * 100)
    assert LogFile(path).last_ms == 1999


def test_what_cannot_be_encoded_is_replaced(path: Path) -> None:
    file = LogFile(path)
    file.append([(1, "broken \ud800 line\r\nwith \u2028 breaks")], 1)
    assert pairs(LogFile(path)) == [(1, "broken ? line\r\nwith \u2028 breaks")]


def test_an_empty_file_has_no_times(path: Path) -> None:
    file = LogFile(path)
    file.append([], 1)
    assert (file.first_ms, file.last_ms, file.ingested_ms, file.size_bytes) == (None,) * 3 + (0,)
    assert list(file.scan()) == []
