"""How AWS refuses signatures, in each family's code, status and words.

S3 has codes of its own (403, with what it computed); JSON services say InvalidSignatureException,
query services SignatureDoesNotMatch.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from fogbank.cloud.codec import hints
from fogbank.cloud.context import Request
from fogbank.cloud.errors import ServiceError

if TYPE_CHECKING:
    from fogbank.cloud.codec.sigv4 import Signature

_MAX_SKEW_MIN = 15
_ISO = "%Y-%m-%dT%H:%M:%SZ"
_BASIC = "%Y%m%dT%H%M%SZ"


def does_not_match(
    request: Request, signature: Signature, to_sign: str, canonical: str | None
) -> ServiceError:
    """The signature is not the one that the secret key gives."""
    if signature.service == "s3":
        fields = {
            "AWSAccessKeyId": signature.access_key,
            "StringToSign": to_sign,
            "SignatureProvided": signature.signature,
            "StringToSignBytes": to_sign.encode().hex(" "),
        }
        if canonical is not None:
            fields["CanonicalRequest"] = canonical
            fields["CanonicalRequestBytes"] = canonical.encode().hex(" ")
        return ServiceError(
            "SignatureDoesNotMatch",
            "The request signature we calculated does not match the signature you provided. "
            "Check your key and signing method.",
            status=403,
            fields=fields,
        )
    return _invalid(
        request,
        "The request signature we calculated does not match the signature you provided. Check "
        "your AWS Secret Access Key and signing method. Consult the service documentation for "
        f"details.\n\nThe Canonical String for this request should have been\n'{canonical}'\n\n"
        f"The String-to-Sign should have been\n'{to_sign}'\n",
    )


def skewed(request: Request, signature: Signature, now: datetime) -> ServiceError:
    """Signed more than 15 minutes ago, or from now."""
    if signature.service == "s3":
        return ServiceError(
            "RequestTimeTooSkewed",
            "The difference between the request time and the current time is too large.",
            status=403,
            fields={
                "RequestTime": signature.timestamp,
                "ServerTime": now.strftime(_ISO),
                "MaxAllowedSkewMilliseconds": _MAX_SKEW_MIN * 60 * 1000,
            },
        )
    skew = timedelta(minutes=_MAX_SKEW_MIN)
    at = now.strftime(_BASIC)
    if signature.date < now:
        limit = (now - skew).strftime(_BASIC)
        return _invalid(
            request,
            f"Signature expired: {signature.timestamp} is now earlier than {limit} "
            f"({at} - {_MAX_SKEW_MIN} min.)",
        )
    return not_yet_valid(request, signature, now)


def not_yet_valid(request: Request, signature: Signature, now: datetime) -> ServiceError:
    """Signed for a later time."""
    if signature.service == "s3":
        return ServiceError("AccessDenied", "Request is not valid yet", status=403)
    limit = (now + timedelta(minutes=_MAX_SKEW_MIN)).strftime(_BASIC)
    return _invalid(
        request,
        f"Signature not yet current: {signature.timestamp} is still later than {limit} "
        f"({now.strftime(_BASIC)} + {_MAX_SKEW_MIN} min.)",
    )


def url_expired(
    request: Request, signature: Signature, expiry: datetime, now: datetime
) -> ServiceError:
    """A presigned URL past its time."""
    if signature.service == "s3":
        fields: dict[str, str | int] = {
            "Expires": expiry.strftime(_ISO),
            "ServerTime": now.strftime(_ISO),
        }
        if signature.version == 4:
            fields = {"X-Amz-Expires": signature.expires_s or 0, **fields}
        return ServiceError("AccessDenied", "Request has expired", status=403, fields=fields)
    return _invalid(
        request,
        f"Signature expired: {signature.timestamp} is now earlier than {now.strftime(_BASIC)} "
        f"({now.strftime(_BASIC)} - 0 min.)",
    )


def incomplete_header(request: Request, missing: Sequence[str]) -> ServiceError:
    """An Authorization header without all its parts."""
    sentences = " ".join(f"Authorization header requires '{name}' parameter." for name in missing)
    if _is_s3(request):
        return _malformed_header(sentences)
    return _incomplete(request, sentences)


def malformed_credential(request: Request) -> ServiceError:
    """A Credential that is not KEY/DATE/REGION/SERVICE/aws4_request."""
    wanted = '"<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request"'
    if _is_s3(request):
        if "X-Amz-Credential" in request.raw_query:
            return _query_parameters(
                "Error parsing the X-Amz-Credential parameter; the Credential is mal-formed; "
                f"expecting {wanted}."
            )
        return _malformed_header(
            "The authorization header is malformed; the Credential is mal-formed; "
            f"expecting {wanted}."
        )
    return _incomplete(
        request, f"Credential must have exactly 5 slash-delimited elements: {wanted}."
    )


def wrong_day(request: Request, day: str, actual: str) -> ServiceError:
    """The scope's day is not the day of signing."""
    if _is_s3(request):
        return _malformed_header(
            f"The authorization header is malformed; Invalid credential date {day!r}. "
            f"This date is not the same as X-Amz-Date: {actual!r}."
        )
    return _invalid(
        request,
        f"Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from "
        f"HTTP: '{day}' != '{actual}'.",
    )


