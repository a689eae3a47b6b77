"""The checks of CreateHyperParameterTuningJob that need more than the request: other records,
objects, roles, what is installed. In: settings (`rules.tuning_settings` has checked the request
itself). Out: nothing or a refusal; and what a warm start takes over from its parents."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fogbank.cloud.errors import ValidationException
from fogbank.cloud.ports import Objects
from fogbank.cloud.records.tuning_job import Inherited, TuningJob
from fogbank.cloud.rules.search import MODEL_BASED
from fogbank.cloud.rules.tuning_settings import Settings, read_settings
from fogbank.cloud.rules.tuning_trial import Child, child_request
from fogbank.cloud.services.sagemaker.refusals import RoleExists
from fogbank.cloud.services.sagemaker.training_input import check_training_job

FindParent = Callable[[str], tuple[TuningJob, Sequence[Child]] | None]
"""A tuning job and its trials, by name."""


def check_search(settings: Settings, search_model_exists: Callable[[], bool]) -> None:
    """Raises ValidationException where the strategy needs what is not installed."""
    if settings.strategy in MODEL_BASED and not search_model_exists():
        raise ValidationException(
            f"The strategy {settings.strategy} needs Optuna, which is not installed where Fogbank "
            "runs: pip install 'fogbank[tuning]' and start the cloud again. Random and Grid work "
            "without it. Nothing was created."
        )


def check_definitions(
    settings: Settings, *, region: str, objects: Objects, role_exists: RoleExists
) -> None:
    """Each definition is checked as the training job that it will become. Raises
    ValidationException for the first thing that is wrong."""
    for definition in settings.definitions:
        request = child_request("trial", definition, {})
        check_training_job(request, region=region, objects=objects, role_exists=role_exists)


def inherited(
    params: Mapping[str, Any], settings: Settings, find: FindParent
) -> tuple[Inherited, ...]:
    """What a warm start learns from its parents: their trials that have an objective.

    Raises ValidationException for a parent that does not exist, goes on, or has another objective,
    and, with IdenticalDataAndAlgorithm, other input data or another image.
    """
    warm_start = params.get("WarmStartConfig")
    if warm_start is None:
        return ()
    identical = warm_start["WarmStartType"] == "IdenticalDataAndAlgorithm"
    learnt: list[Inherited] = []
    for entry in warm_start["ParentHyperParameterTuningJobs"]:
        name = entry.get("HyperParameterTuningJobName", "")
        found = find(name)
        if found is None:
            raise ValidationException(f"The parent tuning job {name!r} does not exist.")
        parent, children = found
        _check_parent(parent, settings, identical=identical)
        for child in children:
            if child.objective is not None:
                parameters: Mapping[str, str] = child.job.request["HyperParameters"]
                learnt.append(
                    Inherited(
                        training_job=child.job.name,
                        hyperparameters=parameters,
                        value=child.objective,
                    )
                )
    return tuple(learnt)


def _check_parent(parent: TuningJob, settings: Settings, *, identical: bool) -> None:
    if not parent.is_final:
        raise ValidationException(
            f"The parent tuning job {parent.name} is {parent.status}: a warm start needs parents "
            "that have ended."
        )
    theirs = read_settings(parent.request)
    ours = [(definition.metric, settings.maximize) for definition in settings.definitions]
    if [(definition.metric, theirs.maximize) for definition in theirs.definitions] != ours:
        raise ValidationException(
            f"The parent tuning job {parent.name} has another objective metric: it must be the "
            "same for a warm start."
        )
    if identical and _identity(theirs) != _identity(settings):
        raise ValidationException(
            f"The parent tuning job {parent.name} has other input data or another training image: "
            "that is what the warm start type TransferLearning is for."
        )


def _identity(settings: Settings) -> list[tuple[Any, Any]]:
    """What IdenticalDataAndAlgorithm means by data and algorithm."""
    return [
        (
            definition.request.get("InputDataConfig"),
            definition.request["AlgorithmSpecification"].get("TrainingImage"),
        )
        for definition in settings.definitions
    ]
