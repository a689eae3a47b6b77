"""What has to be done: the difference between what should exist and what does. Pure.

Comes in: a blueprint and what was observed. Goes out: steps, in the order in which to do them;
none where everything is as it should be.
"""

from __future__ import annotations

from enum import IntEnum

from fogbank.core.errors import InputError
from fogbank.ops import fronting
from fogbank.ops.blueprint import Blueprint
from fogbank.ops.capacity import Capacity
from fogbank.ops.kinds import (
    bucket,
    code,
    data,
    endpoint,
    endpoint_config,
    function,
    log_group,
    model,
    role,
    scaling,
    training_job,
    tuning_job,
)
from fogbank.ops.names import Names
from fogbank.ops.observe import Observed, Tagged
from fogbank.ops.scaling_review import target_of
from fogbank.ops.spec_scaling import Scaling
from fogbank.ops.step import Step


class Goal(IntEnum):
    """How far to go; each needs what is before it."""

    DATA = 1
    """The pictures are in S3."""
    TRAINED = 2
    """A training job has completed with this data, code and settings."""
    DEPLOYED = 3
    """The endpoint serves that job's model."""
    FRONTED = 4
    """The function answers for the endpoint where the spec has one; else there is none."""


def plan(blueprint: Blueprint, observed: Observed, goal: Goal) -> list[Step]:
    """The steps from what is observed to the goal."""
    training = blueprint.training()
    steps = [
        *bucket.diff(training.bucket, observed.bucket),
        *data.diff(training.data, observed.data),
    ]
    if goal >= Goal.TRAINED:
        steps += [
            *role.diff(training.role, observed.train_role),
            *code.diff(training.code, observed.code),
            *training_job.diff(training.job, observed.jobs),
        ]
    if goal >= Goal.DEPLOYED:
        steps += _hosting(blueprint, observed, _own_model(training.job, observed))
    if goal >= Goal.FRONTED:
        steps += _front(blueprint, observed)
    return steps


def check(blueprint: Blueprint, observed: Observed, goal: Goal) -> None:
    """Raises InputError for what the goal asks of AWS and cannot have, before anything is made."""
    front = blueprint.fronting()
    if goal >= Goal.FRONTED and front is not None and observed.front is not None:
        fronting.check(front, observed.front)


def plan_function(blueprint: Blueprint, observed: Observed) -> list[Step]:
    """The steps that put the function in front of the endpoint, whether that serves already or not.

    Raises InputError where fogbank.yaml has no function.
    """
    if blueprint.spec.function is None:
        raise InputError(
            "fogbank.yaml has no section `function`. With `function: {}` the project has one, made "
            "of function.py; `fogbank init` shows what that looks like."
        )
    return _front(blueprint, observed)


def _front(blueprint: Blueprint, observed: Observed) -> list[Step]:
    front = blueprint.fronting()
    if front is None:
        return fronting.remove(observed.front, blueprint.names) if observed.front else []
    assert observed.front is not None, "nobody has looked"
    return fronting.diff(front, observed.front)


def plan_deployment(
    blueprint: Blueprint, observed: Observed, job_name: str | None = None
) -> list[Step]:
    """The steps that serve a model which is already trained: of the job `job_name`, or of the
    blueprint's own.

    Raises InputError where there is no such model: the job does not exist or has none, the
    blueprint's data, code and settings have not been trained.
    """
    training = blueprint.training()
    if job_name is not None:
        source_uri = _named_model(job_name, observed.named_job)
    else:
        source_uri = _own_model(training.job, observed)
        if not any(job.has_result for job in observed.jobs):
            raise InputError(
                "the data, code and settings as they are now have not been trained yet. "
                "`fogbank train` does it, `fogbank up` does everything; `fogbank deploy --job "
                "NAME` serves the model of another training job."
            )
    return [
        *bucket.diff(training.bucket, observed.bucket),
        *_hosting(blueprint, observed, source_uri),
    ]


def _own_model(job: training_job.Desired, observed: Observed) -> str:
    """Where the model of the blueprint's own training is, or will be."""
    return training_job.model_uri(job, training_job.name_of(job, observed.jobs))


