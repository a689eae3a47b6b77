"""The function's log group. Lambda would make it by itself, but to be kept for ever, and only for a
role that may make log groups."""

from __future__ import annotations

from dataclasses import dataclass

from fogbank.aws import Aws, error_code, existing
from fogbank.ops.names import PROJECT_TAG, Names
from fogbank.ops.spec_function import Function
from fogbank.ops.step import Step
from fogbank.ops.world import World


@dataclass(frozen=True, kw_only=True)
class Desired:
    name: str
    arn: str
    project: str
    retention_days: int | None
    """None: for ever."""


@dataclass(frozen=True, kw_only=True)
class Found:
    name: str
    project: str | None = None
    retention_days: int | None = None


def desired(function: Function, names: Names) -> Desired:
    return Desired(
        name=names.function_log_group,
        arn=_arn(names),
        project=names.project,
        retention_days=function.log_retention_days,
    )


def _arn(names: Names) -> str:
    """Without the `:*` that stands for its streams: tags are the group's."""
    return names.scope.arn("logs", f"log-group:{names.function_log_group}")


def observe(aws: Aws, names: Names) -> Found | None:
    name = names.function_log_group
    pages = aws.logs.get_paginator("describe_log_groups").paginate(logGroupNamePrefix=name)
    group = next(
        (item for page in pages for item in page["logGroups"] if item["logGroupName"] == name), None
    )
    if group is None:
        return None
    answer = existing(aws.logs.list_tags_for_resource, resourceArn=_arn(names))
    if answer is None:
        return None
    return Found(
        name=name,
        project=answer["tags"].get(PROJECT_TAG),
        retention_days=group.get("retentionInDays"),
    )


def diff(desired: Desired, found: Found | None) -> list[Step]:
    differing = [
        what
        for what, is_right in (
            ("tag", found is not None and found.project == desired.project),
            ("retention", found is not None and found.retention_days == desired.retention_days),
        )
        if not is_right
    ]
    if not differing:
        return []
    return [
        Step(
            kind="log-group",
            verb="update" if found else "create",
            name=desired.name,
            message=f"{'configure' if found else 'create'} the log group {desired.name}",
            reason=f"it differs in {' and '.join(differing)}" if found else "it does not exist",
            request={
                "arn": desired.arn,
                "project": desired.project,
                "retention_days": desired.retention_days,
            },
        )
    ]


def remove(name: str) -> list[Step]:
    return [
        Step(
            kind="log-group",
            verb="delete",
            name=name,
            message=f"delete the log group {name}",
            reason=f"it carries the tag {PROJECT_TAG}",
        )
    ]


def apply(world: World, step: Step) -> None:
    logs = world.aws.logs
    match step.verb:
        case "create":
            _create(world, step.name)
            _configure(world, step)
        case "update":
            _configure(world, step)
        case "delete":
            logs.delete_log_group(logGroupName=step.name)
        case _:
            raise AssertionError(f"no way to {step.verb} a log group")


def _create(world: World, name: str) -> None:
    from botocore.exceptions import ClientError

    try:
        world.aws.logs.create_log_group(logGroupName=name)
    except ClientError as error:
        if error_code(error) != "ResourceAlreadyExistsException":
            raise


def _configure(world: World, step: Step) -> None:
    logs = world.aws.logs
    logs.tag_resource(resourceArn=step.request["arn"], tags={PROJECT_TAG: step.request["project"]})
    days = step.request["retention_days"]
    if days is None:
        logs.delete_retention_policy(logGroupName=step.name)
    else:
        logs.put_retention_policy(logGroupName=step.name, retentionInDays=days)
