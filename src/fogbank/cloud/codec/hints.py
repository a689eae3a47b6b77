"""What a request gives away about itself before it is identified: scope, target, form, host.

Shared by `identify`, `sigv4` and the error answers: a request that cannot be identified still has
to be refused in a shape that its client can read.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import unquote_plus

from fogbank.cloud.context import Request

HOSTS = ("localhost", "127.0.0.1", "[::1]", "amazonaws.com", "localhost.localdomain")
"""Host names that the cloud answers under; what stands before one of them may be a bucket."""

_CREDENTIAL = re.compile(r"Credential=([^,\s]+)")
_PORT = re.compile(r":\d*$")
# bucket.s3.us-east-1.amazonaws.com, s3-us-west-2.amazonaws.com, b.s3.dualstack.eu-west-1...
_S3_LABEL = re.compile(
    r"^(?:(?P<bucket>.+)\.)?s3"
    r"(?:[.-](?:dualstack|accelerate|fips|external-1|[a-z]{2}(?:-[a-z]+)+-\d+))*$"
)


def query_value(raw_query: str, name: str) -> str | None:
    """The first value of a query parameter, decoded; None where it is absent."""
    if name not in raw_query:
        return None
    for pair in raw_query.split("&"):
        key, _, value = pair.partition("=")
        if key == name:
            return unquote_plus(value)
    return None


def scope_service(request: Request) -> str | None:
    """The service in the credential scope of a SigV4 signature (`s3`, `monitoring`); None if none.

    A SigV2 signature has no scope: only S3 still takes one, so it counts as `s3`.
    """
    credential = query_value(request.raw_query, "X-Amz-Credential")
    authorization = request.headers.get("authorization")
    if authorization:
        if authorization.startswith("AWS "):
            return "s3"
        found = _CREDENTIAL.search(authorization)
        credential = found[1] if found else None
    elif credential is None and query_value(request.raw_query, "AWSAccessKeyId") is not None:
        return "s3"
    # An access key has no slash: KEY/DATE/REGION/SERVICE/aws4_request
    parts = credential.split("/") if credential else []
    return parts[3] if len(parts) == 5 else None


def is_form(request: Request) -> bool:
    """Whether the body is a web form, as the query and ec2 protocols send it."""
    return request.headers.get("content-type").startswith("application/x-www-form-urlencoded")


def error_protocol(request: Request) -> str:
    """The protocol whose error shape a client that sent this request most likely reads."""
    headers = request.headers
    if headers.get("smithy-protocol") == "rpc-v2-cbor":
        return "smithy-rpc-v2-cbor"
    if "x-amz-target" in headers:
        return "json"
    scope = scope_service(request)
    if scope == "ec2":
        return "ec2"
    if is_form(request) or query_value(request.raw_query, "Action") is not None:
        return "query"
    return "rest-xml" if scope in (None, "s3") else "rest-json"


def host_prefix(request: Request, hosts: Sequence[str]) -> str | None:
    """What the Host header has before one of `hosts`: "" for the bare host, None for a stranger."""
    host = _PORT.sub("", request.headers.get("host").lower())
    for name in hosts:
        if host == name:
            return ""
        if host.endswith("." + name):
            return host[: -len(name) - 1]
    return None


def host_bucket(request: Request, hosts: Sequence[str] = HOSTS) -> str | None:
    """The bucket that a virtual-host style S3 request names in its Host header; None if path style.

    Below `amazonaws.com` a bucket needs an `s3` label after it; below a local name
    (`my-bucket.localhost`) it does not.
    """
    prefix = host_prefix(request, hosts)
    if not prefix:
        return None
    found = _S3_LABEL.match(prefix)
    if found:
        return found["bucket"]
    host = _PORT.sub("", request.headers.get("host").lower())
    return None if host.endswith(".amazonaws.com") else prefix


def is_s3_host(request: Request, hosts: Sequence[str]) -> bool:
    """Whether the Host header itself says S3."""
    prefix = host_prefix(request, hosts)
    return bool(prefix) and _S3_LABEL.match(prefix or "") is not None
