"""Content of the object store: a body in pieces comes in, a durable content file and its digests
come out; and the way back. Constant memory for any size; the disk and the hashes stay in threads.

A content file is not acknowledged by being here: that is the row which names it. What no row names
is removed when the store is opened.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar, cast

from fogbank.cloud.state import objects_checksums as checksums
from fogbank.cloud.state.database import Database
from fogbank.cloud.state.objects_files import FILES_PER_FOLDER, IncomingFile, ObjectFiles
from fogbank.cloud.state.objects_rows import ObjectRows

T = TypeVar("T")

log = logging.getLogger("fogbank.objects")

CHUNK_BYTES = 512 * 1024
"""Pieces are gathered up to this size before a thread hashes and writes them: a body that is
smaller is one job, a larger one holds two chunks in memory."""

READ_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """A content file that has been written. md5: hex. checksums: algorithm -> base64."""

    blob: int
    size_bytes: int
    md5: str
    checksums: Mapping[str, str]


class TooLarge(Exception):
    """The body is longer than the caller allowed."""


Check = Callable[[Content], None]
"""Says no by raising, after the last byte and before the content counts. Runs in a thread."""


def accept(content: Content) -> None:
    """The check that has nothing to say."""


class _Digests:
    def __init__(self, algorithms: Iterable[str]) -> None:
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._others = {name: checksums.ALGORITHMS[name]() for name in algorithms}
        self._size_bytes = 0

    def update(self, pieces: Sequence[bytes]) -> None:
        for piece in pieces:
            self._size_bytes += len(piece)
            self._md5.update(piece)
            for digest in self._others.values():
                digest.update(piece)

    def content(self, blob: int) -> Content:
        return Content(
            blob=blob,
            size_bytes=self._size_bytes,
            md5=self._md5.hexdigest(),
            checksums={
                name: checksums.encode(digest.digest()) for name, digest in self._others.items()
            },
        )


class FileBody:
    """A part of a file as an asynchronous iterator, one piece read ahead.

    The file is open from the start: what is deleted meanwhile is still delivered whole.
    """

    def __init__(
        self, path: Path, threads: ThreadPoolExecutor, *, offset: int = 0, size_bytes: int = -1
    ) -> None:
        self._descriptor = os.open(path, os.O_RDONLY)
        self._threads = threads
        self._offset = offset
        self._end = os.fstat(self._descriptor).st_size if size_bytes < 0 else offset + size_bytes
        self._ahead: Future[bytes] | None = None

    def __aiter__(self) -> FileBody:
        return self

    async def __anext__(self) -> bytes:
        if self._ahead is None:
            self._read_ahead()
        if self._ahead is None:
            self.close()
            raise StopAsyncIteration
        piece = await asyncio.wrap_future(self._ahead)
        if not piece:
            raise OSError(f"a content file ended {self._end - self._offset} bytes early")
        self._offset += len(piece)
        self._ahead = None
        self._read_ahead()
        return piece

    def _read_ahead(self) -> None:
        wanted = min(READ_BYTES, self._end - self._offset)
        if wanted > 0 and self._descriptor >= 0:
            self._ahead = self._threads.submit(os.pread, self._descriptor, wanted, self._offset)

    async def aclose(self) -> None:
        self.close()

    def close(self) -> None:
        """Harmless when repeated."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor < 0:
            return
        if self._ahead is None:
            os.close(descriptor)
        else:  # never under the feet of a read: the number could belong to another file by then
            self._ahead.add_done_callback(lambda _: os.close(descriptor))

    def __del__(self) -> None:
        self.close()


