"""What SageMaker says when it says no, in AWS's words; shared by the rooms of this service."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from fogbank.cloud.errors import ValidationException

RoleExists = Callable[[str], bool]
"""Whether IAM has a role of that ARN."""


def not_found(what: str, arn: str) -> ValidationException:
    """`Could not find model "arn:...".` (SDKs match the words "Could not find")."""
    return ValidationException(f'Could not find {what} "{arn}".')


def already_exists(what: str, arn: str) -> ValidationException:
    """`Cannot create already existing model "arn:...".`"""
    return ValidationException(f'Cannot create already existing {what} "{arn}".')


def check_role(role_arn: str, role_exists: RoleExists) -> None:
    """Raises AWS's refusal for a role that IAM does not have."""
    if not role_exists(role_arn):
        raise ValidationException(
            f"Could not assume role {role_arn}. Please ensure that the role exists and allows "
            "principal 'sagemaker.amazonaws.com' to assume the role."
        )


def refuse_unsupported(params: Mapping[str, Any], names: Iterable[str], operation: str) -> None:
    """A parameter that would be ignored is refused: a rehearsal must not pretend."""
    given = [name for name in names if params.get(name)]
    if given:
        raise ValidationException(
            f"Fogbank does not support {', '.join(given)} in {operation} yet. Nothing was created."
        )


def first_repeated(names: Iterable[str]) -> str | None:
    """The first name that occurs a second time."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return None
