"""Who may call what, until IAM policies are evaluated.

`root_and_role_sessions` is the whole rule: the account's root and every role session may do
everything, an IAM user may do nothing but ask who it is. It is deliberately all or nothing: a rule
that evaluated some policies would let people believe that a rehearsal had proved their permissions.
"""

from __future__ import annotations

from dataclasses import dataclass

from fogbank.cloud.context import Principal
from fogbank.cloud.rules.iam_actions import action_of

NEEDS_NO_PERMISSION = frozenset({("sts", "GetCallerIdentity"), ("sts", "GetSessionToken")})
"""AWS answers these to everybody who can sign (STS API reference)."""


@dataclass(frozen=True, slots=True)
class Authorization:
    """allowed, and the sentence that explains it."""

    allowed: bool
    reason: str


_ALLOWED = {
    kind: Authorization(True, f"{kind} may do everything") for kind in ("root", "role-session")
}


def root_and_role_sessions(principal: Principal, service: str, operation: str) -> Authorization:
    """The rule of this module's docstring. `reason` of a refusal is AWS's wording."""
    allowed = _ALLOWED.get(principal.kind)
    if allowed is not None:
        return allowed
    if (service, operation) in NEEDS_NO_PERMISSION:
        return Authorization(True, "needs no permission")
    action = action_of(service, operation)
    return Authorization(
        False,
        f"User: {principal.arn} is not authorized to perform: {action} "
        f"because no identity-based policy allows the {action} action",
    )
