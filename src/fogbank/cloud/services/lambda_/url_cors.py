"""CORS of function URLs: a URL's configuration and a request in, headers out. Pure.

Source: Lambda Developer Guide, "Creating and managing Lambda function URLs" (Cross-origin resource
sharing), and the Fetch standard for what the headers mean.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fogbank.cloud.context import Headers

_PREFLIGHT = "access-control-request-method"


def is_preflight(method: str, headers: Headers) -> bool:
    """Whether a browser asks before it sends the real request."""
    return method == "OPTIONS" and "origin" in headers and _PREFLIGHT in headers


def preflight_headers(cors: Mapping[str, Any], headers: Headers) -> dict[str, str]:
    """The answer to a preflight; nothing that a browser accepts where the origin may not."""
    answer = cors_headers(cors, headers)
    if "access-control-allow-origin" not in answer:
        return answer
    answer.pop("access-control-expose-headers", None)
    methods = cors.get("AllowMethods")
    if methods:
        answer["access-control-allow-methods"] = ",".join(methods)
    allowed = cors.get("AllowHeaders")
    if allowed:
        answer["access-control-allow-headers"] = ",".join(allowed)
    if cors.get("MaxAge"):
        answer["access-control-max-age"] = str(cors["MaxAge"])
    return answer


def cors_headers(cors: Mapping[str, Any], headers: Headers) -> dict[str, str]:
    """What the configuration adds to an answer. It wins over what the function says."""
    answer = {"vary": "Origin"}
    origin = headers.get("origin")
    allowed = _origin(cors, origin)
    if allowed is None:
        return answer
    answer["access-control-allow-origin"] = allowed
    if cors.get("AllowCredentials"):
        answer["access-control-allow-credentials"] = "true"
    if cors.get("ExposeHeaders"):
        answer["access-control-expose-headers"] = ",".join(cors["ExposeHeaders"])
    return answer


def _origin(cors: Mapping[str, Any], origin: str) -> str | None:
    """With credentials a browser does not take `*`: the origin itself is named then."""
    origins = cors.get("AllowOrigins", ())
    if not origin:
        return None
    if "*" in origins:
        return origin if cors.get("AllowCredentials") else "*"
    return origin if origin in origins else None
