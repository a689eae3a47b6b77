"""Who may call what, until IAM policies are evaluated.

`root_and_role_sessions` is the whole rule: the account's root and every role session may do
everything, an IAM user may do nothing but ask who it is. It is deliberately all or nothing: a rule
that evaluated some policies would let people believe that a rehearsal had proved their permissions.
"""

from __future__ import annotations

from dataclasses import dataclass

from fogbank.cloud.context import Principal

NEEDS_NO_PERMISSION = frozenset({("sts", "GetCallerIdentity"), ("sts", "GetSessionToken")})
"""AWS answers these to everybody who can sign (STS API reference)."""


@dataclass(frozen=True, slots=True)
class Authorization:
    """allowed, and the sentence that explains it."""

    allowed: bool
    reason: str


def root_and_role_sessions(principal: Principal, service: str, operation: str) -> Authorization:
    """The rule of this module's docstring. `reason` of a refusal is AWS's wording."""
    if principal.kind in ("root", "role-session"):
        return Authorization(True, f"{principal.kind} may do everything")
    if (service, operation) in NEEDS_NO_PERMISSION:
        return Authorization(True, "needs no permission")
    return Authorization(
        False,
        f"User: {principal.arn} is not authorized to perform: {service}:{operation} "
        f"because no identity-based policy allows the {service}:{operation} action",
    )
