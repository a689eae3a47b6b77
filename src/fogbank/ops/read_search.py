"""What AWS says of a tuning job -> Search. Calls describe and list operations alone."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from fogbank.aws import Aws
from fogbank.ops.search import LOGARITHMIC_FROM, Axis, Search, Trial


def read_search(aws: Aws, name: str) -> Search:
    """The tuning job of that name, and its trials in the order in which they were launched."""
    # The status first: once it is final, so are all trials.
    job = aws.sagemaker.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
    config = job["HyperParameterTuningJobConfig"]
    objective = config["HyperParameterTuningJobObjective"]
    return Search(
        name=name,
        status=job["HyperParameterTuningJobStatus"],
        reason=job.get("FailureReason", ""),
        metric=objective["MetricName"],
        goal=objective["Type"],
        max_trials=config["ResourceLimits"].get("MaxNumberOfTrainingJobs")
        or _num_combinations(config),
        axes=tuple(_axes(config["ParameterRanges"])),
        trials=tuple(_trials(aws, name)),
    )


def _num_combinations(config: Mapping[str, Any]) -> int | None:
    """What a grid search tries; None for others."""
    if config["Strategy"] != "Grid":
        return None
    categories = config["ParameterRanges"].get("CategoricalParameterRanges", ())
    return math.prod(len(entry["Values"]) for entry in categories)


def _axes(ranges: Mapping[str, Any]) -> Iterator[Axis]:
    for kind in ("ContinuousParameterRanges", "IntegerParameterRanges"):
        for entry in ranges.get(kind, ()):
            low, high = float(entry["MinValue"]), float(entry["MaxValue"])
            scale = _axis_scale(entry.get("ScalingType", "Auto"), low, high)
            yield Axis(
                name=entry["Name"],
                low=low,
                high=high,
                scale=scale,
                is_whole=kind == "IntegerParameterRanges",
            )
    for entry in ranges.get("CategoricalParameterRanges", ()):
        yield Axis(name=entry["Name"], values=tuple(entry["Values"]))


def _axis_scale(scaling: str, low: float, high: float) -> Literal["linear", "log", "reverse_log"]:
    match scaling:
        case "Logarithmic":
            return "log"
        case "ReverseLogarithmic":
            return "reverse_log"
        case "Auto":
            return "log" if low > 0 and high / low >= LOGARITHMIC_FROM else "linear"
        case _:
            return "linear"


def _trials(aws: Aws, name: str) -> Iterator[Trial]:
    pages = aws.sagemaker.get_paginator(
        "list_training_jobs_for_hyper_parameter_tuning_job"
    ).paginate(HyperParameterTuningJobName=name)
    jobs = [job for page in pages for job in page["TrainingJobSummaries"]]
    jobs.sort(key=lambda job: (job["CreationTime"], job["TrainingJobName"]))
    for number, job in enumerate(jobs, 1):
        started, ended = job.get("TrainingStartTime"), job.get("TrainingEndTime")
        final = job.get("FinalHyperParameterTuningJobObjectiveMetric")
        yield Trial(
            number=number,
            name=job["TrainingJobName"],
            status=job["TrainingJobStatus"],
            hyperparameters=job["TunedHyperParameters"],
            objective=final["Value"] if final and math.isfinite(final["Value"]) else None,
            reason=job.get("FailureReason", ""),
            seconds=(ended - started).total_seconds() if started and ended else None,
        )
