"""Generated pictures: three classes that any pretrained network tells apart at a glance."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Protocol

import numpy as np
from PIL import Image

COLOURS = {"blue": (40, 60, 220), "green": (50, 200, 60), "red": (220, 40, 50)}


def noisy(colour: tuple[int, int, int], seed: int, side: int = 40) -> Image.Image:
    """A square of one colour with noise, so that no two files are alike."""
    noise = np.random.default_rng(seed).normal(0, 25, (side, side, 3))
    return Image.fromarray(np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8))


def encoded(picture: Image.Image, format: str, **options: object) -> bytes:
    """The bytes of a file."""
    stream = io.BytesIO()
    picture.save(stream, format, **options)
    return stream.getvalue()


class MakePictures(Protocol):
    """`make_pictures("a/train", each=8)`: one folder a colour below it; returns the folder."""

    def __call__(
        self, name: str, *, each: int, colours: tuple[str, ...] = tuple(COLOURS)
    ) -> Path: ...


def pictures_in(parent: Path) -> MakePictures:
    """Makes the same pictures for the same name, in whatever folder."""

    def make(name: str, *, each: int, colours: tuple[str, ...] = tuple(COLOURS)) -> Path:
        folder = parent / name
        for number, colour in enumerate(colours):
            (folder / colour).mkdir(parents=True)
            for index in range(each):
                seed = 1000 * number + index + 17 * len(name)
                noisy(COLOURS[colour], seed).save(folder / colour / f"{index:03d}.png")
        return folder

    return make
