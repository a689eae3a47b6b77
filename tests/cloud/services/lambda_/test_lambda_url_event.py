"""Events of function URLs and the responses that answers stand for; CORS."""

from __future__ import annotations

import json
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest

from cloud.aws import NOW, ROOT, no_body
from fogbank.cloud.context import Headers, Principal, Request
from fogbank.cloud.services.lambda_.url_cors import cors_headers, is_preflight, preflight_headers
from fogbank.cloud.services.lambda_.url_event import BadAnswer, UrlCall, event, response

ANSWERS: list[dict[str, Any]] = json.loads(
    (Path(__file__).resolve().parents[3] / "cases" / "lambda" / "url_answers.json").read_text()
)


def call(
    *headers: tuple[str, str],
    method: str = "GET",
    query: str = "",
    body: bytes = b"",
    caller: Principal | None = None,
) -> dict[str, Any]:
    request = Request(
        method, "/_lambda-url/abc/a%20b", query, Headers(headers), no_body, body, "192.0.2.7"
    )
    return event(
        UrlCall(
            url_id="abc",
            host="127.0.0.1",
            path="/a%20b",
            request=request,
            body=body,
            caller=caller,
            access_key_id="AKIAEXAMPLE",
            request_id="request-1",
            received=NOW,
        )
    )


@pytest.mark.docs
def test_a_plain_request_becomes_an_event() -> None:
    made = call(
        ("host", "127.0.0.1:4566"),
        ("user-agent", "curl/8"),
        ("x-two", "1"),
        ("x-two", "2"),
        ("connection", "keep-alive"),
        ("x-forwarded-for", "198.51.100.1"),
        ("cookie", "a=1; b=2"),
        query="q=dog%20breed&q=cat&empty=",
    )
    assert made == {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": "/a%20b",
        "rawQueryString": "q=dog%20breed&q=cat&empty=",
        "cookies": ["a=1", "b=2"],
        "headers": {
            "host": "127.0.0.1:4566",
            "user-agent": "curl/8",
            "x-two": "1,2",
            "x-forwarded-for": "192.0.2.7",
            "x-forwarded-proto": "http",
            "x-forwarded-port": "4566",
        },
        "queryStringParameters": {"q": "dog breed,cat", "empty": ""},
        "requestContext": {
            "accountId": "anonymous",
            "apiId": "abc",
            "domainName": "127.0.0.1",
            "domainPrefix": "abc",
            "http": {
                "method": "GET",
                "path": "/a%20b",
                "protocol": "HTTP/1.1",
                "sourceIp": "192.0.2.7",
                "userAgent": "curl/8",
            },
            "requestId": "request-1",
            "routeKey": "$default",
            "stage": "$default",
            "time": "21/Nov/2026:12:00:00 +0000",
            "timeEpoch": int(NOW.timestamp() * 1000),
        },
        "isBase64Encoded": False,
    }


@pytest.mark.docs
@pytest.mark.parametrize(
    ("content_type", "body", "is_text"),
    [
        ("application/json", b'{"url": "x"}', True),
        ("application/json; charset=utf-8", "ä".encode(), True),
        ("text/plain", b"hi", True),
        ("application/problem+json", b"{}", True),
        ("image/jpeg", b"\xff\xd8\xff", False),
        ("application/x-www-form-urlencoded", b"a=1", False),
        ("", b"hi", False),
        ("text/plain", b"\xff\xfe", False),
    ],
)
def test_a_binary_body_travels_in_base64(content_type: str, body: bytes, is_text: bool) -> None:
    made = call(("content-type", content_type), method="POST", body=body)
    assert made["isBase64Encoded"] is not is_text
    assert made["body"] == (body.decode() if is_text else b64encode(body).decode())


@pytest.mark.docs
def test_who_signed_is_in_the_event() -> None:
    context = call(caller=ROOT)["requestContext"]
    assert context["accountId"] == "123456789012"
    iam = context["authorizer"]["iam"]
    assert (iam["userArn"], iam["accessKey"]) == (ROOT.arn, "AKIAEXAMPLE")


@pytest.mark.docs
@pytest.mark.parametrize("case", ANSWERS, ids=lambda case: case["why"])
def test_an_answer_stands_for_a_response(case: dict[str, Any]) -> None:
    payload = case["payload"].encode()
    if "refused" in case:
        with pytest.raises(BadAnswer, match=case["refused"]):
            response(payload)
        return
    made = response(payload)
    assert made.status == case["status"]
    assert made.headers == case["headers"]
    assert made.body == case["body"].encode()
    assert made.cookies == tuple(case.get("cookies", ()))


CORS = {
    "AllowOrigins": ["https://a.example", "https://b.example"],
    "AllowMethods": ["GET", "POST"],
    "AllowHeaders": ["content-type"],
    "ExposeHeaders": ["x-amzn-requestid"],
    "MaxAge": 60,
}


def origin(name: str, *more: tuple[str, str]) -> Headers:
    return Headers((("origin", name), *more))


@pytest.mark.docs
def test_cors_answers_the_origins_that_may() -> None:
    assert cors_headers(CORS, origin("https://b.example")) == {
        "vary": "Origin",
        "access-control-allow-origin": "https://b.example",
        "access-control-expose-headers": "x-amzn-requestid",
    }
    assert cors_headers(CORS, origin("https://c.example")) == {"vary": "Origin"}
    assert cors_headers(CORS, Headers()) == {"vary": "Origin"}
    everybody = {"AllowOrigins": ["*"]}
    assert cors_headers(everybody, origin("x"))["access-control-allow-origin"] == "*"
    trusting = {**everybody, "AllowCredentials": True}
    assert cors_headers(trusting, origin("x")) == {
        "vary": "Origin",
        "access-control-allow-origin": "x",
        "access-control-allow-credentials": "true",
    }


@pytest.mark.docs
def test_a_preflight_is_told_what_may_be_sent() -> None:
    asked = origin("https://a.example", ("access-control-request-method", "POST"))
    assert is_preflight("OPTIONS", asked)
    assert not is_preflight("OPTIONS", origin("https://a.example"))
    assert not is_preflight("POST", asked)
    assert preflight_headers(CORS, asked) == {
        "vary": "Origin",
        "access-control-allow-origin": "https://a.example",
        "access-control-allow-methods": "GET,POST",
        "access-control-allow-headers": "content-type",
        "access-control-max-age": "60",
    }
    stranger = origin("https://c.example", ("access-control-request-method", "POST"))
    assert preflight_headers(CORS, stranger) == {"vary": "Origin"}
