"""What has to be done: the difference between what should exist and what does. Pure.

Comes in: a blueprint and what was observed. Goes out: steps, in the order in which to do them;
none where everything is as it should be.
"""

from __future__ import annotations

from enum import IntEnum

from fogbank.core.errors import InputError
from fogbank.ops.blueprint import Blueprint
from fogbank.ops.kinds import (
    bucket,
    code,
    data,
    endpoint,
    endpoint_config,
    model,
    role,
    training_job,
)
from fogbank.ops.observe import Observed, Tagged
from fogbank.ops.step import Step


class Goal(IntEnum):
    """How far to go; each needs what is before it."""

    DATA = 1
    """The pictures are in S3."""
    TRAINED = 2
    """A training job has completed with this data, code and settings."""
    DEPLOYED = 3
    """The endpoint serves that job's model."""


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
        steps += _hosting(blueprint, observed, training_job.name_of(training.job, observed.jobs))
    return steps


def plan_deployment(
    blueprint: Blueprint, observed: Observed, job_name: str | None = None
) -> list[Step]:
    """The steps that serve a model which is already trained: of the job `job_name`, or of the
    blueprint's own.

    Raises InputError where the blueprint's data, code and settings have not been trained.
    """
    training = blueprint.training()
    if job_name is None:
        job_name = training_job.name_of(training.job, observed.jobs)
        if not any(job.is_trained for job in observed.jobs):
            raise InputError(
                "the data, code and settings as they are now have not been trained yet. "
                "`fogbank train` does it, `fogbank up` does everything; `fogbank deploy --job "
                "NAME` serves the model of another training job."
            )
    return [
        *bucket.diff(training.bucket, observed.bucket),
        *_hosting(blueprint, observed, job_name),
    ]


def _hosting(blueprint: Blueprint, observed: Observed, job_name: str) -> list[Step]:
    hosting = blueprint.hosting(training_job.model_uri(blueprint.training().job, job_name))
    return [
        *role.diff(hosting.role, observed.host_role),
        *model.diff(hosting.model, observed.model),
        *endpoint_config.diff(hosting.config, observed.config),
        *endpoint.diff(hosting.endpoint, observed.endpoint),
    ]


def plan_removal(tagged: Tagged, *, delete_data: bool) -> list[Step]:
    """The steps that remove what carries the tag: what serves first, what it needs afterwards."""
    return [
        *(step for name in tagged.endpoints for step in endpoint.remove(name)),
        *(step for name in tagged.running_jobs for step in training_job.remove(name)),
        *(step for name in tagged.configs for step in endpoint_config.remove(name)),
        *(step for name in tagged.models for step in model.remove(name)),
        *(step for found in tagged.roles for step in role.remove(found)),
        *(bucket.remove(tagged.bucket) if delete_data and tagged.bucket else ()),
    ]
