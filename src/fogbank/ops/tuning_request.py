"""The request that starts a tuning job, and what its result depends on. Pure.

Comes in: the section `tune` and the training job's request. Goes out:
CreateHyperParameterTuningJob's parameters. Source: API reference, HyperParameterTuningJobConfig,
HyperParameterTrainingJobDefinition.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fogbank.ops.names import fingerprint
from fogbank.ops.spec import Spec
from fogbank.ops.spec_tune import Range, Tune
from fogbank.ops.survey import Survey

_STRATEGIES = {
    "bayesian": "Bayesian",
    "random": "Random",
    "grid": "Grid",
    "hyperband": "Hyperband",
}

_SCALES = {
    "auto": "Auto",
    "linear": "Linear",
    "log": "Logarithmic",
    "reverse_log": "ReverseLogarithmic",
}

_TAKEN_OVER = (
    "RoleArn",
    "AlgorithmSpecification",
    "InputDataConfig",
    "OutputDataConfig",
    "StoppingCondition",
)
"""Members that each trial has in common with the training job, under the same name."""


def tuning_request(tune: Tune, job: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters but for the name. job: CreateTrainingJob's, with fogbank.yaml's own
    hyperparameters."""
    return {
        "HyperParameterTuningJobConfig": _config(tune),
        "TrainingJobDefinition": {
            # AWS refuses what is static and has a range as well.
            "StaticHyperParameters": {
                name: value
                for name, value in job["HyperParameters"].items()
                if name not in tune.ranges
            },
            **{member: job[member] for member in _TAKEN_OVER},
            "HyperParameterTuningResourceConfig": job["ResourceConfig"],
        },
        "Tags": job["Tags"],
    }


def tuning_fingerprint(spec: Spec, tune: Tune, survey: Survey) -> str:
    """What the result depends on, and nothing of the account: what was found in a rehearsal is
    known to be current elsewhere too."""
    train = spec.train.model_dump(mode="json")
    fixed = {
        name: value for name, value in train["hyperparameters"].items() if name not in tune.ranges
    }
    return fingerprint(
        spec.project,
        {**train, "hyperparameters": fixed},
        tune.model_dump(mode="json"),
        spec.data.channel,
        survey.training_code.digest,
        [[file.name, file.size_bytes, file.etag] for file in survey.data],
    )


def _config(tune: Tune) -> dict[str, Any]:
    limits: dict[str, Any] = {"MaxParallelTrainingJobs": tune.max_parallel_jobs}
    if tune.strategy != "grid":  # AWS counts the combinations itself
        limits["MaxNumberOfTrainingJobs"] = tune.num_trials
    if tune.max_runtime_s is not None:
        limits["MaxRuntimeInSeconds"] = tune.max_runtime_s
    config = {
        "Strategy": _STRATEGIES[tune.strategy],
        "HyperParameterTuningJobObjective": {
            "Type": tune.objective.goal,
            "MetricName": tune.objective.metric,
        },
        "ResourceLimits": limits,
        "ParameterRanges": _ranges(tune.ranges),
        "TrainingJobEarlyStoppingType": "Auto" if tune.early_stopping else "Off",
        "RandomSeed": tune.seed,
    }
    resources = {"MinResource": tune.min_resource, "MaxResource": tune.max_resource}
    given = {name: value for name, value in resources.items() if value is not None}
    if given:
        config["StrategyConfig"] = {"HyperbandStrategyConfig": given}
    return config


def _ranges(ranges: Mapping[str, Range]) -> dict[str, list[dict[str, Any]]]:
    """`ParameterRanges`: numbers are sent as text."""
    found: dict[str, list[dict[str, Any]]] = {
        "ContinuousParameterRanges": [],
        "IntegerParameterRanges": [],
        "CategoricalParameterRanges": [],
    }
    for name, searched in ranges.items():
        if searched.values is not None:
            entry: dict[str, Any] = {"Name": name, "Values": list(searched.values)}
            found["CategoricalParameterRanges"].append(entry)
            continue
        entry = {
            "Name": name,
            "MinValue": str(searched.min),
            "MaxValue": str(searched.max),
            "ScalingType": _SCALES[searched.scale],
        }
        kind = "IntegerParameterRanges" if searched.is_whole else "ContinuousParameterRanges"
        found[kind].append(entry)
    return {kind: entries for kind, entries in found.items() if entries}