class ContentStore:
    """The content files with the threads that work on them.

    Opening it removes what a crash has left behind. `database` gives out the numbers of the files.
    """

    def __init__(self, database: Database, folder: Path, *, num_threads: int = 16) -> None:
        self._database = database
        self._rows = ObjectRows(database.connection)
        self._files = ObjectFiles(folder)
        self._next = self._reserved_to = 0
        swept = self._files.sweep(self._rows.named_blobs())
        if swept:
            log.info("removed %d content files that were never acknowledged", swept)
        self.threads = ThreadPoolExecutor(num_threads, thread_name_prefix="fogbank-objects")

    def close(self) -> None:
        """Waits for what is under way."""
        self.threads.shutdown(wait=True)

    def path(self, blob: int) -> Path:
        return self._files.path(blob)

    def open(self, blob: int, *, offset: int = 0, size_bytes: int = -1) -> FileBody:
        return FileBody(self.path(blob), self.threads, offset=offset, size_bytes=size_bytes)

    # -- in ---------------------------------------------------------------------------------------

    async def receive(
        self,
        body: AsyncIterable[bytes],
        *,
        algorithms: Iterable[str] = (),
        check: Check = accept,
        max_size_bytes: int | None = None,
    ) -> Content:
        """Write a body to a content file. The commit of the row that names it makes it durable
        (see `needs`); large ones are synchronised before, so that nobody has to wait for them.

        Raises TooLarge, and whatever the body or `check` raises; then nothing is left.
        """
        blob = self._allocate()
        digests = _Digests(algorithms)
        async with aclosing(_gathered(body, max_size_bytes)) as chunks:
            first: list[bytes] = await anext(chunks, [])
            second = await anext(chunks, None) if first else None
            if second is None:
                job = partial(self._write_at_once, digests, first, blob, check)
                return await self._thread(job, undo=blob)
            file = self._files.create()
            running: Future[object] = self.threads.submit(_write_chunk, file, digests, first)
            try:
                await asyncio.wrap_future(running)
                running = self.threads.submit(_write_chunk, file, digests, second)
                async for chunk in chunks:  # gathered while the thread writes the one before
                    await asyncio.wrap_future(running)
                    running = self.threads.submit(_write_chunk, file, digests, chunk)
                await asyncio.wrap_future(running)
                last = self.threads.submit(self._finish, file, digests, blob, check)
                running = cast("Future[object]", last)
                return await asyncio.wrap_future(last)
            except BaseException:
                # never under the feet of a running job
                running.add_done_callback(lambda _: self._abandon(file, blob))
                raise

    def _write_at_once(
        self, digests: _Digests, pieces: Sequence[bytes], blob: int, check: Check
    ) -> Content:
        digests.update(pieces)
        content = digests.content(blob)
        check(content)
        file = self._files.create()
        try:
            file.write(pieces)
            file.keep(self._files.path(blob))
        except BaseException:
            file.discard()
            raise
        return content

    def _finish(self, file: IncomingFile, digests: _Digests, blob: int, check: Check) -> Content:
        content = digests.content(blob)
        check(content)
        file.sync()
        file.keep(self._files.path(blob))
        return content

    def _abandon(self, file: IncomingFile, blob: int) -> None:
        file.discard()
        self._remove([blob])

    async def duplicate(self, source: int) -> int:
        """The same content under a number of its own. FileNotFoundError: it has been removed."""
        blob = self._allocate()
        await self._thread(partial(self._files.link, source, blob), undo=blob)
        return blob

    async def concatenate(self, sources: Sequence[int]) -> int:
        """One content file out of several. FileNotFoundError: one has been removed."""
        if len(sources) == 1:
            return await self.duplicate(sources[0])
        blob = self._allocate()
        await self._thread(partial(self._files.concatenate, list(sources), blob), undo=blob)
        return blob

    async def digest(self, blob: int, algorithms: Iterable[str]) -> Content:
        """Read a content file once through, for digests that nobody has kept."""
        digests = _Digests(algorithms)
        async for piece in self.open(blob):
            await self._thread(partial(digests.update, [piece]))
        return digests.content(blob)

    # -- its number, its name ---------------------------------------------------------------------

    def _allocate(self) -> int:
        if self._next == self._reserved_to:
            with self._database.transaction():
                self._next = self._rows.reserve_blobs(FILES_PER_FOLDER)
            self._reserved_to = self._next + FILES_PER_FOLDER
            self._files.prepare_folder(self._next)
        self._next += 1
        return self._next - 1

    def needs(self, blob: int) -> tuple[Path, Path]:
        """What has to be synchronised before a row may name `blob`: the file and its name."""
        path = self.path(blob)
        return path, path.parent

    def discard(self, blobs: Iterable[int]) -> None:
        """Remove files that no row names, in the background."""
        numbers = list(blobs)
        if numbers:
            self.threads.submit(self._remove, numbers)

    def release(self, blobs: Iterable[int]) -> None:
        """Inside a transaction: remove the files once it is committed."""
        numbers = list(blobs)
        if numbers:
            self._database.on_end(committed=lambda: self.discard(numbers), rolled_back=lambda: None)

    def _remove(self, blobs: Sequence[int]) -> None:
        try:
            self._files.remove(blobs)
        except OSError as error:  # the next start removes them
            log.warning("cannot remove content files: %s", error)

    async def _thread(self, job: Callable[[], T], *, undo: int | None = None) -> T:
        """Run `job` in a thread. Where this task is cancelled meanwhile, the job still runs to its
        end; then the content file `undo` is removed."""
        future = self.threads.submit(job)
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            if undo is not None:
                future.add_done_callback(lambda _: self._remove([undo]))
            raise


def _write_chunk(file: IncomingFile, digests: _Digests, pieces: Sequence[bytes]) -> None:
    digests.update(pieces)
    file.write(pieces)


async def _gathered(
    body: AsyncIterable[bytes], max_size_bytes: int | None
) -> AsyncGenerator[list[bytes], None]:
    """The body in chunks of at least CHUNK_BYTES, the last one shorter."""
    pieces: list[bytes] = []
    size_bytes = total_bytes = 0
    async for piece in body:
        pieces.append(piece)
        size_bytes += len(piece)
        total_bytes += len(piece)
        if max_size_bytes is not None and total_bytes > max_size_bytes:
            raise TooLarge
        if size_bytes >= CHUNK_BYTES:
            yield pieces
            pieces, size_bytes = [], 0
    if pieces:
        yield pieces
