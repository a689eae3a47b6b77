"""What Lambda says when it says no, in AWS's words; shared by the rooms of this service."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from fogbank.cloud.errors import ServiceError


def invalid(message: str) -> ServiceError:
    """InvalidParameterValueException: a value that the model allows and the service does not."""
    return ServiceError("InvalidParameterValueException", message)


def not_found(message: str) -> ServiceError:
    """ResourceNotFoundException, 404."""
    return ServiceError("ResourceNotFoundException", message, status=404)


def function_not_found(arn: str) -> ServiceError:
    """`Function not found: arn:...`, for functions and for versions of them."""
    return not_found(f"Function not found: {arn}")


def alias_not_found(arn: str) -> ServiceError:
    """`Cannot find alias arn: arn:...`."""
    return not_found(f"Cannot find alias arn: {arn}")


def no_such_resource() -> ServiceError:
    """What is said of policies and URLs that are not there."""
    return not_found("The resource you requested does not exist.")


def conflict(message: str) -> ServiceError:
    """ResourceConflictException, 409."""
    return ServiceError("ResourceConflictException", message, status=409)


def functions_only() -> ServiceError:
    """For operations that take no version and no alias."""
    return invalid(
        "This operation is permitted on Lambda functions only. Aliases and versions do not support "
        "this operation. Please specify either a function name or an unqualified function ARN."
    )


def check_revision(
    given: str | None, current: str, read_with: str = "GetFunction/GetAlias"
) -> None:
    """Raises PreconditionFailedException where a RevisionId is given that is not the current."""
    if given is not None and given != current:
        raise ServiceError(
            "PreconditionFailedException",
            "The Revision Id provided does not match the latest Revision Id. Call the "
            f"{read_with} API to retrieve the latest Revision Id",
            status=412,
        )


def refuse_unsupported(params: Mapping[str, Any], names: Iterable[str], operation: str) -> None:
    """A parameter that would be ignored is refused: a rehearsal must not pretend."""
    given = [name for name in names if params.get(name)]
    if given:
        raise invalid(
            f"Fogbank does not support {', '.join(given)} in {operation}. Nothing was changed."
        )
