"""Files of the object store -> a tree of their own for an instance. Three ways, best first:

mount    hard links in a folder that the instance never sees; it sees an overlay of them (`View`).
         Nothing is copied, nothing can be changed. Needs an engine that can mount.
reflink  copies that share blocks until somebody writes (Btrfs, XFS, bcachefs).
copy     copies.

A program could change an object through a hard link or a symbolic link, so without `mount` there
are none.
"""

from __future__ import annotations

import errno
import fcntl
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

from fogbank.cloud.machines.archive import unpack
from fogbank.cloud.machines.channels import ChannelFiles, S3Location
from fogbank.cloud.machines.threads import in_thread
from fogbank.cloud.ports import Objects, StoredObject

Strategy = Literal["mount", "reflink", "copy"]

_FICLONE = 0x40049409  # ioctl_ficlone(2)
_COPY_BYTES = 1 << 30
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
_THREADS = 4
_NO_LINK = frozenset({errno.EXDEV, errno.EMLINK, errno.EPERM, errno.EOPNOTSUPP})


def choose(*, can_mount: bool, folder: Path) -> tuple[Strategy, str]:
    """The best way on this host, and why; tried out in `folder`."""
    if can_mount:
        return "mount", "instances see overlays of hard links"
    with tempfile.TemporaryDirectory(dir=folder, prefix="probe-") as name:
        original, copied = Path(name, "original"), Path(name, "copy")
        original.write_bytes(b"x" * 4096)
        try:
            _reflink(original, copied)
        except OSError as error:
            return "copy", f"the engine cannot mount; reflinks: {error.strerror}"
    return "reflink", "the engine cannot mount; the file system shares blocks"


async def place(
    channel: ChannelFiles,
    root: Path,
    strategy: Strategy,
    restat: Callable[[StoredObject], StoredObject | None],
) -> None:
    """Put a channel's files below `root` (created).

    restat: answers what an object is now; asked for those that were replaced or deleted since they
    were listed. Deleted ones are left out, as if they had been deleted before.
    Raises OSError (a full disk); what was placed until then stays.
    """
    act = {"mount": _link_or_copy, "reflink": _reflink_or_copy, "copy": _copy}[strategy]
    pending: Mapping[str, StoredObject] = channel.files
    await in_thread(_make_folders, root, channel)
    while pending:
        gone = await in_thread(_place_files, root, pending, act)
        pending = {path: new for path, old in gone.items() if (new := restat(old)) is not None}


async def unpack_object(objects: Objects, location: S3Location, folder: Path) -> None:
    """Unpack an object that is a gzipped tar below `folder` (which exists), as it is now: one that
    was replaced before it could be opened is looked for again.

    Raises LookupError where there is none, ArchiveError as `archive.unpack`.
    """
    stored = objects.stat(location.bucket, location.key)
    while stored is not None:
        try:
            await in_thread(unpack, stored.path, folder)
            return
        except FileNotFoundError:
            replaced, stored = stored, objects.stat(location.bucket, location.key)
            if stored == replaced:
                raise
    raise LookupError(f"{location} does not exist")


def _make_folders(root: Path, channel: ChannelFiles) -> None:
    root.mkdir(parents=True, exist_ok=True)
    for folder in sorted(channel.folders | {path.rpartition("/")[0] for path in channel.files}):
        if folder:
            (root / folder).mkdir(parents=True, exist_ok=True)


def _place_files(
    root: Path, files: Mapping[str, StoredObject], act: Callable[[str, str], None]
) -> dict[str, StoredObject]:
    """Answers those whose content has gone."""
    prefix = f"{root}/"

    def place_some(some: Sequence[tuple[str, StoredObject]]) -> dict[str, StoredObject]:
        gone: dict[str, StoredObject] = {}
        for path, item in some:
            try:
                act(str(item.path), prefix + path)
            except FileNotFoundError:
                gone[path] = item
        return gone

    items = list(files.items())
    if act is _link_or_copy or len(items) < 2 * _THREADS:
        return place_some(items)  # a link is a short system call: threads only fight for the GIL
    with ThreadPoolExecutor(_THREADS) as threads:
        parts = threads.map(place_some, [items[start::_THREADS] for start in range(_THREADS)])
        return {path: item for part in parts for path, item in part.items()}


def _link_or_copy(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno not in _NO_LINK:
            raise
        _copy(source, target)


def _reflink_or_copy(source: str, target: str) -> None:
    try:
        _reflink(source, target)
    except OSError as error:
        if error.errno not in _NO_LINK | {errno.EINVAL, errno.ENOTTY}:
            raise
        _copy(source, target)


def _reflink(source: Path | str, target: Path | str) -> None:
    original = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
    try:
        copied = os.open(target, _NEW_FILE, 0o644)
        try:
            fcntl.ioctl(copied, _FICLONE, original)
        except OSError:
            # Not left to be written again: ext4 flushes a file that was truncated (auto_da_alloc),
            # which made 10,000 small files take 30 s.
            os.unlink(target)  # noqa: PTH108
            raise
        finally:
            os.close(copied)
    finally:
        os.close(original)


def copy_handle(original: int, target: Path | str) -> None:
    """Copy what an open file has into a new file: by the kernel, in constant memory. OSError where
    `target` exists, also as a link."""
    copied = os.open(target, _NEW_FILE, 0o644)
    try:
        try:
            while os.copy_file_range(original, copied, _COPY_BYTES):
                pass
        except OSError as error:
            if error.errno not in _NO_LINK | {errno.EINVAL, errno.ENOSYS}:
                raise
            while piece := os.read(original, 1 << 20):
                os.write(copied, piece)
    finally:
        os.close(copied)


def _copy(source: str, target: str) -> None:
    original = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
    try:
        copy_handle(original, target)
    finally:
        os.close(original)
