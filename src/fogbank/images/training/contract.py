"""What the machine prepared for a training job. In: the base folder and the process environment.
Out: a frozen Job. Reads three JSON files and asks the host for its cores and GPUs.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fogbank.images.errors import ContractError
from fogbank.images.gpus import num_gpus

_PREFIX = "sagemaker_"
# Hyperparameters that speak to the toolkit itself. Others with the prefix belong to a framework
# (SM_FRAMEWORK_PARAMS); neither kind reaches the script as an argument.
_TOOLKIT = frozenset(
    {
        "sagemaker_program",
        "sagemaker_submit_directory",
        "sagemaker_enable_cloudwatch_metrics",
        "sagemaker_region",
        "sagemaker_container_log_level",
        "sagemaker_job_name",
        "default_user_module_name",
        "_tuning_objective_metric",
        "sagemaker_s3_output",
    }
)
_INFO = 20


@dataclass(frozen=True, kw_only=True)
class Folders:
    """The folder tree of one instance, `/opt/ml` on AWS."""

    base: Path

    @property
    def code(self) -> Path:
        return self.base / "code"

    @property
    def model(self) -> Path:
        return self.base / "model"

    @property
    def input(self) -> Path:
        return self.base / "input"

    @property
    def input_config(self) -> Path:
        return self.base / "input" / "config"

    @property
    def output(self) -> Path:
        return self.base / "output"

    @property
    def output_data(self) -> Path:
        return self.base / "output" / "data"

    @property
    def output_intermediate(self) -> Path:
        return self.base / "output" / "intermediate"


@dataclass(frozen=True, kw_only=True)
class Host:
    """What this instance has."""

    num_cpus: int
    num_gpus: int


@dataclass(frozen=True, kw_only=True)
class Job:
    """A training job as one of its instances sees it."""

    folders: Folders
    host: Host
    hyperparameters: Mapping[str, object]
    """The user's own, decoded from JSON where they are JSON."""
    toolkit_parameters: Mapping[str, object]
    """Those of `sagemaker_*` that the toolkit itself understands."""
    framework_parameters: Mapping[str, object]
    """The other `sagemaker_*`: how a framework is to be launched."""
    input_data_config: Mapping[str, Any]
    """inputdataconfig.json: channel name -> how it is delivered."""
    resource_config: Mapping[str, Any]
    """resourceconfig.json: hosts, groups, this instance's name and type."""
    environ: Mapping[str, str]
    """The environment that the machine started us with."""

    @property
    def program(self) -> str | None:
        """The script to run, relative to the code folder; the variable wins over the parameter."""
        named = self.environ.get("SAGEMAKER_PROGRAM") or self.toolkit_parameters.get(
            "sagemaker_program"
        )
        return None if named is None else str(named)

    @property
    def submit_directory(self) -> str:
        """Where the code comes from: a folder, an archive, an s3:// URI; by default nowhere."""
        return str(self.toolkit_parameters.get("sagemaker_submit_directory", self.folders.code))

    @property
    def log_level(self) -> int:
        level = self.toolkit_parameters.get("sagemaker_container_log_level", _INFO)
        if not isinstance(level, int):
            raise ContractError(
                f"hyperparameter sagemaker_container_log_level is {level!r}; it must be a number "
                "such as 20"
            )
        return level

    @property
    def hosts(self) -> list[str]:
        return list(self.resource_config["hosts"])

    @property
    def current_host(self) -> str:
        return str(self.resource_config["current_host"])


def read_job(environ: Mapping[str, str]) -> Job:
    """Read the job that `environ["SAGEMAKER_BASE_DIR"]` (by default /opt/ml) holds.

    Raises ContractError where a file is missing, is not JSON or lacks what cannot be done without.
    """
    folders = Folders(base=Path(environ.get("SAGEMAKER_BASE_DIR", "/opt/ml")))
    sent = _read(folders.input_config / "hyperparameters.json")
    decoded = {name: _decoded(value) for name, value in sent.items()}
    resource_config = _read(folders.input_config / "resourceconfig.json")
    for key in ("current_host", "hosts"):
        if not resource_config.get(key):
            raise ContractError(f"resourceconfig.json has no {key!r}")
    return Job(
        folders=folders,
        host=Host(num_cpus=len(os.sched_getaffinity(0)), num_gpus=num_gpus(environ)),
        hyperparameters={
            name: value
            for name, value in decoded.items()
            if name not in _TOOLKIT and not name.startswith(_PREFIX)
        },
        toolkit_parameters={name: value for name, value in decoded.items() if name in _TOOLKIT},
        framework_parameters={
            name: value
            for name, value in decoded.items()
            if name.startswith(_PREFIX) and name not in _TOOLKIT
        },
        input_data_config=_read(folders.input_config / "inputdataconfig.json"),
        resource_config=resource_config,
        environ=environ,
    )


def _read(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise ContractError(f"{path} is missing: the machine must write it") from None
    except ValueError as error:
        raise ContractError(f"{path} is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise ContractError(f"{path} must hold a JSON object")
    return value


def _decoded(value: object) -> object:
    """`"128"` and `"\\"128\\""` differ here, but not as arguments; what is not JSON is itself."""
    if not isinstance(value, str):
        return value
    try:
        decoded: object = json.loads(value)
    except ValueError:
        return value
    return decoded
