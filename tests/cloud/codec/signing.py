"""Requests signed by botocore's own signers, as they come off the wire."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from botocore.auth import (
    HmacV1QueryAuth,
    S3SigV4Auth,
    S3SigV4QueryAuth,
    SigV4Auth,
    SigV4QueryAuth,
)
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from cloud.codec.roundtrip import ENDPOINT, text_headers, wire_request
from fogbank.cloud.context import Headers, Request

ACCESS_KEY = "AKIDEXAMPLE"
SECRET_KEY = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"


def signer(kind: str, token: str | None = None) -> Any:
    """A signer of botocore by a short name."""
    credentials = Credentials(ACCESS_KEY, SECRET_KEY, token)
    if kind == "header":
        return SigV4Auth(credentials, "sagemaker", "us-east-1")
    if kind == "query":
        return SigV4QueryAuth(credentials, "sts", "us-east-1", expires=60)
    if kind == "s3-header":
        return S3SigV4Auth(credentials, "s3", "us-east-1")
    if kind == "s3-query":
        return S3SigV4QueryAuth(credentials, "s3", "us-east-1", expires=60)
    if kind == "s3-v2":
        return HmacV1QueryAuth(credentials, expires=60)
    raise LookupError(kind)


def signed(
    kind: str,
    method: str = "GET",
    path: str = "/",
    *,
    body: bytes = b"",
    headers: dict[str, str] | None = None,
    params: dict[str, str] | None = None,
    token: str | None = None,
    endpoint: str = ENDPOINT,
) -> Request:
    request = AWSRequest(
        method=method,
        url=endpoint + path,
        headers=dict(headers or {}),
        data=b"" if kind in ("query", "s3-query") else body,  # they sign no body
        params=params or {},
        auth_path=path.partition("?")[0],
    )
    signer(kind, token).add_auth(request)
    prepared = request.prepare()
    url = urlsplit(prepared.url)
    found = text_headers(prepared.headers)
    found.setdefault("host", url.netloc)
    if kind == "s3-v2":
        found.pop("Date", None)  # the signer's scratch; botocore does not send it
    return wire_request(method, url.path, url.query, found, body)


def with_header(request: Request, name: str, value: str) -> Request:
    """A copy with one header replaced or added."""
    kept = tuple((key, old) for key, old in request.headers.items if key != name)
    return replace(request, headers=Headers((*kept, (name, value))))
