"""What a file says that it is, read from its first bytes: JPEG, PNG, GIF, WebP or BMP, and how many
pixels. Pure; nothing is decoded, so a bomb does not go off here.

Where a format allows a size to be said twice, a decoder may believe the other one: such files are
refused. Sources: ITU-T T.81 (JPEG), W3C PNG, GIF89a, RFC 9649 (WebP), Microsoft's bitmap headers.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass, field

from fogbank.front.refusals import NotAPicture, TooLarge

_MAX_SEGMENTS = 4096
"""Of a header. Photographs have some dozens; a file of empty ones only costs time."""

Size = tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A file that is a picture as far as its header says; whether its pixels are good, the model's
    decoder finds out."""

    content: bytes = field(repr=False)
    content_type: str
    width: int
    height: int


def check_picture(content: bytes, max_pixels: int) -> Picture:
    """Raises NotAPicture, or TooLarge for one that would decode to more than `max_pixels`."""
    known = next((form for form in _FORMATS if content.startswith(form.magic)), None)
    if known is None:
        raise NotAPicture("this is not a picture: send JPEG, PNG, GIF, WebP or BMP")
    width, height = known.measure(_Bytes(content))
    if width < 1 or height < 1:
        raise NotAPicture("the picture is damaged: it has no pixels")
    if width * height > max_pixels:
        raise TooLarge(
            f"the picture has {width} x {height} pixels; {max_pixels:,} in all are allowed"
        )
    return Picture(content=content, content_type=known.content_type, width=width, height=height)


class _Bytes:
    """Numbers at offsets; an offset behind the end is a damaged picture, not an IndexError."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def at(self, offset: int, length: int) -> bytes:
        found = self._content[offset : offset + length]
        if len(found) < length:
            raise NotAPicture("the picture is damaged: it ends in its header")
        return found

    def big(self, offset: int, length: int) -> int:
        return int.from_bytes(self.at(offset, length), "big")

    def little(self, offset: int, length: int, *, signed: bool = False) -> int:
        return int.from_bytes(self.at(offset, length), "little", signed=signed)


def _damaged(what: str) -> NotAPicture:
    return NotAPicture(f"the picture is damaged: {what}")


_FRAME_HEADERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_ALONE = frozenset({0x01, *range(0xD0, 0xD8)})
"""JPEG markers that have no length behind them."""


def _jpeg(data: _Bytes) -> Size:
    """The frame header's, of which there may be one before the first scan."""
    size: Size | None = None
    offset = 2
    for _ in range(_MAX_SEGMENTS):
        if data.big(offset, 1) != 0xFF:
            raise _damaged("no marker where one belongs")
        marker = data.big(offset + 1, 1)
        if marker == 0xFF:  # fill
            offset += 1
            continue
        offset += 2
        if marker in _ALONE:
            continue
        if marker == 0xDA:  # the first scan: pixels begin
            if size is None:
                raise _damaged("no frame header")
            return size
        if marker in (0x00, 0xD8, 0xD9):
            raise _damaged("a marker in the wrong place")
        length = data.big(offset, 2)
        if length < 2:
            raise _damaged("a segment of impossible length")
        if marker in _FRAME_HEADERS:
            if size is not None:
                raise _damaged("two frame headers")
            size = data.big(offset + 5, 2), data.big(offset + 3, 2)
        offset += length
    raise _damaged("too many segments")


def _png(data: _Bytes) -> Size:
    size: Size | None = None
    offset = 8
    for _ in range(_MAX_SEGMENTS):
        length, kind = data.big(offset, 4), data.at(offset + 4, 4)
        if (kind == b"IHDR") != (size is None):
            raise _damaged("its first chunk, and no other, has to be IHDR")
        if kind == b"IHDR":
            header = data.at(offset + 4, 4 + 13)
            if length != 13 or data.big(offset + 21, 4) != zlib.crc32(header):
                raise _damaged("its IHDR is not as it was written")
            size = data.big(offset + 8, 4), data.big(offset + 12, 4)
        if kind == b"IDAT" and size is not None:
            return size
        if kind == b"IEND":
            raise _damaged("no pixels")
        offset += 12 + length
    raise _damaged("too many chunks")


def _gif(data: _Bytes) -> Size:
    """The screen's, or the first frame's where that is larger: decoders enlarge the screen."""
    width, height, flags = data.little(6, 2), data.little(8, 2), data.big(10, 1)
    offset = 13 + (3 << ((flags & 7) + 1) if flags & 0x80 else 0)
    for _ in range(_MAX_SEGMENTS):
        block = data.big(offset, 1)
        if block == 0x2C:
            left, top = data.little(offset + 1, 2), data.little(offset + 3, 2)
            right, bottom = left + data.little(offset + 5, 2), top + data.little(offset + 7, 2)
            if right == left or bottom == top:
                raise _damaged("its first frame has no pixels")
            return max(width, right), max(height, bottom)
        if block != 0x21:
            raise _damaged("no frame where one belongs")
        offset = _after_sub_blocks(data, offset + 2)
    raise _damaged("too many blocks")


def _after_sub_blocks(data: _Bytes, offset: int) -> int:
    for _ in range(_MAX_SEGMENTS):
        length = data.big(offset, 1)
        offset += 1 + length
        if length == 0:
            return offset
    raise _damaged("too many blocks")


def _webp(data: _Bytes) -> Size:
    kind = data.at(12, 4)
    if data.at(8, 4) != b"WEBP":
        raise NotAPicture("this is a RIFF file, but no picture")
    if kind == b"VP8X":
        return data.little(24, 3) + 1, data.little(27, 3) + 1
    if kind == b"VP8L":
        if data.big(20, 1) != 0x2F:
            raise _damaged("no lossless signature")
        bits = data.little(21, 4)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8 ":
        if data.at(23, 3) != b"\x9d\x01\x2a":
            raise _damaged("no key frame")
        return data.little(26, 2) & 0x3FFF, data.little(28, 2) & 0x3FFF
    raise _damaged("an unknown kind of WebP")


def _bmp(data: _Bytes) -> Size:
    header = data.little(14, 4)
    if header == 12:
        return data.little(18, 2), data.little(20, 2)
    if header in (40, 52, 56, 64, 108, 124):
        # A negative height means that the first row is the upper one.
        return data.little(18, 4, signed=True), abs(data.little(22, 4, signed=True))
    raise _damaged("a header of unknown length")


@dataclass(frozen=True, slots=True)
class _Format:
    magic: bytes
    content_type: str
    measure: Callable[[_Bytes], Size]


_FORMATS = (
    _Format(b"\xff\xd8\xff", "image/jpeg", _jpeg),
    _Format(b"\x89PNG\r\n\x1a\n", "image/png", _png),
    _Format(b"GIF87a", "image/gif", _gif),
    _Format(b"GIF89a", "image/gif", _gif),
    _Format(b"RIFF", "image/webp", _webp),
    _Format(b"BM", "image/bmp", _bmp),
)
