"""S3's error answers: code, AWS's wording, HTTP status (API Reference, "Error responses")."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fogbank.cloud.errors import ServiceError


def access_denied(message: str = "Access Denied") -> ServiceError:
    return ServiceError("AccessDenied", message, status=403)


def invalid_argument(message: str, name: str, value: object) -> ServiceError:
    fields = {"ArgumentName": name, "ArgumentValue": str(value)}
    return ServiceError("InvalidArgument", message, fields=fields)


def invalid_request(message: str) -> ServiceError:
    return ServiceError("InvalidRequest", message)


def malformed_xml() -> ServiceError:
    return ServiceError(
        "MalformedXML",
        "The XML you provided was not well-formed or did not validate against our published schema",
    )


def not_implemented(header: str) -> ServiceError:
    return ServiceError(
        "NotImplemented",
        "A header you provided implies functionality that is not implemented",
        status=501,
        fields={"Header": header},
    )


def not_configured(code: str, message: str, bucket: str) -> ServiceError:
    """A bucket has no configuration of the kind that was asked for."""
    return ServiceError(code, message, status=404, fields={"BucketName": bucket})


def no_such_key(key: str, headers: Mapping[str, str] | None = None) -> ServiceError:
    return ServiceError(
        "NoSuchKey",
        "The specified key does not exist.",
        status=404,
        fields={"Key": key},
        headers=headers,
    )


def no_such_version(key: str, version_id: str) -> ServiceError:
    return ServiceError(
        "NoSuchVersion",
        "The specified version does not exist.",
        status=404,
        fields={"Key": key, "VersionId": version_id},
    )


def method_not_allowed(headers: Mapping[str, str]) -> ServiceError:
    return ServiceError(
        "MethodNotAllowed",
        "The specified method is not allowed against this resource.",
        status=405,
        fields={"ResourceType": "DeleteMarker"},
        headers=headers,
    )


def precondition_failed(condition: str) -> ServiceError:
    return ServiceError(
        "PreconditionFailed",
        "At least one of the pre-conditions you specified did not hold",
        status=412,
        fields={"Condition": condition},
    )


def bad_digest(message: str) -> ServiceError:
    return ServiceError("BadDigest", message)


def too_large(max_size_bytes: int) -> ServiceError:
    return ServiceError(
        "EntityTooLarge",
        "Your proposed upload exceeds the maximum allowed size",
        fields={"MaxSizeAllowed": max_size_bytes},
    )


def invalid_part(upload_id: str, number: int, etag: str) -> ServiceError:
    fields: dict[str, Any] = {"UploadId": upload_id, "PartNumber": number, "ETag": etag}
    return ServiceError(
        "InvalidPart",
        "One or more of the specified parts could not be found.  The part may not have been "
        "uploaded, or the specified entity tag may not match the part's entity tag.",
        fields=fields,
    )
