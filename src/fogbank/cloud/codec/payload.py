"""A request's body in, its content out: unframed, verified, in constant memory.

Three ways to sign a body: one hash over all of it, no hash, or aws-chunked framing
(`SIZE[;chunk-signature=...]CRLF data CRLF ... 0 CRLF trailers CRLF`) whose chunks may be signed
one by one. Source: "Authenticating Requests: Transferring Payload in Multiple Chunks" and "... with
trailing headers", Amazon S3 API Reference.
"""

from __future__ import annotations

import asyncio
import hmac
import re
from collections.abc import AsyncIterator
from hashlib import sha256
from typing import Protocol

from fogbank.cloud.codec import refusals
from fogbank.cloud.codec.sigv4 import EMPTY_SHA256, Signature, signing_key
from fogbank.cloud.context import BodyStream, Request
from fogbank.cloud.errors import ServiceError

_THREAD_BYTES = 256 * 1024  # hashing this much takes 0.2 ms or more: worth a thread
_MAX_LINE_BYTES = 16 * 1024
_MAX_TRAILERS = 16
_CHUNK_HEAD = re.compile(rb"^([0-9a-fA-F]{1,15})(?:;chunk-signature=([0-9a-f]{64}))?$")


class VerifiedBody:
    """The content of a request's body, in pieces.

    trailers:        headers that came after the body, filled when the last piece has been given.
    decoded_length:  bytes of content, where the request says; None where it does not.

    Iterating raises ServiceError: XAmzContentSHA256Mismatch, SignatureDoesNotMatch (a chunk),
    IncompleteBody (less or more than announced), MalformedTrailerError. What was given before the
    end is not verified until the end: keep nothing of it where this raises.
    """

    def __init__(self, request: Request, signature: Signature | None, secret_key: str) -> None:
        self.trailers: dict[str, str] = {}
        self._request = request
        self._signature = signature
        self._secret_key = secret_key
        declared = request.headers.get("x-amz-content-sha256")
        self._kind = signature.payload_hash if signature is not None else declared
        if signature is not None and signature.presigned and declared.startswith("STREAMING-"):
            self._kind = declared
        self._chunked = self._kind.startswith("STREAMING-")
        name = "x-amz-decoded-content-length" if self._chunked else "content-length"
        length = request.headers.get(name)
        self.decoded_length = int(length) if _is_length(length) else None
        if self._chunked and self.decoded_length is None:
            raise ServiceError(
                "MissingContentLength",
                "You must provide the Content-Length HTTP header.",
                status=411,
            )

        self._pieces = self._counted(self._unframed() if self._chunked else self._plain())

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        return await anext(self._pieces)

    def _source(self) -> BodyStream:
        body = self._request.body
        return self._request.receive() if body is None else _once(body)

    async def _counted(self, pieces: BodyStream) -> AsyncIterator[bytes]:
        seen = 0
        async for piece in pieces:
            seen += len(piece)
            if self.decoded_length is not None and seen > self.decoded_length:
                raise _incomplete()
            if piece:
                yield piece
        if self.decoded_length is not None and seen != self.decoded_length:
            raise _incomplete()

    async def _plain(self) -> AsyncIterator[bytes]:
        hashed = re.match(r"^[0-9a-f]{64}$", self._kind) is not None
        digest = sha256()
        async for piece in self._source():
            if hashed:
                await _update(digest, piece)
            yield piece
        if hashed and not hmac.compare_digest(digest.hexdigest(), self._kind):
            raise refusals.body_mismatch(self._kind, digest.hexdigest())

    async def _unframed(self) -> AsyncIterator[bytes]:
        reader = _Reader(self._source())
        seals = self._seals()
        while True:
            found = _CHUNK_HEAD.match(await reader.line())
            if found is None or (found[2] is None) != (seals is None):
                raise _incomplete()
            size = int(found[1], 16)
            digest = sha256()
            async for piece in reader.exactly(size):
                if seals is not None:
                    await _update(digest, piece)
                yield piece
            if seals is not None:
                seals.chunk(digest.hexdigest(), (found[2] or b"").decode())
            if size == 0:
                break
            if await reader.line():
                raise _incomplete()
        await self._read_trailers(reader, seals)

    async def _read_trailers(self, reader: _Reader, seals: _Seals | None) -> None:
        """`name:value` lines up to an empty one; a signed body signs them too."""
        signed, seal = b"", ""
        while line := await reader.line(at_end=True):
            name, separator, value = line.partition(b":")
            key = name.strip().lower().decode("latin-1")
            if not separator or len(self.trailers) == _MAX_TRAILERS:
                raise _bad_trailer()
            if key == "x-amz-trailer-signature":
                seal = value.strip().decode("latin-1")
            else:
                self.trailers[key] = value.strip().decode("latin-1")
                signed += key.encode("latin-1") + b":" + value.strip() + b"\n"
        if seals is not None and self._kind.endswith("-TRAILER"):
            seals.trailer(sha256(signed).hexdigest(), seal)
        announced = self._request.headers.get("x-amz-trailer").lower().split(",")
        if any(name.strip() and name.strip() not in self.trailers for name in announced):
            raise _bad_trailer()

    def _seals(self) -> _Seals | None:
        if self._kind == "STREAMING-UNSIGNED-PAYLOAD-TRAILER":
            return None
        known = self._kind in (
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
        )
        if self._signature is None or not known:
            raise refusals.bad_content_hash(self._kind)
        return _Seals(
            self._request, self._signature, signing_key(self._signature, self._secret_key)
        )


