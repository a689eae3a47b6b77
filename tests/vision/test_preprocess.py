"""Pictures of every kind become upright RGB; what is no picture is refused."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from fogbank.vision.errors import NotAPicture
from fogbank.vision.preprocess import Preprocessing, decode
from vision.pictures import encoded

RED = (200, 30, 40)


def photograph(width: int = 160, height: int = 120) -> Image.Image:
    """Something with structure in every row: compresses like a photograph, not like a flag."""
    noise = np.random.default_rng(3).integers(0, 255, (height // 4, width // 4, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC)


def transparent_palette() -> bytes:
    picture = Image.new("P", (4, 4), 0)
    picture.putpalette([10, 20, 30, 200, 30, 40])
    return encoded(picture, "PNG", transparency=0)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param(encoded(Image.new("L", (4, 4), 77), "PNG"), (77, 77, 77), id="grey"),
        pytest.param(encoded(Image.new("1", (4, 4), 1), "PNG"), (255, 255, 255), id="bilevel"),
        pytest.param(encoded(Image.new("RGB", (4, 4), RED), "BMP"), RED, id="bmp"),
        pytest.param(encoded(Image.new("RGB", (4, 4), RED), "TIFF"), RED, id="tiff"),
        pytest.param(encoded(Image.new("RGB", (4, 4), RED), "WEBP", lossless=True), RED, id="webp"),
        pytest.param(
            encoded(Image.new("RGB", (4, 4), RED).quantize(4), "GIF"), RED, id="palette gif"
        ),
        pytest.param(transparent_palette(), (255, 255, 255), id="transparent palette"),
        pytest.param(
            encoded(Image.new("RGBA", (4, 4), (*RED, 0)), "PNG"), (255, 255, 255), id="all clear"
        ),
        pytest.param(
            encoded(Image.new("LA", (4, 4), (50, 255)), "PNG"), (50, 50, 50), id="grey and alpha"
        ),
        pytest.param(
            encoded(Image.fromarray(np.full((4, 4), 257 * 90, np.uint16)), "PNG"),
            (90, 90, 90),
            id="16 bit",
        ),
    ],
)
def test_every_mode_becomes_rgb(body: bytes, expected: tuple[int, int, int]) -> None:
    picture = decode(body)
    assert picture.mode == "RGB"
    assert picture.getpixel((2, 2)) == expected


def test_cmyk_jpeg_keeps_its_colours() -> None:
    body = encoded(Image.new("RGB", (32, 32), RED).convert("CMYK"), "JPEG", quality=95)
    pixel = decode(body).getpixel((16, 16))
    assert isinstance(pixel, tuple)
    assert np.allclose(pixel, RED, atol=6)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(orientation: int) -> None:
    upright = Image.new("RGB", (48, 32), "black")
    upright.paste((255, 255, 255), (0, 0, 24, 16))  # the upper left quarter is white
    stored = {  # what a camera stores so that the orientation restores `upright`
        1: None,
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    body = encoded(upright if stored is None else upright.transpose(stored), "PNG", exif=exif)
    picture = decode(body)
    assert picture.size == (48, 32)
    assert np.array_equal(np.asarray(picture), np.asarray(upright))


@pytest.mark.filterwarnings("ignore:Corrupt EXIF:UserWarning")  # Pillow's note to the log
def test_damaged_exif_does_not_matter() -> None:
    body = encoded(photograph(), "JPEG", exif=b"Exif\x00\x00II*\x00\xff\xff\xff\xff")
    assert decode(body).size == (160, 120)


def test_truncated_jpeg_is_taken_when_most_of_it_is_there() -> None:
    body = encoded(photograph(), "JPEG", quality=90)
    whole, cut = np.asarray(decode(body)), np.asarray(decode(body[: len(body) * 3 // 4]))
    assert cut.shape == whole.shape
    assert np.array_equal(cut[:64], whole[:64])


@pytest.mark.parametrize("share", [0.25, 0.4])
def test_truncated_jpeg_with_less_than_half_is_refused(share: float) -> None:
    body = encoded(photograph(), "JPEG", quality=90)
    with pytest.raises(NotAPicture, match="less than half"):
        decode(body[: int(len(body) * share)])


def damaged_png() -> bytes:
    body = bytearray(encoded(photograph(), "PNG"))
    body[len(body) // 2] ^= 0xFF
    return bytes(body)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        pytest.param(lambda: b"", "0 bytes", id="empty"),
        pytest.param(lambda: b"This is a letter.\n" * 40, "none of the formats", id="text"),
        pytest.param(lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n", "none of the formats", id="postscript"),
        pytest.param(lambda: b"\xff\xd8\xff\xe0" + b"\0" * 60, "not a readable", id="jpeg header"),
        pytest.param(damaged_png, "not a readable", id="flipped bits"),
        pytest.param(
            lambda: encoded(photograph(), "PNG")[:-3000], "not a readable", id="truncated png"
        ),
        pytest.param(
            lambda: encoded(Image.fromarray(np.zeros((4, 4), np.float32)), "TIFF"),
            "floating-point",
            id="float",
        ),
    ],
)
def test_what_is_no_picture_is_refused(make: Callable[[], bytes], message: str) -> None:
    with pytest.raises(NotAPicture, match=message) as caught:
        decode(make())
    assert caught.value.status_code == 400


def test_decompression_bombs_are_refused_before_they_are_decoded() -> None:
    bomb = encoded(Image.new("1", (20_000, 10_000)), "PNG")  # 200 MP in a few kilobytes
    assert len(bomb) < 60_000
    with pytest.raises(NotAPicture, match="pixels"):
        decode(bomb)
    with pytest.raises(NotAPicture, match="160 x 120 pixels"):
        decode(encoded(photograph(), "PNG"), max_pixels=160 * 120 - 1)


@settings(max_examples=60)
@given(position=st.integers(0, 10_000), value=st.integers(0, 255), cut=st.integers(1, 10_000))
def test_damaged_bytes_are_decoded_or_refused_never_anything_else(
    position: int, value: int, cut: int
) -> None:
    body = bytearray(encoded(photograph(64, 48), "JPEG"))
    body[position % len(body)] = value
    try:
        picture = decode(bytes(body[: max(1, cut % len(body))]))
    except NotAPicture:
        return
    assert picture.mode == "RGB"


def test_crop_equals_torchvision_resize_and_centre_crop() -> None:
    transforms = pytest.importorskip("torchvision.transforms")
    oracle = transforms.Compose(
        [
            transforms.Resize(256, interpolation=transforms.InterpolationMode.BICUBIC),
            transforms.CenterCrop(224),
            transforms.ToTensor(),
            transforms.Normalize((0.5,) * 3, (0.5,) * 3),
        ]
    )
    preprocessing = Preprocessing()
    for size in ((320, 427), (500, 333), (256, 256), (91, 300)):
        picture = photograph(*size)
        ours = preprocessing.normalise(preprocessing.crop(picture)[None])[0]
        assert torch.equal(ours, oracle(picture))


def test_large_jpegs_are_decoded_smaller_but_never_too_small() -> None:
    body = encoded(Image.new("RGB", (4000, 3000), RED), "JPEG")
    assert decode(body).size == (2000, 1500)
    assert decode(encoded(Image.new("RGB", (1000, 1500), RED), "JPEG")).size == (1000, 1500)


@pytest.mark.parametrize("size", [(1, 1), (1, 30_000), (30_000, 1), (3, 500)])
def test_any_shape_gives_a_square(size: tuple[int, int]) -> None:
    assert Preprocessing().crop(Image.new("RGB", size)).shape == (3, 224, 224)


def test_another_resolution_keeps_the_share_of_the_crop() -> None:
    smaller = Preprocessing().with_image_size(64)
    assert (smaller.image_size, smaller.resize_size) == (64, 73)
    assert Preprocessing.from_json(smaller.to_json()) == smaller
