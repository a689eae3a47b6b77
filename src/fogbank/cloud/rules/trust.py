"""Whether a role's trust policy lets an AWS service assume it. Pure.

Source: IAM User Guide, "Creating a role to delegate permissions to an AWS service".
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any


def trusts_service(trust_policy: str, service: str) -> bool:
    """Whether a statement allows sts:AssumeRole to `service` (`lambda.amazonaws.com`) and none
    denies it. Conditions are not looked at: a service meets those that are made for it.

    trust_policy: a JSON document, checked when it was stored.
    """
    statements = _listed(json.loads(trust_policy)["Statement"])
    effects = {each["Effect"] for each in statements if _concerns(each, service)}
    return effects == {"Allow"}


def _concerns(statement: Mapping[str, Any], service: str) -> bool:
    principal = statement.get("Principal", {})
    named = [principal] if isinstance(principal, str) else _listed(principal.get("Service", ()))
    actions = _listed(statement.get("Action", ()))
    return (service in named or "*" in named) and any(
        fnmatchcase("sts:assumerole", action.lower()) for action in actions
    )


def _listed(value: Any) -> list[Any]:
    """IAM's elements are one thing or a list of them."""
    if isinstance(value, Iterable) and not isinstance(value, str | Mapping):
        return list(value)
    return [value]
