"""Function URLs as clients meet them: addresses, permissions, signatures, failures."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from cloud.aws import ROOT, SCOPE
from cloud.services.lambda_.lambda_plane import ENDPOINT, LambdaPlane
from fogbank.cloud.authentication import Authenticator
from fogbank.cloud.context import Headers, Principal, Request, Response
from fogbank.cloud.doors.code_downloads import CodeDownloads
from fogbank.cloud.doors.function_urls import FunctionUrlDoor
from fogbank.cloud.errors import ServiceError
from fogbank.cloud.ports import (
    FunctionCall,
    FunctionResult,
    FunctionThrottled,
    FunctionUnavailable,
    SessionCredentials,
    SigningKey,
)
from fogbank.cloud.records.function import FunctionUrl
from fogbank.cloud.rules.authorization import root_and_role_sessions
from fogbank.cloud.state.database import Database
from fogbank.cloud.state.trail import Trail
from fogbank.testing.clock import ManualClock

NOW = datetime.now(UTC)  # noqa: TID251 - botocore signs with real time
ALICE = Principal("arn:aws:iam::123456789012:user/alice", SCOPE.account, "AIDA", "user")


class Keys:
    def find(self, access_key_id: str) -> SigningKey | None:
        known = {"AKIAROOT000000000000": ROOT, "AKIAALICE00000000000": ALICE}
        who = known.get(access_key_id)
        return None if who is None else SigningKey("secret", None, None, who)

    def note_use(self, access_key_id: str, service: str, now: datetime) -> None: ...

    def issue_role_session(
        self, role_arn: str, session_name: str, *, duration_s: int, now: datetime
    ) -> SessionCredentials:
        raise LookupError(role_arn)


class Site:
    """A plane with a door before it."""

    def __init__(self, folder: Path) -> None:
        self.plane = LambdaPlane(folder, now=NOW)
        self.database = Database(":memory:", schema="telemetry")
        self.trail = Trail(self.database)
        self._numbers = count(1)
        self.door = self.new_door()

    def new_door(self) -> FunctionUrlDoor:
        """As at a start of the cloud."""
        return FunctionUrlDoor(
            records=self.plane.records,
            caller=self.plane.caller,
            authenticator=Authenticator(Keys(), SCOPE),
            authorizer=root_and_role_sessions,
            trail=self.trail,
            new_request_id=lambda: f"request-{next(self._numbers)}",
            clock=ManualClock(NOW),
        )

    async def url(self, auth_type: str = "NONE", **more: Any) -> str:
        """The path of a new URL of `dogs`."""
        await self.plane.active(versions=1)
        made = await self.plane(
            "CreateFunctionUrlConfig", FunctionName="dogs", AuthType=auth_type, **more
        )
        address: str = made["FunctionUrl"]
        return address.removeprefix(ENDPOINT)

    async def public(self, **more: Any) -> str:
        """A URL that everybody may call."""
        path = await self.url(**more)
        target = {"FunctionName": "dogs", "Principal": "*"}
        await self.plane(
            "AddPermission",
            **target,
            StatementId="url",
            Action="lambda:InvokeFunctionUrl",
            FunctionUrlAuthType="NONE",
        )
        await self.plane(
            "AddPermission",
            **target,
            StatementId="function",
            Action="lambda:InvokeFunction",
            InvokedViaFunctionUrl=True,
        )
        return path

    async def send(
        self,
        path: str,
        *headers: tuple[str, str],
        method: str = "GET",
        query: str = "",
        body: bytes = b"",
    ) -> Response:
        async def receive() -> AsyncIterator[bytes]:
            yield body

        named = (
            headers
            if any(name == "host" for name, _ in headers)
            else (
                ("host", "127.0.0.1:4566"),
                *headers,
            )
        )
        request = Request(method, path, query, Headers(named), receive)
        assert self.door.takes(request)
        return await self.door.handle(request)

    @property
    def event(self) -> Any:
        return json.loads(self.plane.invoker.calls[-1].payload)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def json_of(response: Response) -> Any:
    assert isinstance(response.body, bytes)
    return json.loads(response.body)


def fails(error: Exception) -> Any:
    def answer(_: FunctionCall) -> FunctionResult:
        raise error

    return answer


@pytest.mark.docs
async def test_a_url_calls_its_function(site: Site) -> None:
    path = await site.public()
    site.plane.invoker.answer = lambda _: FunctionResult(
        b'{"statusCode": 201, "headers": {"X-Breed": "pug"}, "body": "woof", "cookies": ["a=1"]}'
    )
    answer = await site.send(
        f"{path}predict",
        ("content-type", "application/json"),
        method="POST",
        query="a=1",
        body=b'{"url": "x"}',
    )
    assert (answer.status, answer.body, answer.cookies) == (201, b"woof", ("a=1",))
    assert answer.headers["x-breed"] == "pug"
    assert answer.headers["x-amzn-requestid"] == "request-1"
    assert (site.event["rawPath"], site.event["body"]) == ("/predict", '{"url": "x"}')
    call = site.plane.invoker.calls[0]
    assert (call.version, call.qualifier, call.request_id) == ("$LATEST", "", "request-1")


@pytest.mark.docs
async def test_a_url_of_an_alias_calls_the_alias(site: Site) -> None:
    path = await site.public()
    await site.plane("CreateAlias", FunctionName="dogs", Name="live", FunctionVersion="1")
    made = await site.plane(
        "CreateFunctionUrlConfig", FunctionName="dogs", Qualifier="live", AuthType="AWS_IAM"
    )
    url = made["FunctionUrl"].removeprefix(ENDPOINT)
    assert url != path
    assert (await site.send(url, *signed(url))).status == 200
    call = site.plane.invoker.calls[0]
    assert (call.version, call.qualifier) == ("1", "live")


@pytest.mark.docs
@pytest.mark.parametrize("suffix", ["us-east-1.on.aws", "us-east-1.localhost:4566", "us-east-1"])
async def test_a_url_is_found_by_its_host_name(site: Site, suffix: str) -> None:
    await site.public()
    url_id = site.plane.records.all(FunctionUrl)[0].url_id
    answer = await site.send("/a/b", ("host", f"{url_id}.lambda-url.{suffix}"))
    assert answer.status == 200
    assert site.event["rawPath"] == "/a/b"
    assert site.event["requestContext"]["domainPrefix"] == url_id


@pytest.mark.docs
@pytest.mark.parametrize(
    ("action", "more"),
    [
        ("lambda:InvokeFunctionUrl", {"FunctionUrlAuthType": "NONE"}),
        ("lambda:InvokeFunction", {"InvokedViaFunctionUrl": True}),
    ],
)
async def test_a_public_url_needs_the_policy_s_permission(
    site: Site, action: str, more: dict[str, Any]
) -> None:
    path = await site.url()
    answer = await site.send(path)
    assert (answer.status, json_of(answer)) == (403, {"Message": "Forbidden"})
    await site.plane(
        "AddPermission",
        FunctionName="dogs",
        StatementId="half",
        Action=action,
        Principal="*",
        **more,
    )
    assert (await site.send(path)).status == 403
    assert site.plane.invoker.calls == []


@pytest.mark.docs
async def test_an_address_that_was_deleted_is_not_its_successors(site: Site) -> None:
    old = await site.public()
    await site.plane("DeleteFunctionUrlConfig", FunctionName="dogs")
    made = await site.plane("CreateFunctionUrlConfig", FunctionName="dogs", AuthType="NONE")
    assert (await site.send(old)).status == 403
    assert (await site.send(made["FunctionUrl"].removeprefix(ENDPOINT))).status == 200


async def test_addresses_outlive_the_cloud(site: Site) -> None:
    path = await site.public()
    site.door = site.new_door()
    assert (await site.send(path)).status == 200


@pytest.mark.docs
async def test_an_unknown_url_is_forbidden(site: Site) -> None:
    assert (await site.send("/_lambda-url/none/")).status == 403


def signed(
    path: str, *, key: str = "AKIAROOT000000000000", secret: str = "secret", service: str = "lambda"
) -> list[tuple[str, str]]:
    request = AWSRequest("GET", f"{ENDPOINT}{path}", headers={"host": "127.0.0.1:4566"})
    SigV4Auth(Credentials(key, secret), service, "us-east-1").add_auth(request)
    return [(name.lower(), value) for name, value in request.headers.items()]


@pytest.mark.docs
async def test_a_signed_url_wants_a_signature(site: Site) -> None:
    path = await site.url("AWS_IAM")
    answer = await site.send(path, *signed(path))
    assert answer.status == 200
    iam = site.event["requestContext"]["authorizer"]["iam"]
    assert (iam["userArn"], iam["accessKey"]) == (ROOT.arn, "AKIAROOT000000000000")
    refused = [
        await site.send(path),
        await site.send(path, *signed(path, secret="wrong")),
        await site.send(path, *signed(path, key="AKIANOBODY0000000000")),
        await site.send(path, *signed(path, key="AKIAALICE00000000000")),
        await site.send(path, *signed(path, service="execute-api")),
        await site.send(f"{path}other", *signed(path)),
    ]
    assert [answer.status for answer in refused] == [403] * 6
    assert json_of(refused[0]) == {"Message": "Forbidden"}
    assert len(site.plane.invoker.calls) == 1


@pytest.mark.docs
@pytest.mark.parametrize(
    "result",
    [
        FunctionResult(b'{"errorMessage": "secret detail"}', error="Unhandled"),
        FunctionResult(b'{"statusCode": "nonsense"}'),
    ],
)
async def test_a_function_that_fails_is_a_bad_gateway(site: Site, result: FunctionResult) -> None:
    path = await site.public()
    site.plane.invoker.answer = lambda _: result
    answer = await site.send(path)
    assert (answer.status, answer.body) == (502, b"Internal Server Error")


@pytest.mark.parametrize("error", [ZeroDivisionError("a bug"), FunctionUnavailable("no code")])
async def test_trouble_of_the_cloud_s_own_is_a_bad_gateway_too(
    site: Site, error: Exception
) -> None:
    path = await site.public()
    site.plane.invoker.answer = fails(error)
    assert (await site.send(path)).status == 502
    site.trail.flush()
    (row,) = site.database.connection.execute("SELECT error_code FROM trail").fetchall()
    assert row[0] == ("InternalFailure" if type(error) is ZeroDivisionError else "ServiceException")


@pytest.mark.docs
async def test_a_throttle_says_when_to_come_again(site: Site) -> None:
    path = await site.public()
    site.plane.invoker.answer = fails(FunctionThrottled("ConcurrentInvocationLimitExceeded", 3))
    answer = await site.send(path)
    assert (answer.status, answer.headers["retry-after"]) == (429, "3")
    assert json_of(answer)["Reason"] == "ConcurrentInvocationLimitExceeded"


@pytest.mark.docs
async def test_a_function_that_is_not_ready_is_a_bad_gateway(site: Site) -> None:
    path = await site.public()
    await site.plane("DeleteFunction", FunctionName="dogs")
    assert (await site.send(path)).status == 403  # the URL went with it
    await site.plane.create()
    made = await site.plane("CreateFunctionUrlConfig", FunctionName="dogs", AuthType="AWS_IAM")
    again = made["FunctionUrl"].removeprefix(ENDPOINT)
    assert (await site.send(again, *signed(again))).status == 502


@pytest.mark.docs
async def test_a_body_has_a_limit(site: Site) -> None:
    path = await site.public()
    for size_bytes in (6_291_457, 6_000_000):  # too large itself; too large in base64
        answer = await site.send(path, method="POST", body=bytes(size_bytes))
        assert answer.status == 413
    assert site.plane.invoker.calls == []


@pytest.mark.docs
async def test_cors_is_answered_by_the_url(site: Site) -> None:
    path = await site.public(Cors={"AllowOrigins": ["https://a.example"], "AllowMethods": ["GET"]})
    origin = ("origin", "https://a.example")
    asked = await site.send(
        path, origin, ("access-control-request-method", "GET"), method="OPTIONS"
    )
    assert (asked.status, asked.body) == (200, b"")
    assert asked.headers["access-control-allow-methods"] == "GET"
    assert site.plane.invoker.calls == []
    site.plane.invoker.answer = lambda _: FunctionResult(
        b'{"statusCode": 200, "headers": {"Access-Control-Allow-Origin": "*"}}'
    )
    answer = await site.send(path, origin)
    assert answer.headers["access-control-allow-origin"] == "https://a.example"


@pytest.mark.docs
async def test_without_cors_options_go_to_the_function(site: Site) -> None:
    path = await site.public()
    asked = (("origin", "x"), ("access-control-request-method", "GET"))
    assert (await site.send(path, *asked, method="OPTIONS")).status == 200
    assert site.event["requestContext"]["http"]["method"] == "OPTIONS"


async def test_calls_are_in_the_trail(site: Site) -> None:
    path = await site.url()
    await site.send(path)
    site.trail.flush()
    rows = site.database.connection.execute(
        "SELECT service, operation, status, error_code FROM trail"
    ).fetchall()
    assert [tuple(row) for row in rows] == [
        ("lambda", "InvokeFunctionUrl", 403, "AccessDeniedException")
    ]


async def test_other_requests_are_not_for_this_door(site: Site) -> None:
    for path, host in (
        ("/", "127.0.0.1:4566"),
        ("/bucket/key", "lambda-url.us-east-1.on.aws"),
        ("/_lambda-url/abc/", "bucket.s3.us-east-1.amazonaws.com"),
        ("/_lambda-code/abc", "bucket.localhost:4566"),
    ):
        request = Request("GET", path, "", Headers((("host", host),)), lambda: None)  # type: ignore[arg-type,return-value]
        assert not site.door.takes(request)
        assert not CodeDownloads(site.plane.links, ManualClock()).takes(request)


async def download(
    site: Site, address: str, *, method: str = "GET", after_s: float = 0
) -> Response:
    clock = ManualClock(NOW)
    await clock.advance(after_s)
    door = CodeDownloads(site.plane.links, clock)
    path, _, query = address.removeprefix(ENDPOINT).partition("?")

    async def receive() -> AsyncIterator[bytes]:
        yield b""

    request = Request(method, path, query, Headers(), receive)
    assert door.takes(request)
    return await door.handle(request)


@pytest.mark.docs
async def test_the_location_of_code_downloads_it(site: Site) -> None:
    await site.plane.active()
    shown = await site.plane("GetFunction", FunctionName="dogs")
    location = shown["Code"]["Location"]
    answer = await download(site, location)
    assert not isinstance(answer.body, bytes)
    content = b"".join([piece async for piece in answer.body])
    digest = shown["Configuration"]["CodeSha256"]
    assert content == site.plane.code.archive(digest).read_bytes()
    assert answer.headers["content-length"] == str(len(content))
    head = await download(site, location, method="HEAD")
    assert (head.status, head.body) == (200, b"")
    assert head.headers["content-length"] == str(len(content))


@pytest.mark.docs
async def test_a_location_is_good_for_ten_minutes_and_for_nothing_else(site: Site) -> None:
    await site.plane.active()
    location = (await site.plane("GetFunction", FunctionName="dogs"))["Code"]["Location"]
    assert (await download(site, location, after_s=599)).status == 200
    assert (await download(site, location, after_s=602)).status == 403
    assert (await download(site, location.replace("expires=1", "expires=9"))).status == 403
    assert (await download(site, location.replace("code/", "code/0"))).status == 403
    assert (await download(site, location.partition("?")[0])).status == 403
    assert (await download(site, location, method="DELETE")).status == 405
    site.plane.code.sweep([])
    assert (await download(site, location)).status == 404


async def test_a_link_cannot_be_made_by_a_stranger(site: Site) -> None:
    with pytest.raises(ServiceError, match="not a valid one"):
        site.plane.links.open("00" * 32, "9999999999", "ä", NOW)
