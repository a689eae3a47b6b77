"""Managed policies and their versions (IAM API Reference, CreatePolicy and its siblings)."""

from __future__ import annotations

import re
from dataclasses import replace

from fogbank.cloud.context import Context, Params, Result
from fogbank.cloud.errors import ServiceError
from fogbank.cloud.ports import Records
from fogbank.cloud.records.iam import Group, ManagedPolicy, PolicyHolder, PolicyVersion, Role, User
from fogbank.cloud.services.base import operation
from fogbank.cloud.services.iam import shapes
from fogbank.cloud.services.iam.catalogue import aws_managed_policies
from fogbank.cloud.services.iam.directory import (
    Directory,
    already_exists,
    delete_conflict,
    no_such_entity,
    over_quota,
)
from fogbank.cloud.services.iam.paging import page, under
from fogbank.cloud.services.iam.policy_grammar import check_policy, counted_size
from fogbank.cloud.services.iam.tags import merged_tags
from fogbank.cloud.state.keyring import unique_id
from fogbank.core.arn import Scope

MAX_VERSIONS = 5
POLICY_SIZE = 6144
"""Characters without white space."""

_VERSION_ID = re.compile(r"v([1-9][0-9]*)$")


def _checked(document: str) -> str:
    check_policy(document, "identity")
    if counted_size(document) > POLICY_SIZE:
        raise over_quota("PolicySize", POLICY_SIZE)
    return document


