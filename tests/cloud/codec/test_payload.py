"""Bodies are unframed and verified as they stream by; nothing that was changed gets through."""

from __future__ import annotations

import hmac
from collections.abc import AsyncIterator, Iterable
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fogbank.cloud.codec.payload import VerifiedBody
from fogbank.cloud.codec.sigv4 import Signature, read_signature, signing_key, verify
from fogbank.cloud.context import Headers, Request
from fogbank.cloud.errors import ServiceError

# "Example: PUT object with chunked upload", Amazon S3 API Reference.
SECRET_KEY = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
SEED = "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9"
FIRST = "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648"
SECOND = "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497"
LAST = "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9"
SIGNED = "content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;"
SIGNED += "x-amz-decoded-content-length;x-amz-storage-class"


def request(body: bytes, headers: dict[str, str], *, piece_bytes: int = 1000) -> Request:
    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(body), piece_bytes):
            yield body[start : start + piece_bytes]

    return Request("PUT", "/b/k", "", Headers(tuple(headers.items())), pieces)


def published(body: bytes, *, length: int = 66560) -> Request:
    scope = "AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request"
    headers = {
        "host": "s3.amazonaws.com",
        "x-amz-date": "20130524T000000Z",
        "x-amz-storage-class": "REDUCED_REDUNDANCY",
        "authorization": f"AWS4-HMAC-SHA256 Credential={scope},"
        f"SignedHeaders={SIGNED},Signature={SEED}",
        "x-amz-content-sha256": "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
        "content-encoding": "aws-chunked",
        "x-amz-decoded-content-length": str(length),
        "content-length": "66824",
    }
    return replace(request(body, headers), raw_path="/examplebucket/chunkObject.txt")


def framed(chunks: Iterable[tuple[bytes, str]]) -> bytes:
    return b"".join(
        f"{len(data):x};chunk-signature={seal}\r\n".encode() + data + b"\r\n"
        for data, seal in chunks
    )


GOOD = [(b"a" * 65536, FIRST), (b"a" * 1024, SECOND), (b"", LAST)]


async def content(sent: Request, secret_key: str = SECRET_KEY) -> bytes:
    body = VerifiedBody(sent, read_signature(sent), secret_key)
    return b"".join([piece async for piece in body])


async def refusal(sent: Request) -> str:
    with pytest.raises(ServiceError) as caught:
        await content(sent)
    return caught.value.code


@pytest.mark.docs
async def test_the_published_chunked_upload() -> None:
    sent = published(framed(GOOD))
    signature = read_signature(sent)
    assert signature is not None
    verify(signature, SECRET_KEY, sent, datetime(2013, 5, 24, tzinfo=UTC))
    body = VerifiedBody(sent, signature, SECRET_KEY)
    assert body.decoded_length == 66560
    assert b"".join([piece async for piece in body]) == b"a" * 66560


@pytest.mark.docs
async def test_a_changed_chunk_is_refused() -> None:
    changed = [(b"b" + b"a" * 65535, FIRST), *GOOD[1:]]
    assert await refusal(published(framed(changed))) == "SignatureDoesNotMatch"
    swapped = [GOOD[1], GOOD[0], GOOD[2]]
    assert await refusal(published(framed(swapped))) == "SignatureDoesNotMatch"
    with pytest.raises(ServiceError):
        await content(published(framed(GOOD)), "another secret")


@pytest.mark.docs
async def test_a_body_cut_short_is_incomplete() -> None:
    whole = framed(GOOD)
    for length in (10, 60_000, 66_000, len(whole) - 95):
        assert await refusal(published(whole[:length])) == "IncompleteBody"
    # Whole chunks are missing: the last one, or the length announced.
    assert await refusal(published(framed(GOOD[:2]))) == "IncompleteBody"
    assert await refusal(published(whole, length=66561)) == "IncompleteBody"
    assert await refusal(published(whole, length=66559)) == "IncompleteBody"


async def test_a_frame_without_its_signature_is_refused() -> None:
    assert await refusal(published(b"5\r\nhello\r\n0\r\n\r\n", length=5)) == "IncompleteBody"


def unsigned(frames: bytes, length: int, **more: str) -> Request:
    headers = {
        "x-amz-content-sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
        "x-amz-decoded-content-length": str(length),
        **{name.replace("_", "-"): value for name, value in more.items()},
    }
    return request(frames, headers, piece_bytes=3)


@pytest.mark.docs
async def test_trailers_are_read() -> None:
    frames = b"5\r\nhello\r\n3\r\nyou\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n"
    sent = unsigned(frames, 8, x_amz_trailer="x-amz-checksum-crc32")
    body = VerifiedBody(sent, None, "")
    assert b"".join([piece async for piece in body]) == b"helloyou"
    assert body.trailers == {"x-amz-checksum-crc32": "AAAAAA=="}


