"""What a project wants: the contents of `fogbank.yaml`, checked. No files, no AWS.

Every field has a default but `project`; the fields' docstrings are their reference.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    StringConstraints,
    model_validator,
)

from fogbank.ops.instance_types import hosting_type, training_type
from fogbank.ops.spec_function import Function
from fogbank.ops.spec_scaling import Scaling
from fogbank.ops.spec_section import (
    RelativePath,
    Script,
    Section,
    hyperparameter_name,
    mistake,
    plain_text,
)
from fogbank.ops.spec_tune import EPOCHS, Tune
from fogbank.ops.spec_update import Update

_NUMBER = r"([-+]?(?:[0-9]*\.?[0-9]+(?:[eE][-+]?[0-9]+)?))"

DEFAULT_METRICS = ("train_loss", "valid_loss", "valid_accuracy", "test_loss", "test_accuracy")
"""What Fogbank's own trainer prints, as `name=value`."""

MAX_HYPERPARAMETERS = 90
"""SageMaker allows 100 for a training job (API reference, HyperParameters); the launch takes some
of them."""

MAX_METRICS = 40
"""Quota of metric definitions for a training job (SageMaker endpoints and quotas)."""


def _hyperparameters(values: Any) -> Any:
    """YAML's plain values become what a script sees as text."""
    if not isinstance(values, dict):
        return values
    return {name: plain_text(value) for name, value in values.items()}


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


def _not_empty(value: Any) -> Any:
    """`function:` and nothing behind it would be no function, without a word."""
    if value is None:
        raise mistake("must be a section of keys, not nothing; `{}` is one with all defaults")
    return value


class Metric(Section):
    """A number that the training log is searched for."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=255)]
    regex: Annotated[str, StringConstraints(min_length=1, max_length=500), AfterValidator(_regex)]
    """The first group is the number."""


class Data(Section):
    """The pictures."""

    path: RelativePath = "data"
    """Folder in the project: `train/ valid/ test/`, in each a folder a class."""
    channel: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,64}$")] = "training"
    """Name of the training job's input channel."""


class Train(Section):
    """The training job."""

    entry_point: Script = "train.py"
    """Script to run, relative to `source_dir` where there is one."""
    source_dir: RelativePath | None = None
    """Folder whose files go along; without it the script, and requirements.txt beside it."""
    instance_type: Annotated[str, AfterValidator(training_type)] = "ml.m5.xlarge"
    instance_count: Annotated[int, Field(ge=1, le=100)] = 1
    volume_size_gb: Annotated[int, Field(ge=1, le=16384)] = 30
    max_runtime_s: Annotated[int, Field(ge=1, le=432_000)] = 86_400
    """The job is stopped after so long (quota: 5 days)."""
    hyperparameters: Annotated[
        dict[
            Annotated[
                str,
                StringConstraints(min_length=1, max_length=256),
                AfterValidator(hyperparameter_name),
            ],
            Annotated[str, StringConstraints(max_length=2500)],
        ],
        BeforeValidator(_hyperparameters),
        Field(max_length=MAX_HYPERPARAMETERS),
    ] = Field(default_factory=dict)
    """The script gets them as arguments, `--name value`."""
    metrics: Annotated[
        tuple[Annotated[Metric, BeforeValidator(_metric)], ...],
        BeforeValidator(lambda value: tuple(value) if isinstance(value, list) else value),
        Field(max_length=MAX_METRICS),
    ] = tuple(Metric.model_validate(_metric(name)) for name in DEFAULT_METRICS)
    """Names (printed as `name=value`) or `{name, regex}`."""


class Endpoint(Section):
    """The endpoint that serves the trained model."""

    entry_point: Script = "inference.py"
    """Module with `model_fn` and, where the defaults do not suit, `input_fn`, `predict_fn` and
    `output_fn`; relative to `source_dir` where there is one."""
    source_dir: RelativePath | None = None
    """Folder whose files go along; without it the module, and requirements.txt beside it."""
    instance_type: Annotated[str, AfterValidator(hosting_type)] = "ml.m5.large"
    instance_count: Annotated[int, Field(ge=1, le=100)] = 1
    """How many serve at first; with `scaling`, how many is up to the load."""
    scaling: Scaling | None = None
    """Instances come and go with the load; without it their number stays."""
    update: Update | None = None
    """How a new model takes over; without it all traffic moves as soon as it can serve."""

    @model_validator(mode="after")
    def _checked(self) -> Self:
        scaling = self.scaling
        if scaling is not None and not scaling.min <= self.instance_count <= scaling.max:
            raise mistake(
                f"is not between scaling.min ({scaling.min}) and scaling.max ({scaling.max})",
                "instance_count",
            )
        return self


class Spec(Section):
    """A whole project."""

    project: Annotated[str, StringConstraints(pattern=r"^[a-z0-9](?:[a-z0-9-]{0,25}[a-z0-9])?$")]
    """Name; everything in the cloud is named after it. 1 to 27 lower-case letters, digits and
    hyphens: `fogbank-<project>-<account>-<region>` has to be a bucket's name of 63 at most."""
    data: Data = Data()
    train: Train = Train()
    tune: Tune | None = None
    """What `fogbank tune` searches; nothing without it."""
    endpoint: Endpoint = Endpoint()
    function: Annotated[Function | None, BeforeValidator(_not_empty)] = None
    """The Lambda function in front of the endpoint; none without it. `function: {}` is one with
    all its defaults."""

    def with_hyperparameters(self, values: Mapping[str, str]) -> Spec:
        """The same project, trained with those."""
        train = self.train.model_copy(update={"hyperparameters": dict(values)})
        return self.model_copy(update={"train": train})

    @model_validator(mode="after")
    def _checked(self) -> Self:
        """What `tune` says has to go with `train`."""
        if self.tune is not None:
            self._check_objective(self.tune)
            names = {*self.train.hyperparameters, *self.tune.ranges}
            if len(names) > MAX_HYPERPARAMETERS:
                raise mistake(
                    f"makes {len(names)} hyperparameters with those of train: "
                    f"{MAX_HYPERPARAMETERS} at most",
                    "tune",
                    "ranges",
                )
            if self.tune.strategy == "hyperband" and self.tune.max_resource is None:
                self._check_epochs(self.tune)
        return self

    def _check_objective(self, tune: Tune) -> None:
        wanted = tune.objective.metric
        names = [metric.name for metric in self.train.metrics]
        if wanted not in names:
            close = get_close_matches(wanted, names, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"they are {', '.join(names)}"
            raise mistake(
                f"{wanted!r} is not among train.metrics; {hint}",
                "tune",
                "objective",
                tune.objective.goal.lower(),
            )

    def _check_epochs(self, tune: Tune) -> None:
        given = self.train.hyperparameters
        if not any(
            given[name].isdecimal() for name in EPOCHS if name in given.keys() - tune.ranges
        ):
            raise mistake(
                "is needed with the strategy hyperband: the epochs of a training job that is not "
                "stopped. train.hyperparameters.epochs says it too, where it has no range",
                "tune",
                "max_resource",
            )
