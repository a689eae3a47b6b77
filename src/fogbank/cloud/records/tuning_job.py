"""A SageMaker hyperparameter tuning job, as CreateHyperParameterTuningJob asked for it, and the
trials that it has launched so far."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Literal

TuningJobStatus = Literal["InProgress", "Completed", "Failed", "Stopping", "Stopped"]
"""InProgress and Stopping go on; Completed, Failed and Stopped are final."""

FINAL: frozenset[str] = frozenset({"Completed", "Failed", "Stopped"})


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One training job of a tuning job.

    number:          1 for the first.
    name:            of the training job.
    definition:      index of the training job definition that it is made from.
    hyperparameters: the tuned ones alone; texts as the container gets them.
    stopped_early:   why the tuning job stopped it before its end; None where it did not.
    """

    number: int
    name: str
    definition: int
    hyperparameters: Mapping[str, str]
    stopped_early: str | None = None


@dataclass(frozen=True, kw_only=True)
class Inherited:
    """A finished trial of a parent job (warm start): all its hyperparameters and its objective.

    Copied when the job is created, so that a parent may be deleted.
    """

    training_job: str
    hyperparameters: Mapping[str, str]
    value: float


@dataclass(frozen=True, kw_only=True)
class TuningJob:
    """request:      the validated input of CreateHyperParameterTuningJob, verbatim.
    seed:           RandomSeed of the request, or one that was made up at creation: with the trials
                    it decides what is tried next.
    trials:         in the order in which they were launched.
    outcome:        the status that the job is to end with, once its running trials have been
                    stopped; None while it goes on.
    reason:         why it ends, or has ended.
    stop_requested: when StopHyperParameterTuningJob was called.
    """

    kind: ClassVar[str] = "sagemaker.tuning_job"

    name: str
    arn: str
    request: Mapping[str, Any]
    status: TuningJobStatus
    created: datetime
    modified: datetime
    seed: int
    trials: tuple[Trial, ...] = ()
    inherited: tuple[Inherited, ...] = ()
    outcome: Literal["Completed", "Failed", "Stopped"] | None = None
    reason: str = ""
    stop_requested: datetime | None = None
    ended: datetime | None = None

    @property
    def key(self) -> str:
        return self.name

    @property
    def is_final(self) -> bool:
        return self.status in FINAL
