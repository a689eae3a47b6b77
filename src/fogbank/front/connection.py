"""Names to addresses, addresses to TLS connections. Each goes where the caller says, no further."""

from __future__ import annotations

import queue
import socket
import ssl
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


class Stream(Protocol):
    """The part of a connected TLS socket that is used."""

    def settimeout(self, value: float | None, /) -> None: ...

    def recv_into(self, buffer: WriteableBuffer, /) -> int: ...

    def sendall(self, data: bytes, /) -> None: ...

    def close(self) -> None: ...


class Resolve(Protocol):
    """All addresses of a name. OSError: it has none. TimeoutError."""

    def __call__(self, host: str, port: int, timeout_s: float) -> Sequence[str]: ...


class Connect(Protocol):
    """A TLS connection to that very address, whose certificate is good for `host`. OSError
    (also for a certificate), TimeoutError."""

    def __call__(self, address: str, port: int, host: str, timeout_s: float) -> Stream: ...


def resolve(host: str, port: int, timeout_s: float) -> Sequence[str]:
    """The system's resolver knows no time-out: it is asked in a thread and left there when it takes
    too long."""
    answers: queue.SimpleQueue[list[str] | OSError] = queue.SimpleQueue()

    def ask() -> None:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            answers.put(list(dict.fromkeys(str(item[4][0]) for item in found)))
        except OSError as error:
            answers.put(error)

    threading.Thread(target=ask, name="resolve", daemon=True).start()
    try:
        answer = answers.get(timeout=timeout_s)
    except queue.Empty:
        raise TimeoutError(f"no answer for {host} in {timeout_s:g} s") from None
    if isinstance(answer, OSError):
        raise answer
    return answer


class TlsConnect:
    """context: which certificates are good; by default those that the system trusts."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self._context = context or ssl.create_default_context()

    def __call__(self, address: str, port: int, host: str, timeout_s: float) -> Stream:
        connection = socket.create_connection((address, port), timeout=timeout_s)
        try:
            # The whole handshake ends within the socket's time-out, not each read of it.
            return self._context.wrap_socket(connection, server_hostname=host)
        except BaseException:
            connection.close()
            raise
