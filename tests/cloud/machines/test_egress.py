"""The proxy by which programs get out of a job's network, with servers that a test plays."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import pytest

from fogbank.cloud.machines.egress import BadRequest, HttpProxy, parse, to_cloud

HEAD_END = b"\r\n\r\n"


@asynccontextmanager
async def served(handle: object) -> AsyncIterator[int]:
    """A server on a free port while the block runs."""
    server = await asyncio.start_server(handle, "127.0.0.1", 0)  # type: ignore[arg-type]
    yield server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()


async def shout(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers what came, in capitals, when the other side has said all."""
    writer.write((await reader.read()).upper())
    await writer.drain()
    writer.close()


class Noted:
    """A server that remembers the head of what it was asked, and answers 200."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.lines = (await reader.readuntil(HEAD_END)).decode().strip().split("\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
        await writer.drain()
        writer.close()


async def said(port: int, *pieces: bytes) -> bytes:
    """What a client that sends these pieces is told until the connection ends."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for piece in pieces:
        writer.write(piece)
        await writer.drain()
    writer.write_eof()
    async with asyncio.timeout(10):
        answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


@asynccontextmanager
async def proxy(environment: Mapping[str, str]) -> AsyncIterator[int]:
    async with served(HttpProxy(environment).handle) as port:
        yield port


async def test_to_the_cloud_bytes_go_as_they_are() -> None:
    body = b"x" * 1_000_000
    async with served(shout) as cloud, served(to_cloud("127.0.0.1", cloud)) as port:
        assert await said(port, b"any bytes ", body) == b"ANY BYTES " + body.upper()


async def test_a_cloud_that_is_gone_hangs_up() -> None:
    async with served(shout) as cloud:
        pass
    async with served(to_cloud("127.0.0.1", cloud)) as port:
        assert await said(port) == b""


async def test_a_tunnel_carries_whatever_comes() -> None:
    async with served(shout) as world, proxy({}) as port:
        request = f"CONNECT 127.0.0.1:{world} HTTP/1.1\r\nHost: x".encode() + HEAD_END
        answer = await said(port, request + b"hel", b"lo")
    assert answer == b"HTTP/1.1 200 Connection established" + HEAD_END + b"HELLO"


async def test_a_plain_request_reaches_its_server_as_servers_expect_it() -> None:
    world = Noted()
    async with served(world) as at, proxy({}) as port:
        answer = await said(
            port,
            f"GET http://127.0.0.1:{at}?a=1 HTTP/1.1\r\nHost: 127.0.0.1:{at}\r\nAccept: */*\r\n"
            "Proxy-Connection: keep-alive\r\nProxy-Authorization: Basic c2VjcmV0".encode()
            + HEAD_END,
        )
    assert answer.endswith(b"hi")
    assert world.lines == [
        "GET /?a=1 HTTP/1.1",
        f"Host: 127.0.0.1:{at}",
        "Accept: */*",
        "Connection: close",
    ]


@pytest.mark.parametrize(
    ("request_line", "variable"),
    [
        ("CONNECT pypi.org:443 HTTP/1.1", "HTTPS_PROXY"),
        ("GET http://pypi.org/x HTTP/1.1", "ALL_PROXY"),
    ],
)
async def test_where_the_host_needs_a_proxy_that_one_is_asked(
    request_line: str, variable: str
) -> None:
    upstream = Noted()
    async with (
        served(upstream) as at,
        proxy({variable: f"http://me:p%40ss@127.0.0.1:{at}"}) as port,
    ):
        answer = await said(port, request_line.encode() + b"\r\nHost: pypi.org" + HEAD_END)
    assert answer.endswith(b"hi")
    assert upstream.lines[0] == request_line
    assert "Proxy-Authorization: Basic bWU6cEBzcw==" in upstream.lines


async def test_a_host_without_proxy_is_asked_itself() -> None:
    world = Noted()
    environment = {"http_proxy": "http://127.0.0.1:1", "NO_PROXY": "127.0.0.1"}
    async with served(world) as at, proxy(environment) as port:
        request = f"GET http://127.0.0.1:{at}/ HTTP/1.1\r\nHost: x".encode()
        assert (await said(port, request + HEAD_END)).endswith(b"hi")


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1",
        b"GET https://pypi.org/ HTTP/1.1",
        b"GET ftp://pypi.org/ HTTP/1.1",
        b"CONNECT pypi.org:port HTTP/1.1",
        b"CONNECT :443 HTTP/1.1",
        b"CONNECT [::1 HTTP/1.1",
        b"\x16\x03\x01 hello",
    ],
)
async def test_what_is_nothing_for_a_proxy_is_refused(head: bytes) -> None:
    with pytest.raises(BadRequest):
        parse(head + HEAD_END)
    async with proxy({}) as port:
        assert (await said(port, head + HEAD_END)).startswith(b"HTTP/1.1 400 Bad Request\r\n")


@pytest.mark.parametrize(
    ("host", "environment", "reason"),
    [
        ("127.0.0.1", {}, "Connect call failed"),
        ("no..host", {}, "no..host:1: "),
        ("127.0.0.1", {"https_proxy": "socks5://me:secret@h:1"}, "socks5://h is not"),
        ("127.0.0.1", {"https_proxy": "http://me:secret"}, "address of the host's proxy"),
    ],
)
async def test_a_way_that_leads_nowhere_is_told(
    host: str, environment: Mapping[str, str], reason: str
) -> None:
    async with proxy(environment) as port:
        answer = (await said(port, f"CONNECT {host}:1 HTTP/1.1".encode() + HEAD_END)).decode()
    assert answer.startswith("HTTP/1.1 502 Bad Gateway\r\n")
    assert reason in answer
    assert "secret" not in answer
