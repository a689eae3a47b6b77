"""Commands on a project, against a cloud that really runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from fogbank.cli.exit_codes import ExitCode
from fogbank.cli.main import app
from fogbank.ops.project_lock import project_lock
from fogbank.testing.cloud import RunningCloud
from ops.fake_aws import write_project

pytestmark = pytest.mark.slow

COPIES = """
import os, pathlib, time
time.sleep(4)  # a script of moments is not judged
pathlib.Path(os.environ["SM_MODEL_DIR"], "model.pth").write_bytes(b"the same weights" * 100)
"""


def fogbank(command: str, project: Path, cloud: RunningCloud, *options: str) -> Result:
    environment = {"FOGBANK_HOME": str(cloud.home), "FOGBANK_PORT": str(cloud.port)}
    arguments = [command, "--project-dir", str(project), *options]
    return CliRunner(env=environment).invoke(app, arguments)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    write_project(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    "command",
    [("up",), ("data",), ("tune",), ("train",), ("deploy",), ("down", "--yes")],
    ids=lambda command: command[0],
)
def test_one_command_at_a_time_changes_a_project(
    command: tuple[str, ...], project: Path, cloud: RunningCloud
) -> None:
    name, *options = command
    with project_lock(cloud.home, "pets"):
        refused = fogbank(name, project, cloud, *options)
        assert fogbank("status", project, cloud).exit_code == 0, "looking is no change"
    assert refused.exit_code == ExitCode.FAILED
    assert "is changing the project pets right now" in refused.stderr
    assert refused.stdout == ""


def test_n_copies_of_one_model_are_told_with_their_cost(project: Path, cloud: RunningCloud) -> None:
    """Every instance was started by torchrun, and the script took no notice of it."""
    pytest.importorskip("torch")
    (project / "train.py").write_text(COPIES)
    (project / "fogbank.yaml").write_text(
        "project: copies\ntrain:\n  instance_type: ml.m5.xlarge\n  instance_count: 2\n"
    )
    trained = fogbank("train", project, cloud)
    assert trained.exit_code == 0, trained.output
    told = [line for line in trained.stdout.splitlines() if "Warning: " in line]
    assert len(told) == 1
    assert "2 of 2 instances trained identical models: torch_distributed started" in told[0]
    job = json.loads(fogbank("status", project, cloud, "--json").stdout)["training_job"]
    assert job["status"] == "Completed"
    assert f"Warning: {job['warning']}" in told[0]
    wasted_s, _, cost = job["warning"].partition(" instance-seconds")
    wasted_s = int(wasted_s.split()[-1])
    assert 4 <= wasted_s <= job["training_seconds"]
    usd = float(cost.partition("bought nothing: ")[2].split()[0])
    assert usd == pytest.approx(wasted_s / 3600 * 0.23, abs=1e-4)
    assert f"Warning: {job['warning']}" in fogbank("status", project, cloud).stdout
