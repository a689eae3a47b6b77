"""An event in, what it asks for out. Pure.

    {"url": "https://..."}  {"s3": "s3://bucket/key"}  {"image": "<base64>"}

as they are, as a function's direct callers send them, or as the body of an HTTP request: function
URLs and API Gateway wrap it in an event of their own. There the body may also be the picture.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fogbank.front.refusals import BadEvent, Preflight, TooLarge

_FORM = 'send one of {"url": "https://..."}, {"s3": "s3://bucket/key"}, {"image": "<base64>"}'
_PICTURE_TYPES = ("image/", "application/octet-stream", "application/x-image")


@dataclass(frozen=True, slots=True)
class Url:
    url: str


@dataclass(frozen=True, slots=True)
class StoredObject:
    uri: str


@dataclass(frozen=True, slots=True)
class Inline:
    content: bytes = field(repr=False)


Source = Url | StoredObject | Inline


def is_http(event: object) -> bool:
    """Whether it came from a function URL or API Gateway (payload formats 1.0 and 2.0)."""
    return isinstance(event, Mapping) and ("requestContext" in event or "httpMethod" in event)


def read_event(event: object, max_bytes: int) -> Source:
    """Where the picture is. Raises BadEvent, TooLarge; Preflight where a browser asks first."""
    if isinstance(event, Mapping) and is_http(event):
        return _from_http(event, max_bytes)
    return _from_fields(event, max_bytes)


def _from_http(event: Mapping[str, Any], max_bytes: int) -> Source:
    method = event.get("httpMethod") or _member(event, "requestContext", "http", "method")
    if method == "OPTIONS":
        raise Preflight
    body = event.get("body")
    if not isinstance(body, str) or not body:
        raise BadEvent(f"the request has no body: {_FORM}")
    content = _decode(body, max_bytes) if event.get("isBase64Encoded") is True else body.encode()
    if _content_type(event).startswith(_PICTURE_TYPES):
        return _inline(content, max_bytes)
    try:
        return _from_fields(json.loads(content), max_bytes)
    except (ValueError, RecursionError) as error:
        raise BadEvent(f"the body is not JSON: {_FORM}") from error


def _member(value: object, *path: str) -> object:
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _content_type(event: Mapping[str, Any]) -> str:
    headers = event.get("headers")
    for name, value in headers.items() if isinstance(headers, Mapping) else ():
        if str(name).lower() == "content-type":
            return str(value).lower()
    return ""


def _from_fields(event: object, max_bytes: int) -> Source:
    if not isinstance(event, Mapping):
        raise BadEvent(f"the event is not an object: {_FORM}")
    given = [name for name in ("url", "s3", "image") if name in event]
    if len(given) != 1:
        raise BadEvent(f"the event has {' and '.join(given) or 'no picture'}: {_FORM}")
    (name,) = given
    value = event[name]
    if not isinstance(value, str) or not value:
        raise BadEvent(f'"{name}" has to be text: {_FORM}')
    match name:
        case "url":
            return Url(value)
        case "s3":
            return StoredObject(value)
        case _:
            return _inline(_decode(value, max_bytes), max_bytes)


def _inline(content: bytes, max_bytes: int) -> Inline:
    if len(content) > max_bytes:
        raise _too_large(max_bytes)
    return Inline(content)


def _decode(text: str, max_bytes: int) -> bytes:
    if text.startswith("data:"):  # as browsers produce them
        text = text.partition(",")[2]
    text = "".join(text.split())  # as `base64` wraps its lines
    if len(text) // 4 * 3 > max_bytes + 2:
        raise _too_large(max_bytes)
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadEvent(f"the picture is not base64: {_FORM}") from error


def _too_large(max_bytes: int) -> TooLarge:
    return TooLarge(f"the picture is larger than {max_bytes:,} bytes")
