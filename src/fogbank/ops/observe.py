"""What exists: the only reads that a plan is made from.

Comes in: a blueprint, or a project's name. Goes out: frozen facts. Calls describe, get, head and
list operations alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from fogbank.aws import Aws, explained
from fogbank.ops import fronting
from fogbank.ops.blueprint import Blueprint
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
from fogbank.ops.names import PROJECT_TAG, Names
from fogbank.ops.running_jobs import running_training_jobs, running_tunings, trials_of


@dataclass(frozen=True, kw_only=True)
class Observed:
    """What there is of a blueprint."""

    bucket: bucket.Found | None = None
    data: Mapping[str, data.Found] = field(default_factory=dict)
    train_role: role.Found | None = None
    code: bool = False
    jobs: tuple[training_job.Found, ...] = ()
    """Attempts at this very training, the first one first."""
    named_job: training_job.Found | None = None
    """The one whose model is to be served in place of the latest of those."""
    tunings: tuple[tuning_job.Found, ...] = ()
    """Attempts at the search that the spec describes, the first one first."""
    host_role: role.Found | None = None
    model: model.Found = field(default_factory=model.Found)
    config: bool = False
    endpoint: endpoint.Found | None = None
    scaling: scaling.Found | None = None
    """None where the endpoint is not scaled."""
    front: fronting.Found | None = None
    """None where nobody has looked."""


@dataclass(frozen=True, kw_only=True)
class Tagged:
    """What carries a project's tag."""

    scaling: scaling.Found | None = None
    functions: tuple[str, ...] = ()
    log_groups: tuple[str, ...] = ()
    endpoints: tuple[str, ...] = ()
    configs: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    running_tunings: tuple[str, ...] = ()
    running_jobs: tuple[str, ...] = ()
    """Trials of tuning jobs that run are not among them: they are stopped with those."""
    roles: tuple[role.Found, ...] = ()
    bucket: bucket.Found | None = None


def observe(aws: Aws, blueprint: Blueprint, *, job_name: str | None = None) -> Observed:
    """Look at everything that the blueprint names.

    job_name: the model of this job is to be served, in place of the one that the blueprint trains.
    Raises WorldError where the cloud does not answer.
    """
    names = blueprint.names
    training, tuning = blueprint.training(), blueprint.tuning()
    with explained(f"look at what exists of {names.project}", aws.url):
        found_bucket = bucket.observe(aws, training.bucket.name)
        jobs = training_job.observe(aws, training.job.base_name)
        named = training_job.observe_one(aws, job_name) if job_name else None
        hosting = blueprint.hosting(
            named.model_uri
            if named
            else training_job.model_uri(training.job, training_job.name_of(training.job, jobs))
        )
        served = hosting.model
        return Observed(
            bucket=found_bucket,
            data=data.observe(aws, names.bucket) if found_bucket else {},
            train_role=role.observe(aws, training.role.name),
            code=found_bucket is not None
            and code.observe(aws, training.code.bucket, training.code.key),
            jobs=tuple(jobs),
            named_job=named,
            tunings=tuple(tuning_job.observe(aws, tuning.job.base_name)) if tuning else (),
            host_role=role.observe(aws, hosting.role.name),
            model=model.observe(aws, served.name, served.bucket, served.key)
            if found_bucket
            else model.Found(),
            config=endpoint_config.observe(aws, hosting.config.name),
            endpoint=endpoint.observe(aws, hosting.endpoint.name),
            scaling=scaling.observe(aws, names.endpoint),
            front=fronting.observe(aws, names),
        )


def observe_tagged(aws: Aws, names: Names) -> Tagged:
    """Everything of the project, whatever its spec says now. Names narrow the search, the tag
    decides: `dogs` finds what is called `dogs-2`, and its tag says that it is another project's.
    """
    with explained(f"look for what belongs to {names.project}", aws.url):
        sagemaker = aws.sagemaker
        project = names.project
        found_bucket = bucket.observe(aws, names.bucket)
        # Jobs' names may begin with a part of the project's (Names.tuning_prefix).
        tunings = _tagged(aws, names, running_tunings(aws, name_contains=names.tuning_prefix))
        jobs = _tagged(aws, names, running_training_jobs(aws, name_contains=names.tuning_prefix))
        trials = trials_of(aws, tunings)
        found_group = log_group.observe(aws, names)
        found_function = function.observe(aws, names.function)
        endpoints = _tagged(
            aws,
            names,
            (
                (item["EndpointName"], item["EndpointArn"])
                for page in sagemaker.get_paginator("list_endpoints").paginate(NameContains=project)
                for item in page["Endpoints"]
            ),
        )
        return Tagged(
            scaling=scaling.observe(aws, names.endpoint) if names.endpoint in endpoints else None,
            functions=(names.function,)
            if found_function and found_function.project == project
            else (),
            log_groups=(found_group.name,)
            if found_group and found_group.project == project
            else (),
            endpoints=endpoints,
            configs=_tagged(
                aws,
                names,
                (
                    (item["EndpointConfigName"], item["EndpointConfigArn"])
                    for page in sagemaker.get_paginator("list_endpoint_configs").paginate(
                        NameContains=project
                    )
                    for item in page["EndpointConfigs"]
                ),
            ),
            models=_tagged(
                aws,
                names,
                (
                    (item["ModelName"], item["ModelArn"])
                    for page in sagemaker.get_paginator("list_models").paginate(
                        NameContains=project
                    )
                    for item in page["Models"]
                ),
            ),
            running_tunings=tunings,
            running_jobs=tuple(name for name in jobs if name not in trials),
            roles=tuple(_roles(aws, names)),
            bucket=found_bucket if found_bucket and found_bucket.project == project else None,
        )


def _tagged(aws: Aws, names: Names, candidates: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """The names of those (name, ARN) that carry the project's tag."""

    def tags(arn: str) -> Iterator[tuple[str, str]]:
        for page in aws.sagemaker.get_paginator("list_tags").paginate(ResourceArn=arn):
            for tag in page["Tags"]:
                yield tag["Key"], tag["Value"]

    wanted = (PROJECT_TAG, names.project)
    # Listed first: a page that is read on while others are deleted would skip some.
    return tuple(sorted(name for name, arn in list(candidates) if wanted in tags(arn)))


def _roles(aws: Aws, names: Names) -> Iterator[role.Found]:
    for page in aws.iam.get_paginator("list_roles").paginate():
        for item in page["Roles"]:
            if item["RoleName"].startswith(names.role_prefix):
                found = role.observe(aws, item["RoleName"])
                if found is not None and found.project == names.project:
                    yield found
