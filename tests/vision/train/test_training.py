"""Whole training jobs on small generated pictures."""

from __future__ import annotations

import json
import re
import runpy
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import timm
import torch

from fogbank.vision import artifact
from fogbank.vision.contract import METRIC_DEFINITIONS, JobFolders
from fogbank.vision.errors import DataError, TrainingDivergedError
from fogbank.vision.train import main
from fogbank.vision.train.config import TrainingConfig
from fogbank.vision.train.features import Standardisation
from fogbank.vision.train.run import run
from vision.pictures import MakePictures

SMALL = TrainingConfig(epochs=6, image_size=64, batch_size=8, lr=1e-2)


@pytest.fixture
def folders(tmp_path: Path, make_pictures: MakePictures) -> JobFolders:
    return JobFolders(
        model=tmp_path / "model",
        output_data=tmp_path / "output",
        checkpoints=None,
        channels={"training": make_pictures("pool", each=10)},
        num_hosts=1,
    )


def weights_equal(first: Path, second: Path) -> bool:
    return (first / "model.safetensors").read_bytes() == (second / "model.safetensors").read_bytes()


def test_a_training_learns_reports_and_leaves_a_model(folders: JobFolders) -> None:
    lines: list[str] = []
    result = run(SMALL, folders, lines.append)
    assert result.labels == ("blue", "green", "red")
    assert result.metrics["valid_accuracy"] == 1.0
    assert result.metrics["test_accuracy"] == 1.0
    epochs = [line for line in lines if line.startswith("epoch=")]
    number = r"\d+\.\d{4}"
    pattern = rf"epoch=\d+ train_loss={number} valid_loss={number} valid_accuracy={number}"
    assert len(epochs) == 6
    assert all(re.fullmatch(pattern, line) for line in epochs)
    for definition in METRIC_DEFINITIONS:
        found = re.findall(definition["Regex"], "\n".join(lines))
        if definition["Name"] != "train_loss":
            assert found[-1] == f"{result.metrics[definition['Name']]:.4f}"
    saved = artifact.load(folders.model)
    assert saved.metrics == result.metrics
    report = json.loads((folders.output_data / "evaluation.json").read_text(encoding="utf-8"))
    assert report["splits"]["test"]["confusion"] == [[2, 0, 0], [0, 2, 0], [0, 0, 2]]
    assert report["broken"] == []


def test_same_seed_same_model(folders: JobFolders, tmp_path: Path) -> None:
    config = replace(SMALL, dropout=0.3, hidden=8, fine_tune=True, fine_tune_epochs=1)
    for name in ("first", "second"):
        run(config, replace(folders, model=tmp_path / name), lambda _: None)
    run(replace(config, seed=1), replace(folders, model=tmp_path / "other"), lambda _: None)
    assert weights_equal(tmp_path / "first", tmp_path / "second")
    assert not weights_equal(tmp_path / "first", tmp_path / "other")


class StoppedError(Exception):
    """The job is killed here."""


def stop_after(line_start: str) -> Callable[[str], None]:
    def say(line: str) -> None:
        if line.startswith(line_start):
            raise StoppedError

    return say


@pytest.mark.parametrize("where", ["epoch=3 ", "epoch=8 "])
def test_an_interrupted_training_ends_in_the_same_model(
    folders: JobFolders, tmp_path: Path, where: str
) -> None:
    config = replace(
        SMALL, dropout=0.3, fine_tune=True, fine_tune_epochs=2, patience=0, fine_tune_lr=1e-3
    )
    through = replace(folders, model=tmp_path / "through")
    run(config, through, lambda _: None)
    resumed = replace(folders, model=tmp_path / "resumed", checkpoints=tmp_path / "checkpoints")
    # The line of an epoch comes before its checkpoint: that epoch is lost and done again.
    with pytest.raises(StoppedError):
        run(config, resumed, stop_after(where))
    assert not resumed.model.exists()
    lines: list[str] = []
    run(config, resumed, lines.append)
    assert any("from the checkpoint" in line for line in lines)
    assert any(line.startswith("resumed head") for line in lines)
    assert weights_equal(through.model, resumed.model)


def test_checkpoints_of_another_training_are_left_alone(
    folders: JobFolders, tmp_path: Path
) -> None:
    kept = replace(folders, checkpoints=tmp_path / "checkpoints")
    run(SMALL, kept, lambda _: None)
    (tmp_path / "checkpoints" / "features-valid.safetensors").write_bytes(b"damaged")
    lines: list[str] = []
    run(replace(SMALL, lr=2e-3), kept, lines.append)
    assert any("features-train.safetensors is of another configuration" in line for line in lines)
    assert any("features-valid.safetensors cannot be read" in line for line in lines)
    assert sum(line.startswith("epoch=") for line in lines) == 6


