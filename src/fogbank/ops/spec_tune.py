"""The section `tune` of `fogbank.yaml`: what is searched, for what, and for how long. Pure.

Comes in: the section's values. Goes out: `Tune`, or mistakes with the key that they are about.
Source: API reference, HyperParameterTuningJobConfig, ParameterRanges, ResourceLimits; SageMaker
Developer Guide, "Define Hyperparameter Ranges" and "Hyperparameter Scaling".
"""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    StringConstraints,
    model_validator,
)

from fogbank.ops.spec_section import Section, hyperparameter_name, mistake, plain_text

MAX_TRIALS = 750
"""Quota of training jobs of one tuning job (service quotas of automatic model tuning)."""

MAX_RANGES = 30
"""Hyperparameters that one tuning job can search (the same quotas)."""

NUM_TRIALS = 10
"""Training jobs of a search, where `max_jobs` does not say it and the strategy is not `grid`."""

EPOCHS = ("epochs", "numepochs", "n-epochs", "n_epochs", "num_epochs")
"""Hyperparameters that Hyperband takes its greatest resource from (Developer Guide)."""

Scale = Literal["auto", "linear", "log", "reverse_log"]


def _number(value: Any) -> Any:
    """YAML reads 1e-4, which lacks a point, as text."""
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            raise ValueError("is not a number") from None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("is not a number")
    if not math.isfinite(value):
        raise ValueError("is not a finite number")
    return value


def _values(value: Any) -> Any:
    return tuple(map(plain_text, value)) if isinstance(value, list) else value


def _range(value: Any) -> Any:
    """`[32, 64]` is short for `{values: [32, 64]}`."""
    return {"values": value} if isinstance(value, list) else value


def _objective(value: Any) -> Any:
    if isinstance(value, str):
        raise ValueError(f"lacks a direction: write {{maximize: {value}}} or {{minimize: {value}}}")
    return value


MetricName = Annotated[str, StringConstraints(min_length=1, max_length=255)]
Number = Annotated[int | float, BeforeValidator(_number)]


class Objective(Section):
    """The metric that decides which trial is better; one of the two."""

    maximize: MetricName | None = None
    minimize: MetricName | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.maximize is None) == (self.minimize is None):
            raise mistake("must be {maximize: METRIC} or {minimize: METRIC}")
        return self

    @property
    def metric(self) -> str:
        """Its name among `train.metrics`."""
        name = self.maximize or self.minimize
        assert name is not None, "checked above"
        return name

    @property
    def goal(self) -> Literal["Maximize", "Minimize"]:
        """As SageMaker calls it."""
        return "Maximize" if self.maximize is not None else "Minimize"


class Range(Section):
    """What one hyperparameter may be: numbers from `min` to `max`, or one of `values`."""

    min: Number | None = None
    max: Number | None = None
    scale: Scale = "auto"
    values: Annotated[
        tuple[Annotated[str, StringConstraints(max_length=256)], ...] | None,
        BeforeValidator(_values),
    ] = None

    @model_validator(mode="after")
    def _checked(self) -> Self:
        if self.values is not None:
            self._check_values(self.values)
        elif self.min is None or self.max is None:
            raise mistake("needs min and max, or values")
        else:
            self._check_numbers(self.min, self.max)
        return self

    def _check_values(self, values: tuple[str, ...]) -> None:
        if (self.min, self.max, self.scale) != (None, None, "auto"):
            raise mistake("min, max and scale do not go with values")
        if not 1 <= len(values) <= 30:
            raise mistake(f"must be 1 to 30 values, not {len(values)}", "values")
        twice = [value for value in dict.fromkeys(values) if values.count(value) > 1]
        if twice:
            raise mistake(f"{twice[0]!r} is there twice", "values")

    def _check_numbers(self, low: float, high: float) -> None:
        if low > high:
            raise mistake(f"is upside down: min {low} is greater than max {high}")
        if low == high:
            raise mistake(
                "min and max are the same: put the value among train.hyperparameters instead"
            )
        if self.scale == "log" and low <= 0:
            raise mistake(f"must be greater than 0 for a log scale, not {low}", "min")
        if self.scale == "reverse_log" and (self.is_whole or low < 0 or high >= 1):
            raise mistake(
                "a reverse_log scale is for fractions: min and max must be 0.0 or more and less "
                f"than 1, not {low} and {high}"
            )

    @property
    def is_whole(self) -> bool:
        """Whether only whole numbers are tried: where both ends are written as such."""
        return isinstance(self.min, int) and isinstance(self.max, int)

    def has(self, text: str) -> bool:
        """Whether that is a value of this range."""
        if self.values is not None:
            return text in self.values
        assert self.min is not None, "checked above"
        assert self.max is not None, "checked above"
        try:
            value = int(text) if self.is_whole else float(text)
        except ValueError:
            return False
        return self.min <= value <= self.max


