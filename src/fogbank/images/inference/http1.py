"""HTTP/1.1 as a server speaks it, without any I/O. In: bytes as they arrive. Out: requests, or a
refusal with its status. And back: a response becomes bytes.

Strict where leniency is how two servers come to disagree about where a request ends (RFC 9112,
section 6): one Content-Length, chunked as the only transfer coding, never both, no folded lines.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from http import HTTPStatus

_REQUEST_LINE = re.compile(rb"([A-Z]{1,16}) ([!-~]{1,8192}) HTTP/(\d)\.(\d)")
_HEADER = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([^\x00\r\n]*?)[ \t]*")
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,8})[ \t]*(?:;[^\r\n]*)?")
_MAX_HEAD_BYTES = 64 << 10
_MAX_CHUNK_LINE_BYTES = 4 << 10
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Refused(Exception):
    """A request that cannot be served; the connection has to be closed after the answer."""

    def __init__(self, status: int, message: str) -> None:
        self.status = status
        self.message = message
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class Request:
    """One request, whole."""

    method: str
    path: str
    """Without the query."""
    headers: list[tuple[str, str]]
    """As sent, in their order."""
    body: bytes
    keep_alive: bool


@dataclass(frozen=True, slots=True)
class _Head:
    method: str
    path: str
    headers: list[tuple[str, str]]
    keep_alive: bool
    length: int
    """Of the body, in bytes; -1 where it comes in chunks."""
    expects_continue: bool


class RequestParser:
    """Cuts a stream of bytes into requests. Call feed(), then next() until it answers None."""

    def __init__(self, max_body_bytes: int) -> None:
        self._max_body_bytes = max_body_bytes
        self._buffer = bytearray()
        self._head: _Head | None = None
        self._chunks = bytearray()
        self._last_chunk_seen = False
        self._continue_due = False

    @property
    def buffered_bytes(self) -> int:
        """What was fed and belongs to no request yet."""
        return len(self._buffer) + len(self._chunks)

    @property
    def is_idle(self) -> bool:
        """Whether no request has begun."""
        return self._head is None and not self._buffer

    def feed(self, data: bytes) -> None:
        self._buffer += data

    def take_continue(self) -> bool:
        """Whether the client waits for `100 Continue`; True once for a request."""
        due, self._continue_due = self._continue_due, False
        return due

    def next(self) -> Request | None:
        """The next request where it is there as a whole. Raises Refused."""
        if self._head is None:
            self._head = self._read_head()
            if self._head is None:
                return None
            self._continue_due = self._head.expects_continue
        head = self._head
        body = self._read_chunks() if head.length < 0 else self._read_body(head.length)
        if body is None:
            return None
        self._head = None
        self._continue_due = False
        return Request(head.method, head.path, head.headers, body, head.keep_alive)

    def _read_head(self) -> _Head | None:
        buffer = self._buffer
        while buffer[:2] == b"\r\n":  # RFC 9112 2.2: empty lines before a request are ignored
            del buffer[:2]
        end = buffer.find(b"\r\n\r\n", 0, _MAX_HEAD_BYTES)
        if end < 0:
            if len(buffer) >= _MAX_HEAD_BYTES:
                raise Refused(431, f"the request's head is larger than {_MAX_HEAD_BYTES} bytes")
            return None
        head = _parse_head(bytes(buffer[:end]))
        if head.length > self._max_body_bytes:
            raise self._too_large()
        del buffer[: end + 4]
        return head

    def _read_body(self, length: int) -> bytes | None:
        if len(self._buffer) < length:
            return None
        body = bytes(memoryview(self._buffer)[:length])
        del self._buffer[:length]
        return body

    def _read_chunks(self) -> bytes | None:
        buffer = self._buffer
        while True:
            end = buffer.find(b"\r\n", 0, _MAX_CHUNK_LINE_BYTES)
            if end < 0:
                if len(buffer) >= _MAX_CHUNK_LINE_BYTES:
                    raise Refused(400, "a chunk's first line is too long")
                return None
            if self._last_chunk_seen:  # trailers: read and dropped, up to the empty line
                del buffer[: end + 2]
                if end > 0:
                    continue
                self._last_chunk_seen = False
                body, self._chunks = bytes(self._chunks), bytearray()
                return body
            line = _CHUNK_SIZE.fullmatch(bytes(buffer[:end]))
            if line is None:
                raise Refused(400, "a chunk has no valid size")
            size = int(line[1], 16)
            if size + len(self._chunks) > self._max_body_bytes:
                raise self._too_large()
            if size == 0:
                self._last_chunk_seen = True
                del buffer[: end + 2]
                continue
            start = end + 2
            if len(buffer) < start + size + 2:
                return None
            if buffer[start + size : start + size + 2] != b"\r\n":
                raise Refused(400, "a chunk is longer than it says")
            self._chunks += memoryview(buffer)[start : start + size]
            del buffer[: start + size + 2]

    def _too_large(self) -> Refused:
        return Refused(413, f"the request's body is larger than {self._max_body_bytes} bytes")


def _parse_head(head: bytes) -> _Head:
    first, *lines = head.split(b"\r\n")
    request = _REQUEST_LINE.fullmatch(first)
    if request is None:
        raise Refused(400, "the request line is not valid HTTP")
    if request[3] != b"1":
        raise Refused(505, "only HTTP/1.1 and HTTP/1.0 are spoken here")
    headers: list[tuple[str, str]] = []
    length: int | None = None
    chunked = expects_continue = False
    keep_alive = request[4] != b"0"
    for line in lines:
        match = _HEADER.fullmatch(line)
        if match is None:
            raise Refused(400, "a header line is not valid HTTP")
        name, value = match[1].decode("ascii"), match[2].decode("latin-1")
        headers.append((name, value))
        match name.lower():
            case "content-length":
                if not (value.isascii() and value.isdigit()) or len(value) > 18:
                    raise Refused(400, "Content-Length is not a number")
                if length not in (None, int(value)):
                    raise Refused(400, "two different Content-Length headers")
                length = int(value)
            case "transfer-encoding":
                if value.lower() != "chunked" or chunked:
                    raise Refused(501, f"transfer coding {value!r} is not supported")
                chunked = True
            case "connection":
                tokens = {token.strip() for token in value.lower().split(",")}
                keep_alive = (keep_alive or "keep-alive" in tokens) and "close" not in tokens
            case "expect":
                expects_continue = value.lower() == "100-continue"
    if chunked and length is not None:
        raise Refused(400, "both Content-Length and Transfer-Encoding")
    return _Head(
        request[1].decode("ascii"),
        request[2].decode("ascii").partition("?")[0],
        headers,
        keep_alive,
        -1 if chunked else length or 0,
        expects_continue,
    )


def encode_response(
    status: int,
    body: bytes,
    content_type: str,
    headers: Iterable[tuple[str, str]] = (),
    *,
    keep_alive: bool,
) -> bytes:
    """One response as bytes. Line breaks in values become spaces: they would end the header."""
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = ""
    lines = [
        f"HTTP/1.1 {status} {phrase}",
        f"content-type: {_one_line(content_type)}",
        f"content-length: {len(body)}",
        *(f"{_one_line(name)}: {_one_line(value)}" for name, value in headers),
        "connection: keep-alive" if keep_alive else "connection: close",
    ]
    return "\r\n".join([*lines, "", ""]).encode("latin-1", "replace") + body


def _one_line(text: str) -> str:
    return text.translate({10: " ", 13: " ", 0: " "})
