"""The Runtime API of one execution environment: HTTP on the environment's own loopback address.

In: requests of a runtime (`next`, `response`, `error`, `init/error`). Out: calls of a `Listener`,
on the event loop; `give` hands an event to the runtime that waits. An answer is one segment: header
and body in one write, without waiting for the acknowledgement of the one before (that alone would
cost 40 ms). Source: "Using the Lambda runtime API" (Lambda Developer Guide), version 2018-06-01.
"""

from __future__ import annotations

import asyncio
import json
import select
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, cast

from fogbank.cloud.rules.function_failures import MAX_RESPONSE_BYTES, refused_response

MAX_HEAD_BYTES = 2 * 1024 * 1024
"""The runtime sends the cause of an error as a header of up to 1 MB (X-Ray's)."""

MAX_BODY_BYTES = 64 * 1024 * 1024
"""More than that is not even read to its end: the connection is closed."""

_INVOCATION = "/2018-06-01/runtime/invocation/"
_INIT_ERROR = "/2018-06-01/runtime/init/error"
_ERROR_TYPE = "lambda-runtime-function-error-type"
_REASONS = {200: "OK", 202: "Accepted", 400: "Bad Request", 404: "Not Found", 413: "Too Large"}


@dataclass(frozen=True, slots=True)
class Answer:
    """What the runtime posted for an event. failed: on `error`. too_large: it was refused."""

    body: bytes
    failed: bool = False
    too_large: bool = False


@dataclass(frozen=True, slots=True)
class InitError:
    """error_type: `Runtime.ImportModuleError`, for example. body: the error's JSON."""

    error_type: str
    body: bytes


class Listener(Protocol):
    """Who is told. None of these may raise or block."""

    def ready(self) -> None:
        """The runtime asks for its next event, and has got none yet."""
        ...

    def answered(self, request_id: str, answer: Answer) -> None: ...

    def init_failed(self, error: InitError) -> None:
        """Its init ended in an error; the process is about to exit."""
        ...


@dataclass(frozen=True, slots=True)
class Event:
    """What the runtime gets. headers: those of the Runtime API, with values fit for a header."""

    headers: Mapping[str, str]
    payload: bytes


