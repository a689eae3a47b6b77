"""Who may sign: access keys of root and of users, and role sessions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar, Literal


@dataclass(frozen=True, kw_only=True)
class AccessKey:
    """A long-term key pair. `user_name` is None for root's."""

    kind: ClassVar[str] = "iam.access_key"

    access_key_id: str
    secret_access_key: str = field(repr=False)
    user_name: str | None
    status: Literal["Active", "Inactive"] = "Active"
    created: datetime
    last_used: datetime | None = None
    last_used_service: str | None = None

    @property
    def key(self) -> str:
        return self.access_key_id


@dataclass(frozen=True, kw_only=True)
class Session:
    """Temporary credentials of AssumeRole (role_arn set) or GetSessionToken (user or root)."""

    kind: ClassVar[str] = "sts.session"

    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str = field(repr=False)
    principal_arn: str
    """`arn:aws:sts::ACCOUNT:assumed-role/ROLE/SESSION`, or the user's or root's own ARN."""
    user_id: str
    role_arn: str | None
    expires: datetime
    policy: str | None = None
    """The inline session policy that AssumeRole was given."""
    policy_arns: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    source_identity: str | None = None

    @property
    def key(self) -> str:
        return self.access_key_id
