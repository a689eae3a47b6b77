"""One trial of a tuning job: hyperparameters -> a training job, and a training job -> its result.

Source: API reference, HyperParameterTrainingJobDefinition, HyperParameterTrainingJobSummary,
TrainingJobStatusCounters, ObjectiveStatusCounters.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any, Literal

from fogbank.cloud.records.training_job import TrainingJob
from fogbank.cloud.records.tuning_job import Trial, TuningJob
from fogbank.cloud.rules.training_job import new_training_job
from fogbank.cloud.rules.tuning_settings import Definition

OBJECTIVE = "_tuning_objective_metric"
"""The hyperparameter in which each training job finds the name of its objective."""

ObjectiveStatus = Literal["Succeeded", "Pending", "Failed"]

_TAKEN_OVER = (
    "RoleArn",
    "AlgorithmSpecification",
    "InputDataConfig",
    "OutputDataConfig",
    "VpcConfig",
    "StoppingCondition",
    "EnableNetworkIsolation",
    "EnableInterContainerTrafficEncryption",
    "EnableManagedSpotTraining",
    "RetryStrategy",
    "Environment",
)
"""Members that a training job has from its definition as they are."""


@dataclass(frozen=True, slots=True)
class Child:
    """A trial and the training job that it is.

    values: the objective as the log has shown it so far, in that order.
    """

    trial: Trial
    job: TrainingJob
    values: Sequence[float] = ()

    @property
    def objective(self) -> float | None:
        """The final value; None while the job runs, and where it never said one."""
        if self.job.status not in ("Completed", "Stopped"):
            return None
        name = self.job.request["HyperParameters"][OBJECTIVE]
        return next((m.value for m in self.job.final_metrics if m.name == name), None)

    @property
    def objective_status(self) -> ObjectiveStatus:
        """A job that was stopped counts with what it had reached."""
        if not self.job.is_final:
            return "Pending"
        return "Failed" if self.objective is None else "Succeeded"


def children_of(
    job: TuningJob,
    training_job: Callable[[str], TrainingJob | None],
    live_values: Callable[[str], Sequence[float]] = lambda _: (),
) -> list[Child]:
    """The job's trials as they are now.

    live_values: what a running trial has reported; of one that has ended its record says it.
    """
    children: list[Child] = []
    for trial in job.trials:
        found = training_job(trial.name)
        if found is not None:
            live = () if found.is_final else live_values(trial.name)
            children.append(Child(trial, found, live or found.objective_values))
    return children


def child_name(job: TuningJob, number: int) -> str:
    """`<tuning job>-NNN-<8 hexadecimal digits>`; the digits tell apart the children of two jobs of
    one name, one of which was deleted."""
    identity = f"{job.arn} {job.created.isoformat()} {number}"
    return f"{job.name}-{number:03}-{sha256(identity.encode()).hexdigest()[:8]}"


def child_request(name: str, definition: Definition, tuned: Mapping[str, str]) -> dict[str, Any]:
    """The CreateTrainingJob request that a trial stands for."""
    given = definition.request
    request: dict[str, Any] = {
        "TrainingJobName": name,
        **{member: given[member] for member in _TAKEN_OVER if member in given},
        "ResourceConfig": given.get("ResourceConfig")
        or given["HyperParameterTuningResourceConfig"],
        "HyperParameters": {
            **given.get("StaticHyperParameters", {}),
            **tuned,
            OBJECTIVE: definition.metric,
        },
    }
    if "CheckpointConfig" in given:
        # Trials that shared one folder would each go on from another's checkpoint.
        checkpoints = given["CheckpointConfig"]
        folder = checkpoints["S3Uri"].rstrip("/")
        request["CheckpointConfig"] = {**checkpoints, "S3Uri": f"{folder}/{name}"}
    return request


def launch(
    job: TuningJob,
    definitions: Sequence[Definition],
    index: int,
    tuned: Mapping[str, str],
    *,
    training_job_arn: str,
    now: datetime,
) -> tuple[Trial, TrainingJob]:
    """The next trial, made from definition `index`. training_job_arn: ARN of a training job, up to
    its name."""
    number = len(job.trials) + 1
    name = child_name(job, number)
    trial = Trial(number=number, name=name, definition=index, hyperparameters=tuned)
    request = child_request(name, definitions[index], tuned)
    training_job = new_training_job(f"{training_job_arn}{name}", request, now, tuning_job=job.arn)
    return trial, training_job


def best(children: Iterable[Child], *, maximize: bool) -> Child | None:
    """The trial with the best final objective, the earlier one of equals; None where none has
    one."""
    found = [(child.objective, child) for child in children if child.objective is not None]
    sign = -1 if maximize else 1
    return min(found, key=lambda one: sign * one[0], default=(None, None))[1]


def is_better(value: float, than: float, *, maximize: bool) -> bool:
    """Strictly."""
    return value > than if maximize else value < than


def num_not_improving(children: Iterable[Child], *, maximize: bool) -> int:
    """Objectives since the last one that was at least 1 % better than all before it, trials taken
    in the order in which they ended (API reference, BestObjectiveNotImproving)."""
    ended = sorted(
        (child for child in children if child.objective is not None),
        key=lambda child: (child.job.modified, child.trial.number),
    )
    best_yet: float | None = None
    count = 0
    for child in ended:
        value = child.objective
        assert value is not None, "those were taken out"
        if best_yet is None:
            best_yet = value
            continue
        gain = value - best_yet if maximize else best_yet - value
        count = 0 if gain > 0 and gain >= abs(best_yet) / 100 else count + 1
        best_yet = max(best_yet, value) if maximize else min(best_yet, value)
    return count


def training_job_status_counters(children: Iterable[Child]) -> dict[str, int]:
    """TrainingJobStatusCounters. An internal error alone could be tried again."""
    counted = Counter(map(_counter, children))
    names = ("Completed", "InProgress", "RetryableError", "NonRetryableError", "Stopped")
    return {name: counted[name] for name in names}


def _counter(child: Child) -> str:
    if not child.job.is_final:
        return "InProgress"
    if child.job.status != "Failed":
        return child.job.status
    internal = (child.job.failure_reason or "").startswith("InternalServerError")
    return "RetryableError" if internal else "NonRetryableError"


def objective_status_counters(children: Iterable[Child]) -> dict[str, int]:
    """ObjectiveStatusCounters."""
    counted = Counter(child.objective_status for child in children)
    statuses: tuple[ObjectiveStatus, ...] = ("Succeeded", "Pending", "Failed")
    return {status: counted[status] for status in statuses}
