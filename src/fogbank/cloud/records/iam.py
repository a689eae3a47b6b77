"""What IAM keeps: users, groups, roles, instance profiles, customer managed policies, the alias.

IAM tells names apart without regard to case when it creates, and with regard to case when it looks
up: the key is the name in lower case, `name` is what was given.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar


@dataclass(frozen=True, kw_only=True)
class PolicyHolder:
    """What users, groups and roles have in common.

    inline_policies:   policy name -> document, as the caller wrote it.
    attached_policies: ARNs of managed policies, in the order of attachment.
    """

    kind: ClassVar[str]

    name: str
    path: str
    unique_id: str
    arn: str
    created: datetime
    inline_policies: Mapping[str, str] = field(default_factory=dict)
    attached_policies: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        return self.name.lower()


@dataclass(frozen=True, kw_only=True)
class User(PolicyHolder):
    """permissions_boundary: ARN of a managed policy."""

    kind: ClassVar[str] = "iam.user"

    permissions_boundary: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Group(PolicyHolder):
    """members: user names, in the order in which they joined."""

    kind: ClassVar[str] = "iam.group"

    members: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Role(PolicyHolder):
    """trust_policy: the JSON document that says who may assume the role.
    linked_service:  the service of a service-linked role (`x.amazonaws.com`), else None.
    """

    kind: ClassVar[str] = "iam.role"

    trust_policy: str
    description: str | None = None
    max_session_s: int = 3600
    permissions_boundary: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    last_used: datetime | None = None
    last_used_region: str | None = None
    linked_service: str | None = None


@dataclass(frozen=True, kw_only=True)
class InstanceProfile:
    """roles: names; at most one, as on AWS."""

    kind: ClassVar[str] = "iam.instance_profile"

    name: str
    path: str
    unique_id: str
    arn: str
    created: datetime
    roles: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        return self.name.lower()


@dataclass(frozen=True, kw_only=True)
class PolicyVersion:
    """number: 1 for `v1`."""

    number: int
    document: str
    created: datetime

    @property
    def version_id(self) -> str:
        return f"v{self.number}"


@dataclass(frozen=True, kw_only=True)
class ManagedPolicy:
    """A managed policy: a customer's (a record) or AWS's (from the catalogue, never stored).

    versions:       oldest first, at most five.
    default_number: the version that is in force.
    next_number:    numbers are never given twice, not even after a version was deleted.
    """

    kind: ClassVar[str] = "iam.policy"

    name: str
    path: str
    unique_id: str
    arn: str
    created: datetime
    updated: datetime
    description: str | None = None
    versions: tuple[PolicyVersion, ...]
    default_number: int
    next_number: int
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        return self.arn

    @property
    def default_version(self) -> PolicyVersion:
        return next(version for version in self.versions if version.number == self.default_number)


@dataclass(frozen=True, kw_only=True)
class AccountAlias:
    """The account's one alias."""

    kind: ClassVar[str] = "iam.account_alias"

    alias: str

    @property
    def key(self) -> str:
        return "alias"


@dataclass(frozen=True, kw_only=True)
class RoleDeletion:
    """The task that DeleteServiceLinkedRole started. reason is empty unless it failed."""

    kind: ClassVar[str] = "iam.role_deletion"

    task_id: str
    role_arn: str
    status: str
    reason: str = ""

    @property
    def key(self) -> str:
        return self.task_id
