"""Calling the function: what is sent, what is made of the answer, what is said of a failure."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from fogbank.aws import Aws, Credentials
from fogbank.core.arn import Scope
from fogbank.core.clock import epoch_ms
from fogbank.core.errors import InputError
from fogbank.ops.function_call import MAX_PICTURE_BYTES, NoFunction, ask, call
from fogbank.ops.function_concurrency import Concurrency, observe_concurrency, remarks
from fogbank.ops.function_log import FunctionLog
from fogbank.ops.function_zip import pack_zip
from fogbank.ops.invoke import Answer, Label
from fogbank.ops.kinds.provisioned_concurrency import Found as Provisioned
from fogbank.ops.kinds.reserved_concurrency import Account
from fogbank.ops.names import Names
from fogbank.ops.spec import Endpoint, Spec
from fogbank.ops.spec_function import Function
from fogbank.ops.world import CloudFailure
from fogbank.testing.clock import ManualClock
from ops.fake_aws import FakeAws, refusal

REPORT = "REPORT RequestId: 1\tDuration: 2.10 ms\tBilled Duration: 3 ms\tMemory Size: 512 MB\t"
TOP = [{"label": "dog", "probability": 0.9}, {"label": "cat", "probability": 0.1}]
ANSWER = {"statusCode": 200, "body": "[[0.1, 0.9]]", "predictions": [{"label": "dog", "top": TOP}]}


class FakeInvoke(Aws):
    """Lambda's Invoke alone."""

    def __init__(self, answer: Any, error: str | None = None) -> None:
        super().__init__(
            url="http://127.0.0.1:1",
            account="1" * 12,
            region="us-east-1",
            credentials=Credentials(access_key_id="A", secret_access_key="S"),
        )
        self.answer = answer
        self.error = error
        self.request: dict[str, Any] = {}

    def client(self, service: str) -> Any:
        assert service == "lambda"
        return self

    def invoke(self, **request: Any) -> dict[str, Any]:
        self.request = request
        if isinstance(self.answer, Exception):
            raise self.answer
        raw = self.answer if isinstance(self.answer, bytes) else json.dumps(self.answer).encode()
        answer: dict[str, Any] = {
            "Payload": io.BytesIO(raw),
            "ExecutedVersion": "3",
            "LogResult": base64.b64encode(f"START RequestId: 1\n{REPORT}\n".encode()).decode(),
        }
        return {**answer, "FunctionError": self.error} if self.error else answer


def ask_pets(aws: Aws, picture: Path | str, top: int = 3) -> Answer:
    return ask(aws, "pets", "pets", picture, top=top, clock=ManualClock())


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "a.png"
    path.write_bytes(b"png")
    return path


def test_a_picture_goes_out_as_text_through_the_alias(picture: Path) -> None:
    aws = FakeInvoke(ANSWER)
    answer = ask_pets(aws, picture, top=1)
    assert aws.request["FunctionName"] == "pets"
    assert aws.request["Qualifier"] == "live"
    assert json.loads(aws.request["Payload"]) == {"image": base64.b64encode(b"png").decode()}
    assert answer.labels == (Label("dog", 0.9),)
    assert answer.function == "pets:live"
    assert answer.report == (
        "REPORT RequestId: 1  Duration: 2.10 ms  Billed Duration: 3 ms  Memory Size: 512 MB"
    )


@pytest.mark.parametrize(
    ("address", "event"),
    [
        ("https://a.example.com/x", {"url": "https://a.example.com/x"}),
        ("s3://dogs/x", {"s3": "s3://dogs/x"}),
    ],
)
def test_an_address_is_the_functions_to_fetch(address: str, event: Mapping[str, str]) -> None:
    aws = FakeInvoke(ANSWER)
    ask_pets(aws, address)
    assert json.loads(aws.request["Payload"]) == event


def test_another_functions_answer_is_kept_as_it_is(picture: Path) -> None:
    answer = ask_pets(FakeInvoke(["dog", 1]), picture)
    assert answer.labels == ()
    assert answer.content == ["dog", 1]


def refused(status: int) -> dict[str, Any]:
    body = json.dumps({"error": "X", "message": "not like that"})
    return {"statusCode": status, "body": body}


@pytest.mark.parametrize(
    ("answer", "error", "kind", "words"),
    [
        (refused(403), None, InputError, r"\(403\): not like that.*allowed_hosts"),
        (refused(415), None, InputError, r"\(415\): not like that"),
        (refused(424), None, CloudFailure, r"\(424\): not like that"),
        (refused(429), None, CloudFailure, r"\(429\)"),
        (refused(504), None, CloudFailure, r"\(504\)"),
        (
            {"errorType": "KeyError", "errorMessage": "'url'"},
            "Unhandled",
            CloudFailure,
            "KeyError: 'url'",
        ),
        (b"Task timed out", "Unhandled", CloudFailure, "Task timed out"),
        (refusal("Invoke", "ResourceNotFoundException"), None, NoFunction, "function deploy"),
        (
            refusal("Invoke", "TooManyRequestsException", "Rate Exceeded."),
            None,
            CloudFailure,
            r"throttled \(Rate Exceeded\.\).*function concurrency",
        ),
    ],
)
def test_failures(answer: Any, error: str | None, kind: type[Exception], words: str) -> None:
    with pytest.raises(kind, match=f"(?s){words}"):
        ask_pets(FakeInvoke(answer, error), "https://images.example.com/dog.png")


