"""Inline and attached policies of users, groups and roles: the same seven operations thrice."""

from __future__ import annotations

from dataclasses import dataclass, replace

from fogbank.cloud.context import Context, Params, Result
from fogbank.cloud.errors import ServiceError
from fogbank.cloud.ports import Records
from fogbank.cloud.records.iam import PolicyHolder
from fogbank.cloud.services.base import operation
from fogbank.cloud.services.iam import shapes
from fogbank.cloud.services.iam.catalogue import AWS_POLICY_PREFIX
from fogbank.cloud.services.iam.directory import Directory, no_such_entity, over_quota
from fogbank.cloud.services.iam.paging import page, under
from fogbank.cloud.services.iam.policy_grammar import check_policy, counted_size

ATTACHED_POLICIES = 10
"""The default quota of managed policies for each user, group or role."""


@dataclass(frozen=True)
class Kind:
    """word: as in `UserName`. inline_size: all inline policies together, in characters without
    white space."""

    word: str
    inline_size: int

    @property
    def noun(self) -> str:
        return self.word.lower()


USER = Kind("User", 2048)
GROUP = Kind("Group", 5120)
ROLE = Kind("Role", 10240)


class HolderPolicies:
    def __init__(self, records: Records, directory: Directory) -> None:
        self._records = records
        self._directory = directory

    def _holder(self, kind: Kind, params: Params) -> PolicyHolder:
        name = params[f"{kind.word}Name"]
        if kind is USER:
            return self._directory.user(name)
        if kind is GROUP:
            return self._directory.group(name)
        return self._directory.role(name)

    def _changeable(self, kind: Kind, params: Params) -> PolicyHolder:
        if kind is ROLE:
            return self._directory.modifiable_role(params["RoleName"])
        return self._holder(kind, params)

    def _put(self, kind: Kind, params: Params) -> Result:
        holder = self._changeable(kind, params)
        check_policy(params["PolicyDocument"], "identity")
        policies = {**holder.inline_policies, params["PolicyName"]: params["PolicyDocument"]}
        if sum(map(counted_size, policies.values())) > kind.inline_size:
            raise ServiceError(
                "LimitExceeded",
                f"Maximum policy size of {kind.inline_size} bytes exceeded for {kind.noun} "
                f"{holder.name}",
                status=409,
            )
        self._records.put(replace(holder, inline_policies=policies))
        return {}

    def _get(self, kind: Kind, params: Params) -> Result:
        holder = self._holder(kind, params)
        document = _inline(kind, holder, params["PolicyName"])
        return {
            f"{kind.word}Name": holder.name,
            "PolicyName": params["PolicyName"],
            "PolicyDocument": shapes.encoded(document),
        }

    def _delete(self, kind: Kind, params: Params) -> Result:
        holder = self._changeable(kind, params)
        _inline(kind, holder, params["PolicyName"])
        kept = {
            name: document
            for name, document in holder.inline_policies.items()
            if name != params["PolicyName"]
        }
        self._records.put(replace(holder, inline_policies=kept))
        return {}

    def _list(self, kind: Kind, params: Params) -> Result:
        holder = self._holder(kind, params)
        shown, more = page(params, list(holder.inline_policies), str)
        return {"PolicyNames": shown, **more}

    def _attach(self, kind: Kind, params: Params) -> Result:
        """Attaching again changes nothing."""
        holder = self._changeable(kind, params)
        arn = params["PolicyArn"]
        if self._directory.find_policy(arn) is None:
            raise no_such_entity(f"Policy {arn} does not exist or is not attachable.")
        if arn.startswith(f"{AWS_POLICY_PREFIX}aws-service-role/"):
            raise ServiceError(
                "PolicyNotAttachable", "Cannot attach a Service Role Policy to a Customer Role."
            )
        if arn in holder.attached_policies:
            return {}
        if len(holder.attached_policies) >= ATTACHED_POLICIES:
            raise over_quota(f"PoliciesPer{kind.word}", ATTACHED_POLICIES)
        self._records.put(replace(holder, attached_policies=(*holder.attached_policies, arn)))
        return {}

    def _detach(self, kind: Kind, params: Params) -> Result:
        holder = self._changeable(kind, params)
        arn = params["PolicyArn"]
        if arn not in holder.attached_policies:
            raise no_such_entity(f"Policy {arn} was not found.")
        kept = tuple(one for one in holder.attached_policies if one != arn)
        self._records.put(replace(holder, attached_policies=kept))
        return {}

    def _list_attached(self, kind: Kind, params: Params) -> Result:
        holder = self._holder(kind, params)
        arns = [
            arn
            for arn in holder.attached_policies
            if under(params, self._directory.policy(arn).path)
        ]
        shown, more = page(params, arns, str)
        return {"AttachedPolicies": shapes.attached(shown), **more}

    @operation("PutUserPolicy")
    def put_user_policy(self, context: Context, params: Params) -> Result:
        return self._put(USER, params)

    @operation("PutGroupPolicy")
    def put_group_policy(self, context: Context, params: Params) -> Result:
        return self._put(GROUP, params)

    @operation("PutRolePolicy")
    def put_role_policy(self, context: Context, params: Params) -> Result:
        return self._put(ROLE, params)

    @operation("GetUserPolicy")
    def get_user_policy(self, context: Context, params: Params) -> Result:
        return self._get(USER, params)

    @operation("GetGroupPolicy")
    def get_group_policy(self, context: Context, params: Params) -> Result:
        return self._get(GROUP, params)

    @operation("GetRolePolicy")
    def get_role_policy(self, context: Context, params: Params) -> Result:
        return self._get(ROLE, params)

    @operation("DeleteUserPolicy")
    def delete_user_policy(self, context: Context, params: Params) -> Result:
        return self._delete(USER, params)

    @operation("DeleteGroupPolicy")
    def delete_group_policy(self, context: Context, params: Params) -> Result:
        return self._delete(GROUP, params)

    @operation("DeleteRolePolicy")
    def delete_role_policy(self, context: Context, params: Params) -> Result:
        return self._delete(ROLE, params)

    @operation("ListUserPolicies")
    def list_user_policies(self, context: Context, params: Params) -> Result:
        return self._list(USER, params)

    @operation("ListGroupPolicies")
    def list_group_policies(self, context: Context, params: Params) -> Result:
        return self._list(GROUP, params)

    @operation("ListRolePolicies")
    def list_role_policies(self, context: Context, params: Params) -> Result:
        return self._list(ROLE, params)

    @operation("AttachUserPolicy")
    def attach_user_policy(self, context: Context, params: Params) -> Result:
        return self._attach(USER, params)

    @operation("AttachGroupPolicy")
    def attach_group_policy(self, context: Context, params: Params) -> Result:
        return self._attach(GROUP, params)

    @operation("AttachRolePolicy")
    def attach_role_policy(self, context: Context, params: Params) -> Result:
        return self._attach(ROLE, params)

    @operation("DetachUserPolicy")
    def detach_user_policy(self, context: Context, params: Params) -> Result:
        return self._detach(USER, params)

    @operation("DetachGroupPolicy")
    def detach_group_policy(self, context: Context, params: Params) -> Result:
        return self._detach(GROUP, params)

    @operation("DetachRolePolicy")
    def detach_role_policy(self, context: Context, params: Params) -> Result:
        return self._detach(ROLE, params)

    @operation("ListAttachedUserPolicies")
    def list_attached_user_policies(self, context: Context, params: Params) -> Result:
        return self._list_attached(USER, params)

    @operation("ListAttachedGroupPolicies")
    def list_attached_group_policies(self, context: Context, params: Params) -> Result:
        return self._list_attached(GROUP, params)

    @operation("ListAttachedRolePolicies")
    def list_attached_role_policies(self, context: Context, params: Params) -> Result:
        return self._list_attached(ROLE, params)


def _inline(kind: Kind, holder: PolicyHolder, name: str) -> str:
    if name not in holder.inline_policies:
        raise no_such_entity(f"The {kind.noun} policy with name {name} cannot be found.")
    return holder.inline_policies[name]
