"""Request in, Signature out; Signature and secret key in, nothing or AWS's refusal out.

Takes SigV4 in the Authorization header or the query (presigned), and SigV2 in the query for S3
(the presigned URLs that boto3 makes by default). Sources: "Signature Version 4 signing process"
(AWS IAM User Guide), "Authenticating Requests (AWS Signature Version 4)" and "Signing and
authenticating REST requests" (Amazon S3 API Reference and User Guide).
"""

from __future__ import annotations

import hmac
import re
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import cached_property, lru_cache
from hashlib import sha256

from fogbank.cloud.codec import hints, refusals
from fogbank.cloud.codec.canonical import canonical_request, resource_v2
from fogbank.cloud.context import Request

ALGORITHM = "AWS4-HMAC-SHA256"
UNSIGNED = "UNSIGNED-PAYLOAD"
EMPTY_SHA256 = sha256(b"").hexdigest()
MAX_SKEW = timedelta(minutes=15)
_MAX_EXPIRES_S = 604_800  # a week
_BASIC_DATE = re.compile(r"[0-9]{8}T[0-9]{6}Z")
_HEX64 = re.compile(r"^[0-9a-f]{64}$")
_PART = re.compile(r"(Credential|SignedHeaders|Signature)=([^,\s]*)")
_PRESIGNED = ("Algorithm", "Credential", "Date", "Expires", "SignedHeaders", "Signature")


@dataclass(frozen=True)
class Signature:
    """What a request claims about who signed it, not yet verified.

    date:          when it was signed; for a SigV2 URL the moment at which it expires.
    timestamp:     the signing date as it stands in the string to sign.
    service:       the signing name of the credential scope (`s3`, `monitoring`).
    payload_hash:  SHA-256 in hex, `UNSIGNED-PAYLOAD`, or one of the `STREAMING-...` words.
    expires_s:     how long a presigned URL is good for, seconds; None for a header signature.
    version:       4, or 2 for S3's old presigned URLs.
    """

    access_key: str
    date: datetime
    timestamp: str
    region: str
    service: str
    signed_headers: tuple[str, ...]
    signature: str
    payload_hash: str
    session_token: str | None = field(repr=False)
    presigned: bool
    expires_s: int | None = None
    version: int = 4

    @cached_property
    def scope(self) -> str:
        """`20260102/us-east-1/s3/aws4_request`."""
        return f"{self.timestamp[:8]}/{self.region}/{self.service}/aws4_request"


def read_signature(request: Request) -> Signature | None:
    """The signature of a request; None where it has none (an anonymous request).

    Raises ServiceError for one that cannot be read: IncompleteSignature, for S3
    AuthorizationHeaderMalformed or AuthorizationQueryParametersError.
    """
    authorization = request.headers.get("authorization")
    if authorization:
        return _from_header(request, authorization)
    if "X-Amz-" in request.raw_query and "X-Amz-Algorithm=" in request.raw_query:
        return _from_query(request)
    if hints.query_value(request.raw_query, "AWSAccessKeyId") is not None:
        return _from_query_v2(request)
    return None


def verify(
    signature: Signature,
    secret_key: str,
    request: Request,
    now: datetime,
    *,
    hosts: Sequence[str] = hints.HOSTS,
) -> None:
    """Raise ServiceError unless `request` was signed with `secret_key`, and not too long ago.

    A body that has been read whole is verified too; one in pieces is `payload.VerifiedBody`'s.
    hosts: as given to `Identifier`; SigV2 signs the bucket, which may stand in the Host header.
    """
    if signature.version == 2:
        _verify_v2(signature, secret_key, request, now, hosts)
        return
    _check_age(signature, request, now)
    canonical = canonical_request(
        request,
        signed_headers=signature.signed_headers,
        payload_hash=signature.payload_hash,
        s3=signature.service == "s3",
    )
    digest = sha256(canonical.encode()).hexdigest()
    to_sign = "\n".join((ALGORITHM, signature.timestamp, signature.scope, digest))
    expected = hmac.digest(signing_key(signature, secret_key), to_sign.encode(), "sha256").hex()
    if not hmac.compare_digest(expected.encode(), signature.signature.encode()):
        raise refusals.does_not_match(request, signature, to_sign, canonical)
    _check_coverage(signature, request)
    _check_whole_body(signature, request)


