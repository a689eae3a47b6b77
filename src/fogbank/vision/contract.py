"""SageMaker's container contract, as far as a training script and its log need it.

Comes in: the process's environment. Goes out: the folders of the job, and the form of the metric
lines together with the regular expressions that find them again in the log.

Source: "SageMaker Training Toolkit" environment variables and "Define metrics" in the SageMaker
Developer Guide. Where a variable is missing the documented folder under /opt/ml is used.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fogbank.vision.errors import SettingError

_NUMBER = r"([-+]?(?:[0-9]*\.?[0-9]+(?:[eE][-+]?[0-9]+)?))"

METRIC_NAMES = ("train_loss", "valid_loss", "valid_accuracy", "test_loss", "test_accuracy")

METRIC_DEFINITIONS: list[dict[str, str]] = [
    {"Name": name, "Regex": rf"\b{name}={_NUMBER}"} for name in METRIC_NAMES
]
"""For `AlgorithmSpecification.MetricDefinitions`. The last value of a metric in the log is its
final one: the closing line repeats `valid_accuracy` and `valid_loss` of the chosen epoch."""


@dataclass(frozen=True, kw_only=True)
class JobFolders:
    """Where a training job reads and writes."""

    model: Path
    """Becomes model.tar.gz."""
    output_data: Path
    """Becomes output.tar.gz: reports that are not part of the model."""
    checkpoints: Path | None
    """Synchronised with S3 while the job runs; None where the job has no checkpoint folder."""
    channels: Mapping[str, Path]
    """Input channels by lower-case name."""
    num_hosts: int
    """Instances of the job."""


def job_folders(environ: Mapping[str, str]) -> JobFolders:
    """The folders of the job that this process runs in.

    Reads SM_MODEL_DIR, SM_OUTPUT_DATA_DIR, SM_CHANNEL_<NAME>, SM_CHECKPOINT_DIR, SM_HOSTS and
    SAGEMAKER_BASE_DIR (in place of /opt/ml). Without SM_CHANNEL_* the folders under
    `input/data` are the channels.
    """
    base = Path(environ.get("SAGEMAKER_BASE_DIR") or "/opt/ml")
    channels = {
        name.removeprefix("SM_CHANNEL_").lower(): Path(value)
        for name, value in sorted(environ.items())
        if name.startswith("SM_CHANNEL_") and value
    }
    inputs = base / "input" / "data"
    if not channels and inputs.is_dir():
        channels = {path.name.lower(): path for path in sorted(inputs.iterdir()) if path.is_dir()}
    checkpoints = Path(environ.get("SM_CHECKPOINT_DIR") or base / "checkpoints")
    return JobFolders(
        model=Path(environ.get("SM_MODEL_DIR") or base / "model"),
        output_data=Path(environ.get("SM_OUTPUT_DATA_DIR") or base / "output" / "data"),
        checkpoints=checkpoints if checkpoints.is_dir() else None,
        channels=channels,
        num_hosts=_num_hosts(environ.get("SM_HOSTS")),
    )


def _num_hosts(text: str | None) -> int:
    if not text:
        return 1
    try:
        hosts = json.loads(text)
    except json.JSONDecodeError as error:
        raise SettingError(f"SM_HOSTS is not a JSON list of host names: {text!r}") from error
    if not isinstance(hosts, list) or not hosts:
        raise SettingError(f"SM_HOSTS is not a JSON list of host names: {text!r}")
    return len(hosts)


def metric_line(**values: float | int) -> str:
    """`epoch=3 train_loss=0.1234 ...`: whole numbers as they are, others with four decimals."""
    return " ".join(
        f"{name}={value}" if isinstance(value, int) else f"{name}={value:.4f}"
        for name, value in values.items()
    )
