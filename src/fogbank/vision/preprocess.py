"""Bytes of a picture in, a normalised batch out: one definition for training and for serving.

    bytes --decode--> RGB picture --Preprocessing.crop--> uint8 (3, S, S) --normalise--> float

Decoding does not depend on the network, so a server can refuse a bad picture before it has a
model. Nothing here is random: augmentation belongs to fine-tuning alone (`train.augment`).
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np
import torch
from PIL import ExifTags, Image, UnidentifiedImageError

from fogbank.vision.errors import NotAPicture

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM")
"""What is tried. A closed list: some of Pillow's other readers start programs or follow links."""

MAX_PIXELS = 1 << 26
"""67 million: above the largest usual cameras (61), and a bounded 200 MB as RGB."""

_DECODE_SIDE_PX = 768
"""JPEGs are decoded at 1/2, 1/4 or 1/8 as long as the short side keeps this many pixels.
Twice what a 384 px network looks at, and the same for every network, so that training and
serving never see different pixels. A 12-megapixel photograph decodes in a quarter of the time."""

_MAX_ASPECT = 4
"""The centre crop never looks further out; resizing a 1 x 50,000 strip whole would not fit."""

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

_RESAMPLING = {
    "bicubic": Image.Resampling.BICUBIC,
    "bilinear": Image.Resampling.BILINEAR,
}