def _named_model(name: str, job: training_job.Found | None) -> str:
    if job is None:
        raise InputError(
            f"there is no training job {name}: `fogbank status` and `fogbank tune` name the "
            "project's, report/tuning.csv those of its search."
        )
    if not job.has_result:
        why = (
            "it has no model in S3 any more" if job.status == "Completed" else f"it is {job.status}"
        )
        raise InputError(
            f"the training job {name} cannot be served: {why}. Name one that is Completed."
        )
    return job.model_uri


def plan_tuning(blueprint: Blueprint, observed: Observed) -> list[Step]:
    """The steps that search the best hyperparameters.

    Raises InputError where fogbank.yaml does not say what to search.
    """
    tuning = blueprint.tuning()
    if tuning is None:
        raise InputError(
            "fogbank.yaml has no section `tune`, so there is nothing to search. It needs an "
            "objective and ranges, such as:\n\n"
            "tune:\n"
            "  objective: {maximize: valid_accuracy}\n"
            "  ranges:\n"
            "    lr: {min: 0.0001, max: 0.01, scale: log}\n"
        )
    return [
        *bucket.diff(tuning.bucket, observed.bucket),
        *data.diff(tuning.data, observed.data),
        *role.diff(tuning.role, observed.train_role),
        *code.diff(tuning.code, observed.code),
        *tuning_job.diff(tuning.job, observed.tunings),
    ]


def plan_tuning_stop(tagged: Tagged) -> list[Step]:
    """The steps that end every search of the project that runs."""
    return [step for name in tagged.running_tunings for step in tuning_job.stop(name)]


def _hosting(blueprint: Blueprint, observed: Observed, source_uri: str) -> list[Step]:
    hosting = blueprint.hosting(source_uri)
    served = endpoint.diff(hosting.endpoint, observed.endpoint)
    scaled = observed.scaling
    released: list[Step] = []
    if any(step.verb == "delete" for step in served):
        scaled = None  # an endpoint that is deleted takes its scaling with it
    elif scaled is not None and any(step.verb == "update" for step in served):
        released = scaling.release(scaled, blueprint.spec.endpoint.instance_type)
        scaled = None if released else scaled
    return [
        *role.diff(hosting.role, observed.host_role),
        *model.diff(hosting.model, observed.model),
        *endpoint_config.diff(hosting.config, observed.config),
        *released,
        *served,
        *_scaling(blueprint, scaled),
    ]


def plan_scaling(blueprint: Blueprint, observed: Observed) -> list[Step]:
    """The steps that scale the endpoint as fogbank.yaml says. Raises InputError where there is no
    endpoint yet."""
    if observed.endpoint is None:
        raise InputError(
            f"there is no endpoint {blueprint.names.endpoint} to scale: `fogbank up` deploys it."
        )
    return _scaling(blueprint, observed.scaling)


def _scaling(blueprint: Blueprint, found: scaling.Found | None) -> list[Step]:
    spec = blueprint.spec.endpoint
    return scaling_steps(spec.scaling, blueprint.capacity, blueprint.names, found)


def scaling_steps(
    section: Scaling | None,
    capacity: Capacity | None,
    names: Names,
    found: scaling.Found | None,
) -> list[Step]:
    """The steps that scale the endpoint as the section says. One whose target is to be measured is
    not scaled before that has been done."""
    if section is None:
        return scaling.diff(None, found)
    target = target_of(section, capacity)
    if target is None:
        return [] if found is None else scaling.resume(found)
    return scaling.diff(scaling.desired(section, target, names), found)


def plan_removal(tagged: Tagged, *, delete_data: bool) -> list[Step]:
    """The steps that remove what carries the tag: what serves first, what it needs afterwards."""
    return [
        *(step for name in tagged.functions for step in function.remove(name)),
        *(scaling.remove(tagged.scaling) if tagged.scaling else ()),
        *(step for name in tagged.endpoints for step in endpoint.remove(name)),
        *(step for name in tagged.running_tunings for step in tuning_job.remove(name)),
        *(step for name in tagged.running_jobs for step in training_job.remove(name)),
        *(step for name in tagged.configs for step in endpoint_config.remove(name)),
        *(step for name in tagged.models for step in model.remove(name)),
        *(step for found in tagged.roles for step in role.remove(found)),
        *(step for name in tagged.log_groups for step in log_group.remove(name)),
        *(bucket.remove(tagged.bucket) if delete_data and tagged.bucket else ()),
    ]
