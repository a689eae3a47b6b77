"""The project's bucket: pictures, code, trained models.

Private, owned by its account alone, encrypted by S3's default (SSE-S3: an ETag stays an MD5).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fogbank.aws import Aws, error_code, is_missing
from fogbank.core.errors import InputError
from fogbank.ops.names import PROJECT_TAG, Names
from fogbank.ops.step import Step
from fogbank.ops.world import World

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import ObjectIdentifierTypeDef

_PRIVATE = {
    "BlockPublicAcls": True,
    "IgnorePublicAcls": True,
    "BlockPublicPolicy": True,
    "RestrictPublicBuckets": True,
}

_DEFAULT_REGION = "us-east-1"
"""The one region that CreateBucket does not accept as a LocationConstraint."""


@dataclass(frozen=True, kw_only=True)
class Desired:
    name: str
    region: str
    project: str


@dataclass(frozen=True, kw_only=True)
class Found:
    name: str
    project: str | None
    """Of the tag; None without one."""
    private: bool


def desired(names: Names) -> Desired:
    return Desired(name=names.bucket, region=names.scope.region, project=names.project)


def observe(aws: Aws, name: str) -> Found | None:
    from botocore.exceptions import ClientError

    try:
        aws.s3.head_bucket(Bucket=name, ExpectedBucketOwner=aws.account)
    except ClientError as error:
        if is_missing(error):
            return None
        if error_code(error) == "403":
            raise InputError(
                f"the bucket {name} belongs to another account: choose another name for the "
                "project in fogbank.yaml."
            ) from error
        raise
    return Found(name=name, project=_project(aws, name), private=_is_private(aws, name))


def _project(aws: Aws, name: str) -> str | None:
    from botocore.exceptions import ClientError

    try:
        answer = aws.s3.get_bucket_tagging(Bucket=name)
    except ClientError as error:
        if is_missing(error):
            return None
        raise
    return next((tag["Value"] for tag in answer["TagSet"] if tag["Key"] == PROJECT_TAG), None)


def _is_private(aws: Aws, name: str) -> bool:
    from botocore.exceptions import ClientError

    try:
        answer = aws.s3.get_public_access_block(Bucket=name)
    except ClientError as error:
        if is_missing(error):
            return False
        raise
    settings = answer["PublicAccessBlockConfiguration"]
    return all(settings.get(key) is True for key in _PRIVATE)


def diff(desired: Desired, found: Found | None) -> list[Step]:
    request = {"region": desired.region, "project": desired.project}
    if found is None:
        return [
            Step(
                kind="bucket",
                verb="create",
                name=desired.name,
                message=f"create the bucket {desired.name}",
                reason="it does not exist",
                request=request,
            )
        ]
    faults = []
    if found.project != desired.project:
        faults.append(f"it lacks the tag {PROJECT_TAG}={desired.project}")
    if not found.private:
        faults.append("it does not block public access")
    if not faults:
        return []
    return [
        Step(
            kind="bucket",
            verb="update",
            name=desired.name,
            message=f"configure the bucket {desired.name}",
            reason=" and ".join(faults),
            request=request,
        )
    ]


def remove(found: Found) -> list[Step]:
    return [
        Step(
            kind="bucket",
            verb="delete",
            name=found.name,
            message=f"delete the bucket {found.name} and everything in it",
            reason="asked for with --delete-data",
        )
    ]


def apply(world: World, step: Step) -> None:
    s3 = world.aws.s3
    match step.verb:
        case "create":
            _create(world, step.name, step.request["region"])
            _configure(world, step)
        case "update":
            _configure(world, step)
        case "delete":
            _empty(world, step.name)
            s3.delete_bucket(Bucket=step.name)
        case _:
            raise AssertionError(f"no way to {step.verb} a bucket")


def _create(world: World, name: str, region: str) -> None:
    from botocore.exceptions import ClientError

    location: dict[str, Any] = (
        {}
        if region == _DEFAULT_REGION
        else {"CreateBucketConfiguration": {"LocationConstraint": region}}
    )
    try:
        world.aws.s3.create_bucket(Bucket=name, **location)
    except ClientError as error:
        if error_code(error) != "BucketAlreadyOwnedByYou":
            raise


def _configure(world: World, step: Step) -> None:
    s3 = world.aws.s3
    s3.put_public_access_block(
        Bucket=step.name,
        PublicAccessBlockConfiguration={
            "BlockPublicAcls": True,
            "IgnorePublicAcls": True,
            "BlockPublicPolicy": True,
            "RestrictPublicBuckets": True,
        },
    )
    tags = [{"Key": PROJECT_TAG, "Value": step.request["project"]}]
    s3.put_bucket_tagging(Bucket=step.name, Tagging={"TagSet": tags})  # type: ignore[typeddict-item]


def _empty(world: World, name: str) -> None:
    """Every version of every object; a bucket has to be empty before it can go."""
    done = 0
    pages = world.aws.s3.get_paginator("list_object_versions").paginate(Bucket=name)
    for page in pages:
        objects: list[ObjectIdentifierTypeDef] = [
            {"Key": item["Key"], "VersionId": item["VersionId"]}
            for item in (*page.get("Versions", ()), *page.get("DeleteMarkers", ()))
        ]
        delete_objects(world, name, objects)
        done += len(objects)
        if objects:
            world.progress.status(f"{done} objects deleted")


def delete_objects(world: World, bucket: str, objects: Sequence[ObjectIdentifierTypeDef]) -> None:
    """Delete up to 1000. Raises WorldError naming the first that S3 kept."""
    from fogbank.core.errors import WorldError

    if not objects:
        return
    answer = world.aws.s3.delete_objects(
        Bucket=bucket, Delete={"Objects": list(objects), "Quiet": True}
    )
    for refused in answer.get("Errors", ()):
        raise WorldError(
            f"S3 did not delete s3://{bucket}/{refused.get('Key')}: {refused.get('Message')}"
        )
