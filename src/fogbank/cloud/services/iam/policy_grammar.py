"""Is a policy document well formed? JSON text in; nothing out, or MalformedPolicyDocument.

Checks the grammar only (IAM User Guide, "Grammar of the IAM JSON policy language"): not whether
actions, resources or principals exist.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NoReturn

from fogbank.cloud.errors import ServiceError

Use = Literal["identity", "trust"]

VERSIONS = frozenset({"2008-10-17", "2012-10-17"})

TRUST_ACTIONS = frozenset(
    {
        "sts:*",
        "sts:assumerole",
        "sts:assumerolewithsaml",
        "sts:assumerolewithwebidentity",
        "sts:setcontext",
        "sts:setsourceidentity",
        "sts:tagsession",
    }
)

_ELEMENTS = frozenset(
    {
        "Action",
        "Condition",
        "Effect",
        "NotAction",
        "NotPrincipal",
        "NotResource",
        "Principal",
        "Resource",
        "Sid",
    }
)
_SID = re.compile(r"^[A-Za-z0-9]*$")
_PRINCIPAL_KINDS = frozenset({"AWS", "Service", "Federated", "CanonicalUser"})


def malformed(message: str) -> NoReturn:
    raise ServiceError("MalformedPolicyDocument", message)


def check_policy(document: str, use: Use) -> None:
    """`identity`: a managed, inline or session policy. `trust`: a role's trust policy."""
    try:
        policy = json.loads(document)
    except ValueError:
        malformed("This policy contains invalid Json")
    if not isinstance(policy, dict) or set(policy) - {"Version", "Id", "Statement"}:
        malformed("Syntax errors in policy.")
    version = policy.get("Version")
    if version is None and use == "identity":
        malformed("Policy document must be version 2012-10-17 or greater.")
    if version is not None and version not in VERSIONS:
        malformed("Syntax errors in policy.")
    statements = policy.get("Statement")
    if isinstance(statements, dict):
        statements = [statements]
    if not isinstance(statements, list) or not statements:
        malformed("Syntax errors in policy.")
    for statement in statements:
        _check_statement(statement, use)
    sids = [statement["Sid"] for statement in statements if statement.get("Sid")]
    if len(sids) != len(set(sids)):
        malformed("Statement IDs (SID) in a single policy must be unique.")


def _check_statement(statement: object, use: Use) -> None:
    if not isinstance(statement, dict) or set(statement) - _ELEMENTS:
        malformed("Syntax errors in policy.")
    if statement.get("Effect") not in ("Allow", "Deny"):
        malformed("Syntax errors in policy.")
    sid = statement.get("Sid", "")
    if not isinstance(sid, str) or not _SID.match(sid):
        malformed(
            "Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the "
            "regular expression [0-9A-Za-z]*"
        )
    if not isinstance(statement.get("Condition", {}), dict):
        malformed("Syntax errors in policy.")
    actions = _one_of(statement, "Action", "NotAction", "Policy statement must contain actions.")
    if use == "identity":
        _check_identity_statement(statement, actions)
    else:
        _check_trust_statement(statement, actions)


def _check_identity_statement(statement: Mapping[str, Any], actions: Sequence[str]) -> None:
    if "Principal" in statement or "NotPrincipal" in statement:
        malformed("Policy document should not specify a principal.")
    for action in actions:
        vendor, colon, name = action.partition(":")
        if action != "*" and not (vendor and colon and name):
            malformed("Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.")
    resources = _one_of(
        statement, "Resource", "NotResource", "Policy statement must contain resources."
    )
    for resource in resources:
        if resource != "*" and not resource.startswith(("arn:", "${")):
            malformed(f'Resource {resource} must be in ARN format or "*".')


def _check_trust_statement(statement: Mapping[str, Any], actions: Sequence[str]) -> None:
    for name in ("Resource", "NotResource"):
        if name in statement:
            malformed(f"Has prohibited field {name}")
    principal = statement.get("Principal", statement.get("NotPrincipal"))
    if principal is None:
        malformed("Missing required field Principal")
    if principal != "*" and not _is_principal(principal):
        malformed("Invalid principal in policy.")
    for action in actions:
        if action.lower() not in TRUST_ACTIONS:
            malformed("AssumeRole policy may only specify STS AssumeRole actions.")


def _is_principal(principal: object) -> bool:
    return (
        isinstance(principal, dict)
        and bool(principal)
        and not set(principal) - _PRINCIPAL_KINDS
        and all(_strings(value) for value in principal.values())
    )


def _one_of(statement: Mapping[str, Any], name: str, inverse: str, missing: str) -> list[str]:
    """The strings of `name` or of its inverse: exactly one of the two has to be there."""
    present = [key for key in (name, inverse) if key in statement]
    if not present:
        malformed(missing)
    values = _strings(statement[present[0]])
    if len(present) == 2 or values is None:
        malformed("Syntax errors in policy.")
    if not values:
        malformed(missing)
    return values


def _strings(value: object) -> list[str] | None:
    """A string or a list of strings as a list; None for anything else."""
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, list):
        return None
    strings = [item for item in values if isinstance(item, str)]
    return strings if len(strings) == len(values) else None


def counted_size(document: str) -> int:
    """Characters that count against IAM's size quotas: all but white space."""
    return sum(not character.isspace() for character in document)
