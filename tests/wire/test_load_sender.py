"""Load through the real wire: signed requests to endpoints and functions, errors as codes."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from fogbank.aws import Aws, Credentials
from fogbank.ops.load.sender import BROKEN, EndpointSender, FunctionSender
from fogbank.testing.cloud import RunningCloud

PICTURES = [("image/png", b"one"), ("image/jpeg", b"two")]
KEYS = Credentials(access_key_id="AKIDEXAMPLE", secret_access_key="secret")


def aws_of(url: str, credentials: Credentials = KEYS) -> Aws:
    return Aws(url=url, account="123456789012", region="us-east-1", credentials=credentials)


@pytest.fixture
async def seen() -> AsyncIterator[tuple[Aws, list[tuple[str, str, bytes]], list[web.Response]]]:
    """A server that remembers what it is asked and answers what it is told."""
    asked: list[tuple[str, str, bytes]] = []
    answers: list[web.Response] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append((request.path_qs, request.content_type, await request.read()))
        return answers.pop(0) if answers else web.Response()

    app = web.Application()
    app.router.add_post("/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield aws_of(str(site.name)), asked, answers
    await runner.cleanup()


async def test_pictures_are_sent_in_turn(
    seen: tuple[Aws, list[tuple[str, str, bytes]], list[web.Response]],
) -> None:
    aws, asked, _ = seen
    sender = EndpointSender(aws, "dogs", PICTURES)
    assert [await sender.send() for _ in range(3)] == ["", "", ""]
    await sender.close()
    path = "/endpoints/dogs/invocations"
    assert asked == [
        (path, "image/png", b"one"),
        (path, "image/jpeg", b"two"),
        (path, "image/png", b"one"),
    ]


async def test_a_functions_own_status_counts(
    seen: tuple[Aws, list[tuple[str, str, bytes]], list[web.Response]],
) -> None:
    aws, asked, answers = seen
    answers += [
        web.json_response({"statusCode": 200, "body": "[]"}),
        web.json_response({"statusCode": 424}),
        web.json_response({"errorType": "X"}, headers={"X-Amz-Function-Error": "Unhandled"}),
        web.json_response({}, status=429, headers={"x-amzn-ErrorType": "TooManyRequestsException"}),
        web.json_response([1, 2]),
    ]
    sender = FunctionSender(aws, "front", PICTURES)
    codes = [await sender.send() for _ in range(5)]
    await sender.close()
    assert codes == ["", "424", "FunctionErrorUnhandled", "TooManyRequestsException", ""]
    assert asked[0][0] == "/2015-03-31/functions/front/invocations?Qualifier=live"
    assert json.loads(asked[0][2]) == {"image": "b25l"}


async def test_a_connection_that_breaks_is_a_result() -> None:
    sender = EndpointSender(aws_of("http://127.0.0.1:9"), "dogs", PICTURES)
    assert await sender.send() == BROKEN
    await sender.close()


@pytest.mark.model
async def test_the_cloud_takes_the_signature(cloud: RunningCloud) -> None:
    keys = json.loads((cloud.home / "credentials.json").read_text())["notebook"]
    credentials = Credentials(
        access_key_id=keys["AccessKeyId"],
        secret_access_key=keys["SecretAccessKey"],
        session_token=keys["SessionToken"],
    )
    url = f"http://127.0.0.1:{cloud.port}"
    sender = EndpointSender(aws_of(url, credentials), "none", PICTURES)
    assert await sender.send() == "ValidationError"  # there is no such endpoint
    await sender.close()
    stranger = EndpointSender(aws_of(url), "none", PICTURES)
    assert await stranger.send() not in ("", "ValidationError")
    await stranger.close()
