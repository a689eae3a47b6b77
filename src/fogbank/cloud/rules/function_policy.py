"""Resource-based policies of functions: statements made of what AddPermission is given, and the one
question that a public function URL asks of them. Pure.

Sources: Lambda Developer Guide, "Viewing resource-based IAM policies in Lambda", "Control access to
Lambda function URLs"; API reference, AddPermission.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

_ACCOUNT = re.compile(r"\d{12}")
_SERVICE = re.compile(r"[a-z0-9.-]+\.amazonaws\.com(?:\.cn)?")
_IDENTITY = re.compile(r"arn:aws[a-z-]*:(?:iam|sts)::\d{12}:.+")

_CONDITIONS = (
    ("SourceArn", "ArnLike", "AWS:SourceArn"),
    ("SourceAccount", "StringEquals", "AWS:SourceAccount"),
    ("EventSourceToken", "StringEquals", "lambda:EventSourceToken"),
    ("FunctionUrlAuthType", "StringEquals", "lambda:FunctionUrlAuthType"),
    ("PrincipalOrgID", "StringEquals", "aws:PrincipalOrgID"),
    ("InvokedViaFunctionUrl", "Bool", "lambda:InvokedViaFunctionUrl"),
)
"""Member of AddPermission, operator, condition key."""


@dataclass(frozen=True, slots=True)
class Decision:
    """allowed, and the sentence that explains it."""

    allowed: bool
    reason: str


def principal(text: str) -> str | dict[str, str] | None:
    """The Principal element of what AddPermission calls Principal; None for what is none."""
    if text == "*":
        return text
    if _ACCOUNT.fullmatch(text):
        return {"AWS": f"arn:aws:iam::{text}:root"}
    if _IDENTITY.fullmatch(text):
        return {"AWS": text}
    return {"Service": text} if _SERVICE.fullmatch(text) else None


def conditions(params: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """The Condition element; empty for none."""
    found: dict[str, dict[str, str]] = {}
    for member, operator, key in _CONDITIONS:
        value = params.get(member)
        if value is not None:
            text = str(value).lower() if isinstance(value, bool) else str(value)
            found.setdefault(operator, {})[key] = text
    return found


def anybody_may_call_url(statements: Iterable[Mapping[str, Any]]) -> Decision:
    """Whether a URL with AuthType NONE answers to everybody: it needs a statement for
    lambda:InvokeFunctionUrl and one for lambda:InvokeFunction (the second since October 2025)."""
    known = {
        "lambda:FunctionUrlAuthType": "NONE",
        "lambda:InvokedViaFunctionUrl": "true",
    }
    held = list(statements)
    for action in ("lambda:InvokeFunctionUrl", "lambda:InvokeFunction"):
        if not any(_grants(statement, action, known) for statement in held):
            return Decision(False, f"no statement of the function's policy lets * do {action}")
    return Decision(True, "the function's policy lets everybody call the URL")


def _grants(statement: Mapping[str, Any], action: str, known: Mapping[str, str]) -> bool:
    if statement["Principal"] != "*" or statement["Action"] not in (action, "lambda:*", "*"):
        return False
    # A condition about something that an anonymous request does not tell is not met.
    return all(
        known.get(key) == value
        for tests in statement.get("Condition", {}).values()
        for key, value in tests.items()
    )
