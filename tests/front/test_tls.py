"""Fetching from real TLS servers on this machine: certificates, handshakes, and time."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime

import pytest

from fogbank.front.connection import Stream, TlsConnect, resolve
from fogbank.front.deadline import Deadline
from fogbank.front.fetch import Fetch
from fogbank.front.refusals import BadEvent, HostNotAllowed, TimedOut
from fogbank.front.urls import AllowedHosts
from fogbank.ops.certificates import Authority
from front.internet import wire
from front.pictures import png

HOST = "images.example.com"
PUBLIC = "93.184.215.14"

Serve = Callable[[socket.socket], None]


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority(datetime.now(UTC))  # noqa: TID251 - certificates are checked by the real clock


class Server:
    """Takes connections, each in a thread. serve: what is done with one."""

    def __init__(self, serve: Serve) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.ended = threading.Event()
        self._serve = serve
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._answer, args=(connection,))
            self._threads.append(thread)
            thread.start()

    def _answer(self, connection: socket.socket) -> None:
        # The client goes away in the middle, as it should.
        with connection, contextlib.suppress(OSError):
            self._serve(connection)

    def stop(self) -> None:
        self.ended.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(timeout=10)


Start = Callable[[Serve], Server]


@pytest.fixture
def start() -> Iterator[Start]:
    servers: list[Server] = []

    def start_one(serve: Serve) -> Server:
        servers.append(Server(serve))
        return servers[-1]

    yield start_one
    for server in servers:
        server.stop()


class Rerouted:
    """Connects to a port of this machine whenever a public address is asked for."""

    def __init__(self, port: int, authority: Authority | None) -> None:
        context = ssl.create_default_context(cadata=authority.pem if authority else None)
        self._connect = TlsConnect(context)
        self._port = port
        self.num_connections = 0

    def __call__(self, address: str, port: int, host: str, timeout_s: float) -> Stream:
        assert address == PUBLIC
        self.num_connections += 1
        return self._connect("127.0.0.1", self._port, host, timeout_s)


def at_a_public_address(host: str, port: int, timeout_s: float) -> Sequence[str]:
    return [PUBLIC]


def fetch_with(connect: Rerouted) -> Fetch:
    return Fetch(AllowedHosts([HOST]), 100_000, resolve=at_a_public_address, connect=connect)


def speaks_tls(
    authority: Authority, answer: Callable[[ssl.SSLSocket], None], name: str = HOST
) -> Serve:
    def serve(connection: socket.socket) -> None:
        with authority.context(name).wrap_socket(connection, server_side=True) as secured:
            request = b""
            while b"\r\n\r\n" not in request:
                request += secured.recv(1 << 16)
            answer(secured)

    return serve


def test_a_picture_over_tls(start: Start, authority: Authority) -> None:
    server = start(speaks_tls(authority, lambda secured: secured.sendall(wire({}))))
    connect = Rerouted(server.port, authority)
    content = fetch_with(connect)(f"https://{HOST}/dog.png", Deadline(10, "fetching"))
    assert content == png()
    assert connect.num_connections == 1


@pytest.mark.parametrize("name", ["evil.example", "example.com"])
def test_the_certificate_has_to_be_the_hosts(name: str, start: Start, authority: Authority) -> None:
    server = start(speaks_tls(authority, lambda secured: secured.sendall(wire({})), name))
    with pytest.raises(BadEvent) as caught:
        fetch_with(Rerouted(server.port, authority))(f"https://{HOST}/", Deadline(10, "fetching"))
    assert isinstance(caught.value.__cause__, ssl.SSLCertVerificationError)


def test_the_certificate_has_to_be_signed_by_somebody_known(
    start: Start, authority: Authority
) -> None:
    server = start(speaks_tls(authority, lambda secured: secured.sendall(wire({}))))
    with pytest.raises(BadEvent) as caught:
        fetch_with(Rerouted(server.port, None))(f"https://{HOST}/", Deadline(10, "fetching"))
    assert isinstance(caught.value.__cause__, ssl.SSLCertVerificationError)


def test_a_body_that_trickles_ends_in_time(start: Start, authority: Authority) -> None:
    def trickle(secured: ssl.SSLSocket) -> None:
        secured.sendall(wire({"body": "nothing", "headers": {"Content-Length": "5000"}}))
        while not server.ended.wait(0.05):
            secured.sendall(b"x")

    server = start(speaks_tls(authority, trickle))
    assert took(fetch_with(Rerouted(server.port, authority))) < 3


def test_a_handshake_that_never_ends_ends_in_time(start: Start, authority: Authority) -> None:
    def silent(connection: socket.socket) -> None:
        server.ended.wait(30)

    server = start(silent)
    assert took(fetch_with(Rerouted(server.port, authority))) < 3


def took(fetch: Fetch) -> float:
    """Seconds until a fetch with half a second of patience gives up."""
    started_s = time.monotonic()  # noqa: TID251 - real servers take real time
    with pytest.raises(TimedOut, match=r"longer than 0\.5 s"):
        fetch(f"https://{HOST}/", Deadline(0.5, "fetching the picture"))
    return time.monotonic() - started_s  # noqa: TID251


def test_the_real_resolver_and_the_real_connection_refuse_this_machine() -> None:
    fetch = Fetch(AllowedHosts(["localhost"]), 1000, resolve=resolve, connect=TlsConnect())
    with pytest.raises(HostNotAllowed):
        fetch("https://localhost/", Deadline(10, "fetching"))


def test_the_real_resolver() -> None:
    assert set(resolve("localhost", 443, 10)) <= {"127.0.0.1", "::1"}
    with pytest.raises(OSError):
        resolve("no-such-name.invalid", 443, 10)
