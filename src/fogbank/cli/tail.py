"""The end of a log file, and what is written to it afterwards."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path

from fogbank.core.errors import InputError

_LOOK_EVERY_S = 0.2


def tail(path: Path, count: int, *, follow: bool, pause: Callable[[float], None]) -> Iterator[str]:
    """The last `count` lines; with `follow`, every further one, without end.

    A file that becomes shorter is read from its beginning. Raises InputError where there is none.
    """
    try:
        with path.open(encoding="utf-8", errors="replace") as log:
            yield from (line.rstrip("\n") for line in deque(log, maxlen=count))
            while follow:
                line = log.readline()
                if line:
                    yield line.rstrip("\n")
                else:
                    pause(_LOOK_EVERY_S)
                    if path.stat().st_size < log.tell():
                        log.seek(0)
    except FileNotFoundError:
        raise InputError(
            f"there is no log {path}: no cloud has been started in that folder."
        ) from None
