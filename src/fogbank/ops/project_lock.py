"""One command at a time changes a project: two would each make what the other one is about to.

Comes in: the home of the cloud and the project's name, because names in the cloud follow from that
name, whatever folder it is written in. Goes out: a context; or an error that says who is at it.
"""

from __future__ import annotations

import fcntl
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fogbank.core.errors import WorldError


class ProjectBusy(WorldError):
    """Another command changes the project."""


@contextmanager
def project_lock(home: Path, project: str) -> Iterator[None]:
    """Hold the project for as long as the block runs.

    The kernel lets go of it when the process ends, however it ends; the file stays, and nothing
    but the note in it is ever read. Raises ProjectBusy at once, and WorldError where the file
    cannot be written.
    """
    path = home / "locks" / f"{project}.lock"
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise WorldError(f"{path} cannot be written: {error.strerror}") from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ProjectBusy(_busy(project, os.pread(handle, 200, 0).decode())) from None
        os.ftruncate(handle, 0)
        os.pwrite(handle, _who().encode(), 0)
        yield
    finally:
        os.close(handle)


def _who() -> str:
    command = next((part for part in sys.argv[1:] if not part.startswith("-")), "")
    return f"`fogbank {command}`, process {os.getpid()}"


def _busy(project: str, who: str) -> str:
    # Between taking the lock and saying so there is a moment.
    return (
        f"{who or 'another command'} is changing the project {project} right now: wait until it "
        "has ended, or stop it with Ctrl-C, and give the command again."
    )
