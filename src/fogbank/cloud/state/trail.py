"""The trail: one row for every call, as CloudTrail keeps them; written in batches.

A call is acknowledged before its row is on the disk: losing the last second of the trail in a
crash is accepted, slowing down every call is not.
"""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from fogbank.cloud.state.database import Database

KEPT_ROWS = 200_000
"""The oldest rows beyond this are dropped: some 30 MB."""


class TrailEntry(NamedTuple):
    """`error_code` is empty for a success; `duration_us` counts from the first byte received.

    A tuple, as there is one for each request: made in a quarter of a frozen dataclass's time."""

    at: datetime
    request_id: str
    service: str
    operation: str
    principal_arn: str
    access_key_id: str
    status: int
    error_code: str
    duration_us: int


class Trail:
    """`record` is cheap and keeps the entry in memory; `flush` writes what has gathered."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: list[TrailEntry] = []

    def record(self, entry: TrailEntry) -> None:
        self._waiting.append(entry)

    def flush(self) -> None:
        if not self._waiting:
            return
        waiting, self._waiting = self._waiting, []
        rows = [(entry.at.isoformat(), *entry[1:]) for entry in waiting]
        with self._database.transaction() as connection:
            connection.executemany(
                "INSERT INTO trail (at, request_id, service, operation, principal_arn, "
                "access_key_id, status, error_code, duration_us) VALUES (?,?,?,?,?,?,?,?,?)",
                rows,
            )
            connection.execute(
                "DELETE FROM trail WHERE id <= (SELECT MAX(id) FROM trail) - ?", (KEPT_ROWS,)
            )

    def latest(self, limit: int = 50) -> list[TrailEntry]:
        """The newest entries first, those not yet written included."""
        self.flush()
        rows = self._database.connection.execute(
            "SELECT at, request_id, service, operation, principal_arn, access_key_id, status, "
            "error_code, duration_us FROM trail ORDER BY id DESC LIMIT ?",
            (limit,),
        )
        return [TrailEntry(datetime.fromisoformat(at), *rest) for at, *rest in rows]
