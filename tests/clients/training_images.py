"""Two training images, AWS's and ours, on the same job. In: a job of cases/clients. Out: an Outcome
each, in which everything that only says where the image ran reads the same.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

JOBS = Path(__file__).parent / "jobs"
CASES: list[Mapping[str, Any]] = json.loads(
    (Path(__file__).parents[1] / "cases/clients/toolkit_jobs.json").read_text()
)
OURS = (sys.executable, "-m", "fogbank.images.training")
LIMIT_S = 60
INSTANCE_TYPE = "ml.m5.xlarge"
_COMPILED = shutil.ignore_patterns("__pycache__")


@dataclass(frozen=True)
class Outcome:
    """What an image left."""

    exit_code: int
    has_succeeded: bool
    failure: str | None
    seen: Mapping[str, Any] | None
    """What jobs/show.py wrote down, where the job ran it."""
    files: list[str]
    log: str


class Job:
    """A job's folder as a machine makes it, below a folder of its own."""

    def __init__(self, folder: Path, case: Mapping[str, Any]) -> None:
        self.folder = folder
        self.base = folder / "ml"
        self._case = case
        for name in ("input/config", "input/data", "model", "output/data"):
            (self.base / name).mkdir(parents=True)
        documents = {
            "hyperparameters": self._hyperparameters(),
            "inputdataconfig": case.get("channels", {}),
            "resourceconfig": self._resources(),
        }
        for name, document in documents.items():
            (self.base / f"input/config/{name}.json").write_text(json.dumps(document))
        for channel in case.get("channels", {}):
            place = self.base / "input/data" / channel
            place.mkdir()
            (place / "1.jpg").touch()

    def _hyperparameters(self) -> dict[str, str]:
        quote = json.dumps if self._case.get("quoted", True) else str
        sent = dict(self._case.get("hyperparameters", {}))
        if "program" in self._case:
            sent["sagemaker_program"] = quote(self._case["program"])
        if (code := self._submit()) is not None:
            sent["sagemaker_submit_directory"] = quote(str(code))
        return sent

    def _submit(self) -> Path | None:
        """Bring the code as the case wants it, and say what its hyperparameter is."""
        match self._case.get("submit", "folder"):
            case "folder":
                return shutil.copytree(JOBS, self.folder / "submitted", ignore=_COMPILED)
            case "archive":
                path = self.folder / "sourcedir.tar.gz"
                with tarfile.open(path, "w:gz") as tar:
                    for source in sorted(JOBS.glob("*.*")):
                        tar.add(source, source.name)
                return path
            case "script":
                return Path(shutil.copy(JOBS / self._case["program"], self.folder))
            case "placed":
                shutil.copytree(JOBS, self.base / "code", ignore=_COMPILED)
                return None
            case "nothing":
                return None
            case kind:
                raise ValueError(f"no such way to submit code: {kind!r}")

    def _resources(self) -> dict[str, Any]:
        hosts = self._case.get("hosts", ["algo-1"])
        groups = self._case.get("groups", {"homogeneousCluster": hosts})
        return {
            "current_host": self._case.get("current", hosts[0]),
            "current_instance_type": INSTANCE_TYPE,
            "current_group_name": self._case.get("current_group", next(iter(groups))),
            "hosts": hosts,
            "instance_groups": [
                {"instance_group_name": name, "instance_type": INSTANCE_TYPE, "hosts": members}
                for name, members in groups.items()
            ],
            "network_interface_name": "lo",
        }

    @property
    def environment(self) -> dict[str, str]:
        """What the machine gives an image, and what only the oracle looks at: which of its modules
        it is to be, and that it need not wait 15 minutes until algo-1 has an address."""
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "SAGEMAKER_BASE_DIR": str(self.base),
            "PYTHONUNBUFFERED": "1",
            "TRAINING_JOB_NAME": "dogs-1",
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
            "SAGEMAKER_TRAINING_MODULE": "sagemaker_pytorch_container.training:main",
            "SM_STUDIO_LOCAL_MODE": "true",
            **self._case.get("environment", {}),
        }

    def run(self, image: tuple[str, ...]) -> Outcome:
        """Run an image on this job to its end; once only."""
        ended = subprocess.run(
            image,
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
        )
        output = self.base / "output"
        seen = self._read(output / "data" / "seen.json")
        return Outcome(
            exit_code=ended.returncode,
            has_succeeded=(output / "success").exists(),
            failure=self._read(output / "failure"),
            seen=None if seen is None else json.loads(seen),
            files=sorted(str(path.relative_to(self.base)) for path in self.base.rglob("*")),
            log=ended.stdout + ended.stderr,
        )

    def _read(self, path: Path) -> str | None:
        """A file's text with this job's folders, and the interpreter, under common names."""
        if not path.exists():
            return None
        return path.read_text().replace(str(self.base), "/opt/ml").replace(str(self.folder), "/job")
