"""Roles (IAM API Reference, CreateRole and its siblings)."""

from __future__ import annotations

from dataclasses import replace

from fogbank.cloud.context import Context, Params, Result
from fogbank.cloud.ports import Records
from fogbank.cloud.records.iam import Role
from fogbank.cloud.services.base import operation
from fogbank.cloud.services.iam import shapes
from fogbank.cloud.services.iam.directory import (
    Directory,
    already_exists,
    delete_conflict,
    over_quota,
)
from fogbank.cloud.services.iam.paging import page, under
from fogbank.cloud.services.iam.policy_grammar import check_policy, counted_size
from fogbank.cloud.services.iam.tags import merged_tags
from fogbank.cloud.state.keyring import unique_id
from fogbank.core.arn import Scope

TRUST_POLICY_SIZE = 2048
"""Characters without white space: the default quota."""


def _trust(document: str) -> str:
    check_policy(document, "trust")
    if counted_size(document) > TRUST_POLICY_SIZE:
        raise over_quota("ACLSizePerRole", TRUST_POLICY_SIZE)
    return document


class Roles:
    def __init__(self, records: Records, directory: Directory, scope: Scope) -> None:
        self._records = records
        self._directory = directory
        self._scope = scope

    @operation("CreateRole")
    def create_role(self, context: Context, params: Params) -> Result:
        name, path = params["RoleName"], params.get("Path", "/")
        trust_policy = _trust(params["AssumeRolePolicyDocument"])
        if self._records.get(Role, name.lower()) is not None:
            raise already_exists(f"Role with name {name} already exists.")
        bound = params.get("PermissionsBoundary")
        role = Role(
            name=name,
            path=path,
            unique_id=unique_id("AROA"),
            arn=self._scope.global_arn("iam", f"role{path}{name}"),
            created=context.received,
            trust_policy=trust_policy,
            description=params.get("Description"),
            max_session_s=params.get("MaxSessionDuration", 3600),
            permissions_boundary=None if bound is None else self._directory.boundary(bound),
            tags=merged_tags({}, params.get("Tags", ())),
        )
        self._records.put(role)
        return {"Role": shapes.whole_role(role)}

    @operation("GetRole")
    def get_role(self, context: Context, params: Params) -> Result:
        return {"Role": shapes.whole_role(self._directory.role(params["RoleName"]))}

    @operation("ListRoles")
    def list_roles(self, context: Context, params: Params) -> Result:
        roles = [role for role in self._records.all(Role) if under(params, role.path)]
        shown, more = page(params, roles, lambda role: role.key)
        return {"Roles": [shapes.role(role) for role in shown], **more}

    @operation("UpdateRole")
    def update_role(self, context: Context, params: Params) -> Result:
        """What is not given goes back to its default, as on AWS."""
        role = self._directory.modifiable_role(params["RoleName"])
        self._records.put(
            replace(
                role,
                description=params.get("Description"),
                max_session_s=params.get("MaxSessionDuration", 3600),
            )
        )
        return {}

    @operation("UpdateRoleDescription")
    def update_role_description(self, context: Context, params: Params) -> Result:
        role = self._directory.modifiable_role(params["RoleName"])
        changed = replace(role, description=params["Description"])
        self._records.put(changed)
        return {"Role": shapes.whole_role(changed)}

    @operation("UpdateAssumeRolePolicy")
    def update_assume_role_policy(self, context: Context, params: Params) -> Result:
        role = self._directory.modifiable_role(params["RoleName"])
        self._records.put(replace(role, trust_policy=_trust(params["PolicyDocument"])))
        return {}

    @operation("DeleteRole")
    def delete_role(self, context: Context, params: Params) -> Result:
        role = self._directory.modifiable_role(params["RoleName"])
        if self._directory.profiles_of(role.name):
            raise delete_conflict(
                "Cannot delete entity, must remove roles from instance profile first."
            )
        if role.attached_policies:
            raise delete_conflict("Cannot delete entity, must detach all policies first.")
        if role.inline_policies:
            raise delete_conflict("Cannot delete entity, must delete policies first.")
        self._records.delete(Role, role.key)
        return {}

    @operation("PutRolePermissionsBoundary")
    def put_boundary(self, context: Context, params: Params) -> Result:
        role = self._directory.modifiable_role(params["RoleName"])
        bound = self._directory.boundary(params["PermissionsBoundary"])
        self._records.put(replace(role, permissions_boundary=bound))
        return {}

    @operation("DeleteRolePermissionsBoundary")
    def delete_boundary(self, context: Context, params: Params) -> Result:
        role = self._directory.modifiable_role(params["RoleName"])
        self._records.put(replace(role, permissions_boundary=None))
        return {}
