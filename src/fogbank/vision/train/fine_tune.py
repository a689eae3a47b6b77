"""The whole network on augmented pictures, after its head has been trained.

Comes in: a classifier with a trained head and the readable pictures. Goes out: a `Task` for
`loop.fit`. Batch normalisation keeps the statistics of the pretraining: a few pictures a batch
would only make them noisy.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import torch
from PIL import Image
from torch import nn

from fogbank.vision.model import Classifier
from fogbank.vision.preprocess import Preprocessing
from fogbank.vision.train.augment import random_view
from fogbank.vision.train.data import Sample
from fogbank.vision.train.loop import Evaluation
from fogbank.vision.train.read import BrokenPictures, View, read_batches


class FineTuneTask:
    """All parameters of a classifier; every epoch sees new views of the pictures."""

    def __init__(
        self,
        classifier: Classifier,
        preprocessing: Preprocessing,
        *,
        train: Sequence[Sample],
        valid: Sequence[Sample],
        pool: ThreadPoolExecutor,
        broken: BrokenPictures,
        device: torch.device,
        batch_size: int,
        flip: bool,
        seed: int,
    ) -> None:
        self._classifier = classifier
        self._preprocessing = preprocessing
        self._train = train
        self._valid = valid
        self._pool = pool
        self._broken = broken
        self._device = device
        self._batch_size = batch_size
        self._flip = flip
        self._seed = seed

    @property
    def module(self) -> nn.Module:
        """The classifier."""
        return self._classifier

    def batches(self, epoch: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Every picture once, shuffled and augmented."""

        def view(picture: Image.Image, index: int) -> torch.Tensor:
            seed = (self._seed, epoch, index)
            return random_view(picture, self._preprocessing, seed, flip=self._flip)

        generator = torch.Generator().manual_seed(self._seed * 100_003 + epoch)
        order = torch.randperm(len(self._train), generator=generator).tolist()
        yield from self._batches(self._train, order, view)

    def train_mode(self) -> None:
        """Dropout on, batch normalisation as in evaluation."""
        self._classifier.train()
        for module in self._classifier.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()

    def evaluate(self) -> Evaluation:
        """On the validation pictures."""
        return self.evaluate_on(self._valid)

    def evaluate_on(self, samples: Sequence[Sample]) -> Evaluation:
        """On any pictures, as they will be served."""

        def view(picture: Image.Image, _: int) -> torch.Tensor:
            return self._preprocessing.crop(picture)

        self._classifier.eval()
        scores: list[torch.Tensor] = []
        labels: list[torch.Tensor] = []
        with torch.inference_mode():
            for inputs, targets in self._batches(samples, range(len(samples)), view):
                scores.append(self._classifier(inputs))
                labels.append(targets)
            return Evaluation.of(torch.cat(scores), torch.cat(labels))

    def _batches(
        self, samples: Sequence[Sample], order: Sequence[int], view: View
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        batches = read_batches(samples, order, view, self._batch_size, self._pool, self._broken)
        for batch in batches:
            inputs = self._preprocessing.normalise(batch.pictures.to(self._device))
            labels = torch.tensor([samples[position].label for position in batch.positions])
            yield inputs, labels.to(self._device)