def decode(body: bytes, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """The picture as upright 8-bit RGB.

    Grey, palette, CMYK and 16-bit pictures are converted, transparency is laid on white, the EXIF
    orientation is applied, of an animation the first frame counts. A JPEG whose end is missing is
    taken when at least half of its rows are there.

    Raises:
        NotAPicture: the bytes are no picture of a known format, are damaged, or hold more than
            `max_pixels` pixels (decompression bombs).
    """
    if not body:
        raise NotAPicture("the picture is empty (0 bytes)")
    try:
        picture, whole = _load(body, max_pixels)
        upright = _TURNS.get(_orientation(picture))
        picture = _rgb(picture)
        if not whole and _rows_present(picture) < 0.5:
            raise NotAPicture("the picture ends early: less than half of it is there")
        return picture if upright is None else picture.transpose(upright)
    except NotAPicture:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise NotAPicture(f"the picture has more than {max_pixels:,} pixels") from error
    except Exception as error:  # Pillow's readers raise whatever hostile bytes provoke
        raise NotAPicture(f"not a readable picture: {_reason(error)}") from error


def _load(body: bytes, max_pixels: int) -> tuple[Image.Image, bool]:
    """The decoded picture, and whether all of it was there."""
    try:
        return _open(body, max_pixels), True
    except OSError:
        # A cut-off JPEG has no end marker. With one added the decoder fills what is missing with
        # flat colour. Pillow's own switch for this is global, and lets damaged PNGs pass as well.
        if body.startswith(b"\xff\xd8") and b"\xff\xd9" not in body[-16:]:
            return _open(body + b"\xff\xd9", max_pixels), False
        raise


def _open(body: bytes, max_pixels: int) -> Image.Image:
    picture = Image.open(io.BytesIO(body), formats=FORMATS)
    width, height = picture.size
    if width * height > max_pixels:
        raise NotAPicture(
            f"the picture has {width} x {height} pixels, more than the {max_pixels:,} allowed"
        )
    if picture.format in ("JPEG", "MPO"):
        picture.draft(None, (_DECODE_SIDE_PX, _DECODE_SIDE_PX))
    picture.load()
    return picture


def _rgb(picture: Image.Image) -> Image.Image:
    mode = picture.mode
    if mode.startswith("I"):  # 16-bit grey (I;16, I;16B), or the same widened to 32 bits (I)
        grey = np.asarray(picture).astype(np.int64)
        low, high = int(grey.min()), int(grey.max())
        if low < 0 or high > 0xFFFF:
            raise NotAPicture(f"grey values from {low} to {high}: only 8 and 16 bits are known")
        return Image.fromarray((grey // 257).astype(np.uint8)).convert("RGB")
    if mode == "F":
        raise NotAPicture("a picture of floating-point values has no defined range of brightness")
    if mode in ("RGBA", "RGBa", "LA", "La", "PA") or "transparency" in picture.info:
        colour = picture.convert("RGBA")
        white = Image.new("RGBA", colour.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, colour).convert("RGB")
    return picture.convert("RGB")


def _orientation(picture: Image.Image) -> int:
    try:
        return int(picture.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # damaged EXIF raises anything; the pixels are good, so they stay as they lie
        return 1


def _rows_present(picture: Image.Image) -> float:
    """The share of rows above the flat filling at the bottom."""
    pixels = np.asarray(picture)
    uneven = np.flatnonzero((pixels != pixels[:, :1]).any(axis=(1, 2)))
    return (int(uneven[-1]) + 1) / len(pixels) if len(uneven) else 0.0


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return f"the bytes are of none of the formats {', '.join(FORMATS)}"
    return str(error) or type(error).__name__


@dataclass(frozen=True, kw_only=True)
class Preprocessing:
    """What a network was trained to look at. Travels inside the artifact."""

    image_size: int = 224
    """Side of the square that the network sees, pixels."""
    resize_size: int = 256
    """The shorter side is resized to this before the centre crop, pixels."""
    interpolation: str = "bicubic"
    """"bicubic" or "bilinear"."""
    mean: tuple[float, float, float] = (0.5, 0.5, 0.5)
    """Subtracted from channels in 0..1."""
    std: tuple[float, float, float] = (0.5, 0.5, 0.5)
    """Divides the channels after that."""

    def __post_init__(self) -> None:
        if self.interpolation not in _RESAMPLING:
            raise ValueError(f"interpolation {self.interpolation!r}: one of {set(_RESAMPLING)}")
        if not 1 <= self.image_size <= self.resize_size:
            raise ValueError(f"image_size {self.image_size} is not in 1..{self.resize_size}")
        if len(self.mean) != 3 or len(self.std) != 3 or min(self.std) <= 0:
            raise ValueError("mean and std have three values each, and std is positive")

    def with_image_size(self, image_size: int) -> Preprocessing:
        """The same view of the picture at another resolution: the crop keeps its share."""
        resize_size = max(image_size, round(image_size * self.resize_size / self.image_size))
        return Preprocessing(
            **{**asdict(self), "image_size": image_size, "resize_size": resize_size}
        )

    @property
    def resampling(self) -> Image.Resampling:
        """Pillow's name of the interpolation."""
        return _RESAMPLING[self.interpolation]

    def crop(self, picture: Image.Image) -> torch.Tensor:
        """The centre of an RGB picture as uint8 of shape (3, image_size, image_size)."""
        picture = _limit_aspect(picture)
        width, height = picture.size
        if width <= height:
            size = (self.resize_size, int(self.resize_size * height / width))
        else:
            size = (int(self.resize_size * width / height), self.resize_size)
        picture = picture.resize(size, self.resampling)
        left = round((size[0] - self.image_size) / 2)
        top = round((size[1] - self.image_size) / 2)
        return to_uint8(picture.crop((left, top, left + self.image_size, top + self.image_size)))

    def normalise(self, batch: torch.Tensor) -> torch.Tensor:
        """uint8 (N, 3, S, S) to float32 as the network expects it, channels last in memory."""
        mean = torch.tensor(self.mean, device=batch.device).view(1, 3, 1, 1)
        std = torch.tensor(self.std, device=batch.device).view(1, 3, 1, 1)
        scaled = batch.to(torch.float32).div_(255).sub_(mean).div_(std)
        return scaled.contiguous(memory_format=torch.channels_last)

    def to_json(self) -> dict[str, object]:
        """Plain values for the artifact."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, object]) -> Preprocessing:
        """The inverse of `to_json`. Raises ValueError, TypeError or KeyError on anything else."""
        return cls(
            image_size=_whole(values["image_size"]),
            resize_size=_whole(values["resize_size"]),
            interpolation=str(values["interpolation"]),
            mean=_triple(values["mean"]),
            std=_triple(values["std"]),
        )


def to_uint8(picture: Image.Image) -> torch.Tensor:
    """An RGB picture as uint8 of shape (3, height, width)."""
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1).contiguous()


def _limit_aspect(picture: Image.Image) -> Image.Image:
    width, height = picture.size
    if width > _MAX_ASPECT * height:
        left = (width - _MAX_ASPECT * height) // 2
        return picture.crop((left, 0, left + _MAX_ASPECT * height, height))
    if height > _MAX_ASPECT * width:
        top = (height - _MAX_ASPECT * width) // 2
        return picture.crop((0, top, width, top + _MAX_ASPECT * width))
    return picture


def _whole(value: object) -> int:
    if not isinstance(value, int):
        raise TypeError(f"{value!r} is not a whole number")
    return value


def _triple(value: object) -> tuple[float, float, float]:
    if not isinstance(value, list | tuple):
        raise TypeError(f"{value!r} is not a list of three numbers")
    first, second, third = (float(item) for item in value)
    return first, second, third
