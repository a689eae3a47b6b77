"""A SageMaker training job, as CreateTrainingJob asked for it and as it has gone so far."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Literal

TrainingJobStatus = Literal["InProgress", "Completed", "Failed", "Stopping", "Stopped"]
"""InProgress and Stopping go on; Completed, Failed and Stopped are final."""

FINAL: frozenset[str] = frozenset({"Completed", "Failed", "Stopped"})

OBJECTIVE_VALUES = 1000
"""Reports of an objective that are remembered: a script may print it for every batch."""


@dataclass(frozen=True, kw_only=True)
class Transition:
    """One entry of SecondaryStatusTransitions: append-only; only the last has no end."""

    status: str
    started: datetime
    ended: datetime | None = None
    message: str = ""


@dataclass(frozen=True, kw_only=True)
class FinalMetric:
    """The last value that the log showed for a metric definition."""

    name: str
    value: float
    at: datetime


@dataclass(frozen=True, kw_only=True)
class TrainingJob:
    """request:           the validated input of CreateTrainingJob, verbatim.
    stop_requested:       when StopTrainingJob was called; the machine obeys.
    attempt:              1 for the first run; the restart of a host or a RetryStrategy adds one.
    model_artifacts:      s3:// URI of model.tar.gz, known from the start.
    training_started/ended: the interval that is billed, per instance.
    tuning_job_arn:       of the tuning job that created it; None where a person did.
    objective_values:     the tuning job's objective, report by report, as of the last change of
                          status; at most `OBJECTIVE_VALUES`.
    """

    kind: ClassVar[str] = "sagemaker.training_job"

    name: str
    arn: str
    request: Mapping[str, Any]
    status: TrainingJobStatus
    secondary_status: str
    transitions: tuple[Transition, ...]
    created: datetime
    modified: datetime
    model_artifacts: str
    attempt: int = 1
    training_started: datetime | None = None
    training_ended: datetime | None = None
    stop_requested: datetime | None = None
    failure_reason: str | None = None
    final_metrics: tuple[FinalMetric, ...] = ()
    tuning_job_arn: str | None = None
    objective_values: tuple[float, ...] = ()

    @property
    def key(self) -> str:
        return self.name

    @property
    def is_final(self) -> bool:
        return self.status in FINAL

    @property
    def instance_count(self) -> int:
        return int(self.request.get("ResourceConfig", {}).get("InstanceCount", 1))
