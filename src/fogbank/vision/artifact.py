"""The model folder: what training leaves and serving reads (it becomes model.tar.gz).

    model.safetensors   weights of backbone and head
    fogbank.json        labels, network, preprocessing, metrics, versions

It is complete: loading needs no network, no weights package and no guess. It is data alone:
loading one never runs code that came with it.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, cast

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from fogbank.vision.errors import ArtifactError, SettingError
from fogbank.vision.model import Classifier, ModelSpec
from fogbank.vision.preprocess import Preprocessing

FORMAT = 1
"""Raised when an older reader could no longer make sense of the folder."""

WEIGHTS_NAME = "model.safetensors"
FACTS_NAME = "fogbank.json"

_PACKAGES = ("fogbank", "torch", "timm", "pillow", "numpy")


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """A classifier and all that is needed to use it."""

    classifier: Classifier
    labels: tuple[str, ...]
    """Names of the classes, in the order of the scores."""
    preprocessing: Preprocessing
    metrics: Mapping[str, float]
    """Of the chosen epoch: `valid_accuracy` and so on. Shares in 0..1, losses in nats."""
    training: Mapping[str, object]
    """How it was made: the configuration, plain values."""

    def __post_init__(self) -> None:
        num_classes = self.classifier.spec.num_classes
        if len(self.labels) != num_classes:
            raise ValueError(f"{len(self.labels)} labels for {num_classes} classes")


def save(artifact: Artifact, folder: Path) -> None:
    """Write the model folder. The facts come last: a folder without them is not finished."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / FACTS_NAME).unlink(missing_ok=True)
    state = {
        name: value.detach().cpu().contiguous()
        for name, value in artifact.classifier.state_dict().items()
    }
    weights = folder / f".{WEIGHTS_NAME}.part"
    save_file(state, weights)
    weights.replace(folder / WEIGHTS_NAME)
    facts = {
        "format": FORMAT,
        "labels": list(artifact.labels),
        "model": artifact.classifier.spec.to_json(),
        "preprocessing": artifact.preprocessing.to_json(),
        "metrics": dict(artifact.metrics),
        "training": dict(artifact.training),
        "versions": _versions(),
    }
    partial = folder / f".{FACTS_NAME}.part"
    with partial.open("w", encoding="utf-8") as stream:
        json.dump(facts, stream, indent=2)
        stream.write("\n")
        stream.flush()
        os.fsync(stream.fileno())
    partial.replace(folder / FACTS_NAME)


def load(folder: Path) -> Artifact:
    """Read a model folder; the classifier is in evaluation mode, on the CPU.

    Raises:
        ArtifactError: the folder holds no model of ours, one of a newer format, or a damaged one.
    """
    facts = _read_facts(folder)
    try:
        spec = ModelSpec.from_json(_mapping(facts, "model"))
        preprocessing = Preprocessing.from_json(_mapping(facts, "preprocessing"))
        labels = _labels(facts["labels"])
        metrics = {str(name): float(value) for name, value in _mapping(facts, "metrics").items()}
        training = _mapping(facts, "training")
        classifier = Classifier(spec)
        artifact = Artifact(
            classifier=classifier,
            labels=labels,
            preprocessing=preprocessing,
            metrics=metrics,
            training=training,
        )
    except KeyError as error:
        raise ArtifactError(f"{folder / FACTS_NAME} lacks {error}: the model is damaged") from error
    except (SettingError, TypeError, ValueError) as error:
        raise ArtifactError(f"{folder / FACTS_NAME} makes no sense: {error}") from error
    _fill(classifier, folder / WEIGHTS_NAME)
    classifier.eval()
    return artifact


def _read_facts(folder: Path) -> dict[str, object]:
    path = folder / FACTS_NAME
    if not folder.is_dir():
        raise ArtifactError(f"there is no model folder {folder}")
    if not path.is_file():
        inside = ", ".join(sorted(entry.name for entry in folder.iterdir())[:10]) or "nothing"
        raise ArtifactError(
            f"{folder} holds no model of fogbank.vision: {FACTS_NAME} is missing (there is "
            f"{inside}). A training job of fogbank.vision.train writes it."
        )
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:  # both bad UTF-8 and bad JSON
        raise ArtifactError(f"{path} is not JSON: {error}") from error
    if not isinstance(facts, dict) or not isinstance(facts.get("format"), int):
        raise ArtifactError(f"{path} is not the description of a model: it has no format number")
    if facts["format"] > FORMAT:
        raise ArtifactError(
            f"{path} is of format {facts['format']}, newer than this version's {FORMAT}: serve it "
            "with the version of fogbank that trained it"
        )
    return cast("dict[str, object]", facts)


def _mapping(facts: Mapping[str, object], name: str) -> dict[str, Any]:
    value = facts[name]
    if not isinstance(value, dict):
        raise TypeError(f"{name} is not an object")
    return value


def _labels(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(label, str) for label in value):
        raise TypeError("labels is not a list of names")
    return tuple(value)


def _fill(classifier: Classifier, path: Path) -> None:
    if not path.is_file():
        raise ArtifactError(f"{path} is missing: the model is damaged")
    try:
        classifier.load_state_dict(load_file(path))
    except SafetensorError as error:
        raise ArtifactError(f"{path} is no safetensors file: {error}") from error
    except RuntimeError as error:  # torch's answer to missing, unknown and misshapen tensors
        raise ArtifactError(f"{path} is not of the network that fogbank.json names") from error


def _versions() -> dict[str, str]:
    versions = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:  # copied into a container as source
            versions[package] = "unknown"
    return versions
