"""The front as a function uses it: forms of answers, statuses, and how clients are set up."""

from __future__ import annotations

import base64
import io
import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import (
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    ReadTimeoutError,
)
from botocore.response import StreamingBody

from fogbank.front import Front, Refusal, Settings
from fogbank.front.deadline import Deadline
from fogbank.front.refusals import Preflight, TimedOut
from fogbank.front.stored import StoredPictures
from front.pictures import png

INLINE = {"image": base64.b64encode(png()).decode()}
HTTP = {"requestContext": {"http": {"method": "POST"}}, "body": json.dumps(INLINE)}
ENVIRONMENT = {"ENDPOINT_NAME": "dogs", "AWS_REGION": "eu-west-1"}
SCORES = [0.5, -1.25, 3.0]
TOP = [{"label": "dog", "probability": 0.9}, {"label": "cat", "probability": 0.1}]
VERBOSE = {
    "predictions": [
        {"label": "dog", "probability": 0.9, "index": 2, "top": TOP, "scores": SCORES},
    ]
}


class Context:
    """As Lambda's prints itself, with `remaining_ms` left."""

    def __init__(self, remaining_ms: int = 60_000) -> None:
        self.remaining_ms = remaining_ms

    def get_remaining_time_in_millis(self) -> int:
        return self.remaining_ms

    def __str__(self) -> str:
        return "LambdaContext([aws_request_id=1])"


