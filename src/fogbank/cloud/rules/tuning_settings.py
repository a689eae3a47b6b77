"""CreateHyperParameterTuningJob's request -> what the rules of tuning work with.

Raises ValidationException for what contradicts itself, so reading a request is checking it; what
is not carried out is refused, not ignored. Source: API reference, CreateHyperParameterTuningJob,
HyperParameterTuningJobConfig, HyperParameterTrainingJobDefinition, HyperbandStrategyConfig.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fogbank.cloud.errors import ValidationException
from fogbank.cloud.rules.metric_definitions import compile_definitions
from fogbank.cloud.rules.search import Strategy
from fogbank.cloud.rules.search_space import Space, read_space

MAX_TRIALS = 750
"""Training jobs where the request has no MaxNumberOfTrainingJobs: the most that AWS allows
(service quotas of automatic model tuning)."""

MAX_RESOURCE = 20_000
"""The greatest MaxResource (API reference, HyperbandStrategyConfig)."""

_EPOCHS = ("epochs", "numepochs", "n-epochs", "n_epochs", "num_epochs")
"""Static hyperparameters that MaxResource is taken from where it is not given."""


@dataclass(frozen=True, slots=True)
class Definition:
    """One training job definition. metric: name of its objective. request: the definition."""

    name: str | None
    metric: str
    space: Space
    request: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Hyperband:
    """Resource is counted in values of the objective that a trial has reported: its epochs."""

    min_resource: int
    max_resource: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """max_trials:     how many training jobs are launched at most.
    target:          the job is complete once an objective is as good as this.
    max_not_improving: ... or once so many objectives in a row were less than 1 % better.
    stops_early:     TrainingJobEarlyStoppingType Auto.
    """

    strategy: Strategy
    maximize: bool
    definitions: tuple[Definition, ...]
    max_trials: int
    max_parallel: int
    max_runtime_s: int | None
    target: float | None
    max_not_improving: int | None
    stops_early: bool
    hyperband: Hyperband | None


def read_settings(request: Mapping[str, Any]) -> Settings:
    """Raises ValidationException for the first thing that is wrong."""
    _refuse(request, "Autotune")
    config = request["HyperParameterTuningJobConfig"]
    strategy: Strategy = config["Strategy"]
    definitions, maximize = _definitions(request, config)
    limits = config["ResourceLimits"]
    criteria = config.get("TuningJobCompletionCriteria", {})
    if criteria.get("ConvergenceDetected", {}).get("CompleteOnConvergence") == "Enabled":
        raise ValidationException(
            "Fogbank does not support TuningJobCompletionCriteria.ConvergenceDetected yet: use "
            "TargetObjectiveMetricValue or BestObjectiveNotImproving. Nothing was created."
        )
    not_improving = criteria.get("BestObjectiveNotImproving", {})
    max_not_improving = not_improving.get("MaxNumberOfTrainingJobsNotImproving")
    target = criteria.get("TargetObjectiveMetricValue")
    max_runtime_s = limits.get("MaxRuntimeInSeconds")
    ends_otherwise = (max_runtime_s, target, max_not_improving) != (None, None, None)
    return Settings(
        strategy=strategy,
        maximize=maximize,
        definitions=definitions,
        max_trials=_max_trials(strategy, definitions, limits, ends_otherwise),
        max_parallel=limits["MaxParallelTrainingJobs"],
        max_runtime_s=max_runtime_s,
        target=target,
        max_not_improving=max_not_improving,
        stops_early=config.get("TrainingJobEarlyStoppingType", "Off") == "Auto",
        hyperband=_hyperband(strategy, config, definitions),
    )


def _definitions(
    request: Mapping[str, Any], config: Mapping[str, Any]
) -> tuple[tuple[Definition, ...], bool]:
    """And whether the objective is to be maximized."""
    one, several = request.get("TrainingJobDefinition"), request.get("TrainingJobDefinitions")
    if (one is None) == (several is None):
        raise ValidationException(
            "A tuning job needs either TrainingJobDefinition or TrainingJobDefinitions, and not "
            "both."
        )
    if one is not None:
        # The ranges and the objective of a single definition are in the configuration.
        several = [
            {
                "TuningObjective": config.get("HyperParameterTuningJobObjective"),
                "HyperParameterRanges": config.get("ParameterRanges", {}),
                **one,
            }
        ]
    else:
        _check_several(several or (), config)
    assert several is not None, "one of both is there"
    types = {_objective(definition)["Type"] for definition in several}
    if len(types) > 1:
        raise ValidationException(
            "The objectives of all training job definitions must be of one type: either Minimize "
            "or Maximize."
        )
    return tuple(map(_definition, several)), types == {"Maximize"}


def _check_several(definitions: Sequence[Mapping[str, Any]], config: Mapping[str, Any]) -> None:
    for member in ("HyperParameterTuningJobObjective", "ParameterRanges"):
        if member in config:
            raise ValidationException(
                f"{member} does not go with TrainingJobDefinitions: each definition has its own "
                "TuningObjective and HyperParameterRanges."
            )
    names = [definition.get("DefinitionName") for definition in definitions]
    if None in names or len(set(names)) < len(names):
        raise ValidationException(
            "Each of several training job definitions needs a DefinitionName of its own."
        )


def _objective(definition: Mapping[str, Any]) -> Mapping[str, Any]:
    objective: Mapping[str, Any] | None = definition.get("TuningObjective")
    if objective is None:
        raise ValidationException(
            "A metric is required for this hyperparameter tuning job objective. Provide a metric "
            "in the metric definitions."
        )
    return objective


def _definition(given: Mapping[str, Any]) -> Definition:
    resources = given.get("HyperParameterTuningResourceConfig", {})
    _refuse(resources, "InstanceConfigs", "AllocationStrategy")
    if ("ResourceConfig" in given) == bool(resources):
        raise ValidationException(
            "A training job definition needs either ResourceConfig or "
            "HyperParameterTuningResourceConfig, and not both."
        )
    metric: str = _objective(given)["MetricName"]
    _check_metric(metric, given["AlgorithmSpecification"])
    space = read_space(given.get("HyperParameterRanges", {}))
    both = sorted(set(space.names) & set(given.get("StaticHyperParameters", {})))
    if both:
        raise ValidationException(
            f"The hyperparameter {both[0]} is static and has a range as well: it can be only one."
        )
    return Definition(given.get("DefinitionName"), metric, space, given)


def _check_metric(name: str, algorithm: Mapping[str, Any]) -> None:
    """The objective's regex has to have a group: that is where its value is."""
    metrics = compile_definitions(algorithm.get("MetricDefinitions", ()))
    found = next((metric for metric in metrics if metric.name == name), None)
    if found is None:
        raise ValidationException(
            "A metric is required for this hyperparameter tuning job objective. Provide a metric "
            f"in the metric definitions. (The objective is {name}; MetricDefinitions has "
            f"{', '.join(metric.name for metric in metrics) or 'nothing'}.)"
        )
    if found.regex.groups == 0:
        raise ValidationException(
            f"The regular expression {found.regex.pattern!r} of the objective metric {name} has "
            "no group: put parentheses around the value, as in 'loss: ([0-9.]+)'."
        )


