"""Folders of pictures for the tests of the workload."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from vision.pictures import COLOURS, MakePictures, noisy


@pytest.fixture
def make_pictures(tmp_path: Path) -> MakePictures:
    """Writes generated pictures below the test's own folder."""

    def make(name: str, *, each: int, colours: tuple[str, ...] = tuple(COLOURS)) -> Path:
        folder = tmp_path / name
        for number, colour in enumerate(colours):
            (folder / colour).mkdir(parents=True)
            for index in range(each):
                seed = 1000 * number + index + 17 * len(name)
                noisy(COLOURS[colour], seed).save(folder / colour / f"{index:03d}.png")
        return folder

    return make


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """The suite may run beside others: more threads than cores make everything slower."""
    torch.set_num_threads(1)
