"""The account as a whole: summary, alias, and everything about authorization in one listing."""

from __future__ import annotations

from collections.abc import Sequence

from fogbank.cloud.context import Context, Params, Result
from fogbank.cloud.ports import Records
from fogbank.cloud.records.iam import (
    AccountAlias,
    Group,
    InstanceProfile,
    ManagedPolicy,
    PolicyHolder,
    Role,
    User,
)
from fogbank.cloud.records.identity import AccessKey
from fogbank.cloud.services.base import operation
from fogbank.cloud.services.iam import access_keys, groups, holder_policies, policies, shapes
from fogbank.cloud.services.iam.catalogue import aws_managed_policies
from fogbank.cloud.services.iam.directory import Directory, no_such_entity
from fogbank.cloud.services.iam.paging import page

Entity = PolicyHolder | ManagedPolicy


class Account:
    def __init__(self, records: Records, directory: Directory) -> None:
        self._records = records
        self._directory = directory

    @operation("GetAccountSummary")
    def get_account_summary(self, context: Context, params: Params) -> Result:
        own = self._records.all(ManagedPolicy)
        keys = self._records.all(AccessKey)
        return {
            "SummaryMap": {
                "Users": len(self._records.all(User)),
                "UsersQuota": 5000,
                "Groups": len(self._records.all(Group)),
                "GroupsQuota": 300,
                "Roles": len(self._records.all(Role)),
                "RolesQuota": 1000,
                "InstanceProfiles": len(self._records.all(InstanceProfile)),
                "InstanceProfilesQuota": 1000,
                "Policies": len(own),
                "PoliciesQuota": 1500,
                "PolicySizeQuota": policies.POLICY_SIZE,
                "PolicyVersionsInUse": sum(len(policy.versions) for policy in own),
                "PolicyVersionsInUseQuota": 10000,
                "VersionsPerPolicyQuota": policies.MAX_VERSIONS,
                "AccessKeysPerUserQuota": access_keys.KEYS_PER_USER,
                "GroupsPerUserQuota": groups.GROUPS_PER_USER,
                "AttachedPoliciesPerUserQuota": holder_policies.ATTACHED_POLICIES,
                "AttachedPoliciesPerGroupQuota": holder_policies.ATTACHED_POLICIES,
                "AttachedPoliciesPerRoleQuota": holder_policies.ATTACHED_POLICIES,
                "UserPolicySizeQuota": holder_policies.USER.inline_size,
                "GroupPolicySizeQuota": holder_policies.GROUP.inline_size,
                "AccountAccessKeysPresent": int(any(key.user_name is None for key in keys)),
                "AccountMFAEnabled": 0,
                "AccountPasswordPresent": 0,
                "AccountSigningCertificatesPresent": 0,
                "MFADevices": 0,
                "MFADevicesInUse": 0,
                "Providers": 0,
                "ServerCertificates": 0,
                "ServerCertificatesQuota": 20,
            }
        }

    @operation("CreateAccountAlias")
    def create_account_alias(self, context: Context, params: Params) -> Result:
        """An account has one alias; a new one takes the place of the old."""
        self._records.put(AccountAlias(alias=params["AccountAlias"]))
        return {}

    @operation("DeleteAccountAlias")
    def delete_account_alias(self, context: Context, params: Params) -> Result:
        found = self._records.all(AccountAlias)
        if not found or found[0].alias != params["AccountAlias"]:
            raise no_such_entity(
                f"The account alias {params['AccountAlias']} is not associated with this account."
            )
        self._records.delete(AccountAlias, found[0].key)
        return {}

    @operation("ListAccountAliases")
    def list_account_aliases(self, context: Context, params: Params) -> Result:
        found = self._records.all(AccountAlias)
        return {"AccountAliases": [item.alias for item in found], "IsTruncated": False}

    @operation("GetAccountAuthorizationDetails")
    def get_account_authorization_details(self, context: Context, params: Params) -> Result:
        """Users, groups, roles, own policies, and those of AWS's that are in use."""
        wanted = set(params.get("Filter", ())) or {
            "User",
            "Group",
            "Role",
            "LocalManagedPolicy",
            "AWSManagedPolicy",
        }
        attachments = self._directory.attachments()
        bounds = self._directory.boundary_uses()
        everything: dict[str, Sequence[Entity]] = {
            "User": self._records.all(User),
            "Group": self._records.all(Group),
            "Role": self._records.all(Role),
            "LocalManagedPolicy": self._records.all(ManagedPolicy),
            "AWSManagedPolicy": [
                policy
                for arn, policy in aws_managed_policies().items()
                if attachments[arn] or bounds[arn]
            ],
        }
        entities = [
            (f"{order} {entity.key}", entity)
            for order, (word, found) in enumerate(everything.items())
            if word in wanted
            for entity in found
        ]
        shown, more = page(params, entities, lambda pair: pair[0])
        return {
            "UserDetailList": [self._user(one) for _, one in shown if isinstance(one, User)],
            "GroupDetailList": [_group(one) for _, one in shown if isinstance(one, Group)],
            "RoleDetailList": [self._role(one) for _, one in shown if isinstance(one, Role)],
            "Policies": [
                _policy(one, attachments[one.arn], bounds[one.arn])
                for _, one in shown
                if isinstance(one, ManagedPolicy)
            ],
            **more,
        }

    def _user(self, user: User) -> shapes.Shape:
        return {
            **shapes.whole_user(user),
            "UserPolicyList": _inline(user),
            "GroupList": [group.name for group in self._directory.groups_of(user.name)],
            "AttachedManagedPolicies": shapes.attached(user.attached_policies),
        }

    def _role(self, role: Role) -> shapes.Shape:
        shape = shapes.whole_role(role)
        for member in ("MaxSessionDuration", "Description"):
            shape.pop(member, None)
        profiles = self._directory.profiles_of(role.name)
        return {
            **shape,
            "InstanceProfileList": [shapes.instance_profile(one, [role]) for one in profiles],
            "RolePolicyList": _inline(role),
            "AttachedManagedPolicies": shapes.attached(role.attached_policies),
        }


def _group(group: Group) -> shapes.Shape:
    return {
        **shapes.group(group),
        "GroupPolicyList": _inline(group),
        "AttachedManagedPolicies": shapes.attached(group.attached_policies),
    }


def _policy(policy: ManagedPolicy, attachments: int, bounds: int) -> shapes.Shape:
    return {
        **shapes.policy(policy, attachments, bounds),
        "PolicyVersionList": [
            {
                **shapes.policy_version(policy, version),
                "Document": shapes.encoded(version.document),
            }
            for version in reversed(policy.versions)
        ],
    }


def _inline(holder: PolicyHolder) -> list[shapes.Shape]:
    return [
        {"PolicyName": name, "PolicyDocument": shapes.encoded(document)}
        for name, document in sorted(holder.inline_policies.items())
    ]
