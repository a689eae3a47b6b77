from __future__ import annotations

from datetime import UTC, datetime

from fogbank.cloud.state.database import Database
from fogbank.cloud.state.trail import Trail, TrailEntry

ENTRY = TrailEntry(
    at=datetime(2026, 11, 21, 9, 0, tzinfo=UTC),
    request_id="r-1",
    service="s3",
    operation="PutObject",
    principal_arn="arn:aws:iam::123456789012:root",
    access_key_id="AKIAEXAMPLE",
    status=200,
    error_code="",
    duration_us=1200,
)


def test_the_latest_entries_come_first_and_survive_a_restart() -> None:
    database = Database(":memory:", schema="telemetry", synchronous="NORMAL")
    trail = Trail(database)
    refused = ENTRY._replace(request_id="r-2", status=403, error_code="AccessDenied")
    trail.record(ENTRY)
    trail.record(refused)
    trail.flush()
    assert Trail(database).latest() == [refused, ENTRY]
    assert Trail(database).latest(limit=1) == [refused]
    database.close()
