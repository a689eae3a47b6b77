"""What a person is told whose image has other versions than what runs in its place."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from cloud.machines.training_site import TrainingSite
from fogbank.cloud.machines.image_versions import version_note

REGISTRY = "763104351884.dkr.ecr.us-east-1.amazonaws.com"
OLD = f"{REGISTRY}/pytorch-training:1.4.0-cpu-py3"


def interpreter(folder: Path, python: str, torch: str | None) -> Path:
    """An environment with that PyTorch, as pip leaves it."""
    packages = folder / "lib" / f"python{python}" / "site-packages"
    packages.mkdir(parents=True)
    if torch is not None:
        described = packages / f"torch-{torch}.dist-info"
        described.mkdir()
        (described / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: torch\nVersion: {torch}\n"
        )
    return folder / "bin" / "python"


@pytest.mark.observed
@pytest.mark.parametrize(
    ("tag", "told"),
    [
        ("pytorch-training:2.6.0-cpu-py312-ubuntu22.04-sagemaker", False),
        ("pytorch-inference:2.6-gpu-py312", False),
        ("pytorch-training:2.6.1", False),
        ("pytorch-training:2.6.0-cpu-py3", False),
        (
            "huggingface-pytorch-training:2.6.0-transformers4.49.0-gpu-py312-cu124-ubuntu22.04",
            False,
        ),
        ("pytorch-training:2.6.0-cpu-py31", True),
        ("pytorch-training:2.6.0-cpu-py311", True),
        ("pytorch-training:2.60.0-cpu-py312", True),
        ("pytorch-training:1.4.0-cpu-py3", True),
        ("pytorch-training:latest", False),
        ("my-own-image:1.0-py27", False),
    ],
)
def test_only_differences_are_told(tmp_path: Path, tag: str, told: bool) -> None:
    python = interpreter(tmp_path, "3.12", "2.6.0+cpu")
    assert (version_note(f"{REGISTRY}/{tag}", python) is not None) is told


def test_the_note_names_both_sides(tmp_path: Path) -> None:
    python = interpreter(tmp_path, "3.12", "2.6.0+cpu")
    assert version_note(OLD, python) == (
        f"The image is for PyTorch 1.4.0 and Python 3; in its place {python} runs, which has "
        "PyTorch 2.6.0+cpu and Python 3.12."
    )


def test_an_interpreter_without_pytorch(tmp_path: Path) -> None:
    python = interpreter(tmp_path, "3.12", None)
    assert "has no PyTorch and Python 3.12" in (version_note(OLD, python) or "")


async def test_a_job_says_it_in_its_log(training: TrainingSite) -> None:
    training.runs("echo ran", AlgorithmSpecification={"TrainingImage": OLD})
    assert (await training.end()).status == "Completed"
    note, ran = training.logs.lines
    assert (note, ran) == (version_note(OLD, Path(sys.executable)), "ran")
