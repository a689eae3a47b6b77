"""What CreateHyperParameterTuningJob refuses, and what it means otherwise."""

from __future__ import annotations

from typing import Any

import pytest

from cloud.tuning_request import GRID, OBJECTIVE, RANGES, limits, several, tuning_job
from fogbank.cloud.errors import ValidationException
from fogbank.cloud.rules.tuning_settings import Hyperband, read_settings


def band(least: int | None, most: int | None) -> dict[str, Any]:
    given = {"MinResource": least, "MaxResource": most}
    return {"HyperbandStrategyConfig": {k: v for k, v in given.items() if v is not None}}


def criteria(**given: Any) -> dict[str, Any]:
    return {"configured": {"TuningJobCompletionCriteria": given}}


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    (
        "no definition",
        tuning_job(TrainingJobDefinition=None),
        "either TrainingJobDefinition or TrainingJobDefinitions",
    ),
    ("both kinds", {**several({}), **tuning_job()}, "and not both"),
    (
        "no objective",
        tuning_job(configured={"HyperParameterTuningJobObjective": None}),
        "A metric is required for this hyperparameter tuning job objective. Provide a metric in "
        "the metric definitions.",
    ),
    (
        "an objective that is not defined",
        tuning_job(
            configured={
                "HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": "f1"}
            }
        ),
        r"The objective is f1; MetricDefinitions has loss, accuracy, bare",
    ),
    (
        "a regex with no group",
        tuning_job(
            configured={
                "HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": "bare"}
            }
        ),
        "has no group: put parentheses around the value",
    ),
    ("no ranges", tuning_job(configured={"ParameterRanges": {}}), "between 1 and 30"),
    (
        "static and tuned",
        tuning_job(defined={"StaticHyperParameters": {"lr": "0.1"}}),
        "lr is static and has a range as well",
    ),
    (
        "no number of jobs",
        tuning_job(configured={"ResourceLimits": limits(None)}),
        "MaxNumberOfTrainingJobs is required",
    ),
    (
        "a grid of numbers",
        tuning_job(configured={"Strategy": "Grid"}),
        "Grid searches categorical hyperparameters only",
    ),
    (
        "a grid of another size",
        tuning_job(
            configured={
                "Strategy": "Grid",
                "ParameterRanges": GRID,
                "ResourceLimits": limits(5),
            }
        ),
        "the number of combinations, 6, or is left out; it is 5",
    ),
    (
        "hyperband without a resource",
        tuning_job(configured={"Strategy": "Hyperband"}),
        "MinResource <= MaxResource",
    ),
    (
        "hyperband upside down",
        tuning_job(configured={"Strategy": "Hyperband", "StrategyConfig": band(9, 3)}),
        "MinResource <= MaxResource",
    ),
    (
        "hyperband and another early stopping",
        tuning_job(
            configured={
                "Strategy": "Hyperband",
                "StrategyConfig": band(1, 9),
                "TrainingJobEarlyStoppingType": "Auto",
            }
        ),
        "must be Off",
    ),
    (
        "hyperband's settings without hyperband",
        tuning_job(configured={"StrategyConfig": band(1, 9)}),
        "for the strategy Hyperband only",
    ),
    ("autotune", tuning_job(Autotune={"Mode": "Enabled"}), "Autotune"),
    (
        "convergence",
        tuning_job(**criteria(ConvergenceDetected={"CompleteOnConvergence": "Enabled"})),
        "ConvergenceDetected",
    ),
    (
        "no resources",
        tuning_job(defined={"HyperParameterTuningResourceConfig": None}),
        "either ResourceConfig or HyperParameterTuningResourceConfig",
    ),
    (
        "flexible instances",
        tuning_job(
            defined={"HyperParameterTuningResourceConfig": {"AllocationStrategy": "Prioritized"}}
        ),
        "AllocationStrategy",
    ),
    (
        "several with one name",
        several({"DefinitionName": "a"}, {"DefinitionName": "a"}),
        "DefinitionName of its own",
    ),
    ("several without a name", several({"DefinitionName": None}), "DefinitionName of its own"),
    (
        "several and a common objective",
        several({}, HyperParameterTuningJobObjective=OBJECTIVE),
        "each definition has its own",
    ),
    (
        "several of two minds",
        several({}, {"TuningObjective": {"Type": "Maximize", "MetricName": "accuracy"}}),
        "either Minimize or Maximize",
    ),
]


