"""Tags of users, roles, policies, instance profiles (IAM User Guide, "Tags for resources")."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from fogbank.cloud.context import Context, Params, Result
from fogbank.cloud.errors import ServiceError
from fogbank.cloud.ports import Records
from fogbank.cloud.records.iam import InstanceProfile, ManagedPolicy, Role, User
from fogbank.cloud.services.base import operation
from fogbank.cloud.services.iam import shapes
from fogbank.cloud.services.iam.directory import Directory, invalid_input
from fogbank.cloud.services.iam.paging import page

MAX_TAGS = 50

Tagged = TypeVar("Tagged", User, Role, ManagedPolicy, InstanceProfile)


def merged_tags(before: Mapping[str, str], added: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """`before` with `added` (Key/Value pairs) laid over it. Keys differ without regard to case."""
    new = {tag["Key"]: tag["Value"] for tag in added}
    lowered = [key.lower() for key in new]
    if len(set(lowered)) != len(added):
        raise invalid_input(
            "Duplicate tag keys found. Please note that Tag keys are case insensitive."
        )
    for key in new:
        if key.lower().startswith("aws:"):
            raise invalid_input("Tag keys that begin with aws: are reserved for AWS.")
    kept = {key: value for key, value in before.items() if key.lower() not in lowered}
    tags = {**kept, **new}
    if len(tags) > MAX_TAGS:
        raise ServiceError(
            "LimitExceeded", "The number of tags has reached the maximum limit.", status=409
        )
    return tags


class ResourceTags:
    def __init__(self, records: Records, directory: Directory) -> None:
        self._records = records
        self._directory = directory

    def _tag(self, record: Tagged, params: Params) -> Result:
        self._records.put(replace(record, tags=merged_tags(record.tags, params["Tags"])))
        return {}

    def _untag(self, record: Tagged, params: Params) -> Result:
        gone = {key.lower() for key in params["TagKeys"]}
        kept = {key: value for key, value in record.tags.items() if key.lower() not in gone}
        self._records.put(replace(record, tags=kept))
        return {}

    @operation("TagUser")
    def tag_user(self, context: Context, params: Params) -> Result:
        return self._tag(self._directory.user(params["UserName"]), params)

    @operation("UntagUser")
    def untag_user(self, context: Context, params: Params) -> Result:
        return self._untag(self._directory.user(params["UserName"]), params)

    @operation("ListUserTags")
    def list_user_tags(self, context: Context, params: Params) -> Result:
        return _listed(self._directory.user(params["UserName"]).tags, params)

    @operation("TagRole")
    def tag_role(self, context: Context, params: Params) -> Result:
        return self._tag(self._directory.role(params["RoleName"]), params)

    @operation("UntagRole")
    def untag_role(self, context: Context, params: Params) -> Result:
        return self._untag(self._directory.role(params["RoleName"]), params)

    @operation("ListRoleTags")
    def list_role_tags(self, context: Context, params: Params) -> Result:
        return _listed(self._directory.role(params["RoleName"]).tags, params)

    @operation("TagPolicy")
    def tag_policy(self, context: Context, params: Params) -> Result:
        return self._tag(self._directory.own_policy(params["PolicyArn"]), params)

    @operation("UntagPolicy")
    def untag_policy(self, context: Context, params: Params) -> Result:
        return self._untag(self._directory.own_policy(params["PolicyArn"]), params)

    @operation("ListPolicyTags")
    def list_policy_tags(self, context: Context, params: Params) -> Result:
        return _listed(self._directory.policy(params["PolicyArn"]).tags, params)

    @operation("TagInstanceProfile")
    def tag_instance_profile(self, context: Context, params: Params) -> Result:
        profile = self._directory.instance_profile(params["InstanceProfileName"])
        return self._tag(profile, params)

    @operation("UntagInstanceProfile")
    def untag_instance_profile(self, context: Context, params: Params) -> Result:
        profile = self._directory.instance_profile(params["InstanceProfileName"])
        return self._untag(profile, params)

    @operation("ListInstanceProfileTags")
    def list_instance_profile_tags(self, context: Context, params: Params) -> Result:
        profile = self._directory.instance_profile(params["InstanceProfileName"])
        return _listed(profile.tags, params)


def _listed(tags: Mapping[str, str], params: Params) -> Result:
    shown, more = page(params, shapes.tag_list(tags), lambda tag: str(tag["Key"]))
    return {"Tags": shown, **more}