def test_broken_pictures_among_good_ones_are_named_and_skipped(
    folders: JobFolders, make_pictures: MakePictures
) -> None:
    root = make_pictures("mixed", each=30)
    (root / "red" / "letter.jpg").write_text("Dear Sir or Madam")
    good = (root / "blue" / "001.png").read_bytes()
    (root / "blue" / "cut.png").write_bytes(good[: len(good) // 2])
    (root / "green" / "gone.png").symlink_to(root / "nowhere.png")
    lines: list[str] = []
    run(SMALL, replace(folders, channels={"training": root}), lines.append)
    skipped = [line for line in lines if line.startswith("skipped broken picture")]
    names = sorted(line.split()[3].rstrip(":") for line in skipped)
    assert names == ["blue/cut.png", "green/gone.png", "red/letter.jpg"]
    report = json.loads((folders.output_data / "evaluation.json").read_text(encoding="utf-8"))
    assert sorted(report["broken"]) == names


def test_too_many_broken_pictures_end_the_training(folders: JobFolders) -> None:
    root = folders.channels["training"]
    for number in range(3):
        (root / "red" / f"letter-{number}.jpg").write_text("Dear Sir or Madam")
    with pytest.raises(DataError, match=r"2 pictures cannot be read.*Of 33 pictures 1 may"):
        run(SMALL, folders, lambda _: None)
    assert not folders.model.exists()
    run(replace(SMALL, max_broken=0.1), folders, lambda _: None)


def test_fine_tuning_goes_on_from_the_head(folders: JobFolders) -> None:
    lines: list[str] = []
    config = replace(SMALL, epochs=2, fine_tune=True, fine_tune_epochs=2, flip=False)
    result = run(config, folders, lines.append)
    assert [line.split()[0] for line in lines if line.startswith("epoch=")] == [
        *("epoch=1", "epoch=2", "epoch=3", "epoch=4"),
    ]
    assert result.metrics["valid_accuracy"] == 1.0


def test_a_diverging_training_says_so(folders: JobFolders) -> None:
    with pytest.raises(TrainingDivergedError, match="Lower --lr"):
        run(replace(SMALL, lr=1e30), folders, lambda _: None)


def test_multilevel_features_and_resnet50_from_a_file(folders: JobFolders, tmp_path: Path) -> None:
    weights = tmp_path / "resnet50.pth"
    torch.manual_seed(0)
    torch.save(timm.create_model("resnet50", pretrained=False).state_dict(), weights)
    config = replace(SMALL, backbone="resnet50", weights=weights, epochs=8)
    result = run(config, folders, lambda _: None)
    assert result.classifier.spec.hidden == 128
    assert result.preprocessing.interpolation == "bilinear"
    levels = run(replace(SMALL, features="multilevel"), folders, lambda _: None)
    assert levels.metrics["valid_accuracy"] == 1.0


def test_folding_changes_nothing_that_is_computed() -> None:
    torch.manual_seed(0)
    features = torch.randn(50, 6) * torch.tensor([1.0, 5, 0, 0.1, 30, 2]) + 4
    standardisation = Standardisation.of(features)
    layer = torch.nn.Linear(6, 3)
    expected = layer(standardisation.apply(features))
    standardisation.fold_into(layer)
    torch.testing.assert_close(layer(features), expected, rtol=1e-4, atol=1e-4)


def test_several_instances_are_told_that_they_work_alone(folders: JobFolders) -> None:
    lines: list[str] = []
    run(replace(SMALL, epochs=1), replace(folders, num_hosts=2), lines.append)
    assert "each trains the same model by itself" in lines[0]


def test_main_in_a_job_folder(
    make_pictures: MakePictures, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_pictures("input/data/train", each=4)
    make_pictures("input/data/validation", each=2)
    (tmp_path / "checkpoints").mkdir()
    monkeypatch.setenv("SAGEMAKER_BASE_DIR", str(tmp_path))
    main(["--epochs", '"2"', "--image_size", "32", "--sagemaker_program", "train.py"])
    assert artifact.load(tmp_path / "model").labels == ("blue", "green", "red")
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == [
        *("features-train.safetensors", "features-valid.safetensors", "head.safetensors"),
    ]


def test_it_fails_as_a_job_with_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An exit with words: Python prints them to standard error and ends with 1."""
    monkeypatch.setattr(sys, "argv", ["train", "--data", str(tmp_path / "absent")])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("fogbank.vision.train", run_name="__main__")
    said = ended.value.code
    assert isinstance(said, str)
    assert said.startswith("error: the folder of the train channel does not exist")
    assert len(said.splitlines()) == 1


def test_dogs_in_a_nutshell(dogs: Path, tmp_path: Path) -> None:
    for split, count in (("train", 12), ("valid", 6)):
        for breed in ("samoyed", "beagle", "dingo"):
            target = tmp_path / "dogs" / split / breed
            target.mkdir(parents=True)
            for file in sorted((dogs / split / breed).iterdir())[:count]:
                (target / file.name).symlink_to(file)
    folders = JobFolders(
        model=tmp_path / "model",
        output_data=tmp_path / "output",
        checkpoints=None,
        channels={"training": tmp_path / "dogs"},
        num_hosts=1,
    )
    result = run(TrainingConfig(epochs=10), folders, lambda _: None)
    assert result.metrics["valid_accuracy"] >= 0.8