@pytest.mark.docs
async def test_an_announced_trailer_must_come() -> None:
    sent = unsigned(b"0\r\n\r\n", 0, x_amz_trailer="x-amz-checksum-crc32")
    assert await refusal(sent) == "MalformedTrailerError"
    assert await refusal(unsigned(b"0\r\nnonsense\r\n\r\n", 0)) == "MalformedTrailerError"


@pytest.mark.docs
@pytest.mark.parametrize("tampered", [False, True])
async def test_signed_trailers(tampered: bool) -> None:
    kind = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
    signature = Signature(
        "AKID", datetime(2026, 1, 2, tzinfo=UTC), "20260102T000000Z", "us-east-1", "s3",
        ("host",), "0" * 64, kind, None, False,
    )  # fmt: skip
    previous, empty = signature.signature, sha256(b"").hexdigest()

    def seal(kind: str, *digests: str) -> str:
        nonlocal previous
        parts = (kind, signature.timestamp, signature.scope, previous, *digests)
        key = signing_key(signature, SECRET_KEY)
        previous = hmac.new(key, "\n".join(parts).encode(), sha256).hexdigest()
        return previous

    chunks = []
    for data in (b"hello", b""):
        chunks.append((data, seal("AWS4-HMAC-SHA256-PAYLOAD", empty, sha256(data).hexdigest())))
    trailer = b"x-amz-checksum-crc32:NhCmhg==\n"
    last = seal("AWS4-HMAC-SHA256-TRAILER", sha256(trailer).hexdigest())
    frames = framed(chunks)[:-2] + b"x-amz-checksum-crc32:NhCmhg==\r\n"
    frames += f"x-amz-trailer-signature:{last}\r\n\r\n".encode()
    if tampered:
        frames = frames.replace(b"NhCmhg==", b"AhCmhg==")
    sent = request(frames, {"x-amz-content-sha256": kind, "x-amz-decoded-content-length": "5"})
    body = VerifiedBody(sent, signature, SECRET_KEY)
    if tampered:
        with pytest.raises(ServiceError, match="SignatureDoesNotMatch"):
            _ = [piece async for piece in body]
    else:
        assert b"".join([piece async for piece in body]) == b"hello"
        assert body.trailers == {"x-amz-checksum-crc32": "NhCmhg=="}


def plain(body: bytes, declared: str, **headers: Any) -> Request:
    return request(body, {"x-amz-content-sha256": declared, **headers})


@pytest.mark.docs
async def test_a_whole_hash_is_checked_at_the_end() -> None:
    large = b"x" * 600_000
    digest = sha256(large).hexdigest()
    assert await content(request(large, {"x-amz-content-sha256": digest}, piece_bytes=300_000))
    assert await refusal(plain(large[:-1], digest)) == "XAmzContentSHA256Mismatch"
    assert await content(plain(b"anything", "UNSIGNED-PAYLOAD")) == b"anything"


async def test_a_body_shorter_than_announced_is_incomplete() -> None:
    sent = plain(b"abc", "UNSIGNED-PAYLOAD", **{"content-length": "4"})
    assert await refusal(sent) == "IncompleteBody"


async def test_a_body_already_read_is_used() -> None:
    sent = replace(unsigned(b"", 5), body=b"5\r\nhello\r\n0\r\n\r\n")
    assert await content(sent) == b"hello"


async def test_a_streaming_word_that_nobody_knows_is_refused() -> None:
    sent = plain(b"", "STREAMING-AWS4-ECDSA", **{"x-amz-decoded-content-length": "0"})
    assert await refusal(sent) == "InvalidArgument"


@given(frames=st.binary(max_size=300), piece_bytes=st.integers(1, 50))
async def test_noise_is_refused_and_never_crashes(frames: bytes, piece_bytes: int) -> None:
    sent = unsigned(frames, 100_000)
    assert await refusal(sent) in ("IncompleteBody", "MalformedTrailerError")


@given(chunks=st.lists(st.binary(min_size=1, max_size=90)), piece_bytes=st.integers(1, 40))
async def test_framing_changes_nothing(chunks: list[bytes], piece_bytes: int) -> None:
    frames = b"".join(f"{len(data):X}\r\n".encode() + data + b"\r\n" for data in chunks)
    whole = b"".join(chunks)
    headers = {
        "x-amz-content-sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
        "x-amz-decoded-content-length": str(len(whole)),
    }
    assert await content(request(frames + b"0\r\n\r\n", headers, piece_bytes=piece_bytes)) == whole
