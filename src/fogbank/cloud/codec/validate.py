"""Input shape and input in, nothing or AWS's validation error out, all violations in one message.

Wording and paths are those of AWS's service framework, as public error reports show them:
`2 validation errors detected: Value 'x' at 'resourceConfig.instanceType' failed to satisfy
constraint: Member must satisfy enum value set: [...]; Value null at 'roleArn' failed to ...`.

Which code a service answers with, and what it checks, is its `Style`:

| service                      | code                      | checks                               |
|------------------------------|---------------------------|--------------------------------------|
| sagemaker, lambda, others    | ValidationException       | everything                           |
| iam, sts, cloudwatch         | ValidationError           | everything                           |
| sagemaker-runtime            | ValidationError           | everything but lengths               |
| logs                         | InvalidParameterException | everything                           |
| ec2                          | MissingParameter,         | required members and enums; the      |
|                              | InvalidParameterValue     | first one found                      |
| s3                           | MalformedXML and kin      | required members; enums in XML       |
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.model import Shape, StructureShape

from fogbank.cloud.codec import malformed
from fogbank.cloud.codec.constraints import Violation, violations
from fogbank.cloud.codec.model import operation_model
from fogbank.cloud.context import Target
from fogbank.cloud.errors import ServiceError, ValidationException

_S3_OWN_ENUMS = ("BucketLocationConstraint",)  # S3 answers InvalidLocationConstraint itself


_EVERYTHING = frozenset({"required", "enum", "length", "range", "pattern"})


@dataclass(frozen=True, slots=True)
class Style:
    """How a service refuses input: turns the violations (at least one) into its error."""

    refuse: Callable[[list[Violation]], ServiceError]
    checks: frozenset[str] = _EVERYTHING


def validate(shape: Shape | None, params: Mapping[str, Any]) -> None:
    """Raise ValidationException where `params` breaks a constraint of `shape`.

    params: as `parse` gives them. Unknown members are no violation. For the code and checks of a
    particular service use `validate_input`.
    """
    _check(shape, params, _VALIDATION_EXCEPTION)


def validate_input(target: Target, params: Mapping[str, Any]) -> None:
    """As `validate`, with the code, wording and checks of the target's service."""
    shape = operation_model(target.service, target.operation).input_shape
    style = _STYLES.get(target.service, _VALIDATION_EXCEPTION)
    if target.service == "s3":
        _check_s3(shape, params)
    else:
        _check(shape, params, style)


def _check(shape: Shape | None, params: Mapping[str, Any], style: Style) -> None:
    if shape is None:
        return
    try:
        found = [each for each in violations(shape, params) if each.kind in style.checks]
    except RecursionError:
        raise malformed.serialization("The request body is nested too deeply.") from None
    if found:
        raise style.refuse(found)


def _message(found: list[Violation]) -> str:
    count = f"{len(found)} validation error{'s' if len(found) > 1 else ''} detected: "
    return count + "; ".join(violation.sentence for violation in found)


def _as(code: str, checks: frozenset[str] = _EVERYTHING) -> Style:
    return Style(lambda found: ServiceError(code, _message(found)), checks)


def _refuse_ec2(found: list[Violation]) -> ServiceError:
    first = found[0]
    name = first.path[:1].upper() + first.path[1:]
    if first.kind == "required":
        return ServiceError("MissingParameter", f"The request must contain the parameter {name}")
    return ServiceError(
        "InvalidParameterValue", f"Value ({first.value}) for parameter {name} is invalid."
    )


_VALIDATION_EXCEPTION = Style(lambda found: ValidationException(_message(found)))
_STYLES: Mapping[str, Style] = {
    "iam": _as("ValidationError"),
    "sts": _as("ValidationError"),
    "cloudwatch": _as("ValidationError"),
    # Not lengths: a body over 6 MB gets the service's own answer, 413.
    "sagemaker-runtime": _as(
        "ValidationError", frozenset({"required", "enum", "range", "pattern"})
    ),
    "logs": _as("InvalidParameterException"),
    "ec2": Style(_refuse_ec2, frozenset({"required", "enum"})),
}


def _check_s3(shape: Shape | None, params: Mapping[str, Any]) -> None:
    """S3 looks at what is missing, and at enums inside its XML documents; the rest is its own."""
    if not isinstance(shape, StructureShape):
        return
    payload = shape.serialization.get("payload")
    for name in shape.required_members:
        if params.get(name) is None:
            raise _missing_s3(name, shape.members[name], name == payload)
    if payload is None or shape.members[payload].type_name != "structure":
        return
    document = params.get(payload)
    if document is None:
        return
    for each in violations(shape.members[payload], document):
        if each.kind == "required" or (
            each.kind == "enum" and each.shape_name not in _S3_OWN_ENUMS
        ):
            raise malformed.xml()


def _missing_s3(name: str, member: Shape, is_payload: bool) -> ServiceError:
    if is_payload:
        return ServiceError("MissingRequestBodyError", "Request Body is empty")
    wire = member.serialization.get("name", name)
    if member.serialization.get("location") == "querystring":
        return ServiceError(
            "InvalidArgument",
            f"Missing required query parameter {wire}",
            fields={"ArgumentName": wire},
        )
    return ServiceError("InvalidRequest", f"Missing required header for this request: {wire}")
