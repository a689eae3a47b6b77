"""Groups and who is in them (IAM API Reference, CreateGroup and its siblings)."""

from __future__ import annotations

from dataclasses import replace

from fogbank.cloud.context import Context, Params, Result
from fogbank.cloud.ports import Records
from fogbank.cloud.records.iam import Group
from fogbank.cloud.services.base import operation
from fogbank.cloud.services.iam import shapes
from fogbank.cloud.services.iam.directory import (
    Directory,
    already_exists,
    delete_conflict,
    over_quota,
)
from fogbank.cloud.services.iam.paging import page, under
from fogbank.cloud.state.keyring import unique_id
from fogbank.core.arn import Scope

GROUPS_PER_USER = 10


class Groups:
    def __init__(self, records: Records, directory: Directory, scope: Scope) -> None:
        self._records = records
        self._directory = directory
        self._scope = scope

    def _arn(self, path: str, name: str) -> str:
        return self._scope.global_arn("iam", f"group{path}{name}")

    def _refuse_taken(self, name: str) -> None:
        if self._records.get(Group, name.lower()) is not None:
            raise already_exists(f"Group with name {name} already exists.")

    @operation("CreateGroup")
    def create_group(self, context: Context, params: Params) -> Result:
        name, path = params["GroupName"], params.get("Path", "/")
        self._refuse_taken(name)
        group = Group(
            name=name,
            path=path,
            unique_id=unique_id("AGPA"),
            arn=self._arn(path, name),
            created=context.received,
        )
        self._records.put(group)
        return {"Group": shapes.group(group)}

    @operation("GetGroup")
    def get_group(self, context: Context, params: Params) -> Result:
        group = self._directory.group(params["GroupName"])
        shown, more = page(params, group.members, str.lower)
        users = [shapes.user(self._directory.user(name)) for name in shown]
        return {"Group": shapes.group(group), "Users": users, **more}

    @operation("ListGroups")
    def list_groups(self, context: Context, params: Params) -> Result:
        groups = [group for group in self._records.all(Group) if under(params, group.path)]
        shown, more = page(params, groups, lambda group: group.key)
        return {"Groups": [shapes.group(group) for group in shown], **more}

    @operation("ListGroupsForUser")
    def list_groups_for_user(self, context: Context, params: Params) -> Result:
        user = self._directory.user(params["UserName"])
        shown, more = page(params, self._directory.groups_of(user.name), lambda group: group.key)
        return {"Groups": [shapes.group(group) for group in shown], **more}

    @operation("UpdateGroup")
    def update_group(self, context: Context, params: Params) -> Result:
        group = self._directory.group(params["GroupName"])
        name = params.get("NewGroupName", group.name)
        path = params.get("NewPath", group.path)
        if name.lower() != group.key:
            self._refuse_taken(name)
        with self._records.transaction():
            self._records.delete(Group, group.key)
            self._records.put(replace(group, name=name, path=path, arn=self._arn(path, name)))
        return {}

    @operation("DeleteGroup")
    def delete_group(self, context: Context, params: Params) -> Result:
        group = self._directory.group(params["GroupName"])
        if group.members:
            raise delete_conflict("Cannot delete entity, must remove users from group first.")
        if group.attached_policies:
            raise delete_conflict("Cannot delete entity, must detach all policies first.")
        if group.inline_policies:
            raise delete_conflict("Cannot delete entity, must delete policies first.")
        self._records.delete(Group, group.key)
        return {}

    @operation("AddUserToGroup")
    def add_user_to_group(self, context: Context, params: Params) -> Result:
        """Adding a member again changes nothing."""
        group = self._directory.group(params["GroupName"])
        user = self._directory.user(params["UserName"])
        if user.name in group.members:
            return {}
        if len(self._directory.groups_of(user.name)) >= GROUPS_PER_USER:
            raise over_quota("GroupsPerUser", GROUPS_PER_USER)
        self._records.put(replace(group, members=(*group.members, user.name)))
        return {}

    @operation("RemoveUserFromGroup")
    def remove_user_from_group(self, context: Context, params: Params) -> Result:
        """Removing somebody who is not in it changes nothing."""
        group = self._directory.group(params["GroupName"])
        user = self._directory.user(params["UserName"])
        members = tuple(name for name in group.members if name != user.name)
        self._records.put(replace(group, members=members))
        return {}
