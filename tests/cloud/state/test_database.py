from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from fogbank.cloud.state.database import Database, migrations
from fogbank.core.errors import WorldError


def test_migrations_are_numbered_once_and_in_order() -> None:
    for schema in ("records", "telemetry"):
        numbers = [number for number, _ in migrations(schema)]
        assert numbers
        assert numbers == sorted(set(numbers))


def test_a_file_is_opened_again_with_what_it_had(tmp_path: Path) -> None:
    first = Database(tmp_path / "a.db")
    with first.transaction() as connection:
        connection.execute("INSERT INTO records VALUES ('k', 'a', '{}')")
    first.close()
    again = Database(tmp_path / "a.db")
    assert again.connection.execute("SELECT key FROM records").fetchall() == [("a",)]
    again.close()


def test_records_are_written_with_full_synchronisation_in_wal_mode(tmp_path: Path) -> None:
    database = Database(tmp_path / "a.db")
    assert database.connection.execute("PRAGMA synchronous").fetchone() == (2,)
    assert database.connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    database.close()


def test_a_file_of_a_newer_version_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 9999")
    connection.close()
    with pytest.raises(WorldError, match="upgrade Fogbank"):
        Database(path)


def test_a_file_that_is_not_a_database_is_refused_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    path.write_text("these are my notes, not a database " * 100)
    with pytest.raises(WorldError, match="Move it away"):
        Database(path)
    assert path.read_text().startswith("these are my notes")


def test_an_exception_takes_back_the_whole_transaction_also_the_nested_part() -> None:
    database = Database(":memory:")
    endings: list[str] = []
    with pytest.raises(RuntimeError), database.transaction() as connection:
        connection.execute("INSERT INTO records VALUES ('k', 'a', '{}')")
        with database.transaction():
            connection.execute("INSERT INTO records VALUES ('k', 'b', '{}')")
            database.on_end(
                committed=lambda: endings.append("committed"),
                rolled_back=lambda: endings.append("rolled back"),
            )
        raise RuntimeError
    assert database.connection.execute("SELECT count(*) FROM records").fetchone() == (0,)
    assert endings == ["rolled back"]
    database.close()
