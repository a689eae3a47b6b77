"""Listing with prefix and delimiter: rows in key order in, keys and common prefixes out.

A common prefix is skipped by seeking past it, so a listing costs one seek for each line of its
answer, however many keys hide behind a prefix.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar


class Keyed(Protocol):
    @property
    def key(self) -> str: ...


Row = TypeVar("Row", bound=Keyed)

Range = Callable[[bytes, bytes | None], Iterator[Row]]
"""(lower, upper) -> rows with lower <= key < upper in key order; several may share a key."""


@dataclass(frozen=True, slots=True)
class CommonPrefix:
    """Stands for all keys that begin with `prefix`, which ends with the delimiter."""

    prefix: str


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """entries: rows and common prefixes in key order. truncated: more would follow."""

    entries: tuple[Row | CommonPrefix, ...]
    truncated: bool

    @property
    def rows(self) -> list[Row]:
        return [entry for entry in self.entries if not isinstance(entry, CommonPrefix)]

    @property
    def prefixes(self) -> list[str]:
        return [entry.prefix for entry in self.entries if isinstance(entry, CommonPrefix)]

    @property
    def last_name(self) -> str:
        """The key or prefix at which the page ends: the marker of the next one."""
        last = self.entries[-1]
        return last.prefix if isinstance(last, CommonPrefix) else last.key


def after_prefix(prefix: bytes) -> bytes | None:
    """The smallest bytes above everything that begins with `prefix`; None: there are none.

    UTF-8 has no byte 0xff, so adding one to the last byte never overflows.
    """
    return prefix[:-1] + bytes([prefix[-1] + 1]) if prefix else None


def after_marker(prefix: str, delimiter: str, marker: str) -> bytes:
    """Where a listing goes on after `marker`, a key or a common prefix that was its last line."""
    if delimiter and marker.startswith(prefix):
        cut = marker.find(delimiter, len(prefix))
        if cut >= 0 and cut + len(delimiter) == len(marker):
            beyond = after_prefix(marker.encode())
            assert beyond is not None
            return beyond
    return marker.encode() + b"\0"


def walk(
    rows: Range[Row], *, prefix: str, delimiter: str, start: bytes = b""
) -> Iterator[Row | CommonPrefix]:
    """Everything from `start` on, keys rolled up into common prefixes."""
    root = prefix.encode()
    split = delimiter.encode()
    upper = after_prefix(root)
    position: bytes | None = max(root, start)
    while position is not None and (upper is None or position < upper):
        seek_on: bytes | None = None
        for row in rows(position, upper):
            key = row.key.encode()
            cut = key.find(split, len(root)) if split else -1
            if cut < 0:
                yield row
            else:
                common = key[: cut + len(split)]
                yield CommonPrefix(common.decode())
                seek_on = after_prefix(common)
                break
        position = seek_on


def take(entries: Iterator[Row | CommonPrefix], limit: int) -> Page[Row]:
    """The first `limit` entries, and whether there are more. AWS answers a limit of 0 with an
    empty page that is not truncated."""
    taken: list[Row | CommonPrefix] = []
    for entry in entries:
        if len(taken) == limit:
            return Page(tuple(taken), truncated=limit > 0)
        taken.append(entry)
    return Page(tuple(taken), truncated=False)
