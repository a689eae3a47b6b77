"""Checksums of S3 objects: pieces of bytes in, base64 text out; parts combined into one.

The algorithms are those of the `ChecksumAlgorithm` enumeration of S3's model. CRCs are big-endian
in base64; a FULL_OBJECT CRC of a multipart upload is computed from the parts' CRCs without reading
the bytes again; a COMPOSITE one is the hash of the parts' hashes, with the number of parts behind
a dash (Amazon S3 User Guide, "Checking object integrity").
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Sequence
from typing import Protocol

from awscrt import checksums as crt

DEFAULT_ALGORITHM = "CRC64NVME"
"""What S3 computes where the client names no algorithm."""


class Digest(Protocol):
    """A checksum that is fed piece by piece."""

    def update(self, piece: bytes) -> None: ...

    def digest(self) -> bytes: ...


class _Crc:
    def __init__(self, function: Callable[[bytes, int], int], width_bytes: int) -> None:
        self._function = function
        self._width_bytes = width_bytes
        self._value = 0

    def update(self, piece: bytes) -> None:
        self._value = self._function(piece, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(self._width_bytes, "big")


class _XxHash:
    def __init__(self, state: crt.XXHash) -> None:
        self._state = state

    def update(self, piece: bytes) -> None:
        self._state.update(piece)

    def digest(self) -> bytes:
        return bytes(self._state.finalize())


ALGORITHMS: dict[str, Callable[[], Digest]] = {
    "CRC32": lambda: _Crc(crt.crc32, 4),
    "CRC32C": lambda: _Crc(crt.crc32c, 4),
    "CRC64NVME": lambda: _Crc(crt.crc64nvme, 8),
    "SHA1": lambda: hashlib.sha1(usedforsecurity=False),
    "SHA256": hashlib.sha256,
    "SHA512": hashlib.sha512,
    "MD5": lambda: hashlib.md5(usedforsecurity=False),
    "XXHASH64": lambda: _XxHash(crt.XXHash.new_xxhash64()),
    "XXHASH3": lambda: _XxHash(crt.XXHash.new_xxhash3_64()),
    "XXHASH128": lambda: _XxHash(crt.XXHash.new_xxhash3_128()),
}

_COMBINE: dict[str, Callable[[int, int, int], int]] = {
    "CRC32": crt.combine_crc32,
    "CRC32C": crt.combine_crc32c,
    "CRC64NVME": crt.combine_crc64nvme,
}

FULL_OBJECT_ALGORITHMS = frozenset(_COMBINE)
"""Algorithms whose checksum of a whole follows from those of its parts."""

COMPOSITE_ALGORITHMS = frozenset(ALGORITHMS) - {"CRC64NVME"}


def width_bytes(algorithm: str) -> int:
    """How long a checksum of `algorithm` is, before base64."""
    return len(ALGORITHMS[algorithm]().digest())


def encode(digest: bytes) -> str:
    return base64.b64encode(digest).decode()


def of(algorithm: str, content: bytes) -> str:
    """The checksum of bytes that are at hand."""
    digest = ALGORITHMS[algorithm]()
    digest.update(content)
    return encode(digest.digest())


def full_object(algorithm: str, parts: Sequence[tuple[str, int]]) -> str:
    """The CRC of the concatenation of parts, given (CRC in base64, size in bytes) of each."""
    combine = _COMBINE[algorithm]
    width = width_bytes(algorithm)
    value = 0
    for text, size_bytes in parts:
        value = combine(value, int.from_bytes(base64.b64decode(text), "big"), size_bytes)
    return encode(value.to_bytes(width, "big"))


def composite(algorithm: str, parts: Sequence[str]) -> str:
    """The checksum of the parts' checksums, `-N` behind it."""
    joined = b"".join(base64.b64decode(text) for text in parts)
    return f"{of(algorithm, joined)}-{len(parts)}"


def multipart_etag(md5s: Sequence[str]) -> str:
    """The ETag of a multipart object: the MD5 of the parts' MD5s (hex in), `-N` behind it."""
    joined = b"".join(bytes.fromhex(md5) for md5 in md5s)
    return f"{hashlib.md5(joined, usedforsecurity=False).hexdigest()}-{len(md5s)}"
