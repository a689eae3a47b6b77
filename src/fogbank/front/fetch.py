"""Fetch a picture from an address that a stranger gave.

Every hop - the first and each redirect - is parsed, looked up in the list, resolved once, checked
(all of its addresses) and then connected to at an address that was checked: a name that changes its
mind between the check and the connection changes nothing.
"""

from __future__ import annotations

import http.client
import io
from typing import TYPE_CHECKING, Any, cast

from fogbank.front.addresses import is_public
from fogbank.front.connection import Connect, Resolve, Stream
from fogbank.front.deadline import Deadline
from fogbank.front.refusals import BadEvent, HostNotAllowed, NotAPicture, TooLarge
from fogbank.front.urls import AllowedHosts, Target, follow, parse

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

MAX_REDIRECTS = 3

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_CHUNK_BYTES = 64 * 1024
_TYPES = frozenset(
    {
        "image/bmp",
        "image/gif",
        "image/jpeg",
        "image/jpg",
        "image/png",
        "image/webp",
        "image/x-ms-bmp",
        "application/octet-stream",
        "binary/octet-stream",  # what S3 says of an object that nobody gave a type
    }
)


class Fetch:
    """Gets pictures. allowed: from where. max_bytes: how large one may be."""

    def __init__(
        self, allowed: AllowedHosts, max_bytes: int, *, resolve: Resolve, connect: Connect
    ) -> None:
        self._allowed = allowed
        self._max_bytes = max_bytes
        self._resolve = resolve
        self._connect = connect

    def __call__(self, url: str, deadline: Deadline) -> bytes:
        """The bytes behind `url`, as they came.

        Raises BadEvent, HostNotAllowed, TooLarge, NotAPicture (by its content type), TimedOut.
        """
        target = parse(url)
        for _ in range(1 + MAX_REDIRECTS):
            try:
                found = self._ask(target, deadline)
            except TimeoutError as error:
                raise deadline.over() from error
            except (OSError, http.client.HTTPException, ValueError) as error:
                raise BadEvent(f"{target.host} did not hand out the picture") from error
            if isinstance(found, bytes):
                return found
            target = found
        raise BadEvent(f"the address redirects more than {MAX_REDIRECTS} times")

    def _ask(self, target: Target, deadline: Deadline) -> bytes | Target:
        """The picture, or where it is instead."""
        self._allowed.check(target)
        stream = self._open(target, deadline)
        try:
            response = _request(stream, target, deadline)
            if response.status in _REDIRECTS:
                return follow(target, response.headers.get("Location", ""))
            if response.status != 200:
                raise BadEvent(f"{target.host} answered with status {response.status}")
            return self._read(response, target)
        finally:
            stream.close()

    def _open(self, target: Target, deadline: Deadline) -> Stream:
        addresses = self._resolve(target.host, target.port, deadline.remaining_s())
        refused = [address for address in addresses if not is_public(address)]
        if refused or not addresses:
            # Which one is not said: it would tell a stranger what a name means in here.
            raise HostNotAllowed(f"{target.host} is not on the public internet")
        for position, address in enumerate(addresses):
            left = len(addresses) - position
            try:
                # An address that does not answer leaves the next ones their share of the time.
                return self._connect(
                    address, target.port, target.host, timeout_s=deadline.remaining_s() / left
                )
            except OSError:
                if left == 1:
                    raise
        raise AssertionError("there is at least one address")

    def _read(self, response: http.client.HTTPResponse, target: Target) -> bytes:
        media_type = response.headers.get_content_type()
        if "Content-Type" not in response.headers or media_type not in _TYPES:
            raise NotAPicture(f"{target.host} calls it {media_type}, which is not a picture")
        if response.headers.get("Content-Encoding", "identity").strip().lower() != "identity":
            # It was asked for as it is; what unpacks to a thousand times its size is not unpacked.
            raise NotAPicture(f"{target.host} sent it compressed")
        if len(set(response.headers.get_all("Content-Length", []))) > 1:
            raise BadEvent(f"{target.host} gave two different lengths")
        announced = response.length
        if announced is not None and announced > self._max_bytes:
            raise self._too_large()
        body = bytearray()
        while len(body) <= self._max_bytes:
            chunk = response.read(min(_CHUNK_BYTES, self._max_bytes + 1 - len(body)))
            if not chunk:
                break
            body += chunk
        if len(body) > self._max_bytes:
            raise self._too_large()
        if announced is not None and len(body) < announced:
            raise BadEvent(f"{target.host} broke off")
        return bytes(body)

    def _too_large(self) -> TooLarge:
        return TooLarge(f"the picture is larger than {self._max_bytes:,} bytes")


def _request(stream: Stream, target: Target, deadline: Deadline) -> http.client.HTTPResponse:
    stream.settimeout(deadline.remaining_s())
    stream.sendall(
        (
            f"GET {target.resource} HTTP/1.1\r\n"
            f"Host: {target.authority}\r\n"
            "User-Agent: fogbank-front\r\n"
            "Accept: image/*\r\n"
            "Accept-Encoding: identity\r\n"
            "Connection: close\r\n\r\n"
        ).encode("ascii")
    )
    response = http.client.HTTPResponse(cast("Any", _Readable(stream, deadline)), method="GET")
    response.begin()
    return response


class _Readable:
    """What an HTTPResponse wants of a socket: a file to read."""

    def __init__(self, stream: Stream, deadline: Deadline) -> None:
        self._stream = stream
        self._deadline = deadline

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(_TimedReader(self._stream, self._deadline))


class _TimedReader(io.RawIOBase):
    """Reads until the deadline, however many reads that takes."""

    def __init__(self, stream: Stream, deadline: Deadline) -> None:
        self._stream = stream
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        self._stream.settimeout(self._deadline.remaining_s())
        return self._stream.recv_into(buffer)
