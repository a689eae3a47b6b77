"""`fogbank tune` in a cloud that runs: trials are real processes of a script that takes no time."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from fogbank.cli.exit_codes import ExitCode
from fogbank.cli.main import app
from ops.fake_aws import write_project

pytestmark = pytest.mark.slow

SCRIPT = """\
import argparse, os, pathlib
parser = argparse.ArgumentParser()
parser.add_argument("--rate", type=float, default=0)
parser.add_argument("--kind", default="none")
arguments, _ = parser.parse_known_args()
if arguments.kind == "broken":
    raise SystemExit("no such kind")
print(f"valid_loss={(arguments.rate - 2) ** 2 + 0.5}")
print(f"trained with rate {arguments.rate}")
pathlib.Path(os.environ["SM_MODEL_DIR"], "model").write_text("weights")
"""

SPEC = """\
project: PROJECT
train:
  hyperparameters: {rate: 9, epochs: 1}
tune:
  objective: {minimize: valid_loss}
  strategy: grid
  ranges:
    rate: [1, 2, 3]
    kind: [good, broken]
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of a cloud that runs."""
    folder = tmp_path_factory.mktemp("home")
    assert fogbank("cloud", "start", home=folder).exit_code == 0
    yield folder
    assert fogbank("cloud", "stop", home=folder).exit_code == 0


def environment(home: Path) -> dict[str, str]:
    return {"FOGBANK_HOME": str(home), "FOGBANK_PORT": "0"}


def fogbank(*arguments: str | Path, home: Path) -> Result:
    return CliRunner(env=environment(home)).invoke(app, [str(part) for part in arguments])


def project_in(folder: Path, name: str, script: str = SCRIPT, spec: str = SPEC) -> Path:
    write_project(folder)
    (folder / "fogbank.yaml").write_text(spec.replace("PROJECT", name))
    (folder / "train.py").write_text(script)
    return folder


@pytest.fixture(scope="module")
def tuned(home: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    """A project that has been searched, and what the command said."""
    folder = project_in(tmp_path_factory.mktemp("pets"), "pets")
    return folder, fogbank("tune", "--json", "--project-dir", folder, home=home)


def test_the_best_values_are_found_and_kept(tuned: tuple[Path, Result]) -> None:
    folder, result = tuned
    assert result.exit_code == 0, result.stderr
    told = json.loads(result.stdout)
    assert told["hyperparameters"] == {"rate": "2", "kind": "good"}
    assert told["tuning_job"]["status"] == "Completed"
    assert told["tuning_job"]["counters"] == {"Completed": 3, "Failed": 3}
    assert told["tuning_job"]["best_trial"] == 3
    text = (folder / "tuned.yaml").read_text()
    assert "  rate: 2\n  kind: good\n" in text
    assert "value: 0.5\n" in text


def test_a_line_for_each_trial_where_there_is_no_terminal(tuned: tuple[Path, Result]) -> None:
    _, result = tuned
    lines = [line.strip() for line in result.stderr.splitlines()]
    assert "trial 3: Completed, rate 2, kind good, valid_loss 0.5 (the best so far)" in lines
    (broken,) = [line for line in lines if line.startswith("trial 2:")]
    assert broken == "trial 2: Failed, rate 1, kind broken: no such kind"
    assert len([line for line in lines if line.startswith("trial ")]) == 6


def test_a_table_and_a_picture_are_in_the_report_folder(tuned: tuple[Path, Result]) -> None:
    folder, result = tuned
    told = json.loads(result.stdout)
    rows = list(csv.DictReader(io.StringIO((folder / "report/tuning.csv").read_text())))
    assert [row["valid_loss"] for row in rows] == ["1.5", "", "0.5", "", "1.5", ""]
    assert [row["best_so_far"] for row in rows] == ["1.5", "1.5", *["0.5"] * 4]
    assert told["table"] == str(folder / "report/tuning.csv")
    pytest.importorskip("matplotlib")
    assert told["picture"] == str(folder / "report/tuning.png")
    assert (folder / "report/tuning.png").read_bytes().startswith(b"\x89PNG")


def test_a_second_run_does_nothing_and_shows_the_result(
    tuned: tuple[Path, Result], home: Path
) -> None:
    folder, _ = tuned
    (folder / "tuned.yaml").unlink()
    before = (folder / "report/tuning.csv").stat().st_mtime_ns
    again = fogbank("tune", "--project-dir", folder, home=home)
    assert again.exit_code == 0
    assert "nothing to do" in again.stderr
    assert "trial 3" not in again.stderr
    (best,) = [line for line in again.stdout.splitlines() if "★" in line]
    assert best.split()[:2] == ["3", "Completed"]
    assert "no such kind" in again.stdout
    assert (folder / "tuned.yaml").exists(), "the result comes back without a search"
    assert (folder / "report/tuning.csv").stat().st_mtime_ns == before


def test_train_uses_the_best_values_and_status_says_so(
    tuned: tuple[Path, Result], home: Path
) -> None:
    folder, _ = tuned
    status = fogbank("status", "--project-dir", folder, home=home).stdout
    assert "(Completed, 6 trials, best valid_loss 0.5)" in status
    assert "rate 2, kind good from tuned.yaml" in status
    trained = fogbank("train", "--json", "--project-dir", folder, home=home)
    assert trained.exit_code == 0, trained.stderr
    assert "trained with rate 2.0" in trained.stderr
    told = json.loads(trained.stdout)
    assert told["hyperparameters"]["rate"] == {"value": "2", "from": "tuned.yaml"}
    assert told["hyperparameters"]["epochs"] == {"value": "1", "from": "fogbank.yaml"}
    assert told["training_job"]["metrics"] == {"valid_loss": 0.5}
    assert told["tuning_job"]["status"] == "Completed"
    (folder / "tuned.yaml").rename(folder / "aside.yaml")
    status = fogbank("status", "--project-dir", folder, home=home).stdout
    assert "not trained yet" in status, "fogbank.yaml's own values are another training"
    (folder / "aside.yaml").rename(folder / "tuned.yaml")


def test_a_search_in_which_every_trial_fails(home: Path, tmp_path: Path) -> None:
    folder = project_in(tmp_path, "failing", "raise SystemExit('no such layer')\n")
    result = fogbank("tune", "--project-dir", folder, home=home)
    assert result.exit_code == ExitCode.CLOUD_FAILURE
    assert "No training job succeeded after" in result.stderr
    assert result.stderr.count("    no such layer") == 5, "each trial has its reason"
    assert not (folder / "tuned.yaml").exists()


def test_a_project_without_a_section_tune(home: Path, tmp_path: Path) -> None:
    write_project(tmp_path)
    result = fogbank("tune", "--project-dir", tmp_path, home=home)
    assert result.exit_code == ExitCode.USAGE
    assert "objective: {maximize: valid_accuracy}" in result.stderr


WAITS = """\
import argparse, time
parser = argparse.ArgumentParser()
parser.add_argument("--rate", type=float)
arguments, _ = parser.parse_known_args()
print(f"valid_loss={arguments.rate}", flush=True)
while arguments.rate > 1:
    time.sleep(0.05)
