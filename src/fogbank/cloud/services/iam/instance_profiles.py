"""Instance profiles: how a role gets onto an EC2 instance."""

from __future__ import annotations

from dataclasses import replace

from fogbank.cloud.context import Context, Params, Result
from fogbank.cloud.ports import Records
from fogbank.cloud.records.iam import InstanceProfile
from fogbank.cloud.services.base import operation
from fogbank.cloud.services.iam import shapes
from fogbank.cloud.services.iam.directory import (
    Directory,
    already_exists,
    delete_conflict,
    no_such_entity,
    over_quota,
)
from fogbank.cloud.services.iam.paging import page, under
from fogbank.cloud.services.iam.tags import merged_tags
from fogbank.cloud.state.keyring import unique_id
from fogbank.core.arn import Scope


class InstanceProfiles:
    def __init__(self, records: Records, directory: Directory, scope: Scope) -> None:
        self._records = records
        self._directory = directory
        self._scope = scope

    def _shape(self, profile: InstanceProfile) -> shapes.Shape:
        roles = [self._directory.role(name) for name in profile.roles]
        return shapes.instance_profile(profile, roles)

    def _whole(self, profile: InstanceProfile) -> shapes.Shape:
        shape = self._shape(profile)
        if profile.tags:
            shape["Tags"] = shapes.tag_list(profile.tags)
        return shape

    @operation("CreateInstanceProfile")
    def create_instance_profile(self, context: Context, params: Params) -> Result:
        name, path = params["InstanceProfileName"], params.get("Path", "/")
        if self._records.get(InstanceProfile, name.lower()) is not None:
            raise already_exists(f"Instance Profile {name} already exists.")
        profile = InstanceProfile(
            name=name,
            path=path,
            unique_id=unique_id("AIPA"),
            arn=self._scope.global_arn("iam", f"instance-profile{path}{name}"),
            created=context.received,
            tags=merged_tags({}, params.get("Tags", ())),
        )
        self._records.put(profile)
        return {"InstanceProfile": self._whole(profile)}

    @operation("GetInstanceProfile")
    def get_instance_profile(self, context: Context, params: Params) -> Result:
        profile = self._directory.instance_profile(params["InstanceProfileName"])
        return {"InstanceProfile": self._whole(profile)}

    @operation("ListInstanceProfiles")
    def list_instance_profiles(self, context: Context, params: Params) -> Result:
        profiles = [
            profile for profile in self._records.all(InstanceProfile) if under(params, profile.path)
        ]
        shown, more = page(params, profiles, lambda profile: profile.key)
        return {"InstanceProfiles": [self._shape(profile) for profile in shown], **more}

    @operation("ListInstanceProfilesForRole")
    def list_instance_profiles_for_role(self, context: Context, params: Params) -> Result:
        role = self._directory.role(params["RoleName"])
        profiles = self._directory.profiles_of(role.name)
        shown, more = page(params, profiles, lambda profile: profile.key)
        return {"InstanceProfiles": [self._shape(profile) for profile in shown], **more}

    @operation("AddRoleToInstanceProfile")
    def add_role_to_instance_profile(self, context: Context, params: Params) -> Result:
        profile = self._directory.instance_profile(params["InstanceProfileName"])
        role = self._directory.modifiable_role(params["RoleName"])
        if profile.roles:
            raise over_quota("InstanceSessionsPerInstanceProfile", 1)
        self._records.put(replace(profile, roles=(role.name,)))
        return {}

    @operation("RemoveRoleFromInstanceProfile")
    def remove_role_from_instance_profile(self, context: Context, params: Params) -> Result:
        profile = self._directory.instance_profile(params["InstanceProfileName"])
        role = self._directory.role(params["RoleName"])
        if role.name not in profile.roles:
            raise no_such_entity(
                f"Role with name {role.name} in instance profile {profile.name} cannot be found."
            )
        self._records.put(replace(profile, roles=()))
        return {}

    @operation("DeleteInstanceProfile")
    def delete_instance_profile(self, context: Context, params: Params) -> Result:
        profile = self._directory.instance_profile(params["InstanceProfileName"])
        if profile.roles:
            raise delete_conflict(
                "Cannot delete entity, must remove roles from instance profile first."
            )
        self._records.delete(InstanceProfile, profile.key)
        return {}
