"""tuned.yaml: it is read as it was written, and its values are used where they belong."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fogbank.core.errors import InputError, WorldError
from fogbank.ops.spec import Spec
from fogbank.ops.spec_file import SpecError, read_spec
from fogbank.ops.tuned import (
    FILE_NAME,
    Tuned,
    choose,
    read_tuned,
    render,
    tuned_of,
    write_tuned,
)
from ops.test_search import search_of

SPEC = """\
project: pets
train:
  hyperparameters: {lr: 0.1, epochs: 3}
tune:
  objective: {minimize: valid_loss}
  ranges:
    lr: {min: 0.0001, max: 0.01, scale: log}
    depth: {min: 1, max: 5}
    size: [32, 64]
"""


def spec_of(tmp_path: Path, text: str = SPEC) -> Spec:
    (tmp_path / "fogbank.yaml").write_text(text)
    return read_spec(tmp_path / "fogbank.yaml")


def tuned_with(**hyperparameters: str) -> Tuned:
    found = tuned_of(search_of(0.5, 0.25))
    assert found is not None
    return found.model_copy(update={"hyperparameters": hyperparameters})


def test_the_best_trial_is_kept_in_a_file_that_people_can_read(tmp_path: Path) -> None:
    tuned = tuned_of(search_of(0.5, None, 0.25))
    assert tuned is not None
    write_tuned(tmp_path, tuned)
    lines = (tmp_path / FILE_NAME).read_text().splitlines()
    assert [line for line in lines if not line.startswith("#")] == [
        "tuning_job: pets-1",
        "training_job: pets-1-003",
        'objective: {minimize: "loss"}',
        "value: 0.25",
        "hyperparameters:",
        "  lr: 0.003",
        "  size: 32",
    ]
    assert read_tuned(tmp_path) == tuned
    written = (tmp_path / FILE_NAME).stat().st_mtime_ns
    write_tuned(tmp_path, tuned)
    assert (tmp_path / FILE_NAME).stat().st_mtime_ns == written, "nothing new to say"


def test_nothing_is_kept_of_a_search_that_found_nothing() -> None:
    assert tuned_of(search_of(None)) is None


def test_no_file_is_no_mistake(tmp_path: Path) -> None:
    assert read_tuned(tmp_path) is None


def test_a_broken_file_is_named_with_its_line(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text("tuning_job: a\ntraining_job: b\nvalue: high\n")
    with pytest.raises(SpecError, match=r"tuned\.yaml:3: value: 'high' is not a number"):
        read_tuned(tmp_path)


def test_a_file_that_cannot_be_read_or_written(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).mkdir()
    with pytest.raises(InputError, match="cannot be read"):
        read_tuned(tmp_path)
    with pytest.raises(WorldError, match="cannot be written"):
        write_tuned(tmp_path, tuned_with())


TEXTS = st.text(min_size=1) | st.sampled_from(
    [
        "0.10",
        "1e-05",
        "on",
        "no",
        "null",
        "~",
        "1_000",
        "012",
        "0x1f",
        "1:30",
        "- a",
        "a: b",
        "a #b",
    ]
)


@given(st.dictionaries(TEXTS, TEXTS))
def test_every_value_is_read_as_it_was_written(
    tmp_path_factory: pytest.TempPathFactory, hyperparameters: dict[str, str]
) -> None:
    folder = tmp_path_factory.mktemp("project")
    tuned = tuned_with(**hyperparameters)
    try:
        render(tuned).encode()
    except UnicodeEncodeError:
        return  # lone surrogates are in no file
    write_tuned(folder, tuned)
    assert read_tuned(folder) == tuned


def test_without_a_result_all_values_are_the_specs(tmp_path: Path) -> None:
    choice = choose(spec_of(tmp_path), None)
    assert choice.values == {"lr": "0.1", "epochs": "3"}
    assert (choice.tuned, choice.unused, choice.origin()) == ({}, {}, "")


def test_what_was_found_replaces_what_the_spec_says(tmp_path: Path) -> None:
    choice = choose(spec_of(tmp_path), tuned_with(lr="0.002", depth="2", size="64"))
    assert choice.values == {"lr": "0.002", "epochs": "3", "depth": "2", "size": "64"}
    assert choice.unused == {}
    assert choice.origin() == "lr 0.002, depth 2, size 64 from tuned.yaml"
    assert choice.to_json()["lr"] == {"value": "0.002", "from": "tuned.yaml"}
    assert choice.to_json()["epochs"] == {"value": "3", "from": "fogbank.yaml"}


@pytest.mark.parametrize(
    ("name", "value"),
    [("lr", "0.5"), ("depth", "6"), ("depth", "2.5"), ("size", "128"), ("lr", "high")],
)
def test_a_value_outside_its_range_is_not_used(name: str, value: str, tmp_path: Path) -> None:
    choice = choose(spec_of(tmp_path), tuned_with(**{"size": "32", name: value}))
    assert choice.values["lr"] == "0.1"
    assert name not in choice.tuned
    assert choice.unused == {name: f"{value} is outside its range in fogbank.yaml"}


def test_the_ends_of_a_range_belong_to_it(tmp_path: Path) -> None:
    choice = choose(spec_of(tmp_path), tuned_with(lr="0.01", depth="5"))
    assert choice.unused == {}


def test_a_value_whose_range_has_gone_is_not_used(tmp_path: Path) -> None:
    spec = spec_of(tmp_path, "project: pets\ntrain: {hyperparameters: {lr: 0.1}}\n")
    choice = choose(spec, tuned_with(lr="0.002"))
    assert choice.values == {"lr": "0.1"}
    assert choice.unused == {"lr": "fogbank.yaml has no range for it"}