class Policies:
    def __init__(self, records: Records, directory: Directory, scope: Scope) -> None:
        self._records = records
        self._directory = directory
        self._scope = scope

    def _whole(self, policy: ManagedPolicy) -> shapes.Shape:
        shape = shapes.policy(
            policy,
            self._directory.attachments()[policy.arn],
            self._directory.boundary_uses()[policy.arn],
        )
        if policy.description is not None:
            shape["Description"] = policy.description
        shape["Tags"] = shapes.tag_list(policy.tags)
        return shape

    @operation("CreatePolicy")
    def create_policy(self, context: Context, params: Params) -> Result:
        name, path = params["PolicyName"], params.get("Path", "/")
        document = _checked(params["PolicyDocument"])
        if any(policy.name.lower() == name.lower() for policy in self._records.all(ManagedPolicy)):
            raise already_exists(
                f"A policy called {name} already exists. Duplicate names are not allowed."
            )
        now = context.received
        policy = ManagedPolicy(
            name=name,
            path=path,
            unique_id=unique_id("ANPA"),
            arn=self._scope.global_arn("iam", f"policy{path}{name}"),
            created=now,
            updated=now,
            description=params.get("Description"),
            versions=(PolicyVersion(number=1, document=document, created=now),),
            default_number=1,
            next_number=2,
            tags=merged_tags({}, params.get("Tags", ())),
        )
        self._records.put(policy)
        return {"Policy": self._whole(policy)}

    @operation("GetPolicy")
    def get_policy(self, context: Context, params: Params) -> Result:
        return {"Policy": self._whole(self._directory.policy(params["PolicyArn"]))}

    @operation("ListPolicies")
    def list_policies(self, context: Context, params: Params) -> Result:
        scope = params.get("Scope", "All")
        attachments = self._directory.attachments()
        bounds = self._directory.boundary_uses()
        usage = params.get("PolicyUsageFilter", "")
        in_use = {"PermissionsPolicy": attachments, "PermissionsBoundary": bounds}.get(
            usage, attachments + bounds
        )
        policies: list[ManagedPolicy] = []
        if scope != "AWS":
            policies += self._records.all(ManagedPolicy)
        if scope != "Local":
            policies += aws_managed_policies().values()
        chosen = [
            policy
            for policy in policies
            if under(params, policy.path)
            and (policy.arn in in_use or not (params.get("OnlyAttached") or usage))
        ]
        shown, more = page(params, chosen, lambda policy: policy.arn)
        return {
            "Policies": [
                shapes.policy(policy, attachments[policy.arn], bounds[policy.arn])
                for policy in shown
            ],
            **more,
        }

    @operation("DeletePolicy")
    def delete_policy(self, context: Context, params: Params) -> Result:
        policy = self._directory.own_policy(params["PolicyArn"])
        if self._directory.attachments()[policy.arn] or self._directory.boundary_uses()[policy.arn]:
            raise delete_conflict("Cannot delete a policy attached to entities.")
        if len(policy.versions) > 1:
            raise delete_conflict(
                "This policy has more than one version. Before you delete a policy, you must "
                "delete the policy's versions. The default version is deleted with the policy."
            )
        self._records.delete(ManagedPolicy, policy.key)
        return {}

    @operation("CreatePolicyVersion")
    def create_policy_version(self, context: Context, params: Params) -> Result:
        policy = self._directory.own_policy(params["PolicyArn"])
        document = _checked(params["PolicyDocument"])
        if len(policy.versions) >= MAX_VERSIONS:
            raise ServiceError(
                "LimitExceeded",
                f"A managed policy can have up to {MAX_VERSIONS} versions. Before you create a new "
                "version, you must delete an existing version.",
                status=409,
            )
        version = PolicyVersion(
            number=policy.next_number, document=document, created=context.received
        )
        changed = replace(
            policy,
            versions=(*policy.versions, version),
            next_number=policy.next_number + 1,
            default_number=version.number if params.get("SetAsDefault") else policy.default_number,
            updated=context.received,
        )
        self._records.put(changed)
        return {"PolicyVersion": shapes.policy_version(changed, version)}

    @operation("GetPolicyVersion")
    def get_policy_version(self, context: Context, params: Params) -> Result:
        policy = self._directory.policy(params["PolicyArn"])
        version = _version(policy, params["VersionId"])
        shape = shapes.policy_version(policy, version)
        return {"PolicyVersion": {**shape, "Document": shapes.encoded(version.document)}}

    @operation("ListPolicyVersions")
    def list_policy_versions(self, context: Context, params: Params) -> Result:
        """Newest first."""
        policy = self._directory.policy(params["PolicyArn"])
        shown, more = page(
            params, policy.versions, lambda version: f"{10**9 - version.number:010d}"
        )
        return {"Versions": [shapes.policy_version(policy, version) for version in shown], **more}

    @operation("SetDefaultPolicyVersion")
    def set_default_policy_version(self, context: Context, params: Params) -> Result:
        policy = self._directory.own_policy(params["PolicyArn"])
        version = _version(policy, params["VersionId"])
        self._records.put(replace(policy, default_number=version.number, updated=context.received))
        return {}

    @operation("DeletePolicyVersion")
    def delete_policy_version(self, context: Context, params: Params) -> Result:
        policy = self._directory.own_policy(params["PolicyArn"])
        version = _version(policy, params["VersionId"])
        if version.number == policy.default_number:
            raise delete_conflict("Cannot delete the default version of a policy.")
        kept = tuple(one for one in policy.versions if one.number != version.number)
        self._records.put(replace(policy, versions=kept, updated=context.received))
        return {}

    @operation("ListEntitiesForPolicy")
    def list_entities_for_policy(self, context: Context, params: Params) -> Result:
        arn = self._directory.policy(params["PolicyArn"]).arn
        wanted = {"User": User, "Group": Group, "Role": Role}.get(
            params.get("EntityFilter", ""), PolicyHolder
        )
        usage = params.get("PolicyUsageFilter")
        found = [
            holder
            for holder in self._directory.holders()
            if isinstance(holder, wanted)
            and under(params, holder.path)
            and _uses(holder, arn, usage)
        ]
        shown, more = page(params, found, lambda holder: f"{holder.kind} {holder.key}")

        def named(kind: type[PolicyHolder], word: str) -> list[shapes.Shape]:
            return [
                {f"{word}Name": holder.name, f"{word}Id": holder.unique_id}
                for holder in shown
                if isinstance(holder, kind)
            ]

        return {
            "PolicyGroups": named(Group, "Group"),
            "PolicyUsers": named(User, "User"),
            "PolicyRoles": named(Role, "Role"),
            **more,
        }


def _uses(holder: PolicyHolder, arn: str, usage: str | None) -> bool:
    attached = arn in holder.attached_policies
    bounded = isinstance(holder, User | Role) and holder.permissions_boundary == arn
    if usage == "PermissionsPolicy":
        return attached
    if usage == "PermissionsBoundary":
        return bounded
    return attached or bounded


def _version(policy: ManagedPolicy, version_id: str) -> PolicyVersion:
    match = _VERSION_ID.match(version_id)
    for version in policy.versions:
        if match is not None and version.number == int(match[1]):
            return version
    raise no_such_entity(
        f"Policy {policy.arn} version {version_id} does not exist or is not attachable."
    )
