"""Group commit: changes of several callers become durable with one synchronisation.

Each caller brings a function that decides and writes, and the files and folders that have to be on
the disk before it may. While one group is on its way the next one gathers. The files of a group are
synchronised side by side, so that the file system writes its journal once for all of them, and a
folder and SQLite once for the whole group: where a flush takes 4 ms, ten PUTs take 12, not 120.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from fogbank.cloud.state.database import Database

T = TypeVar("T")


def sync(path: Path) -> None:
    """Make a file's bytes, or the names in a folder, durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@dataclass(slots=True)
class _Change(Generic[T]):
    decide: Callable[[], T]
    needs: frozenset[Path]
    done: asyncio.Future[T]


class GroupCommit:
    """Runs changes in the order in which they were submitted."""

    def __init__(self, database: Database, threads: Executor) -> None:
        self._database = database
        self._threads = threads
        self._waiting: list[_Change[Any]] = []
        self._runner: asyncio.Task[None] | None = None

    async def submit(self, decide: Callable[[], T], *, needs: Iterable[Path] = ()) -> T:
        """What `decide` returns, once its writes are durable. `needs` are synchronised before.

        `decide` runs on the event loop's thread inside a transaction; an exception that it raises
        undoes its own writes alone and is raised here. Where the caller is cancelled, `decide`
        either has been committed or never runs.
        """
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Change(decide, frozenset(needs), done))
        if self._runner is None or self._runner.done():
            self._runner = asyncio.create_task(self._run())
        return await done

    async def _run(self) -> None:
        while self._waiting:
            group, self._waiting = self._waiting, []
            try:
                await self._sync({path for change in group for path in change.needs})
                outcomes = self._commit([change for change in group if not change.done.done()])
            except BaseException as error:
                for change in group:
                    if not change.done.done():
                        change.done.set_exception(error)
                if not isinstance(error, Exception):
                    raise
                continue
            for change, result, failure in outcomes:
                if failure is None:
                    change.done.set_result(result)
                else:
                    change.done.set_exception(failure)

    async def _sync(self, paths: set[Path]) -> None:
        if paths:
            loop = asyncio.get_running_loop()
            await asyncio.gather(
                *(loop.run_in_executor(self._threads, sync, path) for path in paths)
            )

    def _commit(
        self, group: list[_Change[Any]]
    ) -> list[tuple[_Change[Any], Any, Exception | None]]:
        outcomes: list[tuple[_Change[Any], Any, Exception | None]] = []
        with self._database.transaction() as connection:
            for change in group:
                connection.execute("SAVEPOINT one_change")
                try:
                    outcomes.append((change, change.decide(), None))
                except Exception as failure:
                    connection.execute("ROLLBACK TO one_change")
                    outcomes.append((change, None, failure))
                connection.execute("RELEASE one_change")
        return outcomes
