from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from cloud.aws import NOW, SCOPE, Service, context
from fogbank.cloud.ports import LogEvent
from fogbank.cloud.services.logs.service import rooms
from fogbank.cloud.state.database import Database
from fogbank.cloud.state.log_store import LogStore
from fogbank.cloud.state.records import SqliteRecords
from fogbank.core.clock import epoch_ms

NOW_MS = epoch_ms(NOW)


class FixedClock:
    def __init__(self) -> None:
        self.time = NOW

    def now(self) -> datetime:
        return self.time

    def monotonic_s(self) -> float:
        return 0.0

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("nothing here sleeps")


class Logs:
    """The service over a folder; `reopen` is a restart."""

    def __init__(self, folder: Path, *, database: Path | str | None = None) -> None:
        self.folder = folder
        self.clock = FixedClock()
        self.database = Database(database or folder / "fogbank.db")
        self.open()

    def open(self) -> None:
        self.records = SqliteRecords(self.database)
        self.store = LogStore(self.folder / "logs", self.records, SCOPE, self.clock)
        self.service = Service("logs", *rooms(self.records, self.store, SCOPE))

    def reopen(self) -> None:
        self.database.close()
        self.database = Database(self.folder / "fogbank.db")
        self.open()

    def call(self, name: str, **params: Any) -> Any:
        return self.service.call(name, context(now=self.clock.now()), params)

    def put(self, group: str, stream: str, *events: tuple[int, str]) -> None:
        self.store.append(group, stream, [LogEvent(at, message) for at, message in events])

    def read(self, group: str, stream: str, **params: Any) -> list[str]:
        answer: Mapping[str, Any] = self.call(
            "GetLogEvents", logGroupName=group, logStreamName=stream, **params
        )
        return [event["message"] for event in answer["events"]]


@pytest.fixture
def logs(tmp_path: Path) -> Iterator[Logs]:
    found = Logs(tmp_path)
    yield found
    found.database.close()
