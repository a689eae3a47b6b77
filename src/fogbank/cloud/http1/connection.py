"""One client's connection: bytes in, `Request`s to the server, its `Response`s as bytes back."""

from __future__ import annotations

import asyncio
import logging
import re
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Protocol, cast

import httptools

from fogbank.cloud.context import BodyStream, Headers, Request, Response
from fogbank.cloud.http1.body import RequestBody
from fogbank.core.clock import Clock

log = logging.getLogger("fogbank.server")

Answer = Callable[[Request], Awaitable[Response]]
"""Never raises but for a bug: that is answered with 500, and the connection closed."""

MAX_HEAD_BYTES = 64 * 1024
"""Of a request's line and headers; S3's user metadata takes 2 KB of it, a signature and its token
4. Who sends more before the head's end is refused, and not kept in memory for ever. The pieces in
which a head begins and ends are not counted: there may be bodies in them."""

_JOINED_BYTES = 256 * 1024
"""Up to so much body goes out in one write with its head: copying it costs less than two writes."""

_CONTROL = re.compile("[\x00-\x08\x0a-\x1f\x7f]")
_PLAIN = "text/plain; charset=utf-8"
_STATUS_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}" for status in HTTPStatus}


class Server(Protocol):
    """What the connections share."""

    answer: Answer
    clock: Clock
    is_draining: bool

    def remember(self, connection: Connection) -> None: ...

    def forget(self, connection: Connection) -> None: ...

    def date(self) -> str:
        """The Date header's value."""
        ...


@dataclass(slots=True)
class _Exchange:
    request: Request
    body: RequestBody
    keep_alive: bool


