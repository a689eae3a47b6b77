"""What front and worker say to each other over their socket. Pure: messages to bytes and back.

A frame is two lengths (4 bytes each, big-endian), a JSON object and a body. Frames go one after
the other: a worker has one request at a time.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from typing import Any

LENGTHS = struct.Struct("!II")


@dataclass(frozen=True, slots=True)
class Invocation:
    """A request for the model."""

    headers: list[tuple[str, str]]
    body: bytes

    def encode(self) -> bytes:
        return _frame(self.headers, self.body)

    @staticmethod
    def decode(meta: bytes, body: bytes) -> Invocation:
        return Invocation([(name, value) for name, value in json.loads(meta)], body)


@dataclass(frozen=True, slots=True)
class Reply:
    """What the model answers."""

    status: int
    content_type: str
    headers: list[tuple[str, str]]
    body: bytes

    def encode(self) -> bytes:
        return _frame([self.status, self.content_type, self.headers], self.body)

    @staticmethod
    def decode(meta: bytes, body: bytes) -> Reply:
        status, content_type, headers = json.loads(meta)
        return Reply(status, content_type, [(name, value) for name, value in headers], body)


def _frame(meta: Any, body: bytes) -> bytes:
    text = json.dumps(meta, separators=(",", ":")).encode("ascii")
    return b"".join((LENGTHS.pack(len(text), len(body)), text, body))


READY = Reply(200, "", [], b"").encode()
"""A worker's first frame: the model is loaded."""