def signing_key(signature: Signature, secret_key: str) -> bytes:
    """The key of one day, region and service."""
    return _signing_key(secret_key, signature.timestamp[:8], signature.region, signature.service)


@lru_cache(maxsize=1024)
def _signing_key(secret_key: str, day: str, region: str, service: str) -> bytes:
    key = f"AWS4{secret_key}".encode()
    for part in (day, region, service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


def _from_header(request: Request, authorization: str) -> Signature:
    algorithm, _, rest = authorization.partition(" ")
    if algorithm != ALGORITHM:
        raise refusals.unsupported_algorithm(request, algorithm)
    parts = dict(_PART.findall(rest))
    missing = [name for name in ("Credential", "Signature", "SignedHeaders") if not parts.get(name)]
    if missing:
        raise refusals.incomplete_header(request, missing)
    access_key, day, region, service = _credential(request, parts["Credential"])
    date, timestamp = _header_date(request)
    if timestamp[:8] != day:
        raise refusals.wrong_day(request, day, timestamp[:8])
    signed = tuple(parts["SignedHeaders"].lower().split(";"))
    if "host" not in signed:
        raise refusals.host_not_signed(request)
    return Signature(
        access_key=access_key,
        date=date,
        timestamp=timestamp,
        region=region,
        service=service,
        signed_headers=signed,
        signature=parts["Signature"],
        payload_hash=_payload_hash(request, service),
        session_token=request.headers.get("x-amz-security-token") or None,
        presigned=False,
    )


def _from_query(request: Request) -> Signature:
    found = {name: hints.query_value(request.raw_query, f"X-Amz-{name}") for name in _PRESIGNED}
    if not all(found.values()):
        raise refusals.incomplete_query(request)
    values = {name: value or "" for name, value in found.items()}
    if values["Algorithm"] != ALGORITHM:
        raise refusals.unsupported_algorithm(request, values["Algorithm"])
    access_key, day, region, service = _credential(request, values["Credential"])
    expires = values["Expires"]
    if not (expires.isascii() and expires.isdigit()) or len(expires) > 9:
        raise refusals.expires(request, "X-Amz-Expires should be a number")
    if int(expires) > _MAX_EXPIRES_S:
        raise refusals.expires(
            request,
            "X-Amz-Expires must be less than a week (in seconds); that is, the given "
            "X-Amz-Expires must be less than 604800 seconds",
        )
    date, timestamp = _basic_date(request, values["Date"])
    if timestamp[:8] != day:
        raise refusals.wrong_day(request, day, timestamp[:8])
    signed = tuple(values["SignedHeaders"].lower().split(";"))
    if "host" not in signed:
        raise refusals.host_not_signed(request)
    whole = _body_hash(request) if service != "s3" else UNSIGNED
    return Signature(
        access_key=access_key,
        date=date,
        timestamp=timestamp,
        region=region,
        service=service,
        signed_headers=signed,
        signature=values["Signature"],
        payload_hash=hints.query_value(request.raw_query, "X-Amz-Content-Sha256") or whole,
        session_token=hints.query_value(request.raw_query, "X-Amz-Security-Token"),
        presigned=True,
        expires_s=int(expires),
    )


def _from_query_v2(request: Request) -> Signature:
    query = request.raw_query
    expires = hints.query_value(query, "Expires") or ""
    given = hints.query_value(query, "Signature")
    if not given or not (expires.isascii() and expires.isdigit()) or len(expires) > 11:
        raise refusals.incomplete_v2()
    date = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=int(expires))
    return Signature(
        access_key=hints.query_value(query, "AWSAccessKeyId") or "",
        date=date,
        timestamp=_basic(date),
        region="",
        service="s3",
        signed_headers=(),
        signature=given,
        payload_hash=UNSIGNED,
        session_token=hints.query_value(query, "x-amz-security-token"),
        presigned=True,
        expires_s=0,
        version=2,
    )


