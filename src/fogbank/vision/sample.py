"""The embedded sample: scikit-learn's handwritten digits as folders of PNG pictures.

Comes in: a folder to write. Goes out: `train/ valid/ test/`, in each a folder a digit, 1,797 real
pictures in all. Nothing is downloaded: the pixels are inside scikit-learn.

Source: E. Alpaydin, C. Kaynak, "Optical Recognition of Handwritten Digits", UCI, 1998; the test
set, 8 x 8 pixels of 17 grey values.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from fogbank.vision.errors import DataError

SPLITS = {"train": 0.70, "valid": 0.15, "test": 0.15}

SIDE_PX = 64
_INNER_PX = 56
"""The digit fills 56 of 64 pixels: exactly what the usual centre crop (7/8 of the side) keeps."""


@dataclass(frozen=True, kw_only=True)
class SampleSummary:
    """What was written."""

    folder: Path
    labels: tuple[str, ...]
    num_pictures: Mapping[str, int]
    """By split."""


def write_digits(folder: Path, *, seed: int = 0) -> SampleSummary:
    """Write the digits as 64 x 64 grey PNGs, `<split>/<digit>/digit-0042.png`.

    The split is stratified (70/15/15 in each class) and depends on `seed` alone.

    Raises:
        DataError: `folder` exists and is not empty. Two splits over each other would put pictures
            of the training split into the test split.
    """
    from sklearn.datasets import load_digits  # a second to import, and needed nowhere else

    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DataError(f"{folder} is not an empty folder: remove it, or choose another")
    digits = load_digits()
    grey = np.rint(digits.images * (255 / 16)).astype(np.uint8)
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(partial, ignore_errors=True)
    counts = dict.fromkeys(SPLITS, 0)
    for label in range(10):
        indices = np.flatnonzero(digits.target == label)
        np.random.default_rng([seed, label]).shuffle(indices)
        num_valid = round(len(indices) * SPLITS["valid"])
        num_test = round(len(indices) * SPLITS["test"])
        parts = {
            "test": indices[:num_test],
            "valid": indices[num_test : num_test + num_valid],
            "train": indices[num_test + num_valid :],
        }
        for split, chosen in parts.items():
            target = partial / split / str(label)
            target.mkdir(parents=True)
            counts[split] += len(chosen)
            for index in chosen:
                _picture(grey[index]).save(target / f"digit-{index:04d}.png", compress_level=1)
    if folder.exists():
        folder.rmdir()
    partial.replace(folder)
    return SampleSummary(
        folder=folder, labels=tuple(str(label) for label in range(10)), num_pictures=counts
    )


def _picture(grey: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> Image.Image:
    inner = Image.fromarray(grey).resize((_INNER_PX, _INNER_PX), Image.Resampling.BICUBIC)
    picture = Image.new("L", (SIDE_PX, SIDE_PX))
    margin = (SIDE_PX - _INNER_PX) // 2
    picture.paste(inner, (margin, margin))
    return picture
