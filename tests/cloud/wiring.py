"""boto3 clients whose requests go straight into a Gateway: the whole wire, without a socket."""

from __future__ import annotations

import asyncio
import io
from typing import Any
from urllib.parse import urlsplit

from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.compat import HTTPHeaders
from botocore.config import Config

from fogbank.aws import Credentials, boto3_session
from fogbank.cloud.context import BodyStream, Headers, Request, Response
from fogbank.cloud.gateway import Gateway


class _Raw(io.BytesIO):
    """What botocore reads a response body from."""

    def stream(self, amount: int = 65536, decode_content: bool | None = None) -> Any:
        while piece := self.read(amount):
            yield piece


def request_of(prepared: AWSPreparedRequest) -> Request:
    url = urlsplit(prepared.url)
    headers = [
        (name.lower(), value.decode() if isinstance(value, bytes) else str(value))
        for name, value in dict[str, Any](prepared.headers).items()
    ]
    body: Any = prepared.body or b""
    content: bytes = body.encode() if isinstance(body, str) else body
    if hasattr(body, "read"):
        content = body.read()
    if not any(name == "host" for name, _ in headers):
        headers.append(("host", url.netloc))

    async def receive() -> BodyStream:
        for start in range(0, len(content), 1000):
            yield content[start : start + 1000]

    return Request(prepared.method, url.path or "/", url.query, Headers(tuple(headers)), receive)


async def content_of(response: Response) -> bytes:
    if isinstance(response.body, bytes):
        return response.body
    return b"".join([piece async for piece in response.body])


def client(
    gateway: Gateway,
    service: str,
    access_key_id: str,
    secret_access_key: str,
    session_token: str | None = None,
    *,
    region: str = "us-east-1",
) -> Any:
    """A boto3 client, with retries switched off."""
    credentials = Credentials(
        access_key_id=access_key_id,
        secret_access_key=secret_access_key,
        session_token=session_token,
    )
    made = boto3_session(credentials, region).client(
        service,
        endpoint_url="http://127.0.0.1:4566",
        config=Config(retries={"max_attempts": 1, "mode": "standard"}),
    )

    def answer(request: AWSPreparedRequest, **_: object) -> AWSResponse:
        async def exchange() -> tuple[Response, bytes]:
            response = await gateway.handle(request_of(request))
            return response, await content_of(response)

        response, content = asyncio.run(exchange())
        headers = HTTPHeaders.from_dict(response.headers)
        return AWSResponse(request.url, response.status, headers, _Raw(content))

    made.meta.events.register("before-send.*", answer)
    return made
