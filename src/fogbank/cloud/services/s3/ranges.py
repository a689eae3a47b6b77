"""Byte ranges: a header and a size in, a span out. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from fogbank.cloud.errors import ServiceError
from fogbank.cloud.services.s3 import errors

_RANGE = re.compile(r"^bytes=(\d*)-(\d*)$")
_COPY_RANGE = re.compile(r"^bytes=(\d+)-(\d+)$")


@dataclass(frozen=True, slots=True)
class Span:
    """`size_bytes` bytes from `offset` on, out of `total_bytes`."""

    offset: int
    size_bytes: int
    total_bytes: int

    @property
    def content_range(self) -> str:
        return f"bytes {self.offset}-{self.offset + self.size_bytes - 1}/{self.total_bytes}"


def requested(header: str, total_bytes: int) -> Span | None:
    """The span that a Range header asks for; None where the header is to be ignored (not a byte
    range, several ranges, backwards). Raises InvalidRange (416) for one that holds no byte."""
    match = _RANGE.match(header.replace(" ", ""))
    if match is None or not (match[1] or match[2]):
        return None
    if not match[1]:
        size_bytes = min(int(match[2]), total_bytes)
        if size_bytes == 0:
            raise _unsatisfiable(header, total_bytes)
        return Span(total_bytes - size_bytes, size_bytes, total_bytes)
    first = int(match[1])
    last = min(int(match[2]), total_bytes - 1) if match[2] else total_bytes - 1
    if match[2] and int(match[2]) < first:
        return None
    if first >= total_bytes:
        raise _unsatisfiable(header, total_bytes)
    return Span(first, last - first + 1, total_bytes)


def _unsatisfiable(header: str, total_bytes: int) -> ServiceError:
    return ServiceError(
        "InvalidRange",
        "The requested range is not satisfiable",
        status=416,
        fields={"RangeRequested": header, "ActualObjectSize": total_bytes},
        headers={"content-range": f"bytes */{total_bytes}"},
    )


def copied(header: str, total_bytes: int) -> Span:
    """The span of `x-amz-copy-source-range`, which is strict: both ends, inside the object."""
    match = _COPY_RANGE.match(header)
    if match is None or int(match[2]) < int(match[1]):
        raise errors.invalid_argument(
            "The x-amz-copy-source-range value must be of the form bytes=first-last where first "
            "and last are the zero-based offsets of the first and last bytes to copy",
            "x-amz-copy-source-range",
            header,
        )
    first, last = int(match[1]), int(match[2])
    if last >= total_bytes:
        raise errors.invalid_argument(
            f"Range specified is not valid for source object of size: {total_bytes}",
            "x-amz-copy-source-range",
            header,
        )
    return Span(first, last - first + 1, total_bytes)
