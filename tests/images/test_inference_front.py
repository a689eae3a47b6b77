"""The front's connections with a fake in place of the workers: clients that stall or misbehave."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from fogbank.images.inference.frames import Reply
from fogbank.images.inference.pool import Ticket
from fogbank.images.inference.server import Front


class Mirror:
    """Answers every invocation at once with its own body."""

    is_healthy = True

    def submit(self, ticket: Ticket) -> None:
        ticket.resolve(Reply(200, "a/b", [], ticket.invocation.body))


class Silent:
    """Takes invocations and never answers."""

    is_healthy = False

    def __init__(self) -> None:
        self.tickets: list[Ticket] = []
        self.is_asked = asyncio.Event()

    def submit(self, ticket: Ticket) -> None:
        self.tickets.append(ticket)
        self.is_asked.set()


@asynccontextmanager
async def connected(
    front: Front,
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    loop = asyncio.get_running_loop()
    listener = socket.create_server(("127.0.0.1", 0))
    server = await loop.create_server(front.connection, sock=listener)
    reader, writer = await asyncio.open_connection(*listener.getsockname())
    try:
        yield reader, writer
    finally:
        writer.close()
        server.close()
        await front.drain()


@pytest.mark.parametrize(
    "beginning",
    [b"GET /pi", b"POST /invocations HTTP/1.1\r\nContent-Length: 5\r\n\r\nabc"],
)
async def test_a_request_that_stalls_is_given_up(beginning: bytes) -> None:
    async with connected(Front(Mirror(), 100, stalled_s=0.05)) as (reader, writer):
        writer.write(beginning)
        answer = await reader.read()
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"connection: close" in answer


async def test_a_connection_may_rest_between_requests() -> None:
    async with connected(Front(Mirror(), 100, stalled_s=0.01)) as (reader, writer):
        for _ in range(3):
            writer.write(b"POST /invocations HTTP/1.1\r\nContent-Length: 2\r\n\r\nhi")
            assert (await reader.readuntil(b"\r\n\r\nhi")).startswith(b"HTTP/1.1 200 ")
            await asyncio.sleep(0.03)


async def test_the_ticket_of_a_client_that_left_is_abandoned() -> None:
    model = Silent()
    async with connected(Front(model, 100)) as (reader, writer):
        writer.write(b"GET /ping HTTP/1.1\r\n\r\nPOST /invocations HTTP/1.1\r\n\r\n")
        assert (await reader.readuntil(b"loading\n")).startswith(b"HTTP/1.1 503 ")
        assert model.tickets[0].is_wanted
    assert not model.tickets[0].is_wanted


async def test_endless_pipelining_is_held_back() -> None:
    model = Silent()
    front = Front(model, 100)
    async with connected(front) as (_, writer):
        writer.write(b"POST /invocations HTTP/1.1\r\n\r\n")
        await model.is_asked.wait()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                while True:
                    writer.write(b"x" * (1 << 16))
                    await writer.drain()
        model.tickets[0].resolve(Reply(200, "a/b", [], b""))
        writer.transport.abort()
