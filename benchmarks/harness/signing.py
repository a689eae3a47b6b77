"""boto3 calls -> the bytes that boto3 would send, signed, without sending them.

A signature is valid for 15 minutes, so a request can be made once and sent many times.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit


class _NotSent(Exception):
    """Carries the request out of botocore, which was about to send it."""

    def __init__(self, request: Any) -> None:
        super().__init__("not sent")
        self.request = request


def _stop(request: Any, **_: Any) -> None:
    raise _NotSent(request)


def signed(client: Any, operation: str, **parameters: Any) -> bytes:
    """The request of `client.<operation>(**parameters)`, whole. `Expect: 100-continue`, which is
    not part of the signature, is left out: there is nobody to wait for it."""
    client.meta.events.register("before-send", _stop)
    try:
        getattr(client, operation)(**parameters)
    except _NotSent as stopped:
        request = stopped.request
    else:
        raise AssertionError(f"{operation} was sent")
    finally:
        client.meta.events.unregister("before-send", _stop)
    body = request.body or b""
    if isinstance(body, str):
        body = body.encode()
    elif not isinstance(body, bytes):
        body = body.read()
    url = urlsplit(request.url)
    headers = {
        name.lower(): value.decode() if isinstance(value, bytes) else str(value)
        for name, value in request.headers.items()
    }
    headers.pop("expect", None)
    headers |= {"host": url.netloc, "content-length": str(len(body))}
    path = (url.path or "/") + (f"?{url.query}" if url.query else "")
    head = [f"{request.method} {path} HTTP/1.1", *(f"{k}: {v}" for k, v in headers.items())]
    return "\r\n".join([*head, "", ""]).encode("latin-1") + bytes(body)
