"""GetCallerIdentity, AssumeRole, GetSessionToken (AWS STS API Reference).

A role's trust policy is not evaluated here: who may call AssumeRole on which role is the business
of the gateway's `authorize` step.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fogbank.cloud.context import Context, Params, Principal, Result
from fogbank.cloud.errors import AccessDenied, ServiceError
from fogbank.cloud.ports import Records, SessionCredentials
from fogbank.cloud.records.iam import Role
from fogbank.cloud.services.base import operation
from fogbank.cloud.services.iam.policy_grammar import check_policy
from fogbank.cloud.state.keyring import RecordsKeyring

DEFAULT_ROLE_SESSION_S = 3600
CHAINED_ROLE_SESSION_S = 3600
"""The longest session of a role that was assumed from a role session."""
DEFAULT_USER_SESSION_S = 12 * 3600
ROOT_SESSION_S = 3600
"""Root's sessions last an hour, whatever was asked for."""

MAX_SESSION_POLICY_CHARACTERS = 2048
"""For the inline policy and the ARNs of managed session policies together."""


class Sessions:
    def __init__(self, records: Records, keyring: RecordsKeyring) -> None:
        self._records = records
        self._keyring = keyring

    @operation("GetCallerIdentity")
    def get_caller_identity(self, context: Context, params: Params) -> Result:
        caller = context.caller
        return {"UserId": caller.user_id, "Account": caller.account, "Arn": caller.arn}

    @operation("AssumeRole")
    def assume_role(self, context: Context, params: Params) -> Result:
        caller = context.caller
        if caller.kind == "root":
            raise AccessDenied(
                "Roles may not be assumed by root accounts.", code="AccessDenied", status=403
            )
        role = self._role(caller, params["RoleArn"])
        duration_s = params.get("DurationSeconds", DEFAULT_ROLE_SESSION_S)
        _check_duration(duration_s, role, caller)
        packed_percent = _check_session_policies(params)
        source_identity = params.get("SourceIdentity")
        credentials = self._keyring.issue_role_session(
            role.arn,
            params["RoleSessionName"],
            duration_s=duration_s,
            now=context.received,
            policy=params.get("Policy"),
            policy_arns=[item["arn"] for item in params.get("PolicyArns", ()) if "arn" in item],
            tags={tag["Key"]: tag["Value"] for tag in params.get("Tags", ())},
            source_identity=source_identity,
        )
        result: dict[str, Any] = {
            "Credentials": _credentials(credentials),
            "AssumedRoleUser": {
                "AssumedRoleId": credentials.principal.user_id,
                "Arn": credentials.principal.arn,
            },
        }
        if packed_percent is not None:
            result["PackedPolicySize"] = packed_percent
        if source_identity is not None:
            result["SourceIdentity"] = source_identity
        return result

    def _role(self, caller: Principal, role_arn: str) -> Role:
        """AWS does not tell a role that does not exist from one that may not be assumed."""
        role = self._records.get(Role, role_arn.rpartition("/")[2].lower())
        if role is None or role.arn != role_arn:
            raise AccessDenied(
                f"User: {caller.arn} is not authorized to perform: sts:AssumeRole on resource: "
                f"{role_arn}",
                code="AccessDenied",
                status=403,
            )
        return role

    @operation("GetSessionToken")
    def get_session_token(self, context: Context, params: Params) -> Result:
        caller = context.caller
        if context.access_key_id.startswith("ASIA"):
            raise AccessDenied(
                "Cannot call GetSessionToken with session credentials",
                code="AccessDenied",
                status=403,
            )
        duration_s = params.get("DurationSeconds", DEFAULT_USER_SESSION_S)
        if caller.kind == "root":
            duration_s = min(duration_s, ROOT_SESSION_S)
        credentials = self._keyring.issue_session_token(
            caller, duration_s=duration_s, now=context.received
        )
        return {"Credentials": _credentials(credentials)}


def _check_duration(duration_s: int, role: Role, caller: Principal) -> None:
    if caller.kind == "role-session" and duration_s > CHAINED_ROLE_SESSION_S:
        raise ServiceError(
            "ValidationError",
            "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by "
            "role chaining.",
        )
    if duration_s > role.max_session_s:
        raise ServiceError(
            "ValidationError",
            "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.",
        )


def _check_session_policies(params: Params) -> int | None:
    """The share of the room for session policies that is used, in percent; None without any.

    AWS measures a packed binary form that it does not document; here it is the plain text's length
    against the documented limit for plain text.
    """
    policy = params.get("Policy")
    arns = [item["arn"] for item in params.get("PolicyArns", ()) if "arn" in item]
    tags = params.get("Tags", ())
    if policy is None and not arns and not tags:
        return None
    if policy is not None:
        check_policy(policy, "identity")
    characters = len(policy or "") + sum(map(len, arns))
    if characters > MAX_SESSION_POLICY_CHARACTERS:
        raise ServiceError(
            "PackedPolicyTooLarge",
            f"Packed policy consumes {100 * characters // MAX_SESSION_POLICY_CHARACTERS}% of "
            "allotted space, please use smaller policy.",
        )
    characters += sum(len(tag["Key"]) + len(tag["Value"]) for tag in tags)
    return min(100, -(-100 * characters // MAX_SESSION_POLICY_CHARACTERS))


def _credentials(credentials: SessionCredentials) -> Mapping[str, Any]:
    return {
        "AccessKeyId": credentials.access_key_id,
        "SecretAccessKey": credentials.secret_access_key,
        "SessionToken": credentials.session_token,
        "Expiration": credentials.expires,
    }