class Runtime:
    """sagemaker-runtime, as far as it is used."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.request: dict[str, Any] = {}

    def invoke_endpoint(self, **request: Any) -> dict[str, Any]:
        self.request = request
        if isinstance(self.answer, Exception):
            raise self.answer
        raw = self.answer if isinstance(self.answer, bytes) else json.dumps(self.answer).encode()
        return {"Body": io.BytesIO(raw)}


def no_fetch(url: str, deadline: Deadline) -> bytes:
    raise AssertionError(url)


def front_of(runtime: Any, **more: Any) -> Front:
    return Front(Settings(endpoint="dogs"), runtime, **{"fetch": no_fetch, **more})


def handle(front: Front, event: Any, context: Any = None) -> dict[str, Any]:
    """What `fogbank init` writes into function.py."""
    context = context or Context()
    try:
        result = front.classify(front.picture(event, context))
    except Refusal as refusal:
        answer = front.refuse(refusal, event, context)
    else:
        answer = front.answer(result, event, context)
    sent: dict[str, Any] = json.loads(json.dumps(answer))
    return sent


def error(code: str, message: str = "", **members: Any) -> ClientError:
    response: Any = {"Error": {"Code": code, "Message": message}, **members}
    return ClientError(response, "InvokeEndpoint")


def test_an_answer_has_what_old_callers_read_and_labels() -> None:
    runtime = Runtime(VERBOSE)
    answer = handle(front_of(runtime), INLINE)
    assert runtime.request == {
        "EndpointName": "dogs",
        "Body": png(),
        "ContentType": "image/png",
        "Accept": "application/json;verbose=true, application/json",
    }
    assert answer == {
        "statusCode": 200,
        "headers": {"Content-Type": "application/json", "Access-Control-Allow-Origin": "*"},
        "type-result": "<class 'str'>",
        "COntent-Type-In": "LambdaContext([aws_request_id=1])",
        "body": json.dumps([SCORES]),
        "predictions": [{"label": "dog", "probability": 0.9, "top": TOP}],
    }


def test_an_endpoint_without_labels_answers_scores_alone() -> None:
    answer = handle(front_of(Runtime([[1, 2]])), INLINE)
    assert json.loads(answer["body"]) == [[1, 2]]
    assert "predictions" not in answer


@pytest.mark.docs
def test_over_http_there_are_only_the_fields_that_api_gateway_knows() -> None:
    answer = handle(front_of(Runtime(VERBOSE)), HTTP)
    assert set(answer) == {"statusCode", "headers", "body"}
    body = json.loads(answer["body"])
    assert body["scores"] == [SCORES]
    assert body["predictions"][0]["label"] == "dog"
    refused = handle(front_of(Runtime(VERBOSE)), {**HTTP, "body": "{}"})
    assert set(refused) == {"statusCode", "headers", "body"}
    assert refused["statusCode"] == 400


def test_a_browser_may_call() -> None:
    event = {"requestContext": {"http": {"method": "OPTIONS"}}}
    answer = handle(front_of(Runtime(VERBOSE)), event)
    assert answer["statusCode"] == 204
    assert answer["headers"]["Access-Control-Allow-Methods"] == "POST"


MODEL_FAILS = error(
    "ModelError",
    "Received server error (500) from primary with message secret",
    OriginalStatusCode=500,
    OriginalMessage="Traceback: /opt/ml/secret",
)


@pytest.mark.model
@pytest.mark.parametrize(
    ("raised", "status", "code"),
    [
        (MODEL_FAILS, 424, "ModelFailed"),
        (
            error("ModelError", OriginalStatusCode=400, OriginalMessage="no picture"),
            415,
            "NotAPicture",
        ),
        (
            error("ModelError", OriginalStatusCode=415, OriginalMessage="no picture"),
            415,
            "NotAPicture",
        ),
        (error("ModelError", OriginalStatusCode=413, OriginalMessage="large"), 413, "TooLarge"),
        (error("ModelError", OriginalStatusCode=429), 429, "Throttled"),
        (
            error("ModelError", "Your invocation timed out while waiting for a response from it"),
            504,
            "TimedOut",
        ),
        (error("ThrottlingException", "Rate exceeded"), 429, "Throttled"),
        (error("ServiceUnavailable"), 429, "Throttled"),
        (error("ModelNotReadyException"), 429, "Throttled"),
        (error("ValidationError", "Endpoint dogs of account 1 not found."), 424, "ModelFailed"),
        (error("AccessDeniedException", "role secret is not authorized"), 424, "ModelFailed"),
        (error("InternalFailure"), 424, "ModelFailed"),
        (ReadTimeoutError(endpoint_url="http://secret"), 504, "TimedOut"),
        (ConnectTimeoutError(endpoint_url="http://secret"), 504, "TimedOut"),
        (EndpointConnectionError(endpoint_url="http://secret"), 424, "ModelFailed"),
        (b"not json", 424, "ModelFailed"),
        (b"[" * 100_000, 424, "ModelFailed"),
    ],
)
def test_what_goes_wrong_at_the_endpoint(
    raised: Any, status: int, code: str, caplog: pytest.LogCaptureFixture
) -> None:
    answer = handle(front_of(Runtime(raised)), INLINE)
    assert answer["statusCode"] == status
    body = json.loads(answer["body"])
    assert body["error"] == code
    assert body["message"]
    assert "secret" not in json.dumps(answer), "the inside is for the log"
    assert (answer["headers"].get("Retry-After") == "1") == (status == 429)
    assert caplog.records[-1].levelno == logging.WARNING
    assert caplog.records[-1].getMessage().startswith(f"{status} {code}")


def test_the_log_says_what_the_caller_is_not_told(caplog: pytest.LogCaptureFixture) -> None:
    handle(front_of(Runtime(MODEL_FAILS)), INLINE)
    assert "Received server error (500)" in caplog.text


def test_a_mistake_of_ours_is_no_refusal() -> None:
    with pytest.raises(ZeroDivisionError):
        handle(front_of(Runtime(ZeroDivisionError())), INLINE)


def test_what_is_not_configured_is_not_read() -> None:
    answer = handle(front_of(Runtime(VERBOSE)), {"s3": "s3://dogs/a.png"})
    assert answer["statusCode"] == 403
    unlisted = Front.from_environment(ENVIRONMENT)
    assert handle(unlisted, {"url": "https://example.com/dog.png"})["statusCode"] == 403


@pytest.mark.parametrize(("remaining_ms", "seconds"), [(60_000, 10.0), (5_000, 4.0), (900, 0.0)])
def test_a_fetch_leaves_time_for_an_answer(remaining_ms: int, seconds: float) -> None:
    left: list[float] = []

    def fetch(url: str, deadline: Deadline) -> bytes:
        left.append(deadline.remaining_s())
        return png()

    answer = handle(front_of(Runtime(VERBOSE), fetch=fetch), {"url": "u"}, Context(remaining_ms))
    assert answer["statusCode"] == (200 if seconds else 504)
    assert [round(item, 1) for item in left] == ([seconds] if seconds else [])


def test_clients_are_set_up_as_aws_advises() -> None:
    front = Front.from_environment({**ENVIRONMENT, "S3_PREFIXES": "s3://dogs/in/"})
    config: Any = front._runtime.meta.config
    assert config.read_timeout == 70
    assert config.connect_timeout == 5
    # botocore counts the first attempt, too.
    assert config.retries == {"mode": "standard", "total_max_attempts": 3}


def test_settings() -> None:
    environ: Mapping[str, str] = {
        "ENDPOINT_NAME": "dogs",
        "ALLOWED_HOSTS": "a.example.com  *.example.org",
        "S3_PREFIXES": "s3://dogs/in/",
    }
    assert Settings.from_environment(environ) == Settings(
        endpoint="dogs",
        allowed_hosts=("a.example.com", "*.example.org"),
        s3_prefixes=("s3://dogs/in/",),
    )
    with pytest.raises(ValueError, match="ENDPOINT_NAME"):
        Settings.from_environment({})


class Bucket:
    def __init__(self, content: bytes | Exception) -> None:
        self.content = content
        self.asked: list[tuple[str, str]] = []

    def get_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:
        self.asked.append((Bucket, Key))
        if isinstance(self.content, Exception):
            raise self.content
        size = len(self.content)
        body = StreamingBody(io.BytesIO(self.content), size)
        return {"ContentLength": size, "Body": body}


def stored_in(bucket: Any, max_bytes: int = 1000) -> Front:
    prefixes = ("s3://dogs/in/",)
    return front_of(Runtime(VERBOSE), stored=StoredPictures(bucket, prefixes, max_bytes))


@pytest.mark.parametrize("prefix", ["s3://dogs", "dogs/in/", "s3:///in/"])
def test_a_prefix_that_other_buckets_begin_with_is_none(prefix: str) -> None:
    with pytest.raises(ValueError, match="S3_PREFIXES"):
        StoredPictures(Bucket(png()), ("s3://dogs/in/", prefix), 1000)  # type: ignore[arg-type]


def test_an_object_of_an_allowed_prefix() -> None:
    bucket = Bucket(png())
    assert handle(stored_in(bucket), {"s3": "s3://dogs/in/a b/1.png"})["statusCode"] == 200
    assert bucket.asked == [("dogs", "in/a b/1.png")]


@pytest.mark.parametrize(
    ("uri", "status"),
    [
        ("s3://cats/in/1.png", 403),
        ("s3://dogs/out/1.png", 403),
        ("s3://dogs/inside.png", 403),
        ("s3://dogs/in/../out/1.png", 400),
        ("s3://dogs/in/./1.png", 400),
        ("s3://dogs/", 400),
        ("s3://Dogs/in/1.png", 400),
        ("https://dogs.s3.amazonaws.com/in/1.png", 400),
        ("s3://arn:aws:s3:us-east-1:1:accesspoint/in", 400),
    ],
)
def test_objects_that_are_not_read(uri: str, status: int) -> None:
    bucket = Bucket(png())
    assert handle(stored_in(bucket), {"s3": uri})["statusCode"] == status
    assert bucket.asked == []


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (error("NoSuchKey"), 400),
        (error("AccessDenied"), 403),
        (ReadTimeoutError(endpoint_url="x"), 504),
        (EndpointConnectionError(endpoint_url="x"), 400),
        (bytes(1001), 413),
        (b"text", 415),
    ],
)
def test_objects_that_cannot_be_used(content: Any, status: int) -> None:
    assert handle(stored_in(Bucket(content)), {"s3": "s3://dogs/in/1"})["statusCode"] == status


def test_every_status_is_in_the_how_to() -> None:
    text = (Path(__file__).parents[2] / "docs/how-to/put-a-function-in-front.md").read_text()
    kinds = [kind for kind in Refusal.__subclasses__() if kind is not Preflight]
    assert len(kinds) == 7
    for kind in kinds:
        assert f"| {kind.status} | `{kind.__name__}` |" in text


def test_timed_out_says_of_what() -> None:
    assert str(Deadline(2.5, "fetching").over()) == str(TimedOut("fetching took longer than 2.5 s"))
