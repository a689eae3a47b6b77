"""`Keyring` on Records: access keys of root and users, sessions of roles, users and root.

In: access key ids and role ARNs. Out: what is needed to check a signature, fresh credentials in
AWS's shapes. Keys of a deleted user and sessions of a deleted role are as good as unknown.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from fogbank.cloud.context import Principal
from fogbank.cloud.ports import Records, SessionCredentials, SigningKey
from fogbank.cloud.records.iam import Role, User
from fogbank.cloud.records.identity import AccessKey, Session
from fogbank.core.arn import Scope

_BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"

KEPT_AFTER_EXPIRY = timedelta(days=1)
"""So long an expired session is still told apart from an unknown key (ExpiredToken)."""

LAST_USED_STEP = timedelta(minutes=15)
"""`last_used` is written at most so often: each write is a synchronised commit."""


def unique_id(prefix: str) -> str:
    """An IAM unique id: `AROA`, `AIDA`, `AGPA`, `ANPA`, `AIPA` + 17 characters
    (IAM User Guide, "IAM identifiers")."""
    return prefix + "".join(secrets.choice(_BASE32) for _ in range(17))


def _access_key_id(prefix: str) -> str:
    """`AKIA` (long-term) or `ASIA` (temporary) + 16 characters."""
    return prefix + "".join(secrets.choice(_BASE32) for _ in range(16))


def _secret() -> str:
    """40 characters of base64, as AWS's secrets."""
    return base64.b64encode(secrets.token_bytes(30)).decode()


def _token() -> str:
    return base64.b64encode(secrets.token_bytes(270)).decode()