def wrong_service(request: Request, expected: str) -> ServiceError:
    """Signed for another service than the one that was asked."""
    return _invalid(request, f"Credential should be scoped to correct service: '{expected}'.")


def no_date(request: Request) -> ServiceError:
    """No date of signing that can be read."""
    if _is_s3(request):
        return ServiceError(
            "AccessDenied",
            "AWS authentication requires a valid Date or x-amz-date header",
            status=403,
        )
    return _incomplete(
        request,
        "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.",
    )


def host_not_signed(request: Request) -> ServiceError:
    """Host must be among the signed headers."""
    if _is_s3(request):
        return headers_not_signed(["host"])
    return _invalid(
        request, "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization."
    )


def headers_not_signed(names: Sequence[str]) -> ServiceError:
    """S3 wants every x-amz- header signed."""
    return ServiceError(
        "AccessDenied",
        "There were headers present in the request which were not signed",
        status=403,
        fields={"HeadersNotSigned": ", ".join(sorted(set(names)))},
    )


def unsupported_algorithm(request: Request, algorithm: str) -> ServiceError:
    """Another scheme than AWS4-HMAC-SHA256."""
    if not _is_s3(request):
        return _incomplete(request, f"Unsupported AWS 'algorithm': '{algorithm}'.")
    if algorithm == "AWS":
        return ServiceError(
            "InvalidRequest",
            "The authorization mechanism you have provided is not supported. "
            "Please use AWS4-HMAC-SHA256.",
        )
    if "X-Amz-Algorithm" in request.raw_query:
        return _query_parameters('X-Amz-Algorithm only supports "AWS4-HMAC-SHA256"')
    return ServiceError(
        "InvalidArgument",
        "Unsupported Authorization Type",
        fields={"ArgumentName": "Authorization"},
    )


def incomplete_query(request: Request) -> ServiceError:
    """A presigned URL without all its parameters."""
    message = (
        "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, "
        "X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters."
    )
    return _query_parameters(message) if _is_s3(request) else _incomplete(request, message)


def expires(request: Request, message: str) -> ServiceError:
    """X-Amz-Expires is no number of seconds within a week."""
    return _query_parameters(message) if _is_s3(request) else _incomplete(request, message)


def incomplete_v2() -> ServiceError:
    """A SigV2 URL without all its parameters."""
    return ServiceError(
        "AccessDenied",
        "Query-string authentication requires the Signature, Expires and AWSAccessKeyId parameters",
        status=403,
    )


def no_content_hash() -> ServiceError:
    """S3 requires the payload's hash."""
    return ServiceError(
        "InvalidRequest", "Missing required header for this request: x-amz-content-sha256"
    )


def bad_content_hash(given: str) -> ServiceError:
    """x-amz-content-sha256 is none of the words and hashes that it may be."""
    return ServiceError(
        "InvalidArgument",
        "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-TRAILER, "
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER or a "
        "valid sha256 value.",
        fields={"ArgumentName": "x-amz-content-sha256", "ArgumentValue": given},
    )


def body_mismatch(declared: str, actual: str) -> ServiceError:
    """The body is not the one whose hash was signed."""
    return ServiceError(
        "XAmzContentSHA256Mismatch",
        "The provided 'x-amz-content-sha256' header does not match what was computed.",
        fields={
            "ClientComputedContentSHA256": declared,
            "S3ComputedContentSHA256": actual,
        },
    )


def _is_s3(request: Request) -> bool:
    return hints.error_protocol(request) == "rest-xml"


def _malformed_header(message: str) -> ServiceError:
    return ServiceError("AuthorizationHeaderMalformed", message)


def _query_parameters(message: str) -> ServiceError:
    return ServiceError("AuthorizationQueryParametersError", message)


def _incomplete(request: Request, message: str) -> ServiceError:
    if hints.error_protocol(request) in ("query", "ec2"):
        return ServiceError("IncompleteSignature", message)
    return ServiceError("IncompleteSignatureException", message)


def _invalid(request: Request, message: str) -> ServiceError:
    protocol = hints.error_protocol(request)
    if protocol in ("query", "ec2"):
        return ServiceError("SignatureDoesNotMatch", message, status=403)
    # The JSON protocols answer every client error with 400, REST-JSON as HTTP would.
    status = 403 if protocol == "rest-json" else 400
    return ServiceError("InvalidSignatureException", message, status=status)
