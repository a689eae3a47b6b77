"""What every test may use."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

pytest_plugins = ["fogbank.testing.plugin"]

REPOSITORY = Path(__file__).resolve().parents[1]

# A script's background job ignores Ctrl-C, and so would the programs that tests end with it.
signal.signal(signal.SIGINT, signal.default_int_handler)

# A law holds also where another program has the processor for a while.
settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")


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
