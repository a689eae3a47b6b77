"""Pictures from disk into uint8 batches, decoded by several threads while the network computes.

Comes in: samples, and a function from an RGB picture to a tensor. Goes out: batches in the order
of the samples. A picture that cannot be read is skipped and reported by name, up to a limit.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image

from fogbank.vision.errors import DataError, NotAPicture
from fogbank.vision.preprocess import decode
from fogbank.vision.train.data import Sample
from fogbank.vision.train.ranks import Ranks

Say = Callable[[str], None]
View = Callable[[Image.Image, int], torch.Tensor]
"""An RGB picture and its position in the split, to uint8 (3, S, S)."""


class BrokenPictures:
    """Counts pictures that could not be read; refuses to go on beyond the limit.

    With several ranks, each finds those of its share, and they refuse together in `exchange`.
    """

    def __init__(self, num_pictures: int, max_broken: float, say: Say, ranks: Ranks) -> None:
        self._limit = int(num_pictures * max_broken)
        self._num_pictures = num_pictures
        self._say = say
        self._ranks = ranks
        self._new: list[tuple[str, str]] = []
        self.names: list[str] = []

    def add(self, path: Path, reason: str) -> None:
        """Raises DataError when there are now more than allowed and nobody else has to be told."""
        if self._ranks.is_alone:
            self._count(path, reason)
        else:
            self._new.append((str(path), reason))

    def exchange(self) -> None:
        """Count what all ranks found since the last exchange. Raises DataError on all of them."""
        new, self._new = self._new, []
        for path, reason in [found for each in self._ranks.gather(new) for found in each]:
            self._count(Path(path), reason)

    def _count(self, path: Path, reason: str) -> None:
        name = f"{path.parent.name}/{path.name}"
        self.names.append(name)
        self._say(f"skipped broken picture {name}: {reason}")
        if len(self.names) > self._limit:
            raise DataError(
                f"{len(self.names)} pictures cannot be read, the last {path}: {reason}. Of "
                f"{self._num_pictures} pictures {self._limit} may be broken (--max-broken)"
            )


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Pictures that could be read."""

    pictures: torch.Tensor
    """uint8 (N, 3, S, S)"""
    positions: tuple[int, ...]
    """Of the pictures, in the split."""


def num_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0))


def cut(order: Sequence[int], size: int) -> list[Sequence[int]]:
    """Parts of `size`; the last one is what is left."""
    return [order[start : start + size] for start in range(0, len(order), size)]


def read_batches(
    samples: Sequence[Sample],
    chunks: Sequence[Sequence[int]],
    view: View,
    pool: ThreadPoolExecutor,
    broken: BrokenPictures,
) -> Iterator[Batch]:
    """A batch for each of `chunks` (positions in `samples`) of which anything can be read; the next
    one is decoded while the caller works."""

    def submit(chunk: Sequence[int]) -> list[Future[torch.Tensor | NotAPicture]]:
        return [pool.submit(_read, samples[index].path, index, view) for index in chunk]

    ahead = submit(chunks[0]) if chunks else []
    for number, chunk in enumerate(chunks):
        current = ahead
        ahead = submit(chunks[number + 1]) if number + 1 < len(chunks) else []
        pictures: list[torch.Tensor] = []
        positions: list[int] = []
        for index, future in zip(chunk, current, strict=True):
            result = future.result()
            if isinstance(result, NotAPicture):
                broken.add(samples[index].path, str(result))
            else:
                pictures.append(result)
                positions.append(index)
        if pictures:
            yield Batch(pictures=torch.stack(pictures), positions=tuple(positions))


def _read(path: Path, index: int, view: View) -> torch.Tensor | NotAPicture:
    try:
        return view(decode(path.read_bytes()), index)
    except NotAPicture as error:
        return error
    except OSError as error:  # a dangling link, a disk that fails: the same fate, the same report
        return NotAPicture(str(error))
