"""Content files of the object store: numbers in, files on the disk out. Knows no keys, no buckets.

    FOLDER/blobs/00002a/00000a9f13     content, named by number, never changed once it is there
    FOLDER/incoming/...                what is being written; nothing of it is acknowledged

A number's folder is its upper part, so that files of the same moment share a folder and one fsync
of that folder makes all their names durable. Everything here blocks: call it in a thread.
"""

from __future__ import annotations

import errno
import os
import re
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from fogbank.cloud.state.objects_commit import sync

FILES_PER_FOLDER = 1024

_NO_KERNEL_COPY = frozenset({errno.ENOSYS, errno.EXDEV, errno.EOPNOTSUPP, errno.EINVAL})
_NO_LINK = frozenset({errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP, errno.ENOSYS})
_COPY_BYTES = 1 << 20
_BLOB_NAME = re.compile(r"^[0-9a-f]{10,}$")


class IncomingFile:
    """A file that is being written. Ends with `keep` or `discard`; both may follow a failure."""

    def __init__(self, folder: Path) -> None:
        self._descriptor, name = tempfile.mkstemp(dir=folder)
        self.path = Path(name)

    def write(self, pieces: Sequence[bytes]) -> None:
        left = [memoryview(piece) for piece in pieces if piece]
        while left:
            # IOV_MAX is 1,024 on Linux; a short write leaves the rest for the next round
            written = os.writev(self._descriptor, left[:1024])
            while left and written >= len(left[0]):
                written -= len(left.pop(0))
            if written:
                left[0] = left[0][written:]

    def append(self, source: Path) -> None:
        """The bytes of another file, inside the kernel where it can (reflinks where the file
        system has them)."""
        with source.open("rb") as reader:
            remaining = os.fstat(reader.fileno()).st_size
            while remaining:
                copied = _kernel_copy(reader.fileno(), self._descriptor, remaining)
                if copied is None:
                    copied = _plain_copy(reader.fileno(), self._descriptor)
                if copied == 0:
                    raise OSError(errno.EIO, "file ended early", str(source))
                remaining -= copied

    def sync(self) -> None:
        """Make what has been written so far durable."""
        os.fsync(self._descriptor)

    def keep(self, target: Path) -> None:
        """Give the file its name. Read-only from here on.

        Neither the bytes nor the name are durable yet: that may wait, and be done for many files
        together, until a row is to name the file.
        """
        os.fchmod(self._descriptor, 0o444)
        self._close()
        self.path.rename(target)

    def discard(self) -> None:
        self._close()
        self.path.unlink(missing_ok=True)

    def _close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _kernel_copy(source: int, target: int, size_bytes: int) -> int | None:
    """Bytes copied; None where this kernel or file system cannot."""
    if not hasattr(os, "copy_file_range"):
        return None
    try:
        return os.copy_file_range(source, target, min(size_bytes, 1 << 30))
    except OSError as error:
        if error.errno in _NO_KERNEL_COPY:
            return None
        raise


def _plain_copy(source: int, target: int) -> int:
    piece = os.read(source, _COPY_BYTES)
    view = memoryview(piece)
    while view:
        view = view[os.write(target, view) :]
    return len(piece)


class ObjectFiles:
    """The folder of content files."""

    def __init__(self, folder: Path) -> None:
        self.blobs = folder / "blobs"
        self.incoming = folder / "incoming"
        for made in (self.blobs, self.incoming):
            made.mkdir(parents=True, exist_ok=True)
        sync(folder)

    def path(self, blob: int) -> Path:
        return self.blobs / f"{blob // FILES_PER_FOLDER:06x}" / f"{blob:010x}"

    def create(self) -> IncomingFile:
        return IncomingFile(self.incoming)

    def prepare_folder(self, blob: int) -> None:
        """Make the folder into which `blob` will go, durably."""
        folder = self.path(blob).parent
        if not folder.is_dir():
            folder.mkdir(exist_ok=True)
            sync(self.blobs)

    def link(self, source: int, target: int) -> None:
        """A second name for the same content; a copy where the file system has no links."""
        try:
            os.link(self.path(source), self.path(target))
        except OSError as error:
            if error.errno not in _NO_LINK:
                raise
            self.concatenate([source], target)

    def concatenate(self, sources: Iterable[int], target: int) -> None:
        """One content file out of several."""
        file = self.create()
        try:
            for source in sources:
                file.append(self.path(source))
            file.sync()
            file.keep(self.path(target))
        except BaseException:
            file.discard()
            raise

    def remove(self, blobs: Iterable[int]) -> None:
        for blob in blobs:
            self.path(blob).unlink(missing_ok=True)

    def sweep(self, named: set[int]) -> int:
        """Remove what a crash has left: files that nobody acknowledged. Returns how many."""
        removed = 0
        for leftover in self.incoming.iterdir():
            leftover.unlink()
            removed += 1
        for folder in self.blobs.iterdir():
            kept = 0
            with os.scandir(folder) as entries:
                for entry in entries:
                    if not _BLOB_NAME.match(entry.name) or int(entry.name, 16) in named:
                        kept += 1  # a foreign file is not ours to remove
                    else:
                        Path(entry.path).unlink()
                        removed += 1
            if not kept:
                folder.rmdir()
        return removed
