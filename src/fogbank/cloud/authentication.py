"""Who signed this request? Signature Version 4, always checked.

In: a request and the service it is for. Out: a principal and the verified body, or the error that
AWS gives - each protocol family has its own codes for the same trouble.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from hmac import compare_digest
from typing import Literal

from fogbank.cloud.codec import payload, sigv4
from fogbank.cloud.context import BodyStream, Principal, Request, Target
from fogbank.cloud.errors import ServiceError
from fogbank.cloud.ports import Keyring
from fogbank.core.arn import Scope

SERVICES_SIGNED_IN_US_EAST_1 = frozenset({"iam", "sts", "s3"})
"""Global services: a client may sign for us-east-1 wherever the cloud is."""

Trouble = Literal["unsigned", "unknown key", "wrong token", "expired token", "wrong region"]
Family = Literal["s3", "query", "json"]

_ERRORS: dict[tuple[Trouble, Family], tuple[str, int, str]] = {
    ("unsigned", "s3"): ("AccessDenied", 403, "Access Denied"),
    ("unsigned", "query"): (
        "MissingAuthenticationToken",
        403,
        "Request is missing Authentication Token",
    ),
    ("unsigned", "json"): (
        "MissingAuthenticationTokenException",
        400,
        "Missing Authentication Token",
    ),
    ("unknown key", "s3"): (
        "InvalidAccessKeyId",
        403,
        "The AWS Access Key Id you provided does not exist in our records.",
    ),
    ("unknown key", "query"): (
        "InvalidClientTokenId",
        403,
        "The security token included in the request is invalid.",
    ),
    ("unknown key", "json"): (
        "UnrecognizedClientException",
        400,
        "The security token included in the request is invalid.",
    ),
    ("wrong token", "s3"): (
        "InvalidToken",
        400,
        "The provided token is malformed or otherwise invalid.",
    ),
    ("wrong token", "query"): (
        "InvalidClientTokenId",
        403,
        "The security token included in the request is invalid.",
    ),
    ("wrong token", "json"): (
        "UnrecognizedClientException",
        400,
        "The security token included in the request is invalid.",
    ),
    ("expired token", "s3"): ("ExpiredToken", 400, "The provided token has expired."),
    ("expired token", "query"): (
        "ExpiredToken",
        403,
        "The security token included in the request is expired",
    ),
    ("expired token", "json"): (
        "ExpiredTokenException",
        400,
        "The security token included in the request is expired",
    ),
    ("wrong region", "s3"): (
        "AuthorizationHeaderMalformed",
        400,
        "The authorization header is malformed; the region '{signed}' is wrong; "
        "expecting '{expected}'",
    ),
    ("wrong region", "query"): (
        "SignatureDoesNotMatch",
        403,
        "Credential should be scoped to a valid region. "
        "(this cloud is {expected}, the request was signed for {signed})",
    ),
    ("wrong region", "json"): (
        "InvalidSignatureException",
        400,
        "Credential should be scoped to a valid region. "
        "(this cloud is {expected}, the request was signed for {signed})",
    ),
}


def family(target: Target) -> Family:
    """Which set of error codes the service speaks."""
    if target.service == "s3":
        return "s3"
    return "query" if target.protocol in ("query", "ec2") else "json"


def json_status(target: Target) -> int:
    """The status with which a service of the family `json` refuses a caller: 403 where it has paths
    and verbs (Lambda's API reference, "Common errors"; SageMaker Runtime: observed), else 400."""
    return 403 if target.protocol == "rest-json" else 400


def _error(trouble: Trouble, target: Target, **words: str) -> ServiceError:
    kind = family(target)
    code, status, message = _ERRORS[trouble, kind]
    if kind == "json":
        status = json_status(target)
    return ServiceError(code, message.format(**words), status=status)


@dataclass(frozen=True, slots=True)
class Caller:
    """principal: who signed. body: the verified stream, where the body has not been read yet."""

    principal: Principal
    access_key_id: str
    body: BodyStream | None


class Authenticator:
    """Checks signatures against the keys of a Keyring."""

    def __init__(self, keyring: Keyring, scope: Scope) -> None:
        self._keyring = keyring
        self._scope = scope

    def authenticate(self, request: Request, target: Target, now: datetime) -> Caller:
        """Raises ServiceError: unsigned, unknown key, wrong or expired token, wrong region,
        wrong or stale signature, wrong payload hash."""
        signature = sigv4.read_signature(request)
        if signature is None:
            raise _error("unsigned", target)
        key = self._keyring.find(signature.access_key)
        if key is None:
            raise _error("unknown key", target)
        if not compare_digest(
            (key.session_token or "").encode(), (signature.session_token or "").encode()
        ):
            raise _error("wrong token", target)
        self._check_region(signature.region, target)
        sigv4.verify(signature, key.secret_access_key, request, now)
        if key.expires is not None and key.expires <= now:
            raise _error("expired token", target)
        self._keyring.note_use(signature.access_key, target.service, now)
        # A body that was read whole has been verified with the signature.
        body = (
            payload.VerifiedBody(request, signature, key.secret_access_key)
            if request.body is None
            else None
        )
        return Caller(key.principal, signature.access_key, body)

    def _check_region(self, signed: str, target: Target) -> None:
        expected = self._scope.region
        if signed in ("", expected):  # SigV2 query signatures carry no region
            return
        if signed == "us-east-1" and target.service in SERVICES_SIGNED_IN_US_EAST_1:
            return
        raise _error("wrong region", target, signed=signed, expected=expected)
