"""The whole network on augmented pictures, after its head has been trained.

Comes in: a classifier with a trained head and the readable pictures. Goes out: a `Task` for
`loop.fit`. Batch normalisation keeps the statistics of the pretraining: a few pictures a batch
would only make them noisy.

Of every batch, each rank computes its share; the gradients are averaged so that the step is the one
that a single process would take with the whole batch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import torch
from PIL import Image
from torch import nn

from fogbank.vision.errors import DataError
from fogbank.vision.model import Classifier
from fogbank.vision.preprocess import Preprocessing
from fogbank.vision.train.augment import random_view
from fogbank.vision.train.data import Sample
from fogbank.vision.train.loop import Batch, Evaluation
from fogbank.vision.train.ranks import Ranks
from fogbank.vision.train.read import BrokenPictures, View, cut, read_batches


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
        ranks: Ranks,
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
        self._ranks = ranks
        self._parallel = ranks.data_parallel(
            classifier, some_unused=classifier.spec.features == "multilevel"
        )
        self._batch_size = batch_size
        self._flip = flip
        self._seed = seed

    @property
    def module(self) -> nn.Module:
        """The classifier."""
        return self._classifier

    @property
    def parallel(self) -> nn.Module:
        """The classifier, with its gradients averaged."""
        return self._parallel

    def batches(self, epoch: int) -> Iterator[Batch]:
        """Every picture once, shuffled and augmented, on one of the ranks.

        Raises:
            DataError: a picture that could be read before cannot be read now, where several ranks
                train: they would fall out of step.
        """

        def view(picture: Image.Image, index: int) -> torch.Tensor:
            seed = (self._seed, epoch, index)
            return random_view(picture, self._preprocessing, seed, flip=self._flip)

        generator = torch.Generator().manual_seed(self._seed * 100_003 + epoch)
        order = torch.randperm(len(self._train), generator=generator).tolist()
        whole = cut(order, self._batch_size)
        # Of a last batch with fewer pictures than ranks, some take part with a weight of 0.
        shares = [self._ranks.share(chunk) for chunk in whole]
        chunks = [share or chunk[:1] for share, chunk in zip(shares, whole, strict=True)]
        batches = self._read(self._train, chunks, view)
        if self._ranks.is_alone:
            for inputs, labels, _ in batches:
                yield Batch(inputs=inputs, labels=labels)
            return
        for all_of_it, share, chunk in zip(whole, shares, chunks, strict=True):
            found = next(batches, None)
            if found is None or len(found[2]) < len(chunk):
                raise DataError(
                    "a picture that could be read at first cannot be read any more: was "
                    f"{self._train[chunk[0]].path.parent} changed while the job ran?"
                )
            weight = len(share) * self._ranks.size / len(all_of_it)
            yield Batch(inputs=found[0], labels=found[1], weight=weight)

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
        share = self._ranks.share(range(len(samples)))
        num_classes = self._classifier.spec.num_classes
        scores = [torch.empty(0, num_classes)]
        labels = [torch.empty(0, dtype=torch.int64)]
        positions: list[int] = []
        with torch.inference_mode():
            for inputs, targets, read in self._read(samples, cut(share, self._batch_size), view):
                scores.append(self._classifier(inputs).cpu())
                labels.append(targets.cpu())
                positions += read
        self._broken.exchange()
        return self._together(torch.cat(scores), torch.cat(labels), torch.tensor(positions))

    def _together(
        self, scores: torch.Tensor, labels: torch.Tensor, positions: torch.Tensor
    ) -> Evaluation:
        """What all ranks saw, judged by the first one."""
        all_scores, all_labels, all_positions = (
            torch.cat(self._ranks.gather_rows(rows)) for rows in (scores, labels, positions.long())
        )
        order = all_positions.argsort()
        judged = Evaluation.of(all_scores[order], all_labels[order])
        return Evaluation.from_json(self._ranks.same(judged.to_json()))

    def _read(
        self, samples: Sequence[Sample], chunks: Sequence[Sequence[int]], view: View
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor, tuple[int, ...]]]:
        for batch in read_batches(samples, chunks, view, self._pool, self._broken):
            inputs = self._preprocessing.normalise(batch.pictures.to(self._ranks.device))
            labels = torch.tensor([samples[position].label for position in batch.positions])
            yield inputs, labels.to(self._ranks.device), batch.positions
