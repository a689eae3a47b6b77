"""The model folder: what comes back is what went in; anything else is refused with a reason."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from fogbank.vision import artifact
from fogbank.vision.artifact import Artifact
from fogbank.vision.errors import ArtifactError
from fogbank.vision.model import Classifier, ModelSpec
from fogbank.vision.preprocess import Preprocessing


def small(**overrides: object) -> Artifact:
    torch.manual_seed(5)
    values: dict[str, object] = {
        "classifier": Classifier(ModelSpec(hidden=8, num_classes=2)).eval(),
        "labels": ("cat", "dög"),
        "preprocessing": Preprocessing().with_image_size(64),
        "metrics": {"valid_accuracy": 0.75},
        "training": {"epochs": 3},
    }
    return Artifact(**{**values, **overrides})  # type: ignore[arg-type]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    artifact.save(small(), tmp_path / "model")
    return tmp_path / "model"


def test_round_trip(folder: Path) -> None:
    batch = torch.randn(2, 3, 64, 64)
    loaded, original = artifact.load(folder), small()
    assert loaded.labels == original.labels
    assert loaded.preprocessing == original.preprocessing
    assert loaded.metrics == original.metrics
    assert loaded.training == original.training
    assert not loaded.classifier.training
    with torch.inference_mode():
        assert torch.equal(loaded.classifier(batch), original.classifier(batch))


def test_the_folder_holds_two_files_and_says_what_made_it(folder: Path) -> None:
    assert sorted(path.name for path in folder.iterdir()) == ["fogbank.json", "model.safetensors"]
    facts = json.loads((folder / "fogbank.json").read_text(encoding="utf-8"))
    assert facts["versions"]["torch"].startswith(torch.__version__.split("+")[0])


def test_labels_and_classes_must_agree() -> None:
    with pytest.raises(ValueError, match="3 labels for 2 classes"):
        small(labels=("a", "b", "c"))


def rewrite(**changes: object) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        facts = json.loads((folder / "fogbank.json").read_text(encoding="utf-8"))
        (folder / "fogbank.json").write_text(json.dumps({**facts, **changes}), encoding="utf-8")

    return apply


def drop(name: str) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        facts = json.loads((folder / "fogbank.json").read_text(encoding="utf-8"))
        del facts[name]
        (folder / "fogbank.json").write_text(json.dumps(facts), encoding="utf-8")

    return apply


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / "model.safetensors").unlink(), "model.safetensors is missing"),
        (lambda folder: (folder / "model.safetensors").write_bytes(b"x"), "no safetensors file"),
        (lambda folder: (folder / "fogbank.json").write_bytes(b"{"), "not JSON"),
        (lambda folder: (folder / "fogbank.json").write_bytes(b"\xff"), "not JSON"),
        (lambda folder: (folder / "fogbank.json").write_text("[]"), "no format number"),
        (rewrite(format=2), "newer"),
        (rewrite(labels=["cat"]), "1 labels for 2 classes"),
        (rewrite(labels="cat"), "labels is not a list"),
        (rewrite(model={"backbone": "resnet99"}), "lacks"),
        (
            rewrite(
                model={
                    "backbone": "no_such_net",
                    "features": "last",
                    "hidden": 8,
                    "dropout": 0,
                    "num_classes": 2,
                }
            ),
            "no network named 'no_such_net'",
        ),
        (
            rewrite(
                model={
                    "backbone": "efficientnet_lite0",
                    "features": "last",
                    "hidden": 9,
                    "dropout": 0,
                    "num_classes": 2,
                }
            ),
            "not of the network",
        ),
        (drop("preprocessing"), "lacks 'preprocessing'"),
    ],
)
def test_damaged_folders_are_refused(
    folder: Path, damage: Callable[[Path], object], message: str
) -> None:
    damage(folder)
    with pytest.raises(ArtifactError, match=message):
        artifact.load(folder)


def test_foreign_and_missing_folders_are_refused(tmp_path: Path) -> None:
    (tmp_path / "model.pth").write_bytes(b"somebody else's")
    with pytest.raises(ArtifactError, match=r"no model of fogbank\.vision.*there is model\.pth"):
        artifact.load(tmp_path)
    with pytest.raises(ArtifactError, match="no model folder"):
        artifact.load(tmp_path / "absent")