def test_a_failure_shows_what_was_logged() -> None:
    with pytest.raises(CloudFailure, match=r"(?s)START RequestId: 1.*REPORT"):
        ask_pets(FakeInvoke({"errorMessage": "x"}, "Unhandled"), "https://a.example.com/")


def test_a_picture_that_no_event_holds(tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    path.write_bytes(bytes(MAX_PICTURE_BYTES + 1))
    with pytest.raises(InputError, match=r"takes 4\.5 MB at most"):
        ask_pets(FakeInvoke(ANSWER), path)


def test_a_plain_call() -> None:
    called = call(FakeInvoke({"any": 1}), "pets", {"x": 2}, clock=ManualClock())
    assert called.answer == {"any": 1}
    assert called.version == "3"
    assert called.log[0] == "START RequestId: 1"


class Events(FakeAws):
    """Log events of one group, and metrics."""

    def __init__(self, now: datetime) -> None:
        super().__init__()
        self.now = now
        self.events = [(timedelta(hours=2), "old"), (timedelta(minutes=5), "new")]

    def client(self, service: str) -> Any:
        return self if service in ("logs", "cloudwatch") else super().client(service)

    def get_paginator(self, name: str) -> Any:
        return self if name == "filter_log_events" else self.fake_logs.get_paginator(name)

    def paginate(self, *, logGroupName: str, startTime: int) -> Any:
        assert logGroupName == "/aws/lambda/pets"
        yield {
            "events": [
                {"eventId": message, "message": f"{message}\n"}
                for age, message in self.events
                if epoch_ms(self.now - age) >= startTime
            ]
        }

    def list_tags_for_resource(self, **request: Any) -> Any:
        return self.fake_logs.list_tags_for_resource(**request)

    def get_metric_statistics(self, **request: Any) -> dict[str, Any]:
        assert request["Dimensions"] == [{"Name": "FunctionName", "Value": "pets"}]
        value = {"ConcurrentExecutions": 4.0, "Throttles": 7.0}[request["MetricName"]]
        (statistic,) = request["Statistics"]
        return {"Datapoints": [{"Timestamp": self.now, statistic: value}]}


def test_logs_of_the_last_hour_and_what_comes() -> None:
    clock = ManualClock()
    aws = Events(clock.now())
    log = FunctionLog(aws, "/aws/lambda/pets", clock)
    assert log.since(timedelta(hours=1)) == ["new"]
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        aws.events.append((timedelta(0), f"later {len(pauses)}"))

    following = log.follow(pause)
    assert [next(following), next(following)] == ["later 1", "later 2"]


def test_concurrency_of_nothing_and_of_a_function() -> None:
    now = datetime(2026, 1, 2, tzinfo=UTC)
    aws = Events(now)
    names = Names("pets", Scope())
    assert observe_concurrency(aws, names, now) is None
    aws.fake_lambda.create_function(
        FunctionName="pets",
        Runtime="python3.13",
        Role="r",
        Handler="h",
        Timeout=3,
        MemorySize=128,
        Environment={},
        Tags={},
        Code={"ZipFile": pack_zip({})},
    )
    found = observe_concurrency(aws, names, now)
    assert found is not None
    assert (found.running, found.throttles) == (4, 7)
    assert found.to_json()["account_limit"] == 1000


def said(
    *, limit: int = 1000, instances: int = 1, function: Function | None = None, **more: Any
) -> str:
    figures: dict[str, Any] = {"reserved": None, "provisioned": None, "throttles": 0, **more}
    found = Concurrency(
        function="pets", account=Account(limit=limit, unreserved=limit), running=None, **figures
    )
    spec = Spec(
        project="pets", endpoint=Endpoint(instance_count=instances), function=function or Function()
    )
    return "\n".join(remarks(found, spec))


READY = Provisioned(requested=3, available=3, allocated=3, status="READY")


@pytest.mark.docs
@pytest.mark.parametrize(
    ("figures", "words"),
    [
        ({"limit": 10}, "nothing can be reserved"),
        ({"reserved": None}, "Nothing is reserved"),
        ({"reserved": 0}, "switches the function off"),
        ({"provisioned": READY}, "Only callers of pets:live"),
        ({"provisioned": READY}, "take 30 requests per second"),
        ({"provisioned": READY, "reserved": 3}, "are throttled"),
        ({"reserved": 1, "instances": 2}, "some of them do nothing"),
        ({"function": Function(memory_mb=128)}, "128 MB bring 7% of a processor"),
        ({"function": Function(timeout_s=30)}, "is cut off"),
        ({"throttles": 7}, "7 calls were throttled"),
    ],
)
def test_what_is_likely_to_surprise(figures: dict[str, Any], words: str) -> None:
    assert words in said(**figures)


def test_nothing_is_said_where_nothing_surprises() -> None:
    assert said(reserved=5) == ""
