"""The request path, with real boto3 clients and services of a few lines."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from cloud.wiring import client
from fogbank.cloud.authentication import Authenticator
from fogbank.cloud.context import Context, Params, Principal
from fogbank.cloud.errors import ServiceError
from fogbank.cloud.gateway import Gateway
from fogbank.cloud.ports import SessionCredentials, SigningKey
from fogbank.cloud.rules.authorization import root_and_role_sessions
from fogbank.cloud.services.base import Handler
from fogbank.cloud.state.database import Database
from fogbank.cloud.state.trail import Trail, TrailEntry
from fogbank.core.arn import Scope
from fogbank.core.clock import SystemClock

ACCOUNT = "123456789012"
ROOT = Principal(f"arn:aws:iam::{ACCOUNT}:root", ACCOUNT, ACCOUNT, "root")
ALICE = Principal(f"arn:aws:iam::{ACCOUNT}:user/alice", ACCOUNT, "AIDAEXAMPLE", "user")
SESSION = Principal(
    f"arn:aws:sts::{ACCOUNT}:assumed-role/train/job",
    ACCOUNT,
    "AROAEXAMPLE:job",
    "role-session",
    f"arn:aws:iam::{ACCOUNT}:role/train",
)
IN_AN_HOUR = datetime.now(UTC) + timedelta(hours=1)  # noqa: TID251 - boto3 signs with real time
AN_HOUR_AGO = datetime.now(UTC) - timedelta(hours=1)  # noqa: TID251

KEYS = {
    "AKIAROOT000000000000": SigningKey("root-secret", None, None, ROOT),
    "AKIAALICE00000000000": SigningKey("alice-secret", None, None, ALICE),
    "ASIASESSION000000000": SigningKey("session-secret", "token", IN_AN_HOUR, SESSION),
    "ASIAEXPIRED000000000": SigningKey("expired-secret", "token", AN_HOUR_AGO, SESSION),
}


class Keys:
    def __init__(self, keys: Mapping[str, SigningKey]) -> None:
        self._keys = keys

    def find(self, access_key_id: str) -> SigningKey | None:
        return self._keys.get(access_key_id)

    def note_use(self, access_key_id: str, service: str, now: datetime) -> None:
        self.used = (access_key_id, service)

    def issue_role_session(
        self, role_arn: str, session_name: str, *, duration_s: int, now: datetime
    ) -> SessionCredentials:
        raise LookupError(role_arn)


def get_caller_identity(context: Context, _: Params) -> Params:
    who = context.caller
    return {"Account": who.account, "Arn": who.arn, "UserId": who.user_id}


async def put_object(_: Context, params: Params) -> Params:
    body: AsyncIterator[bytes] = params["Body"]
    size = sum([len(piece) async for piece in body])
    return {"ETag": f'"{size}"'}


async def get_object(context: Context, params: Params) -> Params:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"dog"
        yield b"gy"

    context.status = 206
    return {"Body": pieces(), "ContentLength": 5, "ContentType": params["Key"]}


def describe_training_job(_: Context, params: Params) -> Params:
    if params["TrainingJobName"] == "broken":
        raise ZeroDivisionError("a bug of ours")
    if params["TrainingJobName"] == "ill-shaped":
        return {"NoSuchMember": 1}
    raise ServiceError("ValidationException", "Requested resource not found.")


SERVICES: dict[str, dict[str, Handler]] = {
    "sts": {"GetCallerIdentity": get_caller_identity},
    "s3": {"PutObject": put_object, "GetObject": get_object, "ListBuckets": lambda *_: {}},
    "sagemaker": {"DescribeTrainingJob": describe_training_job},
    "lambda": {"ListFunctions": lambda *_: {}},
}


@pytest.fixture
def trail() -> Trail:
    return Trail(Database(":memory:", schema="telemetry"))


@pytest.fixture
def gateway(trail: Trail) -> Gateway:
    return Gateway(
        services=SERVICES,
        authenticator=Authenticator(Keys(KEYS), Scope()),
        authorizer=root_and_role_sessions,
        trail=trail,
        clock=SystemClock(),
    )


def as_root(gateway: Gateway, service: str, **more: Any) -> Any:
    return client(gateway, service, "AKIAROOT000000000000", "root-secret", **more)


def call_something(caller: Any) -> None:
    """An operation that SERVICES has, of the client's service."""
    match caller.meta.service_model.service_name:
        case "s3":
            caller.list_buckets()
        case "sts":
            caller.get_caller_identity()
        case "sagemaker":
            caller.describe_training_job(TrainingJobName="dogs")
        case "lambda":
            caller.list_functions()