class RecordsKeyring:
    """See `ports.Keyring`. Everything that it issues is durable when the call returns."""

    def __init__(self, records: Records, scope: Scope) -> None:
        self._records = records
        self._scope = scope
        # Every request asks who signed it; the answer changes with these records alone.
        self._known: dict[str, SigningKey] = {}
        self._used: dict[tuple[str, str], datetime] = {}
        for kind in (Session, AccessKey, Role, User):
            records.subscribe(kind, self._forget)

    def _forget(self, _: str) -> None:
        self._known.clear()
        self._used.clear()

    @property
    def region(self) -> str:
        """Where every key is used: a cloud is one region."""
        return self._scope.region

    def find(self, access_key_id: str) -> SigningKey | None:
        known = self._known.get(access_key_id)
        if known is None:
            known = self._look_up(access_key_id)
            if known is not None:
                self._known[access_key_id] = known
        return known

    def _look_up(self, access_key_id: str) -> SigningKey | None:
        session = self._records.get(Session, access_key_id)
        if session is not None:
            principal = self._session_principal(session)
            if principal is None:
                return None
            return SigningKey(
                session.secret_access_key, session.session_token, session.expires, principal
            )
        key = self._records.get(AccessKey, access_key_id)
        if key is None or key.status != "Active":
            return None
        holder = self._holder(key.user_name)
        return None if holder is None else SigningKey(key.secret_access_key, None, None, holder)

    def _holder(self, user_name: str | None) -> Principal | None:
        account = self._scope.account
        if user_name is None:
            return Principal(self._scope.global_arn("iam", "root"), account, account, "root")
        user = self._records.get(User, user_name.lower())
        return None if user is None else Principal(user.arn, account, user.unique_id, "user")

    def _session_principal(self, session: Session) -> Principal | None:
        account = self._scope.account
        if session.role_arn is not None:
            role = self._role(session.role_arn)
            # A role that was deleted and made again has another id: its old sessions are void.
            if role is None or role.unique_id != session.user_id.partition(":")[0]:
                return None
            return Principal(
                session.principal_arn, account, session.user_id, "role-session", session.role_arn
            )
        if session.user_id == account:
            return self._holder(None)
        for user in self._records.all(User):
            if user.unique_id == session.user_id:
                return Principal(user.arn, account, user.unique_id, "user")
        return None

    def _role(self, role_arn: str) -> Role | None:
        role = self._records.get(Role, role_arn.rpartition("/")[2].lower())
        return role if role is not None and role.arn == role_arn else None

    def issue_role_session(
        self,
        role_arn: str,
        session_name: str,
        *,
        duration_s: int,
        now: datetime,
        policy: str | None = None,
        policy_arns: Sequence[str] = (),
        tags: Mapping[str, str] | None = None,
        source_identity: str | None = None,
    ) -> SessionCredentials:
        """See `ports.Keyring`; `policy` and `policy_arns` are session policies, kept with the
        session for whoever evaluates them."""
        role = self._role(role_arn)
        if role is None:
            raise LookupError(role_arn)
        principal = Principal(
            self._scope.global_arn("sts", f"assumed-role/{role.name}/{session_name}"),
            self._scope.account,
            f"{role.unique_id}:{session_name}",
            "role-session",
            role.arn,
        )
        return self._issue(
            Session(
                access_key_id=_access_key_id("ASIA"),
                secret_access_key=_secret(),
                session_token=_token(),
                principal_arn=principal.arn,
                user_id=principal.user_id,
                role_arn=role.arn,
                expires=now + timedelta(seconds=duration_s),
                policy=policy,
                policy_arns=tuple(policy_arns),
                tags=dict(tags or {}),
                source_identity=source_identity,
            ),
            principal,
            now,
        )

    def issue_session_token(
        self, principal: Principal, *, duration_s: int, now: datetime
    ) -> SessionCredentials:
        """Temporary credentials of a user or of root itself (GetSessionToken)."""
        return self._issue(
            Session(
                access_key_id=_access_key_id("ASIA"),
                secret_access_key=_secret(),
                session_token=_token(),
                principal_arn=principal.arn,
                user_id=principal.user_id,
                role_arn=None,
                expires=now + timedelta(seconds=duration_s),
            ),
            principal,
            now,
        )

    def _issue(self, session: Session, principal: Principal, now: datetime) -> SessionCredentials:
        with self._records.transaction():
            for old in self._records.all(Session):
                if old.expires + KEPT_AFTER_EXPIRY < now:
                    self._records.delete(Session, old.key)
            self._records.put(session)
        return SessionCredentials(
            session.access_key_id,
            session.secret_access_key,
            session.session_token,
            session.expires,
            principal,
        )

    def issue_access_key(self, user_name: str | None, *, now: datetime) -> AccessKey:
        """A new long-term key pair; `user_name` None for root. Limits are for the caller."""
        key = AccessKey(
            access_key_id=_access_key_id("AKIA"),
            secret_access_key=_secret(),
            user_name=user_name,
            created=now,
        )
        self._records.put(key)
        return key

    def ensure_root_key(self, now: datetime) -> AccessKey:
        """Root's key pair: the one that exists, or a new one."""
        for key in self._records.all(AccessKey):
            if key.user_name is None and key.status == "Active":
                return key
        return self.issue_access_key(None, now=now)

    def note_use(self, access_key_id: str, service: str, now: datetime) -> None:
        """Remember when a key, or the role behind a session, was last used. AWS shows such dates
        late and coarsely too; here they move in steps of LAST_USED_STEP."""
        if not _stale(self._used.get((access_key_id, service)), now):
            return
        noted = self._note_use(access_key_id, service, now)
        # Afterwards: what was just written makes everything be looked up again.
        self._used[access_key_id, service] = noted

    def _note_use(self, access_key_id: str, service: str, now: datetime) -> datetime:
        """When it was last used, as the records have it now."""
        key = self._records.get(AccessKey, access_key_id)
        if key is not None:
            if (
                key.last_used_service == service
                and key.last_used
                and not _stale(key.last_used, now)
            ):
                return key.last_used
            self._records.put(replace(key, last_used=now, last_used_service=service))
            return now
        session = self._records.get(Session, access_key_id)
        role = self._role(session.role_arn) if session and session.role_arn else None
        if role is None:
            return now
        if role.last_used and not _stale(role.last_used, now):
            return role.last_used
        self._records.put(replace(role, last_used=now, last_used_region=self._scope.region))
        return now


def _stale(seen: datetime | None, now: datetime) -> bool:
    return seen is None or now - seen >= LAST_USED_STEP
