"""Random views of a picture, for fine-tuning alone: evaluation and serving never come here.

Comes in: an RGB picture and a seed. Goes out: uint8 (3, S, S). The same seed gives the same view,
whatever thread runs it.

Source: the "Inception" crop, Szegedy et al. 2015, with a gentler scale for small data sets.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image, ImageEnhance

from fogbank.vision.preprocess import Preprocessing, to_uint8

_MIN_AREA = 0.35
_MAX_LOG_ASPECT = math.log(4 / 3)
_JITTER = 0.2
_TRIES = 10


def random_view(
    picture: Image.Image, preprocessing: Preprocessing, seed: Sequence[int], *, flip: bool
) -> torch.Tensor:
    """A random part of the picture, perhaps mirrored, a little brighter or darker."""
    rng = np.random.default_rng(seed)
    side = preprocessing.image_size
    view = picture.resize((side, side), preprocessing.resampling, box=_box(picture.size, rng))
    if flip and rng.random() < 0.5:
        view = view.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    for enhance in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        view = enhance(view).enhance(rng.uniform(1 - _JITTER, 1 + _JITTER))
    return to_uint8(view)


def _box(size: tuple[int, int], rng: np.random.Generator) -> tuple[float, float, float, float]:
    width, height = size
    for _ in range(_TRIES):
        area = width * height * rng.uniform(_MIN_AREA, 1.0)
        aspect = math.exp(rng.uniform(-_MAX_LOG_ASPECT, _MAX_LOG_ASPECT))
        part_width, part_height = math.sqrt(area * aspect), math.sqrt(area / aspect)
        if part_width <= width and part_height <= height:
            left = rng.uniform(0, width - part_width)
            top = rng.uniform(0, height - part_height)
            return left, top, left + part_width, top + part_height
    side = min(width, height)
    left, top = (width - side) / 2, (height - side) / 2
    return left, top, left + side, top + side
