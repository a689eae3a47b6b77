"""Users (IAM API Reference, CreateUser and its siblings)."""

from __future__ import annotations

from dataclasses import replace

from fogbank.cloud.context import Context, Params, Principal, Result
from fogbank.cloud.errors import ServiceError
from fogbank.cloud.ports import Records
from fogbank.cloud.records.iam import User
from fogbank.cloud.records.identity import AccessKey
from fogbank.cloud.services.base import operation
from fogbank.cloud.services.iam import shapes
from fogbank.cloud.services.iam.directory import Directory, already_exists, delete_conflict
from fogbank.cloud.services.iam.paging import page, under
from fogbank.cloud.services.iam.tags import merged_tags
from fogbank.cloud.state.keyring import unique_id
from fogbank.core.arn import Scope


def calling_user(directory: Directory, caller: Principal) -> User:
    """The user behind a call that names nobody; a role session is none."""
    if caller.kind != "user":
        raise ServiceError(
            "ValidationError", "Must specify userName when calling with non-User credentials"
        )
    return directory.user(caller.arn.rpartition("/")[2])


class Users:
    def __init__(self, records: Records, directory: Directory, scope: Scope) -> None:
        self._records = records
        self._directory = directory
        self._scope = scope

    def _arn(self, path: str, name: str) -> str:
        return self._scope.global_arn("iam", f"user{path}{name}")

    def _refuse_taken(self, name: str) -> None:
        if self._records.get(User, name.lower()) is not None:
            raise already_exists(f"User with name {name} already exists.")

    @operation("CreateUser")
    def create_user(self, context: Context, params: Params) -> Result:
        name, path = params["UserName"], params.get("Path", "/")
        self._refuse_taken(name)
        bound = params.get("PermissionsBoundary")
        user = User(
            name=name,
            path=path,
            unique_id=unique_id("AIDA"),
            arn=self._arn(path, name),
            created=context.received,
            permissions_boundary=None if bound is None else self._directory.boundary(bound),
            tags=merged_tags({}, params.get("Tags", ())),
        )
        self._records.put(user)
        return {"User": shapes.whole_user(user)}

    @operation("GetUser")
    def get_user(self, context: Context, params: Params) -> Result:
        if "UserName" in params:
            return {"User": shapes.whole_user(self._directory.user(params["UserName"]))}
        if context.caller.kind == "root":
            return {"User": self._root(context.caller)}
        return {"User": shapes.whole_user(calling_user(self._directory, context.caller))}

    def _root(self, caller: Principal) -> shapes.Shape:
        """The account itself; it is as old as its oldest key."""
        created = [key.created for key in self._records.all(AccessKey) if key.user_name is None]
        return {
            "Path": "/",
            "UserName": "root",
            "UserId": caller.account,
            "Arn": caller.arn,
            "CreateDate": min(created),
        }

    @operation("ListUsers")
    def list_users(self, context: Context, params: Params) -> Result:
        users = [user for user in self._records.all(User) if under(params, user.path)]
        shown, more = page(params, users, lambda user: user.key)
        return {"Users": [shapes.user(user) for user in shown], **more}

    @operation("UpdateUser")
    def update_user(self, context: Context, params: Params) -> Result:
        """A new name or path. Groups and access keys follow; the unique id stays."""
        user = self._directory.user(params["UserName"])
        name = params.get("NewUserName", user.name)
        path = params.get("NewPath", user.path)
        if name.lower() != user.key:
            self._refuse_taken(name)
        with self._records.transaction():
            for group in self._directory.groups_of(user.name):
                members = tuple(name if one == user.name else one for one in group.members)
                self._records.put(replace(group, members=members))
            for key in self._records.all(AccessKey):
                if key.user_name == user.name:
                    self._records.put(replace(key, user_name=name))
            self._records.delete(User, user.key)
            self._records.put(replace(user, name=name, path=path, arn=self._arn(path, name)))
        return {}

    @operation("DeleteUser")
    def delete_user(self, context: Context, params: Params) -> Result:
        user = self._directory.user(params["UserName"])
        if any(key.user_name == user.name for key in self._records.all(AccessKey)):
            raise delete_conflict("Cannot delete entity, must delete access keys first.")
        if user.attached_policies:
            raise delete_conflict("Cannot delete entity, must detach all policies first.")
        if user.inline_policies:
            raise delete_conflict("Cannot delete entity, must delete policies first.")
        if self._directory.groups_of(user.name):
            raise delete_conflict("Cannot delete entity, must remove users from group first.")
        self._records.delete(User, user.key)
        return {}

    @operation("PutUserPermissionsBoundary")
    def put_boundary(self, context: Context, params: Params) -> Result:
        user = self._directory.user(params["UserName"])
        bound = self._directory.boundary(params["PermissionsBoundary"])
        self._records.put(replace(user, permissions_boundary=bound))
        return {}

    @operation("DeleteUserPermissionsBoundary")
    def delete_boundary(self, context: Context, params: Params) -> Result:
        user = self._directory.user(params["UserName"])
        self._records.put(replace(user, permissions_boundary=None))
        return {}