class Tune(Section):
    """The tuning job: training jobs that differ in some hyperparameters, to find the best."""

    objective: Annotated[Objective, BeforeValidator(_objective)]
    ranges: dict[
        Annotated[
            str,
            StringConstraints(min_length=1, max_length=256),
            AfterValidator(hyperparameter_name),
        ],
        Annotated[Range, BeforeValidator(_range)],
    ]
    """Name -> what it may be. A hyperparameter that is also in `train.hyperparameters` is searched
    all the same."""
    strategy: Literal["bayesian", "random", "grid", "hyperband"] = "bayesian"
    max_jobs: Annotated[int, Field(ge=1, le=MAX_TRIALS)] | None = None
    """Training jobs in all: 10 where nothing else is said, every combination with `grid`."""
    max_parallel_jobs: Annotated[int, Field(ge=1, le=100)] = 2
    """Training jobs at a time. Each begins with what those before it have shown: fewer at a time
    search better, more are done sooner."""
    max_runtime_s: Annotated[int, Field(ge=120, le=15_768_000)] | None = None
    """The search ends after so long, with the best found by then."""
    early_stopping: bool = False
    """Stop training jobs that fall behind the median of the others."""
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0
    """Equal seeds search alike."""
    min_resource: Annotated[int, Field(ge=1)] | None = None
    """Hyperband: epochs after which a training job may be stopped at the earliest."""
    max_resource: Annotated[int, Field(ge=1, le=20_000)] | None = None
    """Hyperband: epochs of a training job that is not stopped; by default the hyperparameter
    `epochs`."""

    @model_validator(mode="after")
    def _checked(self) -> Self:
        if not 1 <= len(self.ranges) <= MAX_RANGES:
            raise mistake(
                f"must be 1 to {MAX_RANGES} hyperparameters, not {len(self.ranges)}", "ranges"
            )
        if self.strategy == "grid":
            self._check_grid()
        if self.strategy == "hyperband":
            self._check_hyperband()
        else:
            for key in ("min_resource", "max_resource"):
                if getattr(self, key) is not None:
                    raise mistake("is for the strategy hyperband", key)
        return self

    def _check_grid(self) -> None:
        for name, searched in self.ranges.items():
            if searched.values is None:
                raise mistake(
                    "the strategy grid tries every combination of values: write {values: [...]} "
                    "in place of min and max, or use another strategy",
                    "ranges",
                    name,
                )
        size = self.num_combinations
        if size > MAX_TRIALS:
            raise mistake(f"have {size} combinations: {MAX_TRIALS} at most", "ranges")
        if self.max_jobs is not None and self.max_jobs != size:
            raise mistake(
                f"the strategy grid tries all {size} combinations: leave max_jobs out", "max_jobs"
            )

    def _check_hyperband(self) -> None:
        if self.early_stopping:
            raise mistake("hyperband stops training jobs by itself: leave it out", "early_stopping")
        least, most = self.min_resource, self.max_resource
        if least is not None and most is not None and least > most:
            raise mistake(f"is greater than max_resource, {most}", "min_resource")

    @property
    def num_combinations(self) -> int:
        """Of values; 0 where there is a range of numbers."""
        return math.prod(len(searched.values or ()) for searched in self.ranges.values())

    @property
    def num_trials(self) -> int:
        """The most training jobs that are launched."""
        if self.strategy == "grid":
            return self.num_combinations
        return NUM_TRIALS if self.max_jobs is None else self.max_jobs
