"""Reading what an untrusted program left, without following a link that it laid.

A job may replace any folder of its own by a link to somebody's file. The cloud reads with the
cloud's rights, so every step below a trusted folder is taken with O_NOFOLLOW from the descriptor
of the one before: what is opened is below it, whatever is renamed meanwhile.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@contextmanager
def open_folder(trusted: Path, *below: str) -> Iterator[int]:
    """A descriptor of the folder `trusted/below[0]/below[1]/...`. Raises OSError where a step is
    missing, a link or not a folder."""
    handle = os.open(trusted, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for name in below:
            deeper = os.open(name, _FOLDER, dir_fd=handle)
            os.close(handle)
            handle = deeper
        yield handle
    finally:
        os.close(handle)


@contextmanager
def open_file(name: str, folder: int) -> Iterator[int]:
    """A descriptor of a regular file in `folder`. Raises OSError for a link or anything else."""
    handle = os.open(name, _FILE, dir_fd=folder)
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(f"{name} is not a regular file")
        yield handle
    finally:
        os.close(handle)


@dataclass(frozen=True, slots=True)
class Entry:
    """Something below a walked folder.

    path:   relative, with slashes.
    folder: descriptor of the folder that it is in; valid until the walk goes on.
    status: of itself: a link is a link.
    """

    path: str
    folder: int
    status: os.stat_result

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]


def walk(folder: int) -> Iterator[Entry]:
    """Everything below, folders before what is in them, names in order; follows no link. What
    vanishes or cannot be read meanwhile is left out."""
    for root, folders, files, handle in os.fwalk(".", dir_fd=folder, follow_symlinks=False):
        folders.sort()
        prefix = "" if root == "." else root.removeprefix("./") + "/"
        for name in sorted([*folders, *files]):
            with contextlib.suppress(OSError):
                status = os.stat(name, dir_fd=handle, follow_symlinks=False)
                yield Entry(prefix + name, handle, status)


def read_head(trusted: Path, *path: str, size_bytes: int) -> bytes:
    """The beginning of a regular file; empty where there is none."""
    try:
        with open_folder(trusted, *path[:-1]) as folder, open_file(path[-1], folder) as file:
            return os.read(file, size_bytes)
    except OSError:
        return b""


def is_empty(trusted: Path, *path: str) -> bool:
    """Whether the folder has no regular file anywhere below (or is no folder)."""
    try:
        with open_folder(trusted, *path) as folder:
            return not any(stat.S_ISREG(entry.status.st_mode) for entry in walk(folder))
    except OSError:
        return True


def remove_tree(folder: Path) -> None:
    """Remove a folder and everything below, also what its owner made unreadable for himself.
    Nothing happens where it does not exist."""
    try:
        shutil.rmtree(folder)
    except FileNotFoundError:
        return
    except PermissionError:
        # overlayfs leaves a folder of mode 0, and programs do so, too.
        for root, folders, _ in os.walk(folder):
            for name in folders:
                path = Path(root, name)
                if not path.is_symlink():
                    path.chmod(0o700)
        shutil.rmtree(folder)
