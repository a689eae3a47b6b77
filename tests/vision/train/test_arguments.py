"""Hyperparameters as SageMaker passes them."""

from __future__ import annotations

from pathlib import Path

import pytest

from fogbank.vision.errors import SettingError
from fogbank.vision.train.arguments import parse
from fogbank.vision.train.config import FIELD_NAMES, TrainingConfig


@pytest.mark.parametrize(
    "argv",
    [
        ["--batch-size", "64", "--fine-tune", "true", "--lr", "0.01"],
        ["--batch_size", "64", "--fine_tune", "True", "--lr", "1e-2"],
        ["--batch_size", '"64"', "--fine-tune", "--lr", '"0.01"'],
        ["--lr=0.01", "--batch-size=64", "--fine-tune=1"],
    ],
)
def test_all_spellings_mean_the_same(argv: list[str]) -> None:
    assert parse(argv).config == TrainingConfig(batch_size=64, fine_tune=True, lr=0.01)


def test_unknown_names_are_ignored_with_a_note() -> None:
    argv = ["--sagemaker_region", "us-east-1", "--epoch", "4", "--_tuning_objective_metric", "x"]
    arguments = parse(argv)
    assert arguments.config == TrainingConfig()
    assert arguments.notes[0] == "ignored unknown argument --sagemaker_region"
    assert arguments.notes[1] == "ignored unknown argument --epoch; did you mean --epochs?"


@pytest.mark.parametrize("nothing", ["", "none", "null"])
def test_optional_values_can_be_taken_back(nothing: str) -> None:
    assert parse(["--hidden", nothing, "--weights", nothing]).config == TrainingConfig()


def test_files_and_zero() -> None:
    config = parse(["--weights", "/w.pth", "--hidden", "0", "--flip", "off"]).config
    assert (config.weights, config.hidden, config.flip) == (Path("/w.pth"), 0, False)


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--epochs", "many"], "epochs: 'many' is not a whole number"),
        (["--epochs", "1.5"], "epochs: '1.5' is not a whole number"),
        (["--lr", "fast"], "lr: 'fast' is not a number"),
        (["--lr", "nan"], "lr: nan is not a positive number"),
        (["--lr", "-1"], "lr: -1.0 is not a positive number"),
        (["--fine-tune", "perhaps"], "fine_tune: 'perhaps' is not true or false"),
        (["--epochs"], "epochs: the value is missing"),
        (["--epochs", "0"], "epochs: 0 is not positive"),
        (["--max-broken", "5"], "max_broken: 5.0 is not in 0..1"),
        (["--seed", "-1"], "seed: -1 is negative"),
        (["--image-size", "8"], "image_size: 8"),
        (["32"], "'32' has no name"),
    ],
)
def test_wrong_values_are_named(argv: list[str], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        parse(argv)


def test_the_set_of_hyperparameters_is_a_decision() -> None:
    assert set(FIELD_NAMES) == {
        *("epochs", "batch_size", "lr", "weight_decay", "label_smoothing", "dropout", "hidden"),
        *("backbone", "weights", "features", "image_size", "patience", "fine_tune"),
        *("fine_tune_epochs", "fine_tune_lr", "flip", "seed", "max_broken"),
        *("data", "model_dir", "output_data_dir", "checkpoint_dir"),
    }