@pytest.mark.docs
@pytest.mark.parametrize(
    ("request_", "words"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED]
)
def test_what_is_refused(request_: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationException, match=words):
        read_settings(request_)


@pytest.mark.observed
@pytest.mark.parametrize(("number", "works"), [(6, True), (7, False)])
def test_no_more_trials_than_can_differ(number: int, works: bool) -> None:
    """AWS's words: aws/amazon-sagemaker-operator-for-k8s #123."""
    ranges = {
        "IntegerParameterRanges": [{"Name": "epochs", "MinValue": "1", "MaxValue": "3"}],
        "CategoricalParameterRanges": [{"Name": "optimizer", "Values": ["sgd", "adam"]}],
    }
    asked = tuning_job(configured={"ParameterRanges": ranges, "ResourceLimits": limits(number)})
    if works:
        assert read_settings(asked).max_trials == number
    else:
        with pytest.raises(ValidationException) as caught:
            read_settings(asked)
        assert caught.value.message == (
            "You don't have enough combinations of hyperparameter ranges. The total number of "
            "hyperparameter combinations for the provided ranges [6.0] must be equal or greater "
            "than the value of MaxNumberOfJobs, [7]. Provide additional ranges."
        )


@pytest.mark.observed
@pytest.mark.parametrize("member", ["HyperParameterTuningResourceConfig", "ResourceConfig"])
def test_both_sdks_resources(member: str) -> None:
    resources = {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1}
    settings = read_settings(
        tuning_job(defined={"HyperParameterTuningResourceConfig": None, member: resources})
    )
    assert settings.definitions[0].metric == "loss"
    assert (settings.max_trials, settings.max_parallel, settings.maximize) == (6, 2, False)


@pytest.mark.docs
def test_a_grid_knows_its_size() -> None:
    grid = {"Strategy": "Grid", "ParameterRanges": GRID, "ResourceLimits": limits(None)}
    assert read_settings(tuning_job(configured=grid)).max_trials == 6
    ranges = {"HyperParameterRanges": GRID}
    both = several(ranges, ranges, Strategy="Grid", ResourceLimits=limits(None))
    assert read_settings(both).max_trials == 12


@pytest.mark.docs
@pytest.mark.parametrize(
    ("given", "static", "expected"),
    [
        (band(2, 27), {}, Hyperband(2, 27)),
        (None, {"n_epochs": "12"}, Hyperband(1, 12)),
        (band(3, None), {"epochs": '"30"'}, Hyperband(3, 30)),
    ],
)
def test_hyperband_finds_its_resource(
    given: dict[str, Any] | None, static: dict[str, str], expected: Hyperband
) -> None:
    ranges = {"ContinuousParameterRanges": RANGES["ContinuousParameterRanges"]}
    settings = read_settings(
        tuning_job(
            configured={
                "Strategy": "Hyperband",
                "StrategyConfig": given,
                "ParameterRanges": ranges,
            },
            defined={"StaticHyperParameters": static},
        )
    )
    assert settings.hyperband == expected


@pytest.mark.docs
@pytest.mark.parametrize(
    "configured",
    [
        {"ResourceLimits": limits(None, MaxRuntimeInSeconds=120)},
        {
            "ResourceLimits": limits(None),
            "TuningJobCompletionCriteria": {"TargetObjectiveMetricValue": 0.0},
        },
    ],
)
def test_without_a_number_something_else_ends_the_job(configured: dict[str, Any]) -> None:
    assert read_settings(tuning_job(configured=configured)).max_trials == 750
