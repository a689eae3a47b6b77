"""The two roles: one that trains, one that hosts. Each may do what its work needs and no more.

Source: SageMaker Developer Guide, "How to use SageMaker AI execution roles": the minimum
permissions of CreateTrainingJob and CreateModel, narrowed to this project's prefixes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fogbank.aws import Aws, is_missing
from fogbank.ops.image_uris import inference_repository, training_repository
from fogbank.ops.names import PROJECT_TAG, Names
from fogbank.ops.step import Step
from fogbank.ops.world import World

POLICY_NAME = "fogbank"

TRUST_POLICY: Mapping[str, Any] = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Service": "sagemaker.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
    ],
}


@dataclass(frozen=True, kw_only=True)
class Desired:
    name: str
    project: str
    description: str
    trust: Mapping[str, Any]
    policy: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Found:
    name: str
    project: str | None = None
    trust: Mapping[str, Any] | None = None
    policy: Mapping[str, Any] | None = None
    """The inline policy of our name."""
    inline_policies: tuple[str, ...] = ()
    attached_policies: tuple[str, ...] = ()


def training_role(names: Names) -> Desired:
    """Reads pictures and code, writes models."""
    return Desired(
        name=names.role("train"),
        project=names.project,
        description=f"Training jobs of the Fogbank project {names.project}",
        trust=TRUST_POLICY,
        policy=_policy(
            _read(names, "data/", "code/"),
            _list(names, "data/", "code/"),
            {
                "Sid": "WriteModels",
                "Effect": "Allow",
                "Action": ["s3:PutObject", "s3:AbortMultipartUpload"],
                "Resource": [f"arn:aws:s3:::{names.bucket}/jobs/*"],
            },
            *_pull(training_repository(names.scope.region)),
            _write_logs(names, "/aws/sagemaker/TrainingJobs"),
            _metrics("/aws/sagemaker/TrainingJobs"),
        ),
    )


def hosting_role(names: Names) -> Desired:
    """Reads models, and nothing else."""
    return Desired(
        name=names.role("host"),
        project=names.project,
        description=f"Endpoints of the Fogbank project {names.project}",
        trust=TRUST_POLICY,
        policy=_policy(
            _read(names, "models/"),
            *_pull(inference_repository(names.scope.region)),
            _write_logs(names, f"/aws/sagemaker/Endpoints/{names.endpoint}"),
            _metrics("/aws/sagemaker/Endpoints"),
        ),
    )


def _policy(*statements: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def _read(names: Names, *prefixes: str) -> Mapping[str, Any]:
    return {
        "Sid": "ReadObjects",
        "Effect": "Allow",
        "Action": ["s3:GetObject"],
        "Resource": [f"arn:aws:s3:::{names.bucket}/{prefix}*" for prefix in prefixes],
    }


def _list(names: Names, *prefixes: str) -> Mapping[str, Any]:
    return {
        "Sid": "ListPrefixes",
        "Effect": "Allow",
        "Action": ["s3:ListBucket"],
        "Resource": [f"arn:aws:s3:::{names.bucket}"],
        "Condition": {"StringLike": {"s3:prefix": [f"{prefix}*" for prefix in prefixes]}},
    }


def _pull(repository: str) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    return (
        {
            "Sid": "EnterRegistry",
            "Effect": "Allow",
            "Action": ["ecr:GetAuthorizationToken"],
            "Resource": ["*"],
        },
        {
            "Sid": "PullImage",
            "Effect": "Allow",
            "Action": [
                "ecr:BatchCheckLayerAvailability",
                "ecr:BatchGetImage",
                "ecr:GetDownloadUrlForLayer",
            ],
            "Resource": [repository],
        },
    )


def _write_logs(names: Names, group: str) -> Mapping[str, Any]:
    return {
        "Sid": "WriteLogs",
        "Effect": "Allow",
        "Action": [
            "logs:CreateLogGroup",
            "logs:CreateLogStream",
            "logs:DescribeLogStreams",
            "logs:PutLogEvents",
        ],
        "Resource": [names.scope.arn("logs", f"log-group:{group}*")],
    }


def _metrics(namespace: str) -> Mapping[str, Any]:
    return {
        "Sid": "PutMetrics",
        "Effect": "Allow",
        "Action": ["cloudwatch:PutMetricData"],
        "Resource": ["*"],
        "Condition": {"StringLike": {"cloudwatch:namespace": [f"{namespace}*"]}},
    }


def observe(aws: Aws, name: str) -> Found | None:
    from botocore.exceptions import ClientError

    try:
        role = aws.iam.get_role(RoleName=name)["Role"]
        inline = tuple(
            policy
            for page in aws.iam.get_paginator("list_role_policies").paginate(RoleName=name)
            for policy in page["PolicyNames"]
        )
        attached = tuple(
            policy["PolicyArn"]
            for page in aws.iam.get_paginator("list_attached_role_policies").paginate(RoleName=name)
            for policy in page["AttachedPolicies"]
        )
        policy = None
        if POLICY_NAME in inline:
            answer = aws.iam.get_role_policy(RoleName=name, PolicyName=POLICY_NAME)
            policy = _document(answer["PolicyDocument"])
    except ClientError as error:
        if is_missing(error):
            return None
        raise
    tags = {tag["Key"]: tag["Value"] for tag in role.get("Tags", ())}
    return Found(
        name=name,
        project=tags.get(PROJECT_TAG),
        trust=_document(role["AssumeRolePolicyDocument"]),
        policy=policy,
        inline_policies=inline,
        attached_policies=attached,
    )


def _document(value: object) -> Mapping[str, Any]:
    """boto3 has undone the URL encoding and the JSON, whatever its type stubs say."""
    document: Mapping[str, Any] = json.loads(value) if isinstance(value, str) else value  # type: ignore[assignment]
    return document


def diff(desired: Desired, found: Found | None) -> list[Step]:
    request = {
        "project": desired.project,
        "description": desired.description,
        "trust": desired.trust,
        "policy": desired.policy,
    }
    if found is None:
        return [
            Step(
                kind="role",
                verb="create",
                name=desired.name,
                message=f"create the role {desired.name}",
                reason="it does not exist",
                request=request,
            )
        ]
    differing = [
        what
        for what, is_right in (
            ("tag", found.project == desired.project),
            ("trust policy", found.trust == desired.trust),
            ("permissions", found.policy == desired.policy),
        )
        if not is_right
    ]
    if not differing:
        return []
    return [
        Step(
            kind="role",
            verb="update",
            name=desired.name,
            message=f"update the role {desired.name}",
            reason=f"it differs in {' and '.join(differing)}",
            request=request,
        )
    ]


def remove(found: Found) -> list[Step]:
    return [
        Step(
            kind="role",
            verb="delete",
            name=found.name,
            message=f"delete the role {found.name}",
            reason=f"it carries the tag {PROJECT_TAG}",
            request={
                "inline_policies": list(found.inline_policies),
                "attached_policies": list(found.attached_policies),
            },
        )
    ]


def apply(world: World, step: Step) -> None:
    match step.verb:
        case "create":
            _create(world, step)
            _configure(world, step)
        case "update":
            _configure(world, step)
        case "delete":
            _delete(world, step)
        case _:
            raise AssertionError(f"no way to {step.verb} a role")


def _create(world: World, step: Step) -> None:
    from botocore.exceptions import ClientError

    from fogbank.aws import error_code

    try:
        world.aws.iam.create_role(
            RoleName=step.name,
            AssumeRolePolicyDocument=json.dumps(step.request["trust"]),
            Description=step.request["description"],
            Tags=[{"Key": PROJECT_TAG, "Value": step.request["project"]}],
        )
    except ClientError as error:
        if error_code(error) != "EntityAlreadyExists":
            raise


def _configure(world: World, step: Step) -> None:
    iam = world.aws.iam
    iam.update_assume_role_policy(
        RoleName=step.name, PolicyDocument=json.dumps(step.request["trust"])
    )
    iam.put_role_policy(
        RoleName=step.name,
        PolicyName=POLICY_NAME,
        PolicyDocument=json.dumps(step.request["policy"]),
    )
    iam.tag_role(RoleName=step.name, Tags=[{"Key": PROJECT_TAG, "Value": step.request["project"]}])


def _delete(world: World, step: Step) -> None:
    """A role has to lose its policies before it can go."""
    iam = world.aws.iam
    for name in step.request["inline_policies"]:
        iam.delete_role_policy(RoleName=step.name, PolicyName=name)
    for arn in step.request["attached_policies"]:
        iam.detach_role_policy(RoleName=step.name, PolicyArn=arn)
    iam.delete_role(RoleName=step.name)
