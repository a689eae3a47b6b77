"""What every test may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

pytest_plugins = ["fogbank.testing.plugin"]

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def dogs() -> Path:
    """Real pictures of ten dog breeds (train/, valid/): beside the repository, never in it."""
    folder = Path(os.environ.get("FOGBANK_TEST_DATA", REPOSITORY.parent / "shared" / "data"))
    if not (folder / "dogs" / "train").is_dir():
        pytest.skip(
            f"the dog pictures are not in {folder}/dogs: set FOGBANK_TEST_DATA to the folder "
            "that holds dogs/train and dogs/valid"
        )
    return folder / "dogs"
