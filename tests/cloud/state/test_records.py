from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fogbank.cloud.records.training_job import TrainingJob, Transition
from fogbank.cloud.state.database import Database
from fogbank.cloud.state.records import SqliteRecords

NOW = datetime(2026, 11, 21, 9, 0, 0, 123456, tzinfo=UTC)


@dataclass(frozen=True)
class Note:
    kind: ClassVar[str] = "test.note"

    name: str
    text: str = ""

    @property
    def key(self) -> str:
        return self.name


@pytest.fixture
def database() -> Iterator[Database]:
    opened = Database(":memory:")
    yield opened
    opened.close()


@pytest.fixture
def records(database: Database) -> SqliteRecords:
    return SqliteRecords(database)


def job(request: dict[str, Any]) -> TrainingJob:
    return TrainingJob(
        name="dogs",
        arn="arn:aws:sagemaker:us-east-1:123456789012:training-job/dogs",
        request=request,
        status="InProgress",
        secondary_status="Starting",
        transitions=(Transition(status="Starting", started=NOW, message="Starting"),),
        created=NOW,
        modified=NOW,
        model_artifacts="s3://dogs/out/dogs/output/model.tar.gz",
    )


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(max_examples=50)
@given(st.dictionaries(st.text(max_size=8), JSON, max_size=4))
def test_a_record_read_from_the_disk_equals_the_one_written(request_: dict[str, Any]) -> None:
    database = Database(":memory:")
    SqliteRecords(database).put(job(request_))
    fresh = SqliteRecords(database)  # nothing in memory: this one reads the file
    assert fresh.get(TrainingJob, "dogs") == job(request_)
    database.close()


def test_all_are_in_key_order_and_filtered_by_prefix(records: SqliteRecords) -> None:
    records.put(Note("b"), Note("a2"), Note("a1"))
    assert [note.name for note in records.all(Note)] == ["a1", "a2", "b"]
    assert [note.name for note in records.all(Note, prefix="a")] == ["a1", "a2"]


def test_delete_returns_what_was_there(records: SqliteRecords) -> None:
    records.put(Note("a", "x"))
    assert records.delete(Note, "a") == Note("a", "x")
    assert records.delete(Note, "a") is None
    assert records.get(Note, "a") is None


def test_a_transaction_sees_its_own_writes_and_leaves_nothing_when_it_fails(
    records: SqliteRecords,
) -> None:
    records.put(Note("kept", "before"))
    with pytest.raises(RuntimeError), records.transaction():
        records.put(Note("new"), Note("kept", "after"))
        records.delete(Note, "kept")
        assert [note.name for note in records.all(Note)] == ["new"]
        raise RuntimeError
    assert records.all(Note) == [Note("kept", "before")]


def test_subscribers_wake_after_the_commit_and_only_then(records: SqliteRecords) -> None:
    woken: list[tuple[str, Note | None]] = []
    records.subscribe(Note, lambda key: woken.append((key, records.get(Note, key))))
    with records.transaction():
        records.put(Note("a", "1"))
        records.put(replace(Note("a"), text="2"))
        assert woken == []
    assert woken == [("a", Note("a", "2"))]
    with pytest.raises(RuntimeError), records.transaction():
        records.put(Note("b"))
        raise RuntimeError
    assert len(woken) == 1


def test_records_inside_a_transaction_of_the_database_join_it(
    database: Database, records: SqliteRecords
) -> None:
    with pytest.raises(RuntimeError), database.transaction():
        records.put(Note("a"))
        raise RuntimeError
    assert records.get(Note, "a") is None


def test_what_was_acknowledged_survives_kill_9(tmp_path: Path) -> None:
    script = textwrap.dedent("""
        import sys
        from fogbank.cloud.records.tags import Tags
        from fogbank.cloud.state.database import Database
        from fogbank.cloud.state.records import SqliteRecords

        records = SqliteRecords(Database(sys.argv[1]))
        number = 0
        while True:
            records.put(Tags(arn=f"arn:{number:06d}", tags={"n": str(number)}))
            print(number, flush=True)
            number += 1
    """)
    path = tmp_path / "records.db"
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    acknowledged = -1
    for line in process.stdout:
        acknowledged = int(line)
        if acknowledged >= 40:
            process.send_signal(signal.SIGKILL)
            break
    acknowledged = max([acknowledged, *(int(line) for line in process.stdout if line.strip())])
    process.stdout.close()
    process.wait()
    from fogbank.cloud.records.tags import Tags

    database = Database(path)
    kept = SqliteRecords(database).all(Tags)
    assert len(kept) >= acknowledged + 1
    assert [tags.tags["n"] for tags in kept] == [str(number) for number in range(len(kept))]
    database.close()


class Rollback(Exception):
    pass


CHANGES = st.lists(
    st.tuples(st.sampled_from(["a1", "a2", "b", "c"]), st.none() | st.text("xy", max_size=2)),
    max_size=6,
)


@settings(max_examples=60)
@given(st.lists(st.tuples(CHANGES, st.booleans()), max_size=5))
def test_all_and_last_are_those_of_a_dictionary(
    transactions: list[tuple[list[tuple[str, str | None]], bool]],
) -> None:
    """At every moment: inside a transaction, after it, and after one that was rolled back."""
    database = Database(":memory:")
    records = SqliteRecords(database)
    kept: dict[str, str] = {}

    def check(expected: dict[str, str]) -> None:
        notes = [Note(name, expected[name]) for name in sorted(expected)]
        assert records.all(Note) == notes
        assert records.all(Note, prefix="a") == [note for note in notes if note.name[0] == "a"]
        assert records.last(Note) == (notes[-1] if notes else None)

    for changes, fails in transactions:
        seen = dict(kept)
        with suppress(Rollback), records.transaction():
            for name, text in changes:
                if text is None:
                    records.delete(Note, name)
                    seen.pop(name, None)
                else:
                    records.put(Note(name, text))
                    seen[name] = text
                check(seen)
            if fails:
                raise Rollback
        kept = kept if fails else seen
        check(kept)
    database.close()
