"""Checksums that a request declares, and what to do where they do not hold.

A declaration comes as a header (`x-amz-checksum-ALGORITHM`, `Content-MD5`) or behind the body as a
trailer. Without one, S3 computes CRC64NVME by itself.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass

from fogbank.cloud.context import Context, Params
from fogbank.cloud.errors import ServiceError
from fogbank.cloud.services.s3 import errors
from fogbank.cloud.state import objects_checksums as checksums
from fogbank.cloud.state.objects_content import Content
from fogbank.cloud.state.objects_rows import Checksum

MEMBERS: Mapping[str, str] = {name: f"Checksum{name}" for name in checksums.ALGORITHMS}
"""Algorithm -> the member of the request and of the answer that carries its value."""


def header_name(algorithm: str) -> str:
    return f"x-amz-checksum-{algorithm.lower()}"


@dataclass(frozen=True, slots=True)
class Declaration:
    """algorithm: what to compute. value: what the client says it is, in base64; None where it comes
    as a trailer or not at all. explicit: the client has named the algorithm."""

    algorithm: str
    value: str | None
    explicit: bool
    md5: str | None

    def check(self, content: Content, trailers: Mapping[str, str]) -> None:
        """Raises BadDigest where the body is not what the client meant to send."""
        if self.md5 is not None and self.md5 != content.md5:
            raise errors.bad_digest("The Content-MD5 you specified did not match what we received.")
        header = header_name(self.algorithm)
        value = self.value
        if value is None and header in trailers:
            value = _checked(self.algorithm, trailers[header])
        if value is not None and value != content.checksums[self.algorithm]:
            raise errors.bad_digest(
                f"The {self.algorithm} you specified did not match the calculated checksum."
            )


def declared(context: Context, params: Params, *, default: str) -> Declaration:
    """What the client declares about the body that it sends. `default`: the algorithm where it
    names none. Raises InvalidRequest and InvalidDigest for declarations that make no sense."""
    values = {name: params[member] for name, member in MEMBERS.items() if params.get(member)}
    if len(values) > 1:
        raise errors.invalid_request(
            "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed."
        )
    md5 = content_md5(params.get("ContentMD5"))
    if values:
        ((algorithm, value),) = values.items()
        return Declaration(algorithm, _checked(algorithm, value), True, md5)
    announced = _announced(context)
    if announced is not None:
        return Declaration(announced, None, True, md5)
    if context.request.headers.get("x-amz-sdk-checksum-algorithm"):
        raise errors.invalid_request(
            "x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or "
            "x-amz-trailer headers were found."
        )
    return Declaration(default, None, False, md5)


def _announced(context: Context) -> str | None:
    """The algorithm whose value follows as a trailer."""
    trailers = context.request.headers.get("x-amz-trailer").lower()
    for algorithm in checksums.ALGORITHMS:
        if header_name(algorithm) in [name.strip() for name in trailers.split(",")]:
            return algorithm
    return None


def _checked(algorithm: str, value: str) -> str:
    try:
        valid = len(base64.b64decode(value, validate=True)) == checksums.width_bytes(algorithm)
    except binascii.Error:
        valid = False
    if not valid:
        raise errors.invalid_request(f"Value for {header_name(algorithm)} header is invalid.")
    return value


def content_md5(header: str | None) -> str | None:
    """A Content-MD5 header as hexadecimal digits. Raises InvalidDigest."""
    if header is None:
        return None
    try:
        digest = base64.b64decode(header, validate=True)
    except binascii.Error:
        digest = b""
    if len(digest) != 16:
        raise ServiceError("InvalidDigest", "The Content-MD5 you specified was invalid.")
    return digest.hex()


def check_document(context: Context) -> None:
    """Verify the checksum headers of a request whose body is a document, not an object."""
    body, headers = context.request.body, context.request.headers
    if body is None or "aws-chunked" in headers.get("content-encoding"):
        return
    md5 = content_md5(headers.get("content-md5") or None)
    if md5 is not None and base64.b64decode(checksums.of("MD5", body)).hex() != md5:
        raise errors.bad_digest("The Content-MD5 you specified did not match what we received.")
    for algorithm in checksums.ALGORITHMS:
        value = headers.get(header_name(algorithm))
        if value and _checked(algorithm, value) != checksums.of(algorithm, body):
            raise errors.bad_digest(
                f"The {algorithm} you specified did not match the calculated checksum."
            )


def members(checksum: Checksum | None) -> dict[str, str]:
    """A stored checksum as members of an answer."""
    if checksum is None:
        return {}
    return {MEMBERS[checksum.algorithm]: checksum.value, "ChecksumType": checksum.type}
