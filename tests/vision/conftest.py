"""Folders of pictures for the tests of the workload."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from vision.pictures import MakePictures, pictures_in


@pytest.fixture
def make_pictures(tmp_path: Path) -> MakePictures:
    """Writes generated pictures below the test's own folder."""
    return pictures_in(tmp_path)


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """The suite may run beside others: more threads than cores make everything slower."""
    torch.set_num_threads(1)
