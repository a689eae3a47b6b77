"""Folders of pictures: which layout they have, which classes, which picture is in which split.

Comes in: the job's channels. Goes out: a `Dataset`. Only names are looked at here; pictures are
opened by `read`. Understood:

    one channel with train/ valid/ test/      each with one folder a class
    one channel with one folder a class       split here: 70/15/15 of each class, seeded
    channels train, valid, test               each with one folder a class

`valid` may be called `val` or `validation`; without it a share of `train` takes its place.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fogbank.vision.errors import DataError

SUFFIXES = frozenset(
    (".jpg", ".jpeg", ".jpe", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".ppm", ".pgm", "")
)

_ROLES = {
    "train": "train",
    "training": "train",
    "valid": "valid",
    "validation": "valid",
    "val": "valid",
    "test": "test",
    "testing": "test",
}
_NOT_DATA = ("code", "sm_drivers", "weights", "model", "config")
"""Channels that SDKs or projects add beside the data."""

_HELD_OUT = 0.15
_MAX_NOTES = 5


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One picture."""

    path: Path
    label: int
    """Index into the data set's labels."""


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """What there is to learn from."""

    labels: tuple[str, ...]
    """Class folders' names, sorted."""
    train: tuple[Sample, ...]
    valid: tuple[Sample, ...]
    test: tuple[Sample, ...]
    """Empty where the data came split without one."""
    notes: tuple[str, ...]
    """What a person should know about the data, one sentence each."""

    @property
    def num_pictures(self) -> int:
        """Pictures in all splits."""
        return len(self.train) + len(self.valid) + len(self.test)


def find_dataset(channels: Mapping[str, Path], seed: int) -> Dataset:
    """The data set in the job's channels.

    Raises:
        DataError: there is no training data, fewer than two classes, a class folder without
            pictures, a class that only the validation or test split has, or a class with too few
            pictures to split. Names the folder.
    """
    roots = _split_roots(channels)
    notes: list[str] = []
    classes = {role: _classes(root, role, notes) for role, root in roots.items()}
    labels = tuple(sorted(classes["train"]))
    if len(labels) < 2:
        found = f"only {labels[0]!r}" if labels else "no folder of pictures"
        raise DataError(
            f"{roots['train']}: a classifier needs at least 2 classes, one folder each; found "
            f"{found}"
        )
    for role in ("valid", "test"):
        _compare(classes.get(role), labels, role, roots, notes)
    splits = {role: _samples(found, labels) for role, found in classes.items()}
    if "valid" not in splits:
        parts = ("valid",) if "test" in splits else ("valid", "test")
        splits |= _hold_out(classes["train"], labels, parts, seed)
        notes.append(f"held out {_HELD_OUT:.0%} of each class for each of {', '.join(parts)}")
    return Dataset(
        labels=labels,
        train=splits["train"],
        valid=splits["valid"],
        test=splits.get("test", ()),
        notes=tuple(notes),
    )


def _split_roots(channels: Mapping[str, Path]) -> dict[str, Path]:
    """Folder of each split, from channels or from the folders in a single one."""
    known = {name: path for name, path in channels.items() if name in _ROLES}
    others = {name: path for name, path in channels.items() if name not in (*_ROLES, *_NOT_DATA)}
    roots: dict[str, Path] = {}
    for name, path in known.items():
        role = _ROLES[name]
        if role in roots:
            raise DataError(f"two channels for the {role} split: {', '.join(sorted(known))}")
        roots[role] = path
    if "train" not in roots:
        if roots or len(others) != 1:
            raise DataError(
                f"no channel to train on: have {', '.join(sorted(channels)) or 'none'}. Name it "
                "'training' (any layout), or give 'train', 'valid' and 'test'; outside of a job "
                "use --data FOLDER"
            )
        roots["train"] = next(iter(others.values()))
    for role, path in roots.items():
        if not path.is_dir():
            raise DataError(f"the folder of the {role} channel does not exist: {path}")
    if set(roots) == {"train"}:
        return _split_folders(_descend(roots["train"]))
    return {role: _descend(path) for role, path in roots.items()}


