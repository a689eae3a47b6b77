"""Real SDKs, each in an environment of its own, against a cloud.

`make clients` makes the environments and says where they are; without it these tests are skipped.
The programs in programs/ are the clients'; they know nothing of this project.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from fogbank.testing.cloud import RunningCloud

HERE = Path(__file__).parent
FOGBANK = Path(sys.executable).with_name("fogbank")
LIMIT_S = 400

Client = Callable[..., Any]


def client_environments() -> Path:
    """The folder of all environments; without it no test of these is run."""
    folder = os.environ.get("FOGBANK_CLIENT_ENVIRONMENTS")
    if folder is None:
        pytest.skip("takes minutes and environments of its own: run `make clients`")
    return Path(folder).resolve()


def client_python(name: str) -> Path:
    """The interpreter of an environment: `sdk-v2`, `sdk-v3`, `toolkit`."""
    python = client_environments() / name / "bin" / "python"
    if not python.exists():
        pytest.skip(f"{python} is missing: run `make clients`, which makes it")
    return python


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """source/ with train.py and inference.py, pictures/ with three of them, dog.jpg."""
    folder = tmp_path_factory.mktemp("project")
    shutil.copytree(
        HERE / "source", folder / "source", ignore=shutil.ignore_patterns("__pycache__")
    )
    for number, name in enumerate(("cat/1.jpg", "dog/1.jpg", "dog/2.jpg")):
        path = folder / "pictures" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8 + number, 8)).save(path)
    Image.new("RGB", (31, 17)).save(folder / "dog.jpg")
    return folder


@pytest.fixture
def client(request: pytest.FixtureRequest, cloud: RunningCloud, project: Path) -> Client:
    """Runs a program of programs/ under `fogbank run`; returns what it told at its end.

    Parametrised with the name of the environment. The program starts in the project's folder.
    """
    python = client_python(request.param)

    def run(program: str, *arguments: str) -> Any:
        return told_by([str(python), str(HERE / "programs" / program), *arguments], cloud, project)

    return run


def told_by(
    command: list[str], cloud: RunningCloud, folder: Path, *, limit_s: float = LIMIT_S
) -> Any:
    """The last line of a command's output, which is JSON; nothing of it went outside."""
    home = folder / "home"
    home.mkdir(exist_ok=True)
    ended = subprocess.run(
        [str(FOGBANK), "run", "--home", str(cloud.home), "--", *command],
        cwd=folder,
        # Nothing of the person's own: neither configuration nor keys.
        env={"PATH": os.environ["PATH"], "HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=limit_s,
    )
    assert ended.returncode == 0, f"{ended.stdout[-6000:]}\n{ended.stderr[-6000:]}"
    told = json.loads(ended.stdout.splitlines()[-1])
    assert told.pop("outside") == []
    refused = (cloud.home / "run.log").read_text()
    assert "is not a host of AWS" not in refused, refused
    told["output"] = ended.stdout + ended.stderr
    return told
