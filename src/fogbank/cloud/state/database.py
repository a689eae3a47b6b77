"""The SQLite file: opened in WAL mode with full synchronisation, brought to the newest shape.

A commit has reached the disk when it returns. The connection belongs to the thread that made it
(the event loop's); nobody else touches it, so there is nothing to lock.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import Literal

from fogbank.core.errors import WorldError

Schema = Literal["records", "telemetry"]
Synchronous = Literal["FULL", "NORMAL"]

_NUMBERED = re.compile(r"^(\d{4})_\w+\.sql$")


def migrations(schema: Schema) -> list[tuple[int, str]]:
    """(number, SQL script) of every migration of `schema` that this version has, in order."""
    found: list[tuple[int, str]] = []
    for entry in resources.files(f"fogbank.cloud.state.migrations.{schema}").iterdir():
        match = _NUMBERED.match(entry.name)
        if match:
            found.append((int(match[1]), entry.read_text(encoding="utf-8")))
    return sorted(found)


class Database:
    """One SQLite file.

    path:        the file; `:memory:` for tests.
    schema:      `records` (what must never be lost) or `telemetry` (metrics and the trail).
    synchronous: FULL: a commit is on the disk when it returns. NORMAL: it may be lost in a power
                 failure (never in a crash of the process), at a tenth of the time.
    Raises WorldError when the file was written by a newer Fogbank, or is not a database.
    """

    def __init__(
        self, path: Path | str, *, schema: Schema = "records", synchronous: Synchronous = "FULL"
    ) -> None:
        self.path = path
        self.connection = sqlite3.connect(path, isolation_level=None)
        self._in_transaction = False
        self._endings: list[tuple[Callable[[], None], Callable[[], None]]] = []
        try:
            self.connection.execute("PRAGMA journal_mode = WAL")
            self.connection.execute(f"PRAGMA synchronous = {synchronous}")
            self.connection.execute("PRAGMA foreign_keys = ON")
            self.connection.execute("PRAGMA busy_timeout = 5000")
            self._migrate(schema)
        except sqlite3.DatabaseError as error:
            raise WorldError(
                f"cannot use {path} as Fogbank's database: {error}. "
                "Move it away to start with an empty cloud."
            ) from error

    def _migrate(self, schema: Schema) -> None:
        steps = migrations(schema)
        (version,) = self.connection.execute("PRAGMA user_version").fetchone()
        if version > steps[-1][0]:
            raise WorldError(
                f"{self.path} has shape {version}, this Fogbank knows up to {steps[-1][0]}: "
                "upgrade Fogbank, or choose another folder with FOGBANK_HOME."
            )
        for number, script in steps:
            if number > version:
                # The version is set inside the same transaction: a crash leaves the old shape.
                self.connection.executescript(
                    f"BEGIN IMMEDIATE; {script}; PRAGMA user_version = {number}; COMMIT;"
                )

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """A write transaction; nested ones join the outermost. An exception rolls it all back."""
        if self._in_transaction:
            yield self.connection
            return
        self.connection.execute("BEGIN IMMEDIATE")
        self._in_transaction = True
        try:
            yield self.connection
            self.connection.execute("COMMIT")
        except BaseException:
            self._in_transaction = False
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")
            self._end(1)
            raise
        self._in_transaction = False
        self._end(0)

    def on_end(self, *, committed: Callable[[], None], rolled_back: Callable[[], None]) -> None:
        """Call one of the two when the running (outermost) transaction has ended."""
        assert self._in_transaction, "on_end outside a transaction"
        self._endings.append((committed, rolled_back))

    def _end(self, outcome: int) -> None:
        endings, self._endings = self._endings, []
        for ending in endings:
            ending[outcome]()

    def close(self) -> None:
        self.connection.close()
