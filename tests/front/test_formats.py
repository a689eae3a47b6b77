"""Headers of pictures: what they say, and what is refused before anything is decoded."""

from __future__ import annotations

import io
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fogbank.front.formats import check_picture
from fogbank.front.refusals import NotAPicture, TooLarge
from fogbank.front.settings import MAX_PIXELS
from front import pictures

GOOD = {
    "png": (pictures.png(7, 5), "image/png", (7, 5)),
    "png with text": (
        pictures.png(before_pixels=pictures.chunk(b"tEXt", b"a\0b")),
        "image/png",
        (2, 3),
    ),
    "jpeg": (pictures.jpeg(pictures.frame_header(640, 480)), "image/jpeg", (640, 480)),
    "progressive jpeg behind EXIF with a thumbnail": (
        pictures.jpeg(
            pictures.segment(0xE1, b"Exif\0\0" + pictures.jpeg(pictures.frame_header(9, 9))),
            b"\xff\xff" + pictures.frame_header(640, 480, 0xC2)[1:],
        ),
        "image/jpeg",
        (640, 480),
    ),
    "gif": (pictures.gif(4, 3, (0, 0, 4, 3)), "image/gif", (4, 3)),
    "gif with an extension": (
        pictures.gif(4, 3, (0, 0, 4, 3), b"\x21\xfe\x03abc\x00"),
        "image/gif",
        (4, 3),
    ),
    "gif whose frame is larger than its screen": (
        pictures.gif(1, 1, (10, 10, 300, 200)),
        "image/gif",
        (310, 210),
    ),
    "webp": (pictures.webp_lossy(32, 16), "image/webp", (32, 16)),
    "webp, lossless": (pictures.webp_lossless(16384, 3), "image/webp", (16384, 3)),
    "webp, extended": (pictures.webp_extended(5000, 6000), "image/webp", (5000, 6000)),
    "bmp": (pictures.bmp(12, 34), "image/bmp", (12, 34)),
    "bmp, upper row first": (pictures.bmp(12, -34), "image/bmp", (12, 34)),
    "bmp of OS/2": (pictures.bmp_core(12, 34), "image/bmp", (12, 34)),
}


@pytest.mark.parametrize("name", GOOD)
def test_what_it_says_that_it_is(name: str) -> None:
    content, content_type, size = GOOD[name]
    found = check_picture(content, MAX_PIXELS)
    assert (found.content_type, (found.width, found.height)) == (content_type, size)
    assert found.content is content


BOMBS = {
    "png": pictures.png(50_000, 50_000),
    "png, as large as its numbers go": pictures.png(2**32 - 1, 2**32 - 1),
    "jpeg": pictures.jpeg(pictures.frame_header(65_535, 65_535)),
    "gif": pictures.gif(65_535, 65_535, (0, 0, 1, 1)),
    "gif in its frame": pictures.gif(1, 1, (0, 0, 65_535, 65_535)),
    "webp": pictures.webp_lossless(16_384, 16_384),
    "webp, extended": pictures.webp_extended(1 << 24, 1 << 24),
    "bmp": pictures.bmp(100_000, -100_000),
}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_do_not_go_off(name: str) -> None:
    with pytest.raises(TooLarge, match="pixels"):
        check_picture(BOMBS[name], MAX_PIXELS)


