"""A container for tests: a small HTTP server whose connections a test scripts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

Serve = Callable[["Peer"], Awaitable[None]]
"""What the container does with one connection; the connection is closed when it returns."""


@dataclass
class Peer:
    """The container's end of one connection. number: 0 for the first one that came."""

    number: int
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def request(self) -> tuple[str, dict[str, str], bytes] | None:
        """The next request: first line, headers, body. None when the client hung up."""
        try:
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        except asyncio.IncompleteReadError:
            return None
        headers = dict(line.split(": ", 1) for line in head[1:] if line)
        return head[0], headers, await self.reader.readexactly(int(headers["content-length"]))

    def send(self, text: str) -> None:
        self.writer.write(text.replace("\n", "\r\n").encode())

    def answer(self, body: str, status: int = 200) -> None:
        """An ordinary answer on a connection that stays open."""
        self.send(f"HTTP/1.1 {status} X\ncontent-length: {len(body)}\n\n{body}")

    async def serve_all(self) -> None:
        """Answer each request with the number of the connection, a colon and its body."""
        while (request := await self.request()) is not None:
            self.answer(f"{self.number}:{request[2].decode()}")


@dataclass
class Container:
    """peers: every connection that was made."""

    port: int
    peers: list[Peer] = field(default_factory=list)


@asynccontextmanager
async def container(
    serve: Serve = Peer.serve_all, host: str = "127.0.0.1", port: int = 0
) -> AsyncIterator[Container]:
    """A listening container; at the end of the block it is gone with all its connections."""
    found = Container(0)
    tasks: set[asyncio.Task[None]] = set()

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        peer = Peer(len(found.peers), reader, writer)
        found.peers.append(peer)
        try:
            await serve(peer)
        except (ConnectionError, asyncio.CancelledError):
            return  # the client, or the test, has had enough
        finally:
            writer.close()

    server = await asyncio.start_server(one, host, port)
    found.port = server.sockets[0].getsockname()[1]
    try:
        yield found
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        for peer in found.peers:
            peer.writer.transport.abort()
        await asyncio.sleep(0)