"""


def test_ctrl_c_leaves_it_running_and_stop_keeps_the_best_of_it(home: Path, tmp_path: Path) -> None:
    spec = SPEC.replace("    kind: [good, broken]\n", "")
    folder = project_in(tmp_path, "waiting", WAITS, spec)
    interrupted = subprocess.Popen(
        [Path(sys.executable).with_name("fogbank"), "tune", "--project-dir", folder],
        env={**os.environ, **environment(home)},
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    assert interrupted.stderr is not None
    with interrupted.stderr as stream:
        shown = []
        for line in stream:
            shown.append(line)
            if "trial 1: Completed" in line:
                break
        else:
            raise AssertionError("".join(shown))
        interrupted.send_signal(signal.SIGINT)
        rest = stream.read()
    assert interrupted.wait(timeout=30) == ExitCode.INTERRUPTED
    assert "goes on in the cloud (`fogbank tune --stop`" in rest
    assert status_of(folder, home) == "InProgress"
    cloud = json.loads(fogbank("cloud", "status", "--json", home=home).stdout)
    assert len(cloud["running_tuning_jobs"]) == 1
    stopped = fogbank("tune", "--stop", "--json", "--project-dir", folder, home=home)
    assert stopped.exit_code == 0, stopped.stderr
    assert json.loads(stopped.stdout)["hyperparameters"] == {"rate": "1"}
    assert status_of(folder, home) == "Stopped"
    again = fogbank("tune", "--stop", "--project-dir", folder, home=home)
    assert again.exit_code == 0
    assert "no tuning job runs" in again.stderr


def status_of(folder: Path, home: Path) -> Any:
    told = json.loads(fogbank("status", "--json", "--project-dir", folder, home=home).stdout)
    return told["tuning_job"]["status"]