SMALL = pictures.frame_header(9, 9)
BAD = {
    "nothing": b"",
    "a page": b"<html></html>",
    "a drawing": b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>',
    "a zip": b"PK\x03\x04",
    "a tiff": b"II*\x00",
    "a pdf": b"%PDF-1.7",
    "sound": b"RIFF\x00\x00\x00\x00WAVEfmt ",
    "webp of an unknown kind": pictures.riff(b"VP9 ", bytes(20)),
    "webp without its signature": pictures.riff(b"VP8L", b"\x00" * 5),
    "webp that is no key frame": pictures.riff(b"VP8 ", bytes(10)),
    "png without pixels": pictures.png()[:33] + pictures.chunk(b"IEND", b""),
    "png that begins with another chunk": pictures.png()[:8] + pictures.chunk(b"IDAT", b""),
    "png with two headers": pictures.png(
        before_pixels=pictures.chunk(
            b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0)
        )
    ),
    "png whose header was changed": pictures.png()[:19] + b"\x09" + pictures.png()[20:],
    "png of 0 pixels": pictures.png(0, 5),
    "png of empty chunks": pictures.png(before_pixels=pictures.chunk(b"tEXt", b"") * 5000),
    "jpeg with two headers": pictures.jpeg(SMALL, pictures.frame_header(60_000, 60_000)),
    "jpeg without a header": pictures.jpeg(),
    "jpeg whose height comes later": pictures.jpeg(pictures.frame_header(9, 0)),
    "jpeg in a jpeg": pictures.jpeg(b"\xff\xd8", SMALL),
    "jpeg with rubbish between": pictures.jpeg(b"rubbish", SMALL),
    "jpeg with a segment of length 0": pictures.jpeg(b"\xff\xe0\x00\x00", SMALL),
    "jpeg of fill": b"\xff\xd8" + b"\xff" * 100_000,
    "jpeg that ends at once": b"\xff\xd8\xff\xd9",
    "gif without a frame": b"GIF89a" + bytes(7) + b";",
    "gif whose frame has no pixels": pictures.gif(4, 3, (0, 0, 0, 3)),
    "gif of comments": pictures.gif(1, 1, (0, 0, 1, 1), b"\x21\xfe\x00" * 5000),
    "gif of one endless comment": pictures.gif(1, 1, (0, 0, 1, 1), b"\x21\xfe" + b"\x01a" * 5000),
    "bmp of a negative width": pictures.bmp(-4, 4),
    "bmp with an unknown header": b"BM" + bytes(12) + struct.pack("<I", 41) + bytes(60),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_picture(name: str) -> None:
    with pytest.raises(NotAPicture):
        check_picture(BAD[name], MAX_PIXELS)


@given(content=st.sampled_from([item[0] for item in GOOD.values()]), data=st.data())
def test_a_file_that_ends_early_or_was_damaged_is_a_picture_or_refused(
    content: bytes, data: st.DataObject
) -> None:
    length = data.draw(st.integers(0, len(content)))
    damaged = bytearray(content[:length])
    if damaged:
        position = data.draw(st.integers(0, length - 1))
        damaged[position] = data.draw(st.integers(0, 255))
    try:
        found = check_picture(bytes(damaged), MAX_PIXELS)
    except (NotAPicture, TooLarge):
        return
    assert 0 < found.width * found.height <= MAX_PIXELS


@pytest.mark.parametrize(
    ("form", "options"),
    [
        ("JPEG", {}),
        ("JPEG", {"progressive": True}),
        ("PNG", {}),
        ("GIF", {}),
        ("WEBP", {"lossless": True}),
        ("WEBP", {"lossless": False}),
        ("BMP", {}),
    ],
)
@pytest.mark.parametrize("size", [(1, 1), (17, 4), (301, 513)])
@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA"])
def test_it_agrees_with_a_decoder(
    form: str, options: dict[str, bool], size: tuple[int, int], mode: str
) -> None:
    image = pytest.importorskip("PIL.Image")
    if mode == "RGBA" and form == "JPEG":
        mode = "CMYK"
    stream = io.BytesIO()
    image.new(mode, size).save(stream, form, **options)
    found = check_picture(stream.getvalue(), MAX_PIXELS)
    assert (found.width, found.height) == size
    assert found.content_type == f"image/{form.lower()}"


@pytest.mark.parametrize("name", [*GOOD, *BAD])
def test_no_decoder_sees_more_pixels_than_it_was_let_through_with(name: str) -> None:
    """What is let through is not larger to a decoder; what is refused may be anything to it."""
    image = pytest.importorskip("PIL.Image")
    content = {**{key: item[0] for key, item in GOOD.items()}, **BAD}[name]
    try:
        allowed = check_picture(content, MAX_PIXELS)
    except NotAPicture:
        return
    try:
        with image.open(io.BytesIO(content)) as opened:
            width, height = opened.size
    except OSError:
        return
    assert width * height <= allowed.width * allowed.height
