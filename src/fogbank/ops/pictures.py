"""A picture to ask the endpoint about: one that the model never trained on. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from fogbank.ops.survey import LocalFile

_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"})


@dataclass(frozen=True, slots=True)
class HeldOut:
    """A picture of a split that was not trained on, and what its folder says that it shows."""

    path: Path
    label: str
    split: str


def held_out(files: Sequence[LocalFile]) -> HeldOut | None:
    """The middle one of the test split, else of the validation split; None without either."""
    for split in ("test", "valid"):
        pictures = [
            file
            for file in files
            if len(parts := PurePosixPath(file.name).parts) == 3
            and parts[0] == split
            and PurePosixPath(file.name).suffix.lower() in _SUFFIXES
        ]
        if pictures:
            chosen = pictures[len(pictures) // 2]
            return HeldOut(chosen.path, PurePosixPath(chosen.name).parts[1], split)
    return None
