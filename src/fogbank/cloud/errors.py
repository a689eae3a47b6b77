"""What the cloud answers when it says no.

ServiceError(code, message)            raised anywhere below the gateway; becomes bytes in one place
├── ValidationException                the request breaks the model or a documented rule
├── AccessDenied                       the caller may not
├── ResourceNotFound                   (services choose the code that AWS uses)
└── InternalFailure                    our fault; the gateway raises it for anything unexpected

A service raises `ServiceError` with AWS's own code and wording. The codec writes it in the
protocol's error shape.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fogbank.core.errors import FogbankError


class ServiceError(FogbankError):
    """An AWS error answer.

    code:    AWS's error code, as the client sees it (`NoSuchBucket`, `ValidationException`).
    message: AWS's wording.
    status:  HTTP status.
    fields:  members of the modelled error shape besides the message
             (`{"OriginalStatusCode": 500}`), or S3's extra elements (`{"BucketName": ...}`).
    headers: extra response headers.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        status: int = 400,
        fields: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status
        self.fields: Mapping[str, Any] = fields or {}
        self.headers: Mapping[str, str] = headers or {}


class ValidationException(ServiceError):
    """The request breaks the model or a documented rule of the operation."""

    def __init__(self, message: str, *, fields: Mapping[str, Any] | None = None) -> None:
        super().__init__("ValidationException", message, fields=fields)


class AccessDenied(ServiceError):
    """The caller may not do that. The code differs by service: `AccessDenied` in S3 and queries."""

    def __init__(
        self, message: str, *, code: str = "AccessDeniedException", status: int = 400
    ) -> None:
        super().__init__(code, message, status=status)


class InternalFailure(ServiceError):
    """Something broke in the cloud itself. The log has the traceback under the request id."""

    def __init__(self, request_id: str) -> None:
        super().__init__(
            "InternalFailure",
            "The request processing has failed because of an unknown error, exception or failure. "
            f"(see request {request_id} in `fogbank cloud logs`)",
            status=500,
        )