def _split_folders(root: Path) -> dict[str, Path]:
    folders = _folders(root)
    roles: dict[str, Path] = {}
    for folder in folders:
        role = _ROLES.get(folder.name.lower())
        if role in roles:
            raise DataError(f"{root} has two folders for the {role} split")
        if role is not None:
            roles[role] = folder
    # "car, plane, train" are classes; "train" beside "valid" or "test", or alone, is a split.
    if "train" in roles and (len(roles) > 1 or len(folders) == 1):
        return roles
    if roles and len(roles) == len(folders):
        # Not two classes called "valid" and "test": S3 keeps no empty folders, so a train/ without
        # pictures has vanished on its way.
        raise DataError(
            f"{root} has {', '.join(f'{folder.name}/' for folder in folders)} but no train/ with "
            "pictures to learn from"
        )
    return {"train": root}


def _descend(root: Path) -> Path:
    """Archives often hold one folder around everything; step into it."""
    for _ in range(3):
        folders = _folders(root)
        inner = folders[0] if len(folders) == 1 else None
        if inner is None or inner.name.lower() in _ROLES or not _folders(inner):
            return root
        root = inner
    return root


def _folders(root: Path) -> list[Path]:
    return sorted(path for path in root.iterdir() if path.is_dir() and not _hidden(path.name))


def _hidden(name: str) -> bool:
    return name.startswith((".", "__MACOSX"))


def _classes(root: Path, role: str, notes: list[str]) -> dict[str, list[Path]]:
    classes: dict[str, list[Path]] = {}
    ignored: list[str] = []
    for folder in _folders(root):
        pictures, others = _files(folder)
        ignored += [f"{folder.name}/{path.name}" for path in others]
        if not pictures and role == "train":
            raise DataError(f"the class folder {folder} holds no picture: fill it or remove it")
        if pictures:
            classes[folder.name] = pictures
    if ignored:
        more = f" and {len(ignored) - _MAX_NOTES} more" if len(ignored) > _MAX_NOTES else ""
        notes.append(f"{role}: ignored {', '.join(ignored[:_MAX_NOTES])}{more}: no picture files")
    return classes


def _files(folder: Path) -> tuple[list[Path], list[Path]]:
    """Pictures and other files below a class folder. Links are followed (channels may be made of
    links), each folder once."""
    pictures: list[Path] = []
    others: list[Path] = []
    seen: set[str] = set()
    for current, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(current)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = [name for name in folders if not _hidden(name)]
        for name in names:
            path = Path(current, name)
            if not _hidden(name):
                (pictures if path.suffix.lower() in SUFFIXES else others).append(path)
    return sorted(pictures), sorted(others)


def _compare(
    classes: Mapping[str, object] | None,
    labels: Sequence[str],
    role: str,
    roots: Mapping[str, Path],
    notes: list[str],
) -> None:
    if classes is None:
        return
    foreign = sorted(classes.keys() - set(labels))
    if foreign:
        raise DataError(
            f"{roots[role]}: class {foreign[0]!r} is not in the training split "
            f"({', '.join(labels[:10])})"
        )
    if not classes:
        raise DataError(f"{roots[role]}: the {role} split holds no pictures")
    missing = sorted(set(labels) - classes.keys())
    if missing:
        notes.append(f"{role}: no pictures of {', '.join(missing)}, so nothing is measured on them")


def _samples(classes: Mapping[str, Sequence[Path]], labels: Sequence[str]) -> tuple[Sample, ...]:
    return tuple(
        Sample(path=path, label=index)
        for index, label in enumerate(labels)
        for path in classes.get(label, ())
    )


def _hold_out(
    classes: Mapping[str, Sequence[Path]],
    labels: Sequence[str],
    parts: Sequence[str],
    seed: int,
) -> dict[str, tuple[Sample, ...]]:
    """Take `parts` out of every class. The shares depend on names, order and seed alone."""
    chosen: dict[str, list[Sample]] = {"train": [], **{part: [] for part in parts}}
    for index, label in enumerate(labels):
        paths = classes[label]
        if len(paths) <= len(parts):
            raise DataError(
                f"class {label!r} has {len(paths)} pictures: at least {len(parts) + 1} are needed "
                f"to hold out some for {' and '.join(parts)}"
            )
        order = np.random.default_rng([seed, zlib.crc32(label.encode())]).permutation(len(paths))
        share = max(1, round(len(paths) * _HELD_OUT))
        if len(paths) - share * len(parts) < 1:
            share = 1
        samples = [Sample(path=paths[position], label=index) for position in order]
        for number, part in enumerate(parts):
            chosen[part] += samples[number * share : (number + 1) * share]
        chosen["train"] += samples[len(parts) * share :]
    return {role: tuple(samples) for role, samples in chosen.items()}