class Connection(asyncio.Protocol):
    """One client. Requests that it sends before the answer to an earlier one wait in line."""

    def __init__(self, server: Server, loop: asyncio.AbstractEventLoop) -> None:
        self._server = server
        self._loop = loop
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._source_ip = ""
        self._url = b""
        self._headers: list[tuple[str, str]] = []
        self._head_bytes: int | None = None  # of a head that has begun; None between two
        self._arriving: RequestBody | None = None
        self._waiting: deque[_Exchange] = deque()
        self._running: asyncio.Task[None] | None = None
        self._has_begun = False  # the running answer's first bytes are written
        self._is_last = False  # what comes after this request cannot be read
        self._reading = True
        self._writable: asyncio.Future[None] | None = None
        self.active_s = server.clock.monotonic_s()

    # -- asyncio calls these

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # A cast, not an assertion: uvloop's transports are no subclasses of asyncio's.
        self._transport = cast(asyncio.Transport, transport)
        peer = transport.get_extra_info("peername")
        self._source_ip = str(peer[0]) if peer else ""
        self._server.remember(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._arriving is not None:
            self._arriving.lose()
        self._waiting.clear()
        self.resume_writing()
        self._server.forget(self)

    def data_received(self, data: bytes) -> None:
        self.active_s = self._server.clock.monotonic_s()
        if self._is_last:
            return
        if self._head_bytes is not None:
            self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._is_last = True  # there is nothing to upgrade to: answered in HTTP/1.1
        except httptools.HttpParserError:
            self._is_last = True
            if self._arriving is not None:
                self._arriving.lose()
            if self._running is None:
                self._write_plain(400, "Invalid HTTP request received.")
        if self._head_bytes is not None and self._head_bytes > MAX_HEAD_BYTES:
            self._is_last = True
            if self._running is None:
                self._write_plain(431, f"The headers are larger than {MAX_HEAD_BYTES} bytes.")

    def pause_writing(self) -> None:
        self._writable = self._loop.create_future()

    def resume_writing(self) -> None:
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)
        self._writable = None

    # -- httptools calls these

    def on_message_begin(self) -> None:
        self._head_bytes = 0
        self._url = b""
        self._headers = []

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name.decode("latin-1").lower(), value.decode("latin-1")))

    def on_headers_complete(self) -> None:
        self._head_bytes = None
        url = httptools.parse_url(self._url)
        headers = Headers(tuple(self._headers))
        waits = headers.get("expect").lower() == "100-continue"
        self._arriving = body = RequestBody(self, waits_to_be_asked=waits)
        request = Request(
            method=self._parser.get_method().decode("ascii"),
            raw_path=(url.path or b"").decode("latin-1"),
            raw_query=(url.query or b"").decode("latin-1"),
            headers=headers,
            receive=body.pieces,
            source_ip=self._source_ip,
        )
        keep_alive = self._parser.get_http_version() != "1.0" and self._parser.should_keep_alive()
        exchange = _Exchange(request, body, keep_alive)
        if self._running is None:
            self._begin(exchange)
        else:
            self._waiting.append(exchange)
            self.pause()

    def on_body(self, piece: bytes) -> None:
        assert self._arriving is not None
        self._arriving.feed(piece)

    def on_message_complete(self) -> None:
        assert self._arriving is not None
        self._arriving.end()
        self._arriving = None

    # -- the body calls these

    def ask(self) -> None:
        """The client waits to hear that its body is wanted."""
        if self._transport is not None:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def pause(self) -> None:
        if self._reading and self._transport is not None:
            self._transport.pause_reading()
            self._reading = False

    def resume(self) -> None:
        if not self._reading and self._transport is not None:
            self._transport.resume_reading()
            self._reading = True

    # -- answering

    def _begin(self, exchange: _Exchange) -> None:
        self._has_begun = False
        self._running = self._loop.create_task(self._exchange(exchange))

    async def _exchange(self, exchange: _Exchange) -> None:
        try:
            response = await self._server.answer(exchange.request)
            can_go_on = await exchange.body.finish()
            if self._writable is not None:  # answers do not pile up before a client that reads none
                await self._writable
            await self._send(response, exchange, keep_alive=exchange.keep_alive and can_go_on)
        except Exception:
            log.exception("%s %s failed", exchange.request.method, exchange.request.raw_path)
            if self._has_begun:
                self._break_off()
            else:
                self._write_plain(500, "Internal Server Error")
        self._running = None
        self.active_s = self._server.clock.monotonic_s()
        if self._transport is None or self._transport.is_closing():
            return
        if self._waiting:
            self._begin(self._waiting.popleft())
        else:
            self.resume()

    async def _send(self, response: Response, exchange: _Exchange, *, keep_alive: bool) -> None:
        """Raises RuntimeError, before anything is written, for headers that HTTP cannot carry."""
        content = response.body
        headers = {name.lower(): value for name, value in response.headers.items()}
        has_content = response.status not in (204, 304) and exchange.request.method != "HEAD"
        is_chunked = False
        if isinstance(content, bytes):
            if response.status != 204:
                headers.setdefault("content-length", str(len(content)))
        elif "content-length" not in headers and has_content:
            headers["transfer-encoding"] = "chunked"
            is_chunked = True
        keep_alive = keep_alive and "close" not in headers.pop("connection", "").lower()
        if not keep_alive or self._server.is_draining or (self._is_last and not self._waiting):
            keep_alive = False
            headers["connection"] = "close"
        head = self._head(response.status, headers, response.cookies)
        if isinstance(content, bytes):
            if has_content and int(headers["content-length"]) != len(content):
                raise RuntimeError(f"{len(content)} bytes, announced as {headers}")
            self._write(head, content if has_content else b"")
        elif has_content:
            self._write(head)
            await self._stream(content, headers.get("content-length"), is_chunked=is_chunked)
        else:
            self._write(head)
            await _close(content)
        if not keep_alive:
            self.close()

    def _head(self, status: int, headers: dict[str, str], cookies: tuple[str, ...]) -> bytes:
        lines = [_STATUS_LINES.get(status) or f"HTTP/1.1 {status} "]
        lines.append(f"date: {self._server.date()}")
        lines += [f"{name}: {value}" for name, value in headers.items()]
        lines += [f"set-cookie: {cookie}" for cookie in cookies]
        if _CONTROL.search("".join(lines)):
            raise RuntimeError(f"a header of the answer holds a control character: {lines}")
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")

    def _write(self, head: bytes, content: bytes = b"") -> None:
        self._has_begun = True
        if self._transport is None:
            return  # the client has gone
        if len(content) <= _JOINED_BYTES:
            self._transport.write(head + content)
        else:
            self._transport.write(head)
            self._transport.write(content)

    async def _stream(
        self, content: BodyStream, announced: str | None, *, is_chunked: bool
    ) -> None:
        """Raises RuntimeError where less or more comes than was announced."""
        left_bytes = None if announced is None else int(announced)
        try:
            async for piece in content:
                if self._transport is None:
                    return
                if left_bytes is not None:
                    left_bytes -= len(piece)
                    if left_bytes < 0:
                        break
                self._transport.write(
                    b"%x\r\n%b\r\n" % (len(piece), piece) if is_chunked and piece else piece
                )
                if self._writable is not None:
                    await self._writable
            if left_bytes:
                raise RuntimeError(f"{announced} bytes were announced; {left_bytes} are missing")
            if is_chunked:
                self._write(b"0\r\n\r\n")
        finally:
            # A client that went away ends this in the middle: the file behind the stream is closed
            # now, not when the garbage is collected.
            await _close(content)

    def _write_plain(self, status: int, text: str) -> None:
        headers = {"content-type": _PLAIN, "content-length": str(len(text)), "connection": "close"}
        self._write(self._head(status, headers, ()), text.encode())
        self.close()

    def close_if_idle(self) -> None:
        if self._running is None:
            self.close()

    def close(self) -> None:
        """When what was written has been sent."""
        if self._transport is not None:
            self._transport.close()

    def _break_off(self) -> None:
        """What is wrong with an answer that has begun can only be told so."""
        if self._transport is not None:
            self._transport.abort()

    def abort(self) -> asyncio.Task[None] | None:
        """At once. The task that was at work on an answer and is cut short, if any."""
        self._break_off()
        if self._running is not None:
            self._running.cancel()
        return self._running


async def _close(content: BodyStream) -> None:
    close = getattr(content, "aclose", None)
    if close is not None:
        await close()