class _Seals:
    """Checks chunk signatures: each one signs its chunk and the signature before it."""

    def __init__(self, request: Request, signature: Signature, key: bytes) -> None:
        self._request = request
        self._signature = signature
        self._key = key
        self._previous = signature.signature

    def chunk(self, digest: str, given: str) -> None:
        self._check("AWS4-HMAC-SHA256-PAYLOAD", (EMPTY_SHA256, digest), given)

    def trailer(self, digest: str, given: str) -> None:
        self._check("AWS4-HMAC-SHA256-TRAILER", (digest,), given)

    def _check(self, kind: str, digests: tuple[str, ...], given: str) -> None:
        scope = (self._signature.timestamp, self._signature.scope)
        to_sign = "\n".join((kind, *scope, self._previous, *digests))
        expected = hmac.new(self._key, to_sign.encode(), sha256).hexdigest()
        if not hmac.compare_digest(expected.encode(), given.encode()):
            raise refusals.does_not_match(self._request, self._signature, to_sign, None)
        self._previous = expected


class _Reader:
    """Lines and counted bytes out of a stream of pieces."""

    def __init__(self, source: BodyStream) -> None:
        self._source = source
        self._buffer = bytearray()

    async def _more(self) -> bool:
        piece = await anext(self._source, None)
        self._buffer += piece or b""
        return piece is not None

    async def line(self, *, at_end: bool = False) -> bytes:
        """Up to CRLF, without it. at_end: the end of the stream counts as an empty line."""
        while (end := self._buffer.find(b"\r\n")) < 0:
            if len(self._buffer) > _MAX_LINE_BYTES:
                raise _incomplete()
            if not await self._more():
                if at_end and not self._buffer:
                    return b""
                raise _incomplete()
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 2]
        return line

    async def exactly(self, count: int) -> AsyncIterator[bytes]:
        while count:
            if not self._buffer and not await self._more():
                raise _incomplete()
            piece = bytes(self._buffer[:count])
            del self._buffer[:count]
            count -= len(piece)
            if piece:
                yield piece


class _Digest(Protocol):
    def update(self, piece: bytes, /) -> None: ...


async def _update(digest: _Digest, piece: bytes) -> None:
    if len(piece) >= _THREAD_BYTES:
        await asyncio.to_thread(digest.update, piece)
    else:
        digest.update(piece)


async def _once(body: bytes) -> AsyncIterator[bytes]:
    yield body


def _bad_trailer() -> ServiceError:
    return ServiceError(
        "MalformedTrailerError",
        "The request contained trailing data that was not well-formed or did not conform to our "
        "published schema.",
    )


def _is_length(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 16


def _incomplete() -> ServiceError:
    return ServiceError(
        "IncompleteBody",
        "You did not provide the number of bytes specified by the Content-Length HTTP header",
    )
