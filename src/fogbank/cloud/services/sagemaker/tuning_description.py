"""DescribeHyperParameterTuningJob's answer and the elements of the lists: records -> members."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from fogbank.cloud.records.tuning_job import TuningJob
from fogbank.cloud.rules.tuning_settings import Definition, Settings, read_settings
from fogbank.cloud.rules.tuning_trial import (
    OBJECTIVE,
    Child,
    best,
    num_not_improving,
    objective_status_counters,
    training_job_status_counters,
)

_FAILURE_REASON_CHARS = 1024


def describe_tuning_job(
    job: TuningJob,
    settings: Settings,
    children: Sequence[Child],
    overall: tuple[TuningJob, Child] | None,
    now: datetime,
) -> dict[str, Any]:
    """The members of DescribeHyperParameterTuningJobResponse.

    overall: the best trial of the job and its parents, with the job whose it is; None where the
    answer has none. now: for how long the job has run.
    """
    answer: dict[str, Any] = {
        **_identity(job, children),
        **_asked(job.request, settings),
        "TuningJobCompletionDetails": {
            "NumberOfTrainingJobsObjectiveNotImproving": num_not_improving(
                children, maximize=settings.maximize
            )
        },
        "ConsumedResources": {
            "RuntimeInSeconds": round(((job.ended or now) - job.created).total_seconds())
        },
    }
    top = best(children, maximize=settings.maximize)
    if top is not None:
        answer["BestTrainingJob"] = summarize_child(top, settings)
    if overall is not None:
        owner, child = overall
        answer["OverallBestTrainingJob"] = {
            **summarize_child(child, read_settings(owner.request)),
            "TuningJobName": owner.name,
        }
    if job.status == "Failed":
        answer["FailureReason"] = job.reason[:_FAILURE_REASON_CHARS]
    return answer


def _asked(request: Mapping[str, Any], settings: Settings) -> dict[str, Any]:
    """What was asked for, with what `HyperparameterTuner.attach` of SDK v2 reads without asking:
    TrainingJobEarlyStoppingType, and in each definition the objective among the static
    hyperparameters and ResourceConfig."""
    config = request["HyperParameterTuningJobConfig"]
    asked: dict[str, Any] = {
        "HyperParameterTuningJobConfig": {"TrainingJobEarlyStoppingType": "Off", **config}
    }
    if "WarmStartConfig" in request:
        asked["WarmStartConfig"] = request["WarmStartConfig"]
    if "TrainingJobDefinition" in request:
        (only,) = settings.definitions
        asked["TrainingJobDefinition"] = _readable(request["TrainingJobDefinition"], only)
    else:
        asked["TrainingJobDefinitions"] = [
            _readable(definition.request, definition) for definition in settings.definitions
        ]
    return asked


def _readable(given: Mapping[str, Any], definition: Definition) -> dict[str, Any]:
    return {
        # SDK v2 itself sends the other one.
        "ResourceConfig": given.get("HyperParameterTuningResourceConfig", {}),
        **given,
        "StaticHyperParameters": {
            **given.get("StaticHyperParameters", {}),
            OBJECTIVE: definition.metric,
        },
    }


def summarize_tuning_job(job: TuningJob, children: Sequence[Child]) -> dict[str, Any]:
    """The members of HyperParameterTuningJobSummary."""
    config = job.request["HyperParameterTuningJobConfig"]
    return {
        **_identity(job, children),
        "Strategy": config["Strategy"],
        "ResourceLimits": config["ResourceLimits"],
    }


def _identity(job: TuningJob, children: Sequence[Child]) -> dict[str, Any]:
    ended = {} if job.ended is None else {"HyperParameterTuningEndTime": job.ended}
    return {
        "HyperParameterTuningJobName": job.name,
        "HyperParameterTuningJobArn": job.arn,
        "HyperParameterTuningJobStatus": job.status,
        "CreationTime": job.created,
        "LastModifiedTime": job.modified,
        "TrainingJobStatusCounters": training_job_status_counters(children),
        "ObjectiveStatusCounters": objective_status_counters(children),
        **ended,
    }


def summarize_child(child: Child, settings: Settings) -> dict[str, Any]:
    """The members of HyperParameterTrainingJobSummary."""
    job = child.job
    definition = settings.definitions[child.trial.definition]
    summary: dict[str, Any] = {
        "TrainingJobName": job.name,
        "TrainingJobArn": job.arn,
        "CreationTime": job.created,
        "TrainingJobStatus": job.status,
        "TunedHyperParameters": child.trial.hyperparameters,
        "ObjectiveStatus": child.objective_status,
    }
    if definition.name is not None:
        summary["TrainingJobDefinitionName"] = definition.name
    if job.training_started is not None:
        summary["TrainingStartTime"] = job.training_started
    if job.training_ended is not None:
        summary["TrainingEndTime"] = job.training_ended
    if job.status == "Failed" and job.failure_reason is not None:
        summary["FailureReason"] = job.failure_reason
    if child.objective is not None:
        summary["FinalHyperParameterTuningJobObjectiveMetric"] = {
            "Type": "Maximize" if settings.maximize else "Minimize",
            "MetricName": definition.metric,
            "Value": child.objective,
        }
    return summary
