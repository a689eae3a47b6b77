"""What a project wants: the contents of `fogbank.yaml`, checked. No files, no AWS.

Every field has a default but `project`; the fields' docstrings are their reference.
"""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
)

_NUMBER = r"([-+]?(?:[0-9]*\.?[0-9]+(?:[eE][-+]?[0-9]+)?))"

DEFAULT_METRICS = ("train_loss", "valid_loss", "valid_accuracy", "test_loss", "test_accuracy")
"""What Fogbank's own trainer prints, as `name=value`."""

MAX_METRICS = 40
"""Quota of metric definitions for a training job (SageMaker endpoints and quotas)."""


def _relative(path: str) -> str:
    parts = path.split("/")
    if path.startswith("/") or ".." in parts:
        raise ValueError("must be inside the project's folder")
    return path


def _script(path: str) -> str:
    if not path.endswith(".py"):
        raise ValueError("must be a Python file (.py)")
    return _relative(path)


def _hyperparameters(values: Any) -> Any:
    """YAML's plain values become what a script sees as text."""
    if not isinstance(values, dict):
        return values
    return {
        name: str(value).lower()
        if isinstance(value, bool)
        else str(value)
        if isinstance(value, int | float)
        else value
        for name, value in values.items()
    }


def _metric(value: Any) -> Any:
    """`valid_accuracy` alone is a metric that the script prints as `valid_accuracy=0.97`."""
    if isinstance(value, str):
        return {"name": value, "regex": rf"\b{re.escape(value)}={_NUMBER}"}
    return value


def _regex(text: str) -> str:
    try:
        compiled = re.compile(text)
    except re.error as error:
        raise ValueError(f"is not a regular expression: {error}") from error
    if compiled.groups < 1:
        raise ValueError("needs a group in parentheses around the number")
    return text


def _hyperparameter_name(name: str) -> str:
    if name.startswith("sagemaker_"):
        raise ValueError("names that begin with sagemaker_ belong to the training toolkit")
    return name


InstanceType = Annotated[str, StringConstraints(pattern=r"^ml\.[a-z0-9-]+\.[a-z0-9-]+$")]
RelativePath = Annotated[str, AfterValidator(_relative), StringConstraints(min_length=1)]
Script = Annotated[str, AfterValidator(_script)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Metric(_Section):
    """A number that the training log is searched for."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=255)]
    regex: Annotated[str, StringConstraints(min_length=1, max_length=500), AfterValidator(_regex)]
    """The first group is the number."""


class Data(_Section):
    """The pictures."""

    path: RelativePath = "data"
    """Folder in the project: `train/ valid/ test/`, in each a folder a class."""
    channel: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,64}$")] = "training"
    """Name of the training job's input channel."""


class Train(_Section):
    """The training job."""

    entry_point: Script = "train.py"
    """Script to run, relative to `source_dir` where there is one."""
    source_dir: RelativePath | None = None
    """Folder whose files go along; without it the script, and requirements.txt beside it."""
    instance_type: InstanceType = "ml.m5.xlarge"
    instance_count: Annotated[int, Field(ge=1, le=100)] = 1
    volume_size_gb: Annotated[int, Field(ge=1, le=16384)] = 30
    max_runtime_s: Annotated[int, Field(ge=1, le=432_000)] = 86_400
    """The job is stopped after so long (quota: 5 days)."""
    hyperparameters: Annotated[
        dict[
            Annotated[
                str,
                StringConstraints(min_length=1, max_length=256),
                AfterValidator(_hyperparameter_name),
            ],
            Annotated[str, StringConstraints(max_length=2500)],
        ],
        BeforeValidator(_hyperparameters),
        Field(max_length=90),
    ] = {}
    """The script gets them as arguments, `--name value`. SageMaker allows 100 in all; the launch
    takes some of them."""
    metrics: Annotated[
        tuple[Annotated[Metric, BeforeValidator(_metric)], ...],
        BeforeValidator(lambda value: tuple(value) if isinstance(value, list) else value),
        Field(max_length=MAX_METRICS),
    ] = tuple(Metric.model_validate(_metric(name)) for name in DEFAULT_METRICS)
    """Names (printed as `name=value`) or `{name, regex}`."""


class Endpoint(_Section):
    """The endpoint that serves the trained model."""

    entry_point: Script = "inference.py"
    """Module with `model_fn` and, where the defaults do not suit, `input_fn`, `predict_fn` and
    `output_fn`; relative to `source_dir` where there is one."""
    source_dir: RelativePath | None = None
    """Folder whose files go along; without it the module, and requirements.txt beside it."""
    instance_type: InstanceType = "ml.m5.large"
    instance_count: Annotated[int, Field(ge=1, le=100)] = 1


class Spec(_Section):
    """A whole project."""

    project: Annotated[str, StringConstraints(pattern=r"^[a-z0-9](?:[a-z0-9-]{0,25}[a-z0-9])?$")]
    """Name; everything in the cloud is named after it. 1 to 27 lower-case letters, digits and
    hyphens: `fogbank-<project>-<account>-<region>` has to be a bucket's name of 63 at most."""
    data: Data = Data()
    train: Train = Train()
    endpoint: Endpoint = Endpoint()
