"""A request to a function URL -> the event, and the function's answer -> the response. Pure.

Source: Lambda Developer Guide, "Invoking Lambda function URLs" (payload format version 2.0).
"""

from __future__ import annotations

import binascii
import json
import re
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import unquote_plus

from fogbank.cloud.context import Principal, Request, Response

_TEXT_TYPES = ("application/json", "application/javascript", "application/xml")
_OURS = frozenset({"connection", "content-length", "transfer-encoding", "keep-alive"})
"""Headers of one connection: the server writes them."""

_NOT_SHOWN = frozenset(
    {
        "cookie",
        "connection",
        "transfer-encoding",
        "keep-alive",
        "x-forwarded-for",
        "x-forwarded-proto",
        "x-forwarded-port",
    }
)
"""Cookies have a member of their own; the x-forwarded headers are never the client's word."""

_BODILESS = (204, 304)
"""A body after one of these would be taken for the next answer."""

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9a-z-]+")
"""What a header's name may be (RFC 9110)."""

_MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
"""`%b` would speak the language of the host."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UrlCall:
    """One request to a function URL.

    path:   what the function sees: without what leads to the URL on this host.
    host:   the Host header, without the port.
    caller: who signed; None for AuthType NONE.
    """

    url_id: str
    host: str
    path: str
    request: Request
    body: bytes
    caller: Principal | None
    access_key_id: str
    request_id: str
    received: datetime


def event(call: UrlCall) -> dict[str, Any]:
    """The event in payload format 2.0."""
    request = call.request
    made: dict[str, Any] = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": call.path,
        "rawQueryString": request.raw_query,
        "headers": _headers(call),
        "requestContext": _request_context(call),
        "isBase64Encoded": False,
    }
    cookies = [part.strip() for part in request.headers.get("cookie").split(";") if part.strip()]
    if cookies:
        made["cookies"] = cookies
    if request.raw_query:
        made["queryStringParameters"] = _query(request.raw_query)
    if call.body:
        text = _text(call.body, request.headers.get("content-type"))
        made["isBase64Encoded"] = text is None
        made["body"] = b64encode(call.body).decode("ascii") if text is None else text
    return made


def _headers(call: UrlCall) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in call.request.headers.items:
        if name not in _NOT_SHOWN:
            found[name] = f"{found[name]},{value}" if name in found else value
    found["x-forwarded-for"] = call.request.source_ip
    found["x-forwarded-proto"] = "http"
    found["x-forwarded-port"] = call.request.headers.get("host").partition(":")[2] or "80"
    return found


def _query(raw_query: str) -> dict[str, str]:
    """Values of one name are joined with commas."""
    found: dict[str, str] = {}
    for pair in raw_query.split("&"):
        name, _, value = pair.partition("=")
        if pair:
            key, text = unquote_plus(name), unquote_plus(value)
            found[key] = f"{found[key]},{text}" if key in found else text
    return found


def _request_context(call: UrlCall) -> dict[str, Any]:
    at = call.received
    context: dict[str, Any] = {
        "accountId": "anonymous" if call.caller is None else call.caller.account,
        "apiId": call.url_id,
        "domainName": call.host,
        "domainPrefix": call.url_id,
        "http": {
            "method": call.request.method,
            "path": call.path,
            "protocol": "HTTP/1.1",
            "sourceIp": call.request.source_ip,
            "userAgent": call.request.headers.get("user-agent"),
        },
        "requestId": call.request_id,
        "routeKey": "$default",
        "stage": "$default",
        "time": f"{at.day:02d}/{_MONTHS[at.month - 1]}/{at:%Y:%H:%M:%S} +0000",
        "timeEpoch": int(at.timestamp() * 1000),
    }
    if call.caller is not None:
        context["authorizer"] = {
            "iam": {
                "accessKey": call.access_key_id,
                "accountId": call.caller.account,
                "callerId": call.caller.user_id,
                "cognitoIdentity": None,
                "principalOrgId": None,
                "userArn": call.caller.arn,
                "userId": call.caller.user_id,
            }
        }
    return context


def _text(body: bytes, content_type: str) -> str | None:
    """The body as text, None where it has to travel in base64."""
    kind = content_type.partition(";")[0].strip().lower()
    if not (kind.startswith("text/") or kind in _TEXT_TYPES or kind.endswith(("+json", "+xml"))):
        return None
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError:
        return None


class BadAnswer(ValueError):
    """The function's answer cannot be made a response."""


def response(payload: bytes) -> Response:
    """The HTTP response that a function's answer stands for. Raises BadAnswer.

    An object with a statusCode says status, headers, cookies and body itself; anything else is the
    body of a 200, as JSON.
    """
    try:
        answer = json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise BadAnswer(f"not JSON: {error}") from error
    if not isinstance(answer, dict) or "statusCode" not in answer:
        return Response(200, {"content-type": "application/json"}, payload)
    headers: dict[str, str] = {"content-type": "application/json"}
    for name, value in _mapping(answer.get("headers")).items():
        lowered = name.lower()
        if _TOKEN.fullmatch(lowered) is None:
            raise BadAnswer(f"{name!r} is no header's name")
        if lowered not in _OURS:
            headers[lowered] = _line(value)
    status = _status(answer["statusCode"])
    body = _body(answer.get("body"), is_base64=answer.get("isBase64Encoded") is True)
    return Response(
        status,
        headers,
        b"" if status in _BODILESS else body,
        cookies=_cookies(answer.get("cookies")),
    )


def _mapping(value: Any) -> Mapping[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise BadAnswer("headers is not an object")
    return value


def _cookies(value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list):
        raise BadAnswer("cookies is not a list")
    return tuple(_line(cookie) for cookie in value)


def _line(value: Any) -> str:
    """A header's value: a line break would begin another header."""
    text = ("true" if value else "false") if isinstance(value, bool) else str(value)
    if not text.isprintable():
        raise BadAnswer("a header has unprintable characters")
    return text.encode("utf-8").decode("latin-1")


def _status(value: Any) -> int:
    try:
        status = int(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise BadAnswer(f"statusCode is {value!r}") from error
    if isinstance(value, bool) or not 200 <= status <= 599:
        raise BadAnswer(f"statusCode is {value!r}")
    return status


def _body(body: Any, *, is_base64: bool) -> bytes:
    if body is None:
        return b""
    text = body if isinstance(body, str) else json.dumps(body, separators=(",", ":"))
    if not is_base64:
        return text.encode("utf-8", "surrogatepass")
    try:
        return b64decode(text, validate=True)
    except binascii.Error as error:
        raise BadAnswer(f"the body is no base64: {error}") from error