def _credential(request: Request, credential: str) -> tuple[str, str, str, str]:
    parts = credential.split("/")
    if len(parts) != 5 or parts[4] != "aws4_request" or not all(parts):
        raise refusals.malformed_credential(request)
    return parts[0], parts[1], parts[2], parts[3]


def _header_date(request: Request) -> tuple[datetime, str]:
    """The signing date, and as it stands in the string to sign."""
    basic = request.headers.get("x-amz-date")
    if basic:
        return _basic_date(request, basic)
    date = request.headers.get("date")
    if not date:
        raise refusals.no_date(request)
    try:
        moment = parsedate_to_datetime(date)
    except ValueError:
        return _basic_date(request, date)  # ISO 8601 basic is allowed in Date as well
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return moment, _basic(moment)


def _basic_date(request: Request, text: str) -> tuple[datetime, str]:
    try:
        # On every request: strptime would take ten times as long.
        if not _BASIC_DATE.fullmatch(text):
            raise ValueError(text)
        return datetime.fromisoformat(text), text
    except ValueError:
        raise refusals.no_date(request) from None


def _basic(moment: datetime) -> str:
    """`YYYYMMDDTHHMMSSZ` of a moment in UTC."""
    return moment.strftime("%Y%m%dT%H%M%SZ")


def _payload_hash(request: Request, service: str) -> str:
    declared = request.headers.get("x-amz-content-sha256")
    if service != "s3":
        # Every other service hashes the body that it got; a declared hash proves nothing.
        return _body_hash(request)
    if not declared:
        raise refusals.no_content_hash()
    if not (_HEX64.match(declared) or declared == UNSIGNED or declared.startswith("STREAMING-")):
        raise refusals.bad_content_hash(declared)
    return declared


def _body_hash(request: Request) -> str:
    return sha256(request.body).hexdigest() if request.body else EMPTY_SHA256


def _check_age(signature: Signature, request: Request, now: datetime) -> None:
    if signature.expires_s is not None:
        expiry = signature.date + timedelta(seconds=signature.expires_s)
        if now > expiry:
            raise refusals.url_expired(request, signature, expiry, now)
        if signature.date > now + MAX_SKEW:
            raise refusals.not_yet_valid(request, signature, now)
    elif abs(now - signature.date) > MAX_SKEW:
        raise refusals.skewed(request, signature, now)


def _check_coverage(signature: Signature, request: Request) -> None:
    """Every x-amz- header must be signed, or whoever passes the request on could add some."""
    if signature.service != "s3":
        return
    signed = set(signature.signed_headers)
    if signature.presigned:
        signed.add("x-amz-content-sha256")  # not part of a presigned URL's meaning
    loose = [
        name
        for name, _ in request.headers.items
        if name.startswith("x-amz-") and name not in signed
    ]
    if loose:
        raise refusals.headers_not_signed(loose)


def _check_whole_body(signature: Signature, request: Request) -> None:
    if signature.service != "s3" and not signature.presigned:
        return  # the hash is that of this very body: see `_payload_hash`
    if request.body is None or not _HEX64.match(signature.payload_hash):
        return
    actual = _body_hash(request)
    if not hmac.compare_digest(actual, signature.payload_hash):
        raise refusals.body_mismatch(signature.payload_hash, actual)


def _verify_v2(
    signature: Signature,
    secret_key: str,
    request: Request,
    now: datetime,
    hosts: Sequence[str],
) -> None:
    if now > signature.date:
        raise refusals.url_expired(request, signature, signature.date, now)
    to_sign = resource_v2(request, hints.host_bucket(request, hosts))
    digest = hmac.new(secret_key.encode(), to_sign.encode(), "sha1").digest()
    expected = b64encode(digest)
    if not hmac.compare_digest(expected, signature.signature.encode()):
        raise refusals.does_not_match(request, signature, to_sign, None)
