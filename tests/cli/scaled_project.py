"""A project whose endpoint can be scaled, and its commands: a training job of a moment, a model
that takes 10 ms."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from typer.testing import CliRunner, Result

from fogbank.cli.main import app
from fogbank.testing.cloud import RunningCloud
from ops.fake_aws import write_project

NAME = "scaled"

_MAIN = "from fogbank.cli.main import main; main()"

TRAIN = """
import os, pathlib
pathlib.Path(os.environ["SM_MODEL_DIR"], "model.pth").write_bytes(b"weights")
"""

INFERENCE = """
import json, time
def model_fn(model_dir): return None
def input_fn(body, content_type): return body
def predict_fn(data, model):
    time.sleep(0.01)
    return len(data)
def output_fn(prediction, accept): return json.dumps(prediction)
"""


class ScaledProject:
    """cloud: None where no cloud is to be started; a command that starts one fails then."""

    def __init__(self, folder: Path, cloud: RunningCloud | None = None) -> None:
        self.folder = folder
        self.file = folder / "fogbank.yaml"
        self._environment = {
            "FOGBANK_HOME": str(cloud.home) if cloud else "/nonexistent/fogbank",
            "FOGBANK_PORT": str(cloud.port) if cloud else "0",
        }
        write_project(folder)
        (folder / "train.py").write_text(TRAIN)
        (folder / "inference.py").write_text(INFERENCE)
        self.write("{}")

    def write(self, endpoint: str) -> None:
        self.file.write_text(f"project: {NAME}\ntrain: {{metrics: []}}\nendpoint: {endpoint}\n")

    def types(self, *command: str) -> Result:
        arguments = [*command, "--project-dir", str(self.folder)]
        return CliRunner(env=self._environment).invoke(app, arguments)

    def starts(self, *command: str) -> subprocess.Popen[bytes]:
        """In a process of its own, which nobody waits for."""
        return subprocess.Popen(
            [sys.executable, "-c", _MAIN, *command, "--project-dir", self.folder],
            env={**os.environ, **self._environment},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def does(self, *command: str) -> str:
        """What it prints on stdout."""
        result = self.types(*command)
        assert result.exit_code == 0, result.output
        return result.stdout

    def reads(self, *command: str) -> Any:
        return json.loads(self.does(*command, "--json"))
