"""`Records` on SQLite, with every record that was touched kept in memory as well.

Reads cost a dictionary look-up; a write costs one synchronised commit. The cache is changed only
after the commit, so memory never runs ahead of the disk.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import cache
from typing import Any, TypeVar, cast

from pydantic import TypeAdapter

from fogbank.cloud.records.base import Record
from fogbank.cloud.state.database import Database

R = TypeVar("R", bound=Record)


@cache
def _adapter(kind: type) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


class SqliteRecords:
    """See `ports.Records`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._cache: dict[str, dict[str, Record]] = {}
        self._pending: dict[tuple[str, str], Record | None] = {}
        self._wakers: defaultdict[str, list[Callable[[str], None]]] = defaultdict(list)

    def _loaded(self, kind: type[R]) -> dict[str, Record]:
        if kind.kind not in self._cache:
            adapter = _adapter(kind)
            rows = self._database.connection.execute(
                "SELECT key, body FROM records WHERE kind = ?", (kind.kind,)
            )
            self._cache[kind.kind] = {key: adapter.validate_json(body) for key, body in rows}
        return self._cache[kind.kind]

    def get(self, kind: type[R], key: str) -> R | None:
        if (kind.kind, key) in self._pending:
            return cast("R | None", self._pending[kind.kind, key])
        return cast("R | None", self._loaded(kind).get(key))

    def all(self, kind: type[R], *, prefix: str = "") -> list[R]:
        merged = dict(self._loaded(kind))
        for (pending_kind, key), record in self._pending.items():
            if pending_kind != kind.kind:
                continue
            if record is None:
                merged.pop(key, None)
            else:
                merged[key] = record
        return [cast(R, merged[key]) for key in sorted(merged) if key.startswith(prefix)]

    def put(self, *records: Record) -> None:
        with self.transaction():
            for record in records:
                kind = type(record)
                self._loaded(kind)
                body = _adapter(kind).dump_json(record).decode()
                self._database.connection.execute(
                    "INSERT INTO records (kind, key, body) VALUES (?, ?, ?) "
                    "ON CONFLICT (kind, key) DO UPDATE SET body = excluded.body",
                    (kind.kind, record.key, body),
                )
                self._remember(kind.kind, record.key, record)

    def delete(self, kind: type[R], key: str) -> R | None:
        found = self.get(kind, key)
        if found is not None:
            with self.transaction():
                self._database.connection.execute(
                    "DELETE FROM records WHERE kind = ? AND key = ?", (kind.kind, key)
                )
                self._remember(kind.kind, key, None)
        return found

    def transaction(self) -> AbstractContextManager[object]:
        return self._database.transaction()

    def _remember(self, kind: str, key: str, record: Record | None) -> None:
        if not self._pending:
            self._database.on_end(committed=self._publish, rolled_back=self._pending.clear)
        self._pending[kind, key] = record

    def _publish(self) -> None:
        changed = dict(self._pending)
        self._pending.clear()
        for (kind, key), record in changed.items():
            if record is None:
                self._cache[kind].pop(key, None)
            else:
                self._cache[kind][key] = record
        for kind, key in changed:
            for wake in self._wakers[kind]:
                wake(key)

    def subscribe(self, kind: type[R], wake: Callable[[str], None]) -> None:
        self._wakers[kind.kind].append(wake)