class RuntimeApi:
    """One server; `start` before the runtime does, `close` after its end."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._server: asyncio.Server | None = None
        self._connections: set[_Connection] = set()
        self._waiting: _Connection | None = None

    async def start(self, address: str) -> int:
        """Listen on a free port of the address; which one: somebody may have taken any that we
        would choose, on all addresses. Raises OSError."""
        self._server = await asyncio.get_running_loop().create_server(
            lambda: _Connection(self), address, 0
        )
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    def close(self) -> None:
        if self._server is not None:
            self._server.close()
        for connection in tuple(self._connections):
            connection.close()
        self._waiting = None

    @property
    def is_waiting(self) -> bool:
        """Whether the runtime waits for an event. One that ended a moment ago does not, also where
        the event loop has not heard of it yet."""
        return self._waiting is not None and self._waiting.is_open

    def give(self, event: Event) -> None:
        """Hand an event to the runtime that waits."""
        waiting, self._waiting = self._waiting, None
        if waiting is not None:  # else it has gone since: its end will be heard of
            waiting.answer(200, event.payload, event.headers)

    def opened(self, connection: _Connection) -> None:
        self._connections.add(connection)

    def lost(self, connection: _Connection) -> None:
        self._connections.discard(connection)
        if self._waiting is connection:
            self._waiting = None

    def take(
        self, connection: _Connection, method: str, path: str, head: Mapping[str, str], body: bytes
    ) -> None:
        """One request of the runtime."""
        if method == "GET" and path == f"{_INVOCATION}next":
            self._waiting = connection
            self._listener.ready()
        elif method == "POST" and path.startswith(_INVOCATION):
            request_id, _, kind = path.removeprefix(_INVOCATION).partition("/")
            self._take_answer(connection, request_id, kind, body)
        elif method == "POST" and path == _INIT_ERROR:
            error_type = head.get(_ERROR_TYPE) or "Runtime.Unknown"
            self._listener.init_failed(InitError(error_type, body))
            connection.answer(202, b'{"status":"OK"}')
        else:
            connection.answer(404, _fault("NotFound", f"{method} {path}"))

    def _take_answer(
        self, connection: _Connection, request_id: str, kind: str, body: bytes
    ) -> None:
        if kind == "response" and len(body) > MAX_RESPONSE_BYTES:
            self._listener.answered(request_id, Answer(b"", too_large=True))
            connection.answer(413, refused_response())
        elif kind in ("response", "error"):
            connection.answer(202, b'{"status":"OK"}')
            self._listener.answered(request_id, Answer(body, failed=kind == "error"))
        else:
            connection.answer(404, _fault("NotFound", kind))


class _Connection(asyncio.Protocol):
    """HTTP/1.1 as runtimes speak it: a head, a body of known length or in chunks, kept alive."""

    def __init__(self, api: RuntimeApi) -> None:
        self._api = api
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        peer = transport.get_extra_info("socket")
        if peer is not None:
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._api.opened(self)

    def connection_lost(self, error: Exception | None) -> None:
        self._api.lost(self)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    @property
    def is_open(self) -> bool:
        """Whether the other end is there: the kernel is asked, which knows first."""
        if self._transport is None or self._transport.is_closing():
            return False
        poll = select.poll()
        poll.register(self._transport.get_extra_info("socket"), select.POLLRDHUP)
        return not poll.poll(0)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            try:
                method, path, head = _parsed(bytes(self._buffer[:end]))
                body_end, body = _body(self._buffer, end + 4, head)
            except ValueError as error:
                self.answer(400, _fault("InvalidRequest", str(error)))
                self.close()
                return
            if body is None:
                break
            del self._buffer[:body_end]
            self._api.take(self, method, path, head, body)
        if len(self._buffer) > MAX_HEAD_BYTES + MAX_BODY_BYTES:
            self.close()

    def answer(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        lines = [f"HTTP/1.1 {status} {_REASONS[status]}", "Content-Type: application/json"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        lines += [f"Content-Length: {len(body)}", "", ""]
        self._transport.write("\r\n".join(lines).encode() + body)


def _parsed(text: bytes) -> tuple[str, str, dict[str, str]]:
    first, *rest = text.decode("latin-1").split("\r\n")
    method, path, _ = first.split(" ", 2)
    head: dict[str, str] = {}
    for line in rest:
        name, colon, value = line.partition(":")
        if not colon:
            raise ValueError(f"not a header: {line[:80]!r}")
        head[name.strip().lower()] = value.strip()
    return method, path, head


def _body(buffer: bytearray, start: int, head: Mapping[str, str]) -> tuple[int, bytes | None]:
    """Where the body ends, and the body; None while it is not all there. ValueError: impossible."""
    if head.get("transfer-encoding", "").lower() == "chunked":
        return _chunks(buffer, start)
    size = int(head.get("content-length", "0"))
    if not 0 <= size <= MAX_BODY_BYTES:
        raise ValueError(f"a body of {size} bytes")
    end = start + size
    return end, bytes(buffer[start:end]) if len(buffer) >= end else None


def _chunks(buffer: bytearray, start: int) -> tuple[int, bytes | None]:
    pieces: list[bytes] = []
    while (line_end := buffer.find(b"\r\n", start)) >= 0:
        size = int(bytes(buffer[start:line_end]).partition(b";")[0], 16)
        if size < 0:
            raise ValueError("a negative chunk")
        start = line_end + 2 + size + 2
        if len(buffer) < start:
            break
        if size == 0:
            return start, b"".join(pieces)
        pieces.append(bytes(buffer[line_end + 2 : line_end + 2 + size]))
    return start, None


def _fault(kind: str, message: str) -> bytes:
    return json.dumps({"errorType": kind, "errorMessage": message}).encode()
