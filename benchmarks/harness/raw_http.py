"""Clients that cost next to nothing: ready-made HTTP/1.1 requests over kept-alive sockets.

In: bytes of requests (see `signing`). Out: latencies and seconds. A server that closes the
connection after each answer gets a new one, as it would from any client.
"""

from __future__ import annotations

import select
import socket
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import httptools

Address = tuple[str, int]

_PIECE_BYTES = 1 << 20


def address_of(url: str) -> Address:
    parts = urlsplit(url)
    assert parts.hostname, url
    return parts.hostname, parts.port or 80


class Answer:
    """A response while and after it arrives; the parser's callbacks fill it."""

    def __init__(self) -> None:
        self.status = 0
        self.body = bytearray()
        self.complete = False
        self.keep_alive = True
        self.parser = httptools.HttpResponseParser(self)

    def on_body(self, piece: bytes) -> None:
        self.body += piece

    def on_message_complete(self) -> None:
        self.complete = True
        self.status = self.parser.get_status_code()
        # Here and not later: behind the message the parser has forgotten how it was delimited.
        self.keep_alive = self.parser.should_keep_alive()


class Connection:
    """One socket with one request on its way at a time."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._socket: socket.socket | None = None
        self._answer = Answer()

    def fileno(self) -> int:
        """For select."""
        assert self._socket is not None
        return self._socket.fileno()

    def send(self, request: bytes) -> None:
        if self._socket is None:
            self._socket = socket.create_connection(self._address, timeout=120)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _PIECE_BYTES)
        self._answer = Answer()
        self._socket.sendall(request)

    def receive_some(self) -> Answer | None:
        """One read; the answer once it is whole. Raises RuntimeError where it is not a success."""
        assert self._socket is not None
        answer = self._answer
        piece = self._socket.recv(_PIECE_BYTES)
        if piece:
            answer.parser.feed_data(piece)
        else:
            raise ConnectionError(f"{self._address} closed the connection in mid-answer")
        if not answer.complete:
            return None
        if not answer.keep_alive:
            self.close()
        if not 200 <= answer.status < 300:
            raise RuntimeError(f"answered {answer.status}: {bytes(answer.body[:500])!r}")
        return answer

    def exchange(self, request: bytes) -> Answer:
        """Send and wait for the whole answer."""
        self.send(request)
        while (answer := self.receive_some()) is None:
            pass
        return answer

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def latencies_ms(address: Address, requests: Sequence[bytes], num: int) -> list[list[float]]:
    """`num` times all of `requests` in order, one after the other on one connection; one list of
    latencies for each request."""
    connection = Connection(address)
    found: list[list[float]] = [[] for _ in requests]
    for _ in range(num):
        for position, request in enumerate(requests):
            started = time.perf_counter()
            connection.exchange(request)
            found[position].append((time.perf_counter() - started) * 1e3)
    connection.close()
    return found


def send_all_s(address: Address, requests: Sequence[bytes], num_connections: int) -> float:
    """Seconds until all are answered, each connection taking the next when it is free."""
    waiting = deque(requests)

    def work() -> None:
        connection = Connection(address)
        while True:
            try:
                request = waiting.popleft()
            except IndexError:
                break
            connection.exchange(request)
        connection.close()

    started = time.perf_counter()
    with ThreadPoolExecutor(num_connections) as threads:
        for done in [threads.submit(work) for _ in range(num_connections)]:
            done.result()
    return time.perf_counter() - started


def open_loop_ms(
    address: Address, request: bytes, *, rate_per_s: float, num: int, num_connections: int
) -> list[float]:
    """Latencies of `num` requests that are due at a fixed rate, whatever the server does.

    Each counts from the moment it was due, not from when it could be sent: a server that stalls
    delays all that came due meanwhile (coordinated omission). One thread and select, because its
    timer is exact to some 50 us where epoll's (and so asyncio's) counts whole milliseconds.
    """
    idle = [Connection(address) for _ in range(num_connections)]
    busy: dict[Connection, float] = {}
    late: deque[float] = deque()
    found: list[float] = []
    started = time.perf_counter() + 0.01
    next_one = 0
    while len(found) < num:
        now = time.perf_counter()
        while next_one < num and started + next_one / rate_per_s <= now:
            late.append(started + next_one / rate_per_s)
            next_one += 1
        while late and idle:
            connection = idle.pop()
            connection.send(request)
            busy[connection] = late.popleft()
        pause_s = None
        if next_one < num:
            pause_s = max(0.0, started + next_one / rate_per_s - time.perf_counter())
        for connection in select.select(list(busy), [], [], pause_s)[0]:
            if connection.receive_some() is not None:
                found.append((time.perf_counter() - busy.pop(connection)) * 1e3)
                idle.append(connection)
    for connection in idle:
        connection.close()
    return found
