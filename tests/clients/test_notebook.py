"""examples/dog-breeds: the notebook runs from top to bottom, unmodified, with real pictures."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from clients.conftest import client_python, told_by
from e2e.waiting import until
from fogbank.testing.cloud import RunningCloud
from fogbank.vision.sample import write_digits

HERE = Path(__file__).parent
EXAMPLE = Path(__file__).parents[2] / "examples" / "dog-breeds"
NOTEBOOK_LIMIT_S = 900
PER_CLASS = {"train": 8, "valid": 4, "test": 2}


@pytest.fixture
def example(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """The example beside a few pictures of each class: dogs, or digits where there are none."""
    folder = tmp_path / "dog-breeds"
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("__pycache__"))
    try:
        dogs: Path = request.getfixturevalue("dogs")
        sources = {"train": dogs / "train", "valid": dogs / "train", "test": dogs / "valid"}
    except pytest.skip.Exception:
        digits = write_digits(tmp_path / "digits").folder
        sources = {split: digits / split for split in PER_CLASS}
    for split, source in sources.items():
        # Where valid is taken from train's pictures, it takes others.
        skipped = PER_CLASS["train"] if split == "valid" and source.name == "train" else 0
        for label in sorted(source.iterdir()):
            target = folder / "pictures" / split / label.name
            target.mkdir(parents=True)
            for path in sorted(label.iterdir())[skipped : skipped + PER_CLASS[split]]:
                (target / path.name).symlink_to(path)
    return folder


@pytest.mark.slow
@pytest.mark.observed
@pytest.mark.timeout(NOTEBOOK_LIMIT_S + 60)
def test_the_notebook_of_the_example(example: Path, cloud: RunningCloud) -> None:
    program = str(HERE / "programs" / "v2_notebook.py")
    command = [str(client_python("sdk-v2")), program, "train_and_deploy.ipynb"]
    told = told_by(command, cloud, example, limit_s=NOTEBOOK_LIMIT_S)
    outputs = told["outputs"]
    assert outputs["trials"].count("Completed") == 4
    assert re.search(r"'batch-size': '(16|32|64)'", outputs["best"])
    log = outputs["train"]
    assert "epoch=20 " in log
    assert log.count("epoch=20 ") == 1, "one of two processes speaks for both"
    assert "identical models" not in log
    accuracy = float(outputs["predict"].rpartition("accuracy ")[2])
    assert accuracy > 0.75
    assert "image/png" in told["kinds"], "the plot"
    sagemaker = cloud.client("sagemaker")
    assert sagemaker.list_models()["Models"] == []
    until(lambda: not sagemaker.list_endpoints()["Endpoints"], "the end of the endpoint")
