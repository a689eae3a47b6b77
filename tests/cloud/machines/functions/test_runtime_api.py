"""The Runtime API on the wire: what a runtime may send, whole, in pieces and broken."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator

import pytest

from fogbank.cloud.machines.functions.runtime_api import (
    Answer,
    Event,
    InitError,
    RuntimeApi,
)
from fogbank.cloud.rules.function_failures import MAX_RESPONSE_BYTES

ADDRESS = "127.66.0.9"
NEXT = b"GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: x\r\n\r\n"


class Heard:
    """A Listener that remembers."""

    def __init__(self) -> None:
        self.num_ready = 0
        self.answers: list[tuple[str, Answer]] = []
        self.errors: list[InitError] = []
        self.woken = asyncio.Event()

    def ready(self) -> None:
        self.num_ready += 1
        self.woken.set()

    def answered(self, request_id: str, answer: Answer) -> None:
        self.answers.append((request_id, answer))

    def init_failed(self, error: InitError) -> None:
        self.errors.append(error)


class Client:
    """One connection of a runtime."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def send(self, *pieces: bytes) -> None:
        for piece in pieces:
            self._writer.write(piece)
            await self._writer.drain()
            await asyncio.sleep(0.002)

    async def receive(self) -> tuple[int, dict[str, str], bytes]:
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = dict(line.split(": ", 1) for line in head[1:] if line)
        body = await self._reader.readexactly(int(headers["Content-Length"]))
        return int(head[0].split()[1]), headers, body

    async def ended(self) -> bool:
        return await self._reader.read() == b""

    def close(self) -> None:
        self._writer.close()


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
async def api(heard: Heard) -> AsyncIterator[RuntimeApi]:
    api = RuntimeApi(heard)
    yield api
    api.close()


@pytest.fixture
async def client(api: RuntimeApi) -> AsyncIterator[Client]:
    client = Client(*await asyncio.open_connection(ADDRESS, await api.start(ADDRESS)))
    yield client
    client.close()


def post(path: str, body: bytes, *headers: str) -> bytes:
    lines = [f"POST /2018-06-01/runtime/{path} HTTP/1.1", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


@pytest.mark.docs
async def test_an_event_and_its_answer(api: RuntimeApi, heard: Heard, client: Client) -> None:
    await client.send(NEXT)
    await heard.woken.wait()
    waited = api.is_waiting
    api.give(Event({"Lambda-Runtime-Aws-Request-Id": "id"}, b'{"n":1}'))
    assert (waited, api.is_waiting) == (True, False)
    status, headers, body = await client.receive()
    assert (status, headers["Lambda-Runtime-Aws-Request-Id"], body) == (200, "id", b'{"n":1}')
    await client.send(post("invocation/id/response", b'"yes"'))
    assert (await client.receive())[0] == 202
    assert heard.answers == [("id", Answer(b'"yes"'))]


@pytest.mark.docs
async def test_errors_of_a_call_and_of_the_init(heard: Heard, client: Client) -> None:
    await client.send(post("invocation/id/error", b"{}"))
    assert (await client.receive())[0] == 202
    assert heard.answers == [("id", Answer(b"{}", failed=True))]
    kind = "Lambda-Runtime-Function-Error-Type: Runtime.ImportModuleError"
    await client.send(post("init/error", b'{"errorMessage":"no"}', kind))
    assert (await client.receive())[0] == 202
    assert heard.errors == [InitError("Runtime.ImportModuleError", b'{"errorMessage":"no"}')]


async def test_in_pieces_and_in_chunks(heard: Heard, client: Client) -> None:
    whole = post("invocation/id/response", b'"yes"')
    await client.send(whole[:20], whole[20:-2], whole[-2:])
    assert (await client.receive())[0] == 202
    head = (
        b"POST /2018-06-01/runtime/invocation/id2/response HTTP/1.1\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n"
    )
    await client.send(head, b'3\r\n"ye\r\n', b'2\r\ns"', b"\r\n0\r\n\r\n")
    assert (await client.receive())[0] == 202
    assert [answer.body for _, answer in heard.answers] == [b'"yes"', b'"yes"']


async def test_one_after_the_other_in_one_piece(heard: Heard, client: Client) -> None:
    await client.send(post("invocation/a/response", b"1") + post("invocation/b/response", b"2"))
    assert (await client.receive())[0] == 202
    assert (await client.receive())[0] == 202
    assert [request_id for request_id, _ in heard.answers] == ["a", "b"]


@pytest.mark.observed
async def test_a_response_over_the_limit(heard: Heard, client: Client) -> None:
    await client.send(post("invocation/a/response", b"x" * MAX_RESPONSE_BYTES))
    assert (await client.receive())[0] == 202
    await client.send(post("invocation/b/response", b"x" * (MAX_RESPONSE_BYTES + 1)))
    status, _, body = await client.receive()
    assert (status, json.loads(body)["errorType"]) == (413, "RequestEntityTooLarge")
    assert [answer.too_large for _, answer in heard.answers] == [False, True]


@pytest.mark.parametrize(
    "sent",
    [
        b"nonsense\r\n\r\n",
        b"GET /x HTTP/1.1\r\nno colon\r\n\r\n",
        b"POST /x HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST /x HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n",
        b"POST /x HTTP/1.1\r\nContent-Length: many\r\n\r\n",
        b"POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\n",
    ],
)
async def test_what_is_not_http_ends_the_connection(client: Client, sent: bytes) -> None:
    await client.send(sent)
    assert (await client.receive())[0] == 400
    assert await client.ended()


@pytest.mark.parametrize("path", ["", "invocation/id/other", "restore/next"])
async def test_unknown_paths(client: Client, path: str) -> None:
    await client.send(post(path, b""))
    assert (await client.receive())[0] == 404


async def test_a_runtime_that_goes_away_does_not_wait(
    api: RuntimeApi, heard: Heard, client: Client
) -> None:
    await client.send(NEXT)
    await heard.woken.wait()
    client.close()
    async with asyncio.timeout(5):
        while api.is_waiting:  # noqa: ASYNC110 - the loop tells nobody
            await asyncio.sleep(0.001)


async def test_what_the_kernel_knows_before_the_event_loop(api: RuntimeApi, heard: Heard) -> None:
    """A runtime that has just ended waits no more, though nobody has been told yet."""
    with socket.create_connection((ADDRESS, await api.start(ADDRESS))) as runtime:
        runtime.sendall(NEXT)
        await heard.woken.wait()
        assert api.is_waiting
    # No turn of the event loop in between; the kernel is given its time.
    assert any(not api.is_waiting for _ in range(100_000))
