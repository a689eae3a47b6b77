"""Weights that old scripts find without a network, and files that are refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torchvision import models
from typer.testing import CliRunner

from fogbank.cli.weights import app
from fogbank.vision.errors import WeightsError
from fogbank.vision.placed_weights import place, placed

SMALL = "squeezenet1_1"


@pytest.fixture
def state() -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = models.get_model(SMALL, weights=None).state_dict()
    return found


def test_a_script_that_asks_for_pretrained_weights_finds_them(
    tmp_path: Path, state: dict[str, torch.Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.save({"state_dict": state}, tmp_path / "mine.pth")
    found = place(SMALL, tmp_path / "mine.pth", tmp_path / "torch")
    assert found.path.name == "squeezenet1_1-b8a52dc0.pth"
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    loaded = models.get_model(SMALL, weights="IMAGENET1K_V1").state_dict()
    assert all(torch.equal(loaded[name], value) for name, value in state.items())
    assert placed(tmp_path / "torch") == [found]


def test_random_numbers_do_for_a_try(tmp_path: Path) -> None:
    found = place(SMALL, None, tmp_path)
    assert (found.network, found.weights) == (SMALL, "IMAGENET1K_V1")
    assert found.path.is_file()


def test_weights_of_another_network_are_refused(
    tmp_path: Path, state: dict[str, torch.Tensor]
) -> None:
    bad = tmp_path / "bad.pth"
    torch.save({**state, "extra": torch.zeros(1)}, bad)
    with pytest.raises(WeightsError, match="1 tensors unknown, such as extra"):
        place(SMALL, bad, tmp_path)
    name, value = next(iter(state.items()))
    torch.save({**state, name: value[:1]}, bad)
    with pytest.raises(WeightsError, match="of another shape"):
        place(SMALL, bad, tmp_path)
    assert placed(tmp_path) == []


def test_a_network_that_torchvision_does_not_have_is_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="did you mean resnet50"):
        place("resnet5", None, tmp_path)


def test_the_commands(tmp_path: Path) -> None:
    runner = CliRunner(env={"FOGBANK_HOME": str(tmp_path)})
    assert "none in" in runner.invoke(app, ["list"]).stdout
    assert "random numbers" in runner.invoke(app, ["add", SMALL, "--random"]).stdout
    assert SMALL in runner.invoke(app, ["list"]).stdout
    both = runner.invoke(app, ["add", SMALL, str(tmp_path / "x.pth"), "--random"])
    assert both.exit_code != 0
