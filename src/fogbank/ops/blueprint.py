"""What should exist for a project: all kinds together. Pure.

Every name and address is known before anything exists, because names follow from content; only
the training job's number of attempt depends on what was tried before.
"""

from __future__ import annotations

from dataclasses import dataclass

from fogbank.core.arn import Scope
from fogbank.ops import fronting
from fogbank.ops.capacity import Capacity
from fogbank.ops.kinds import (
    bucket,
    code,
    data,
    endpoint,
    endpoint_config,
    model,
    role,
    training_job,
    tuning_job,
)
from fogbank.ops.names import Names, attempt_of
from fogbank.ops.spec import Spec
from fogbank.ops.survey import Survey
from fogbank.ops.tuned import Choice, Tuned, choose


@dataclass(frozen=True, kw_only=True)
class Training:
    """What has to exist for a trained model."""

    bucket: bucket.Desired
    data: data.Desired
    role: role.Desired
    code: code.Desired
    job: training_job.Desired


@dataclass(frozen=True, kw_only=True)
class Tuning:
    """What has to exist for the best hyperparameters to be known."""

    bucket: bucket.Desired
    data: data.Desired
    role: role.Desired
    code: code.Desired
    job: tuning_job.Desired


@dataclass(frozen=True, kw_only=True)
class Hosting:
    """What has to exist for the model of one training job to be served."""

    role: role.Desired
    model: model.Desired
    config: endpoint_config.Desired
    endpoint: endpoint.Desired


@dataclass(frozen=True, slots=True)
class Blueprint:
    """The project: what its spec says, what is on the disk, in which account it will be, and what
    a tuning job has found for it."""

    spec: Spec
    survey: Survey
    scope: Scope
    tuned: Tuned | None = None
    capacity: Capacity | None = None
    """What one instance was measured to sustain."""

    @property
    def names(self) -> Names:
        return Names(self.spec.project, self.scope)

    @property
    def choice(self) -> Choice:
        """The hyperparameters that training gets."""
        return choose(self.spec, self.tuned)

    def training(self) -> Training:
        names = self.names
        choice = self.choice
        source = code.desired(self.survey.training_code, names)
        return Training(
            bucket=bucket.desired(names),
            data=data.desired(self.survey, names),
            role=role.training_role(names),
            code=source,
            job=training_job.desired(
                self.spec.with_hyperparameters(choice.values),
                self.survey,
                names,
                source,
                origin=choice.origin(),
            ),
        )

    def tuning(self) -> Tuning | None:
        """None where the spec has no section `tune`. What was found before takes no part."""
        if self.spec.tune is None:
            return None
        names = self.names
        source = code.desired(self.survey.training_code, names)
        job = training_job.desired(self.spec, self.survey, names, source)
        return Tuning(
            bucket=bucket.desired(names),
            data=data.desired(self.survey, names),
            role=role.training_role(names),
            code=source,
            job=tuning_job.desired(self.spec, self.spec.tune, self.survey, names, job),
        )

    @property
    def is_tuned_for_this(self) -> bool:
        """Whether what was found was found with this data, code, settings and ranges."""
        tuning = self.tuning()
        return (
            self.tuned is not None
            and tuning is not None
            and attempt_of(tuning.job.base_name, self.tuned.tuning_job) is not None
        )

    def fronting(self) -> fronting.Desired | None:
        """None where the spec has no function."""
        if self.spec.function is None or self.survey.function_code is None:
            return None
        return fronting.desired(self.spec.function, self.survey.function_code, self.names)

    def hosting(self, source_uri: str) -> Hosting:
        """source_uri: the model archive that a training job left, or will have left."""
        names = self.names
        served = model.desired(self.spec, self.survey.inference_code, names, source_uri)
        config = endpoint_config.desired(self.spec, names, served.name)
        update = self.spec.endpoint.update
        return Hosting(
            role=role.hosting_role(names),
            model=served,
            config=config,
            endpoint=endpoint.desired(
                names,
                config.name,
                keep_counts=self.spec.endpoint.scaling is not None,
                deployment_config=update.deployment_config if update else None,
            ),
        )
