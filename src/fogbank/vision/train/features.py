"""What a frozen backbone says about every picture, computed once.

Comes in: a classifier, its preprocessing, a split. Goes out: one row of features a picture. With
a frozen backbone these never change, so the head trains on them in seconds instead of running the
whole network in every epoch.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import torch
from PIL import Image

from fogbank.vision.errors import DataError
from fogbank.vision.model import Classifier, num_features
from fogbank.vision.preprocess import Preprocessing
from fogbank.vision.train.data import Sample
from fogbank.vision.train.ranks import Ranks
from fogbank.vision.train.read import BrokenPictures, Say, cut, num_cores, read_batches

_CPU_BATCH_PIXELS = 4 * 224 * 224
"""Pixels in a batch on a CPU. The allocator returns blocks above 32 MB to the kernel after every
layer and faults them in again; of efficientnet_lite0 at 224 px four pictures stay below (19 MB).
Measured on one core: 18 ms a picture in batches of 4, 37 ms in batches of 32."""

_GPU_BATCH = 64


@dataclass(frozen=True, kw_only=True)
class SplitFeatures:
    """Features of the readable pictures of a split."""

    features: torch.Tensor
    """float32 (N, F)"""
    labels: torch.Tensor
    """int64 (N,)"""
    positions: torch.Tensor
    """int64 (N,): which samples of the split the rows belong to."""


def extract(
    classifier: Classifier,
    preprocessing: Preprocessing,
    samples: Sequence[Sample],
    *,
    name: str,
    broken: BrokenPictures,
    ranks: Ranks,
    say: Say,
) -> SplitFeatures:
    """Run the backbone over a split, each rank over its share; every rank gets all of it.

    `say` gets a line each quarter of the way.

    Raises:
        DataError: too many broken pictures, or none that can be read; on every rank.
    """
    share = ranks.share(range(len(samples)))
    rows, positions = _extract_share(
        classifier, preprocessing, samples, share, name, broken, ranks, say
    )
    broken.exchange()
    features = torch.cat(ranks.gather_rows(rows))
    found = torch.cat(ranks.gather_rows(positions))
    if not len(found):
        raise DataError(f"none of the {len(samples)} pictures of the {name} split can be read")
    if not ranks.is_alone:
        order = found.argsort()
        features, found = features[order], found[order]
    return SplitFeatures(
        features=features,
        labels=torch.tensor([samples[position].label for position in found.tolist()]),
        positions=found,
    )


def _extract_share(
    classifier: Classifier,
    preprocessing: Preprocessing,
    samples: Sequence[Sample],
    share: Sequence[int],
    name: str,
    broken: BrokenPictures,
    ranks: Ranks,
    say: Say,
) -> tuple[torch.Tensor, torch.Tensor]:

    def view(picture: Image.Image, _: int) -> torch.Tensor:
        return preprocessing.crop(picture)

    pixels = preprocessing.image_size**2
    device = ranks.device
    batch_size = _GPU_BATCH if device.type == "cuda" else max(1, _CPU_BATCH_PIXELS // pixels)
    classifier.eval()
    width = num_features(classifier.backbone, classifier.spec.features)
    rows: list[torch.Tensor] = [torch.empty(0, width)]
    positions: list[int] = []
    quarter = 1
    whose = "" if ranks.is_alone else f" of rank {ranks.rank}"
    with ThreadPoolExecutor(num_cores()) as pool, torch.inference_mode():
        for batch in read_batches(samples, cut(share, batch_size), view, pool, broken):
            pictures = preprocessing.normalise(batch.pictures.to(device))
            rows.append(classifier.features(pictures).cpu())
            positions += batch.positions
            if len(positions) * 4 >= quarter * len(share):
                say(f"features of {name}: {len(positions)} of {len(share)} pictures{whose}")
                quarter = len(positions) * 4 // len(share) + 1
    return torch.cat(rows), torch.tensor(positions, dtype=torch.int64)


@dataclass(frozen=True, kw_only=True)
class Standardisation:
    """Brings every feature to mean 0 and a spread near 1, so that one learning rate suits all."""

    mean: torch.Tensor
    scale: torch.Tensor

    @classmethod
    def of(cls, features: torch.Tensor) -> Standardisation:
        """From the training split. Features that hardly vary are not blown up: the divisor is at
        least half of the mean spread (on digits, 93 % instead of 88 % without the floor)."""
        mean = features.mean(dim=0)
        spread = features.std(dim=0, unbiased=False)
        floor = spread.mean() / 2
        return cls(mean=mean, scale=spread.clamp_min(max(float(floor), 1e-6)))

    def apply(self, features: torch.Tensor) -> torch.Tensor:
        """Standardised features."""
        return (features - self.mean) / self.scale

    def fold_into(self, layer: torch.nn.Linear) -> None:
        """Make a layer that was trained on standardised features take them as they are: the
        model that is saved has no extra layer. W' = W / scale, b' = b - W' mean."""
        with torch.no_grad():
            weight = layer.weight.double() / self.scale.double().to(layer.weight.device)
            bias = layer.bias.double() - weight @ self.mean.double().to(layer.weight.device)
            layer.weight.copy_(weight)
            layer.bias.copy_(bias)
