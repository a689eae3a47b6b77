"""fogbank.yaml: what is accepted, and what is said about what is not."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from fogbank.core.errors import InputError
from fogbank.ops.spec_file import SpecError, read_spec

CASES = json.loads((Path(__file__).parents[1] / "cases/ops/spec_errors.json").read_text())


def spec_of(tmp_path: Path, text: str) -> Any:
    path = tmp_path / "fogbank.yaml"
    path.write_text(text)
    return read_spec(path)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["case"])
def test_mistakes_are_named_with_line_and_key(case: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(SpecError) as caught:
        spec_of(tmp_path, case["yaml"])
    found = [[item.line, item.key, item.message] for item in caught.value.mistakes]
    assert found == case["mistakes"]
    for line, key, message in case["mistakes"]:
        assert f"fogbank.yaml:{line}: {key + ': ' if key else ''}{message}" in str(caught.value)


def test_one_line_is_enough(tmp_path: Path) -> None:
    spec = spec_of(tmp_path, "project: dogs\n")
    assert spec.project == "dogs"
    assert (spec.data.path, spec.data.channel) == ("data", "training")
    assert spec.train.entry_point == "train.py"
    assert spec.endpoint.entry_point == "inference.py"


def test_hyperparameters_become_text(tmp_path: Path) -> None:
    spec = spec_of(
        tmp_path,
        "project: dogs\ntrain:\n  hyperparameters: {epochs: 3, lr: 0.5, flip: false, name: x}\n",
    )
    assert spec.train.hyperparameters == {
        "epochs": "3",
        "lr": "0.5",
        "flip": "false",
        "name": "x",
    }


def test_a_metric_by_name_finds_its_number(tmp_path: Path) -> None:
    spec = spec_of(tmp_path, "project: dogs\ntrain:\n  metrics: [valid_loss]\n")
    (metric,) = spec.train.metrics
    found = re.search(metric.regex, "epoch=1 valid_loss=1.5e-3 rest")
    assert found is not None
    assert found[1] == "1.5e-3"
    assert re.search(metric.regex, "invalid_loss=1") is None


def test_a_missing_file_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="fogbank init"):
        read_spec(tmp_path / "fogbank.yaml")


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "fogbank.yaml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="cannot be read"):
        read_spec(path)
