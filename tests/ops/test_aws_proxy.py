"""The proxy that answers for AWS: what reaches the cloud, what is refused, what is passed on."""

from __future__ import annotations

import asyncio
import base64
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Any

import pytest

from fogbank.core.clock import SystemClock
from fogbank.ops.aws_proxy import AwsProxy, Policy, aws_domains, is_below, trusted_elsewhere
from fogbank.ops.certificates import Authority

HOST = "sts.eu-west-1.amazonaws.com"
AUTHORITY = Authority(SystemClock().now())

Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@asynccontextmanager
async def listening(answer: Answer) -> AsyncIterator[int]:
    """The port on which `answer` is called for each connection. All have ended afterwards."""
    answering: set[asyncio.Task[None]] = set()

    def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answering.add(asyncio.create_task(answer(reader, writer)))

    server = await asyncio.start_server(begin, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()
    await asyncio.gather(*answering)


def says(name: str) -> Answer:
    """A server that repeats each line, with its name before it."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            writer.write(f"{name}: ".encode() + line)
        writer.close()
        await writer.wait_closed()

    return answer


@asynccontextmanager
async def proxy(
    cloud_port: int, *, network: bool = False, outer: dict[str, str] | None = None
) -> AsyncIterator[int]:
    policy = Policy(
        cloud_port=cloud_port, domains=("amazonaws.com",), network=network, outer=outer or {}
    )
    async with listening(AwsProxy(policy, AUTHORITY).answer) as port:
        yield port


@asynccontextmanager
async def connection(port: int) -> AsyncIterator[Streams]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


async def ask(streams: Streams, text: str) -> bytes:
    """The head of the answer to a request without a body."""
    streams[1].write(text.replace("\n", "\r\n").encode() + b"\r\n\r\n")
    return await streams[0].readuntil(b"\r\n\r\n")


async def refusal(port: int, request: str) -> tuple[str, str]:
    """The status line and the text."""
    async with connection(port) as streams:
        head = await ask(streams, request)
        return head.decode().splitlines()[0], (await streams[0].read()).decode()


def cloud() -> AbstractAsyncContextManager[int]:
    return listening(says("cloud"))


async def test_hosts_of_aws_are_the_cloud_over_tls() -> None:
    async with cloud() as port, proxy(port) as there, connection(there) as streams:
        assert await ask(streams, f"CONNECT {HOST}:443 HTTP/1.1") == (
            b"HTTP/1.1 200 Connection established\r\n\r\n"
        )
        reader, writer = streams
        context = ssl.create_default_context(cadata=AUTHORITY.pem)
        await writer.start_tls(context, server_hostname=HOST)
        for text in (b"x" * 50_000, b"again"):
            writer.write(text + b"\n")
            assert await reader.readexactly(len(text) + 8) == b"cloud: " + text + b"\n"


async def test_a_client_that_does_not_trust_it_gets_no_further() -> None:
    def shake_hands(port: int) -> None:
        with socket.create_connection(("127.0.0.1", port)) as plain:
            plain.sendall(f"CONNECT {HOST}:443 HTTP/1.1\r\n\r\n".encode())
            assert plain.recv(1000).startswith(b"HTTP/1.1 200 ")
            with ssl.create_default_context().wrap_socket(plain, server_hostname=HOST):
                raise AssertionError("it was trusted")

    async with cloud() as port, proxy(port) as there:
        with pytest.raises(ssl.SSLCertVerificationError):
            await asyncio.to_thread(shake_hands, there)


async def test_other_hosts_are_refused() -> None:
    async with cloud() as port, proxy(port) as there:
        status, text = await refusal(there, "CONNECT example.com:443 HTTP/1.1")
    assert status == "HTTP/1.1 403 Forbidden"
    assert "example.com is not a host of AWS" in text
    assert "--network" in text


async def test_plain_http_is_refused() -> None:
    async with cloud() as port, proxy(port) as there:
        status, text = await refusal(there, "GET http://example.com/ HTTP/1.1\nHost: example.com")
    assert status == "HTTP/1.1 403 Forbidden"
    assert "http://example.com/ is plain HTTP" in text


@pytest.mark.parametrize("line", ["CONNECT nowhere HTTP/1.1", "CONNECT :443 HTTP/1.1"])
async def test_a_request_that_is_none(line: str) -> None:
    async with cloud() as port, proxy(port) as there:
        assert (await refusal(there, line))[0] == "HTTP/1.1 400 Bad Request"


async def test_a_head_without_end_is_dropped() -> None:
    async with cloud() as port, proxy(port) as there, connection(there) as (reader, writer):
        writer.write(b"CONNECT " + b"x" * 200_000)
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await reader.readexactly(1)


async def test_other_hosts_with_the_network() -> None:
    async with (
        cloud() as port,
        listening(says("outside")) as outside,
        proxy(port, network=True) as there,
        connection(there) as streams,
    ):
        head = await ask(streams, f"CONNECT 127.0.0.1:{outside} HTTP/1.1")
        assert head.startswith(b"HTTP/1.1 200 ")
        streams[1].write(b"hello\n")
        assert await streams[0].readline() == b"outside: hello\n"


async def test_a_host_that_does_not_answer() -> None:
    async with listening(says("gone")) as gone:
        pass
    async with cloud() as port, proxy(port, network=True) as there:
        status, text = await refusal(there, f"CONNECT 127.0.0.1:{gone} HTTP/1.1")
    assert status == "HTTP/1.1 502 Bad Gateway"
    assert "cannot be reached" in text


async def test_a_cloud_that_has_stopped() -> None:
    async with cloud() as port:
        pass
    async with proxy(port) as there:
        status, text = await refusal(there, f"CONNECT {HOST}:443 HTTP/1.1")
    assert status == "HTTP/1.1 502 Bad Gateway"
    assert f"the cloud does not answer on port {port}" in text


async def test_the_proxy_that_was_set_before_is_the_way_out() -> None:
    seen: list[bytes] = []

    async def outer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        await says("outer")(reader, writer)

    async with cloud() as port, listening(outer) as way:
        settings = {"https": f"http://ada:p%40ss@127.0.0.1:{way}"}
        async with (
            proxy(port, network=True, outer=settings) as there,
            connection(there) as streams,
        ):
            await ask(streams, "CONNECT example.com:443 HTTP/1.1")
            streams[1].write(b"hello\n")
            assert await streams[0].readline() == b"outer: hello\n"
    assert seen[0].startswith(b"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n")
    assert b"Basic " + base64.b64encode(b"ada:p@ss") in seen[0]


async def test_a_proxy_that_refuses() -> None:
    async def outer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")
        writer.close()

    async with cloud() as port, listening(outer) as way:
        settings = {"https": f"127.0.0.1:{way}"}
        async with proxy(port, network=True, outer=settings) as there:
            status, text = await refusal(there, "CONNECT example.com:443 HTTP/1.1")
    assert status == "HTTP/1.1 502 Bad Gateway"
    assert "407" in text


@pytest.mark.parametrize(
    ("host", "found"),
    [
        ("sts.us-east-1.amazonaws.com", True),
        ("STS.AMAZONAWS.COM.", True),
        ("bucket.s3.dualstack.eu-west-1.amazonaws.com", True),
        ("sts.cn-north-1.amazonaws.com.cn", True),
        ("sagemaker.us-east-1.api.aws", True),
        ("notamazonaws.com", False),
        ("amazonaws.com.example.org", False),
        ("aws.amazon.com", False),
        ("example.com", False),
    ],
)
@pytest.mark.model
def test_which_hosts_are_awss(host: str, found: bool) -> None:
    assert is_below(host, aws_domains()) is found


def test_what_is_trusted_already_stays_trusted(tmp_path: Any) -> None:
    (tmp_path / "a.pem").write_text("A\n")
    (tmp_path / "b.pem").write_text("B")
    environment = {
        "REQUESTS_CA_BUNDLE": str(tmp_path / "a.pem"),
        "AWS_CA_BUNDLE": str(tmp_path / "a.pem"),
        "SSL_CERT_FILE": str(tmp_path / "b.pem"),
        "CURL_CA_BUNDLE": str(tmp_path / "absent.pem"),
    }
    assert trusted_elsewhere(environment) == "A\nB\n"


def test_public_hosts_are_trusted_where_nothing_is_named() -> None:
    context = ssl.create_default_context(cadata=trusted_elsewhere({}))
    assert context.cert_store_stats()["x509_ca"] > 50