def code_of(error: pytest.ExceptionInfo[ClientError]) -> tuple[str, int]:
    response = error.value.response
    return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]


def test_who_signed_is_who_calls(gateway: Gateway) -> None:
    assert as_root(gateway, "sts").get_caller_identity()["Arn"] == ROOT.arn
    session = client(gateway, "sts", "ASIASESSION000000000", "session-secret", "token")
    answer = session.get_caller_identity()
    assert answer["Arn"] == SESSION.arn
    assert len(answer["ResponseMetadata"]["RequestId"]) == 36


NOBODY = ("AKIANOBODY", "x", None)
WRONG_SECRET = ("AKIAROOT000000000000", "x", None)
WRONG_TOKEN = ("ASIASESSION000000000", "session-secret", "wrong")
NO_TOKEN = ("ASIASESSION000000000", "session-secret", None)
EXPIRED = ("ASIAEXPIRED000000000", "expired-secret", "token")


@pytest.mark.docs
@pytest.mark.parametrize(
    ("service", "keys", "expected"),
    [
        ("sts", NOBODY, ("InvalidClientTokenId", 403)),
        ("s3", NOBODY, ("InvalidAccessKeyId", 403)),
        ("sagemaker", NOBODY, ("UnrecognizedClientException", 400)),
        ("lambda", NOBODY, ("UnrecognizedClientException", 403)),
        ("sts", WRONG_SECRET, ("SignatureDoesNotMatch", 403)),
        ("s3", WRONG_SECRET, ("SignatureDoesNotMatch", 403)),
        ("sagemaker", WRONG_SECRET, ("InvalidSignatureException", 400)),
        ("lambda", WRONG_SECRET, ("InvalidSignatureException", 403)),
        ("s3", WRONG_TOKEN, ("InvalidToken", 400)),
        ("sts", NO_TOKEN, ("InvalidClientTokenId", 403)),
        ("s3", EXPIRED, ("ExpiredToken", 400)),
        ("sagemaker", EXPIRED, ("ExpiredTokenException", 400)),
        ("lambda", EXPIRED, ("ExpiredTokenException", 403)),
    ],
)
def test_who_may_not_sign_is_refused_in_the_words_of_the_service(
    gateway: Gateway,
    service: str,
    keys: tuple[str, str, str | None],
    expected: tuple[str, int],
) -> None:
    with pytest.raises(ClientError) as error:
        call_something(client(gateway, service, *keys))
    assert code_of(error) == expected


@pytest.mark.docs
@pytest.mark.parametrize(
    ("service", "expected"),
    [
        ("s3", ("AuthorizationHeaderMalformed", 400)),
        ("sagemaker", ("InvalidSignatureException", 400)),
        ("lambda", ("InvalidSignatureException", 403)),
        ("sts", ("SignatureDoesNotMatch", 403)),
    ],
)
def test_a_request_for_another_region_says_which_one_is_right(
    gateway: Gateway, service: str, expected: tuple[str, int]
) -> None:
    abroad = as_root(gateway, service, region="eu-west-1")
    with pytest.raises(ClientError, match="us-east-1") as error:
        call_something(abroad)
    assert code_of(error) == expected


