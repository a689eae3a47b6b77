"""Events: whose form is right, and what is said of the others."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from fogbank.front.event import Inline, StoredObject, Url, is_http, read_event
from fogbank.front.refusals import BadEvent, Preflight, TooLarge

MAX_BYTES = 3000
PICTURE = bytes(range(256)) * 10
TEXT = base64.b64encode(PICTURE).decode()


def over_http(body: str | None, *, encoded: bool = False, **headers: str) -> dict[str, Any]:
    """As a function URL wraps it (payload format 2.0)."""
    return {
        "version": "2.0",
        "requestContext": {"http": {"method": "POST"}},
        "headers": {name.replace("_", "-"): value for name, value in headers.items()},
        "body": body,
        "isBase64Encoded": encoded,
    }


@pytest.mark.parametrize(
    ("event", "source"),
    [
        ({"url": "https://a/b"}, Url("https://a/b")),
        ({"s3": "s3://bucket/key", "note": 1}, StoredObject("s3://bucket/key")),
        ({"image": TEXT}, Inline(PICTURE)),
        ({"image": f"data:image/png;base64,{TEXT}"}, Inline(PICTURE)),
        ({"image": base64.encodebytes(PICTURE).decode()}, Inline(PICTURE)),
        (over_http('{"url": "https://a/b"}'), Url("https://a/b")),
        (over_http(base64.b64encode(b'{"url": "u"}').decode(), encoded=True), Url("u")),
        (over_http(TEXT, encoded=True, content_type="image/png"), Inline(PICTURE)),
        ({"httpMethod": "POST", "headers": None, "body": '{"url": "u"}'}, Url("u")),
    ],
)
def test_where_the_picture_is(event: Any, source: Any) -> None:
    assert read_event(event, MAX_BYTES) == source


@pytest.mark.parametrize(
    "event",
    [
        None,
        [],
        "https://a/b",
        {},
        {"key1": "value1"},
        {"url": "u", "image": TEXT},
        {"url": None},
        {"url": ""},
        {"url": ["https://a/b"]},
        {"image": 7},
        {"image": "no base64!"},
        {"image": "abc"},
        over_http(None),
        over_http(""),
        over_http("{"),
        over_http("[" * 100_000),
        over_http("[]"),
        over_http('"url"'),
        over_http("no base64!", encoded=True, content_type="image/png"),
        {"requestContext": None, "body": 3},
    ],
    ids=lambda event: str(event)[:40],
)
def test_bad_events(event: Any) -> None:
    with pytest.raises(BadEvent, match=r'\{"url": "https://\.\.\."\}'):
        read_event(event, MAX_BYTES)


@pytest.mark.parametrize(
    "event",
    [
        {"image": base64.b64encode(bytes(MAX_BYTES + 1)).decode()},
        {"image": "A" * 1_000_000},
        over_http(
            base64.b64encode(bytes(MAX_BYTES + 1)).decode(), encoded=True, Content_Type="image/gif"
        ),
    ],
)
def test_too_large(event: Any) -> None:
    with pytest.raises(TooLarge):
        read_event(event, MAX_BYTES)


def test_as_large_as_allowed() -> None:
    content = bytes(MAX_BYTES)
    assert read_event({"image": base64.b64encode(content).decode()}, MAX_BYTES) == Inline(content)


@pytest.mark.parametrize(
    "event",
    [{"requestContext": {"http": {"method": "OPTIONS"}}}, {"httpMethod": "OPTIONS", "body": None}],
)
def test_a_browser_asks_first(event: Any) -> None:
    with pytest.raises(Preflight):
        read_event(event, MAX_BYTES)


def test_who_asks() -> None:
    assert is_http(over_http("x"))
    assert not is_http(json.loads('{"url": "u"}'))
    assert not is_http("requestContext")
