"""What AWS says of input that cannot be read at all: wrong JSON types, broken XML, no number."""

from __future__ import annotations

from typing import Any

from fogbank.cloud.errors import ServiceError


def serialization(message: str) -> ServiceError:
    """The JSON and CBOR protocols' answer to what does not have the model's types."""
    return ServiceError("SerializationException", message)


def wrong_type(value: Any, wanted: str) -> ServiceError:
    """A JSON value of another type than the model's."""
    if wanted in ("Structure", "Map") and not isinstance(value, dict | list):
        return serialization("Unexpected value type in payload")
    if isinstance(value, dict):
        return serialization("Start of structure or map found where not expected.")
    if isinstance(value, list):
        return serialization("Start of list found where not expected")
    article = "an" if wanted[0] in "AEIOU" else "a"
    return serialization(f"{_token(value)} can not be converted to {article} {wanted}")


def _token(value: Any) -> str:
    if isinstance(value, bool):
        return f"{str(value).upper()}_VALUE"
    if isinstance(value, int):
        return "NUMBER_VALUE"
    return "DECIMAL_VALUE" if isinstance(value, float) else "STRING_VALUE"


def xml() -> ServiceError:
    """S3's answer to a body that is not the XML it wants."""
    return ServiceError(
        "MalformedXML",
        "The XML you provided was not well-formed or did not validate against our published schema",
    )


def form_value(name: str, value: str) -> ServiceError:
    """The query protocol's answer to a parameter that is not of its type."""
    return ServiceError("MalformedInput", f"Value '{value}' of parameter {name} cannot be read.")


def ec2_value(name: str, value: str) -> ServiceError:
    """EC2's answer to a parameter that is not of its type."""
    return ServiceError("InvalidParameterValue", f"Invalid value '{value}' for parameter {name}.")


def s3_argument(name: str, value: str, wanted: str) -> ServiceError:
    """S3's answer to a query parameter or header that is not of its type."""
    message = f"Provided {name} not {wanted}"
    if wanted == "an integer":
        message = f"Provided {name} not an integer or within integer range"
    return ServiceError(
        "InvalidArgument", message, fields={"ArgumentName": name, "ArgumentValue": value}
    )
