"""Records as IAM's output shapes.

Policy documents go out percent-encoded (RFC 3986): SDKs decode them. Listings show less than single
look-ups do; that is AWS's way too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

from fogbank.cloud.records.iam import (
    Group,
    InstanceProfile,
    ManagedPolicy,
    PolicyVersion,
    Role,
    User,
)

Shape = dict[str, Any]


def encoded(document: str) -> str:
    return quote(document, safe="")


def tag_list(tags: Mapping[str, str]) -> list[Shape]:
    return [{"Key": key, "Value": value} for key, value in sorted(tags.items())]


def boundary(arn: str) -> Shape:
    return {"PermissionsBoundaryType": "PermissionsBoundaryPolicy", "PermissionsBoundaryArn": arn}


def attached(arns: Iterable[str]) -> list[Shape]:
    return [{"PolicyName": arn.rpartition("/")[2], "PolicyArn": arn} for arn in arns]


def user(record: User) -> Shape:
    return {
        "Path": record.path,
        "UserName": record.name,
        "UserId": record.unique_id,
        "Arn": record.arn,
        "CreateDate": record.created,
    }


def whole_user(record: User) -> Shape:
    shape = user(record)
    _add_boundary_and_tags(shape, record)
    return shape


def group(record: Group) -> Shape:
    return {
        "Path": record.path,
        "GroupName": record.name,
        "GroupId": record.unique_id,
        "Arn": record.arn,
        "CreateDate": record.created,
    }


def role(record: Role) -> Shape:
    shape: Shape = {
        "Path": record.path,
        "RoleName": record.name,
        "RoleId": record.unique_id,
        "Arn": record.arn,
        "CreateDate": record.created,
        "AssumeRolePolicyDocument": encoded(record.trust_policy),
        "MaxSessionDuration": record.max_session_s,
    }
    if record.description is not None:
        shape["Description"] = record.description
    return shape


def whole_role(record: Role) -> Shape:
    shape = role(record)
    _add_boundary_and_tags(shape, record)
    shape["RoleLastUsed"] = role_last_used(record)
    return shape


def role_last_used(record: Role) -> Shape:
    """Empty for a role that was never used."""
    if record.last_used is None:
        return {}
    return {"LastUsedDate": record.last_used, "Region": record.last_used_region}


def _add_boundary_and_tags(shape: Shape, record: User | Role) -> None:
    if record.permissions_boundary is not None:
        shape["PermissionsBoundary"] = boundary(record.permissions_boundary)
    if record.tags:
        shape["Tags"] = tag_list(record.tags)


def instance_profile(record: InstanceProfile, roles: Iterable[Role]) -> Shape:
    return {
        "Path": record.path,
        "InstanceProfileName": record.name,
        "InstanceProfileId": record.unique_id,
        "Arn": record.arn,
        "CreateDate": record.created,
        "Roles": [role(item) for item in roles],
    }


def policy(record: ManagedPolicy, attachments: int, boundary_uses: int) -> Shape:
    return {
        "PolicyName": record.name,
        "PolicyId": record.unique_id,
        "Arn": record.arn,
        "Path": record.path,
        "DefaultVersionId": record.default_version.version_id,
        "AttachmentCount": attachments,
        "PermissionsBoundaryUsageCount": boundary_uses,
        "IsAttachable": True,
        "CreateDate": record.created,
        "UpdateDate": record.updated,
    }


def policy_version(record: ManagedPolicy, version: PolicyVersion) -> Shape:
    return {
        "VersionId": version.version_id,
        "IsDefaultVersion": version.number == record.default_number,
        "CreateDate": version.created,
    }
