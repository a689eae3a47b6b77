"""What should exist for a project: all kinds together. Pure.

Every name and address is known before anything exists, because names follow from content; only
the training job's number of attempt depends on what was tried before.
"""

from __future__ import annotations

from dataclasses import dataclass

from fogbank.core.arn import Scope
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
from fogbank.ops.names import Names
from fogbank.ops.spec import Spec
from fogbank.ops.survey import Survey


@dataclass(frozen=True, kw_only=True)
class Training:
    """What has to exist for a trained model."""

    bucket: bucket.Desired
    data: data.Desired
    role: role.Desired
    code: code.Desired
    job: training_job.Desired


@dataclass(frozen=True, kw_only=True)
class Hosting:
    """What has to exist for the model of one training job to be served."""

    role: role.Desired
    model: model.Desired
    config: endpoint_config.Desired
    endpoint: endpoint.Desired


@dataclass(frozen=True, slots=True)
class Blueprint:
    """The project: what its spec says, what is on the disk, and in which account it will be."""

    spec: Spec
    survey: Survey
    scope: Scope

    @property
    def names(self) -> Names:
        return Names(self.spec.project, self.scope)

    def training(self) -> Training:
        names = self.names
        source = code.desired(self.survey.training_code, names)
        return Training(
            bucket=bucket.desired(names),
            data=data.desired(self.survey, names),
            role=role.training_role(names),
            code=source,
            job=training_job.desired(self.spec, self.survey, names, source),
        )

    def hosting(self, source_uri: str) -> Hosting:
        """source_uri: the model archive that a training job left, or will have left."""
        names = self.names
        served = model.desired(self.spec, self.survey.inference_code, names, source_uri)
        config = endpoint_config.desired(self.spec, names, served.name)
        return Hosting(
            role=role.hosting_role(names),
            model=served,
            config=config,
            endpoint=endpoint.desired(names, config.name),
        )
