"""The cloud's HTTP server over real loopback sockets; what answers is a few lines here."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from fogbank.cloud.context import BodyStream, Request, Response
from fogbank.cloud.errors import ServiceError
from fogbank.cloud.http1.connection import MAX_HEAD_BYTES
from fogbank.cloud.http1.server import KEEP_ALIVE_S, HttpServer
from fogbank.testing.clock import ManualClock

Handle = Callable[[Request], Awaitable[Response]]
LIMIT_S = 10


async def content(request: Request) -> bytes:
    return b"".join([piece async for piece in request.receive()])


async def echo(request: Request) -> Response:
    return Response(200, {"content-type": "text/plain"}, await content(request))


@dataclass
class Client:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def send(self, text: str) -> None:
        self.writer.write(text.replace("\n", "\r\n").encode("latin-1"))

    async def head(self) -> tuple[int, dict[str, str]]:
        async with asyncio.timeout(LIMIT_S):
            text = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = text.rstrip().split("\r\n")
        return int(first.split()[1]), dict(line.split(": ", 1) for line in lines)

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        status, headers = await self.head()
        async with asyncio.timeout(LIMIT_S):
            body = await self.reader.readexactly(int(headers["content-length"]))
        return status, headers, body

    async def rest(self) -> bytes:
        """What comes until the server closes the connection."""
        async with asyncio.timeout(LIMIT_S):
            return await self.reader.read()


@dataclass
class Site:
    server: HttpServer
    clock: ManualClock
    port: int
    clients: list[Client]

    async def client(self) -> Client:
        found = Client(*await asyncio.open_connection("127.0.0.1", self.port))
        self.clients.append(found)
        return found


@asynccontextmanager
async def serving(handle: Handle, *, grace_s: float = 5) -> AsyncIterator[Site]:
    clock = ManualClock()
    server = HttpServer(handle, clock, grace_s=grace_s)
    listener = socket.create_server(("127.0.0.1", 0))
    await server.start(listener)
    site = Site(server, clock, listener.getsockname()[1], [])
    try:
        yield site
    finally:
        await server.stop()
        for client in site.clients:
            client.writer.close()
        listener.close()


async def test_a_connection_serves_one_request_after_the_other() -> None:
    seen: list[Request] = []

    async def handle(request: Request) -> Response:
        seen.append(request)
        return await echo(request)

    async with serving(handle) as site:
        client = await site.client()
        for text in ("one", "two"):
            client.send(f"POST /a%20b?x=1 HTTP/1.1\nHost: here\nContent-Length: 3\n\n{text}")
            status, headers, body = await client.answer()
            assert (status, body) == (200, text.encode())
            assert headers["content-type"] == "text/plain"
            assert headers["date"] == "Thu, 01 Jan 2026 00:00:00 GMT"
            assert "connection" not in headers
    assert [(r.method, r.raw_path, r.raw_query, r.source_ip) for r in seen] == [
        ("POST", "/a%20b", "x=1", "127.0.0.1")
    ] * 2
    assert seen[0].headers.get("host") == "here"


async def test_requests_sent_at_once_are_answered_in_their_order() -> None:
    release = asyncio.Event()

    async def handle(request: Request) -> Response:
        if request.raw_path == "/0":
            await release.wait()
        return Response(200, {}, request.raw_path.encode() + await content(request))

    async with serving(handle) as site:
        client = await site.client()
        client.send("".join(f"PUT /{n} HTTP/1.1\nContent-Length: 1\n\n{n}" for n in range(5)))
        await site.clock.settle()
        release.set()
        assert [(await client.answer())[2] for _ in range(5)] == [
            b"/%d%d" % (n, n) for n in range(5)
        ]


async def test_chunks_are_put_together() -> None:
    async with serving(echo) as site:
        client = await site.client()
        client.send("PUT / HTTP/1.1\nTransfer-Encoding: chunked\n\n3\nabc\n2\nde\n0\n\n")
        assert (await client.answer())[2] == b"abcde"


async def test_the_body_is_asked_for_when_somebody_reads_it() -> None:
    async with serving(echo) as site:
        client = await site.client()
        client.send("PUT / HTTP/1.1\nExpect: 100-continue\nContent-Length: 2\n\n")
        assert (await client.head())[0] == 100
        client.send("ok")
        assert (await client.answer())[2] == b"ok"


async def refuse(request: Request) -> Response:
    return Response(403, {}, b"no")


async def test_a_body_that_nobody_asked_for_closes_the_connection() -> None:
    async with serving(refuse) as site:
        client = await site.client()
        client.send("PUT / HTTP/1.1\nExpect: 100-continue\nContent-Length: 2\n\n")
        status, headers, _ = await client.answer()
        assert (status, headers["connection"]) == (403, "close")
        assert await client.rest() == b""


async def test_a_refused_body_is_read_away_so_that_the_next_request_is_found() -> None:
    async with serving(refuse) as site:
        client = await site.client()
        num_bytes = 500_000
        client.send(f"PUT / HTTP/1.1\nContent-Length: {num_bytes}\n\n" + "x" * num_bytes)
        client.send("GET / HTTP/1.1\n\n")
        for _ in range(2):
            status, headers, _ = await client.answer()
            assert status == 403
            assert "connection" not in headers


async def test_who_does_not_read_holds_the_client_back() -> None:
    began, release = asyncio.Event(), asyncio.Event()

    async def handle(request: Request) -> Response:
        began.set()
        await release.wait()
        return await echo(request)

    num_bytes = 30_000_000  # more than the sockets' buffers hold
    async with serving(handle) as site:
        client = await site.client()
        client.send(f"PUT / HTTP/1.1\nContent-Length: {num_bytes}\n\n" + "x" * num_bytes)
        await began.wait()
        await site.clock.settle()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await client.writer.drain()
        release.set()
        assert len((await client.answer())[2]) == num_bytes


async def test_who_sends_and_does_not_read_is_answered_when_it_does() -> None:
    num_answered = 0

    async def handle(request: Request) -> Response:
        nonlocal num_answered
        num_answered += 1
        return Response(200, {}, b"x" * 1_000_000)

    async with serving(handle) as site:
        client = await site.client()
        client.send("GET / HTTP/1.1\n\n" * 40)
        await site.clock.settle(500)
        assert 0 < num_answered < 40
        for _ in range(40):
            assert len((await client.answer())[2]) == 1_000_000
        assert num_answered == 40


async def test_a_client_that_goes_away_in_the_middle_is_an_incomplete_body() -> None:
    ended: asyncio.Future[ServiceError] = asyncio.get_running_loop().create_future()

    async def handle(request: Request) -> Response:
        try:
            return await echo(request)
        except ServiceError as error:
            ended.set_result(error)
            return Response(400)

    async with serving(handle) as site:
        client = await site.client()
        client.send("PUT / HTTP/1.1\nContent-Length: 9\n\nabc")
        await client.writer.drain()
        client.writer.close()
        async with asyncio.timeout(LIMIT_S):
            assert (await ended).code == "IncompleteBody"


async def pieces(*found: bytes) -> BodyStream:
    for piece in found:
        yield piece


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"),
        ({"content-length": "5"}, b"abcde"),
    ],
)
async def test_a_stream_has_a_length_or_comes_in_chunks(
    headers: dict[str, str], expected: bytes
) -> None:
    async def handle(request: Request) -> Response:
        return Response(200, headers, pieces(b"abc", b"", b"de"))

    async with serving(handle) as site:
        client = await site.client()
        client.send("GET / HTTP/1.1\nConnection: close\n\n")
        await client.head()
        assert await client.rest() == expected


@pytest.mark.parametrize("announced", ["4", "6"])
async def test_a_stream_of_another_length_breaks_off(announced: str) -> None:
    async def handle(request: Request) -> Response:
        return Response(200, {"content-length": announced}, pieces(b"abc", b"de"))

    async with serving(handle) as site:
        client = await site.client()
        client.send("GET / HTTP/1.1\n\n")
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await client.answer()


async def test_a_stream_is_closed_when_its_reader_goes() -> None:
    closed = asyncio.Event()

    async def endless() -> BodyStream:
        try:
            while True:
                yield b"x" * 65536
        finally:
            closed.set()

    async def handle(request: Request) -> Response:
        return Response(200, {}, endless())

    async with serving(handle) as site:
        client = await site.client()
        client.send("GET / HTTP/1.1\n\n")
        await client.head()
        client.writer.transport.abort()
        async with asyncio.timeout(LIMIT_S):
            await closed.wait()


@pytest.mark.parametrize(
    ("method", "status", "length"), [("HEAD", 200, "5"), ("GET", 304, "5"), ("GET", 204, None)]
)
async def test_answers_that_have_no_body(method: str, status: int, length: str | None) -> None:
    async def handle(request: Request) -> Response:
        return Response(status, {}, b"12345")

    async with serving(handle) as site:
        client = await site.client()
        client.send(f"{method} / HTTP/1.1\nConnection: close\n\n")
        found, headers = await client.head()
        assert (found, headers.get("content-length")) == (status, length)
        assert await client.rest() == b""


@pytest.mark.parametrize("sent", ["nonsense\n\n", "GET / HTTP/1.1\nContent-Length: x\n\n"])
async def test_what_is_not_http_is_refused(sent: str) -> None:
    async with serving(echo) as site:
        client = await site.client()
        client.send(sent)
        status, headers, _ = await client.answer()
        assert (status, headers["connection"]) == (400, "close")
        assert await client.rest() == b""


@pytest.mark.parametrize("begun", ["GET /", "GET / HTTP/1.1\nX-Long: "])
async def test_a_head_without_an_end_is_refused(begun: str) -> None:
    async with serving(echo) as site:
        client = await site.client()
        for piece in (begun, *["a" * 1024] * (MAX_HEAD_BYTES // 1024 + 1)):
            client.send(piece)
            for _ in range(5):  # until the server has read it: one piece at a time
                await asyncio.sleep(0)
        status, headers = await client.head()
        assert (status, headers["connection"]) == (431, "close")


async def test_nonsense_behind_a_request_does_not_cost_its_answer() -> None:
    async with serving(echo) as site:
        client = await site.client()
        client.send("PUT / HTTP/1.1\nContent-Length: 2\n\nok\x00nonsense\n\n")
        status, headers, body = await client.answer()
        assert (status, headers["connection"], body) == (200, "close", b"ok")
        assert await client.rest() == b""


@pytest.mark.parametrize("header", ["a\r\nset-cookie: b", "a\nb", "a\x00"])
async def test_no_header_can_begin_another(header: str) -> None:
    async def handle(request: Request) -> Response:
        return Response(200, {"x-from-a-user": header}, b"")

    async with serving(handle) as site:
        client = await site.client()
        client.send("GET / HTTP/1.1\n\n")
        status, headers, body = await client.answer()
        assert (status, headers["connection"]) == (500, "close")
        assert body == b"Internal Server Error"


async def test_each_cookie_is_a_header_of_its_own() -> None:
    async def handle(request: Request) -> Response:
        return Response(200, {}, b"", cookies=("a=1", "b=2"))

    async with serving(handle) as site:
        client = await site.client()
        client.send("GET / HTTP/1.1\nConnection: close\n\n")
        answer = await client.rest()
        assert b"set-cookie: a=1\r\nset-cookie: b=2\r\n" in answer


async def test_an_idle_connection_is_closed_and_one_at_work_is_not() -> None:
    release = asyncio.Event()

    async def handle(request: Request) -> Response:
        await release.wait()
        return Response(200, {}, b"late")

    async with serving(handle) as site:
        idle, busy = await site.client(), await site.client()
        busy.send("GET / HTTP/1.1\n\n")
        async with asyncio.timeout(LIMIT_S):
            while len(site.server.connections) < 2:  # noqa: ASYNC110 - accepting has no event
                await asyncio.sleep(0)
        await site.clock.settle()
        await site.clock.advance(KEEP_ALIVE_S - 10)
        assert len(site.server.connections) == 2
        await site.clock.advance(20)
        assert await idle.rest() == b""
        release.set()
        assert (await busy.answer())[2] == b"late"


async def test_a_stop_lets_what_runs_finish() -> None:
    began, release = asyncio.Event(), asyncio.Event()

    async def handle(request: Request) -> Response:
        began.set()
        await release.wait()
        return Response(200, {}, b"done")

    async with serving(handle) as site:
        idle, busy = await site.client(), await site.client()
        busy.send("GET / HTTP/1.1\n\n")
        await began.wait()
        stopping = asyncio.create_task(site.server.stop())
        assert await idle.rest() == b""
        assert not stopping.done()
        release.set()
        _, headers, body = await busy.answer()
        assert (headers["connection"], body) == ("close", b"done")
        await stopping
        with pytest.raises(ConnectionRefusedError):
            await site.client()


async def test_a_stop_does_not_wait_for_ever() -> None:
    began, cut = asyncio.Event(), asyncio.Event()

    async def handle(request: Request) -> Response:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            cut.set()
        raise AssertionError

    async with serving(handle, grace_s=0.01) as site:
        client = await site.client()
        client.send("GET / HTTP/1.1\n\n")
        await began.wait()
        await site.server.stop()
        assert cut.is_set()
        assert not site.server.connections