def _max_trials(
    strategy: Strategy,
    definitions: Sequence[Definition],
    limits: Mapping[str, Any],
    ends_otherwise: bool,
) -> int:
    asked: int | None = limits.get("MaxNumberOfTrainingJobs")
    if strategy == "Grid":
        return _grid_size(definitions, asked)
    if asked is None and not ends_otherwise:
        raise ValidationException(
            "MaxNumberOfTrainingJobs is required in ResourceLimits where neither "
            "MaxRuntimeInSeconds nor TuningJobCompletionCriteria ends the tuning job."
        )
    if asked is not None:
        _check_combinations(definitions, asked)
    return MAX_TRIALS if asked is None else asked


def _check_combinations(definitions: Sequence[Definition], asked: int) -> None:
    """Ranges without a continuous one have to be good for as many trials as are asked for."""
    sizes = [definition.space.num_points for definition in definitions]
    known = [size for size in sizes if size is not None]
    if len(known) == len(sizes) and sum(known) < asked:
        raise ValidationException(
            "You don't have enough combinations of hyperparameter ranges. The total number of "
            f"hyperparameter combinations for the provided ranges [{float(sum(known))}] must be "
            f"equal or greater than the value of MaxNumberOfJobs, [{asked}]. Provide additional "
            "ranges."
        )


def _grid_size(definitions: Sequence[Definition], asked: int | None) -> int:
    if not all(definition.space.is_grid for definition in definitions):
        raise ValidationException(
            "The strategy Grid searches categorical hyperparameters only: turn continuous and "
            "integer ranges into CategoricalParameterRanges."
        )
    size = sum(definition.space.num_combinations for definition in definitions)
    if asked is not None and asked != size:
        raise ValidationException(
            f"With the strategy Grid, MaxNumberOfTrainingJobs is the number of combinations, "
            f"{size}, or is left out; it is {asked}."
        )
    return size


def _hyperband(
    strategy: Strategy, config: Mapping[str, Any], definitions: Sequence[Definition]
) -> Hyperband | None:
    given = config.get("StrategyConfig", {}).get("HyperbandStrategyConfig", {})
    if strategy != "Hyperband":
        if config.get("StrategyConfig"):
            raise ValidationException("StrategyConfig is for the strategy Hyperband only.")
        return None
    if config.get("TrainingJobEarlyStoppingType", "Off") != "Off":
        raise ValidationException(
            "TrainingJobEarlyStoppingType must be Off with the strategy Hyperband, which stops "
            "training jobs by itself."
        )
    least = given.get("MinResource", 1)
    most = given.get("MaxResource") or _epochs(definitions)
    if most is None or not least <= most <= MAX_RESOURCE:
        raise ValidationException(
            f"HyperbandStrategyConfig needs MinResource <= MaxResource <= {MAX_RESOURCE}. "
            "MaxResource may be left out where a static hyperparameter has the number of epochs "
            f"({', '.join(_EPOCHS)})."
        )
    return Hyperband(least, most)


def _epochs(definitions: Sequence[Definition]) -> int | None:
    """The number of epochs that the static hyperparameters ask for. SDKs quote texts."""
    for definition in definitions:
        static = definition.request.get("StaticHyperParameters", {})
        for name in _EPOCHS:
            text = static.get(name, "").strip('"')
            if text.isdecimal():
                return int(text)
    return None


def _refuse(given: Mapping[str, Any], *names: str) -> None:
    for name in names:
        if given.get(name):
            raise ValidationException(
                f"Fogbank does not support {name} in CreateHyperParameterTuningJob yet. "
                "Nothing was created."
            )