@pytest.mark.model
def test_bodies_stream_in_and_out(gateway: Gateway) -> None:
    s3 = as_root(gateway, "s3")
    assert s3.put_object(Bucket="dogs", Key="a", Body=b"x" * 12345)["ETag"] == '"12345"'
    answer = s3.get_object(Bucket="dogs", Key="image/png")
    assert answer["Body"].read() == b"doggy"
    assert answer["ContentType"] == "image/png"
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 206


def test_a_user_may_only_ask_who_it_is_until_policies_are_evaluated(gateway: Gateway) -> None:
    alice = ("AKIAALICE00000000000", "alice-secret")
    assert client(gateway, "sts", *alice).get_caller_identity()["Arn"] == ALICE.arn
    with pytest.raises(ClientError, match="user/alice is not authorized") as error:
        client(gateway, "s3", *alice).list_buckets()
    assert code_of(error) == ("AccessDenied", 403)
    with pytest.raises(ClientError) as error:
        client(gateway, "sagemaker", *alice).describe_training_job(TrainingJobName="x")
    assert code_of(error) == ("AccessDeniedException", 400)
    with pytest.raises(ClientError) as error:
        client(gateway, "lambda", *alice).list_functions()
    assert code_of(error) == ("AccessDeniedException", 403)


@pytest.mark.parametrize(
    ("service", "call"),
    [("s3", "get_bucket_accelerate_configuration"), ("sagemaker", "list_apps")],
)
def test_what_is_not_implemented_says_so_by_name(gateway: Gateway, service: str, call: str) -> None:
    arguments = {"Bucket": "dogs"} if service == "s3" else {}
    with pytest.raises(ClientError, match=f"does not implement {service}:") as error:
        getattr(as_root(gateway, service), call)(**arguments)
    assert code_of(error) == ("NotImplemented", 501)


@pytest.mark.parametrize("name", ["broken", "ill-shaped"])
def test_a_bug_of_ours_is_an_internal_failure_that_names_the_request(
    gateway: Gateway, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(ClientError) as error:
        as_root(gateway, "sagemaker").describe_training_job(TrainingJobName=name)
    assert code_of(error) == ("InternalFailure", 500)
    request_id = error.value.response["ResponseMetadata"]["RequestId"]
    assert request_id in error.value.response["Error"]["Message"]
    assert any(request_id in record.getMessage() and record.exc_info for record in caplog.records)


def test_every_call_is_in_the_trail_refused_ones_too(gateway: Gateway, trail: Trail) -> None:
    as_root(gateway, "sts").get_caller_identity()
    with pytest.raises(ClientError):
        client(gateway, "sagemaker", "AKIANOBODY", "x").describe_training_job(TrainingJobName="a")
    refused, allowed = trail.latest()
    assert (allowed.service, allowed.operation, allowed.status) == ("sts", "GetCallerIdentity", 200)
    assert (allowed.principal_arn, allowed.error_code) == (ROOT.arn, "")
    assert (refused.operation, refused.error_code) == (
        "DescribeTrainingJob",
        "UnrecognizedClientException",
    )
    assert isinstance(refused, TrailEntry)
    assert refused.principal_arn == ""


def test_the_log_quotes_nothing_that_was_sent(
    gateway: Gateway, caplog: pytest.LogCaptureFixture
) -> None:
    """A refusal quotes the canonical request, with the session token, or the value of a member."""
    caplog.set_level("DEBUG", logger="fogbank")
    wrong = client(gateway, "sts", "ASIASESSION000000000", "wrong-secret", "token")
    with pytest.raises(ClientError, match="security-token:token") as error:
        wrong.get_caller_identity()
    assert code_of(error) == ("SignatureDoesNotMatch", 403)
    with pytest.raises(ClientError, match="p4ssw0rd"):
        as_root(gateway, "sagemaker").describe_training_job(TrainingJobName="p4ssw0rd:")
    assert "SignatureDoesNotMatch" in caplog.text
    assert "security-token" not in caplog.text
    assert "p4ssw0rd" not in caplog.text
