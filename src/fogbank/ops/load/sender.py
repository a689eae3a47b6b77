"""One request after the other to an endpoint or a function, many at a time, signed as AWS wants it.

Out: OK or an error's code (`Throttling`, `ModelError`, `504` of a function's own answer ...), never
an exception: a broken connection is a result, too.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Sequence
from typing import Protocol
from urllib.parse import quote

import aiohttp

from fogbank.aws import RUNTIME_READ_TIMEOUT_S, Aws
from fogbank.ops.load.generator import OK
from fogbank.ops.names import ALIAS

BROKEN, TIMED_OUT = "ConnectionError", "Timeout"


class Sender(Protocol):
    """Sends one request each time. what: for people."""

    what: str

    async def send(self) -> str: ...

    async def close(self) -> None: ...


class _Http:
    """Kept-alive connections, as many as there are requests at a time."""

    def __init__(self, aws: Aws, service: str) -> None:
        self._aws = aws
        self._service = service
        self._session: aiohttp.ClientSession | None = None

    async def post(self, path: str, headers: dict[str, str], body: bytes) -> tuple[str, bytes]:
        """(error code or OK, the body of the answer)"""
        url = f"{self._aws.url}{path}"
        signed = self._aws.signed_headers(self._service, "POST", url, headers, body)
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0),
                timeout=aiohttp.ClientTimeout(total=RUNTIME_READ_TIMEOUT_S),
            )
        try:
            async with self._session.post(url, data=body, headers=signed) as answer:
                content = await answer.read()
        except TimeoutError:
            return TIMED_OUT, b""
        except (aiohttp.ClientError, OSError):
            return BROKEN, b""
        if answer.status < 300:
            if "x-amz-function-error" in answer.headers:
                return f"FunctionError{answer.headers['x-amz-function-error']}", content
            return OK, content
        kind = answer.headers.get("x-amzn-errortype", "").partition(":")[0]
        return kind or str(answer.status), content

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            await asyncio.sleep(0)  # aiohttp closes its connections a turn later


class EndpointSender:
    """Pictures to an endpoint, in turn. pictures: (content type, bytes)."""

    def __init__(self, aws: Aws, endpoint: str, pictures: Sequence[tuple[str, bytes]]) -> None:
        self.what = f"endpoint {endpoint}"
        self._http = _Http(aws, "sagemaker")
        self._path = f"/endpoints/{quote(endpoint, safe='')}/invocations"
        self._pictures = pictures
        self._number = 0

    async def send(self) -> str:
        content_type, body = self._pictures[self._number % len(self._pictures)]
        self._number += 1
        headers = {"Content-Type": content_type, "Accept": "application/json"}
        return (await self._http.post(self._path, headers, body))[0]

    async def close(self) -> None:
        await self._http.close()


class FunctionSender:
    """Pictures to the alias of a function, in turn. Its own statusCode counts as an error from 400
    on."""

    def __init__(self, aws: Aws, function: str, pictures: Sequence[tuple[str, bytes]]) -> None:
        self.what = f"function {function}:{ALIAS}"
        self._http = _Http(aws, "lambda")
        name = quote(function, safe="")
        self._path = f"/2015-03-31/functions/{name}/invocations?Qualifier={ALIAS}"
        self._events = [
            json.dumps({"image": base64.b64encode(body).decode()}).encode() for _, body in pictures
        ]
        self._number = 0

    async def send(self) -> str:
        event = self._events[self._number % len(self._events)]
        self._number += 1
        headers = {"Content-Type": "application/json"}
        error, content = await self._http.post(self._path, headers, event)
        return error or _own_status(content)

    async def close(self) -> None:
        await self._http.close()


def _own_status(content: bytes) -> str:
    try:
        status = json.loads(content)["statusCode"]
    except (ValueError, KeyError, TypeError):
        return OK
    return str(status) if isinstance(status, int) and status >= 400 else OK
