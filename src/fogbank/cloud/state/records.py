"""`Records` on SQLite, with every record that was touched kept in memory as well.

Reads cost a dictionary look-up; a write costs one synchronised commit. The cache is changed only
after the commit, so memory never runs ahead of the disk.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import cache
from itertools import chain, islice, takewhile
from typing import Any, TypeVar, cast

from pydantic import TypeAdapter

from fogbank.cloud.records.base import Record
from fogbank.cloud.state.database import Database

R = TypeVar("R", bound=Record)


@cache
def _adapter(kind: type) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


class _Kind:
    """The records of one kind, and their keys in order: sorting them anew for each reader would
    cost more than all else that reads."""

    def __init__(self, records: dict[str, Record]) -> None:
        self.records = records
        self.keys = sorted(records)

    def put(self, key: str, record: Record) -> None:
        if key not in self.records:
            insort(self.keys, key)
        self.records[key] = record

    def drop(self, key: str) -> None:
        if self.records.pop(key, None) is not None:
            del self.keys[bisect_left(self.keys, key)]

    def starting(self, prefix: str) -> Sequence[str]:
        """The keys that start with `prefix`, in order."""
        if not prefix:
            return self.keys
        behind = islice(self.keys, bisect_left(self.keys, prefix), None)
        return list(takewhile(lambda key: key.startswith(prefix), behind))


class SqliteRecords:
    """See `ports.Records`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._cache: dict[str, _Kind] = {}
        self._pending: dict[tuple[str, str], Record | None] = {}
        self._wakers: defaultdict[str, list[Callable[[str], None]]] = defaultdict(list)

    def _loaded(self, kind: type[R]) -> _Kind:
        known = self._cache.get(kind.kind)
        if known is None:
            adapter = _adapter(kind)
            rows = self._database.connection.execute(
                "SELECT key, body FROM records WHERE kind = ?", (kind.kind,)
            )
            known = _Kind({key: adapter.validate_json(body) for key, body in rows})
            self._cache[kind.kind] = known
        return known

    def get(self, kind: type[R], key: str) -> R | None:
        # Several times in every request: outside a transaction two look-ups and no more.
        if self._pending and (kind.kind, key) in self._pending:
            return cast("R | None", self._pending[kind.kind, key])
        return cast("R | None", self._loaded(kind).records.get(key))

    def all(self, kind: type[R], *, prefix: str = "") -> list[R]:
        loaded = self._loaded(kind)
        keys = loaded.starting(prefix)
        pending = self._waiting(kind)
        if not pending:
            return [cast(R, loaded.records[key]) for key in keys]
        merged = loaded.records | pending
        keys = sorted({*keys, *(key for key in pending if key.startswith(prefix))})
        return [cast(R, merged[key]) for key in keys if merged[key] is not None]

    def last(self, kind: type[R]) -> R | None:
        loaded = self._loaded(kind)
        pending = self._waiting(kind)
        written = (key for key in reversed(loaded.keys) if key not in pending)
        put = (key for key, record in pending.items() if record is not None)
        key = max(chain(islice(written, 1), put), default=None)
        return None if key is None else self.get(kind, key)

    def _waiting(self, kind: type[R]) -> dict[str, Record | None]:
        """What the running transaction has put, and None for what it has deleted."""
        return {key: record for (name, key), record in self._pending.items() if name == kind.kind}

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
                self._cache[kind].drop(key)
            else:
                self._cache[kind].put(key, record)
        for kind, key in changed:
            for wake in self._wakers[kind]:
                wake(key)

    def subscribe(self, kind: type[R], wake: Callable[[str], None]) -> None:
        self._wakers[kind.kind].append(wake)
