"""Asking the endpoint: what is sent, what is made of the answer, what is said of a failure."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from fogbank.aws import Aws, Credentials
from fogbank.core.errors import InputError, WorldError
from fogbank.ops.invoke import MAX_BODY_BYTES, Answer, Label, invoke
from fogbank.ops.world import CloudFailure
from fogbank.testing.clock import ManualClock

VERBOSE = {
    "predictions": [
        {
            "label": "dog",
            "probability": 0.9,
            "top": [{"label": "dog", "probability": 0.9}, {"label": "cat", "probability": 0.1}],
        }
    ]
}


class FakeRuntime(Aws):
    def __init__(self, answer: bytes | Exception) -> None:
        keys = Credentials(access_key_id="A", secret_access_key="S")
        super().__init__(
            url="http://127.0.0.1:1", account="1" * 12, region="us-east-1", credentials=keys
        )
        self.answer = answer
        self.request: dict[str, Any] = {}

    def client(self, service: str) -> Any:
        assert service == "sagemaker-runtime"
        return self

    def invoke_endpoint(self, **request: Any) -> dict[str, Any]:
        self.request = request
        if isinstance(self.answer, Exception):
            raise self.answer
        return {"Body": io.BytesIO(self.answer)}


def ask(aws: FakeRuntime, picture: Path, top: int = 3) -> Answer:
    return invoke(aws, "pets", picture, top=top, clock=ManualClock())


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "a.png"
    path.write_bytes(b"png")
    return path


def test_the_picture_goes_out_as_it_is(picture: Path) -> None:
    aws = FakeRuntime(json.dumps(VERBOSE).encode())
    answer = ask(aws, picture, top=1)
    assert aws.request["Body"] == b"png"
    assert aws.request["ContentType"] == "image/png"
    assert answer.labels == (Label("dog", 0.9),)
    assert answer.content == VERBOSE


def test_an_unknown_suffix_is_still_a_picture(tmp_path: Path) -> None:
    path = tmp_path / "a.dat"
    path.write_bytes(b"png")
    aws = FakeRuntime(b"[]")
    ask(aws, path)
    assert aws.request["ContentType"] == "application/x-image"


@pytest.mark.parametrize(
    ("raw", "content"),
    [
        (b"[[0.1, 0.9]]", [[0.1, 0.9]]),
        (b"a dog", "a dog"),
        (b'{"predictions": [{"top": [{"name": "dog"}]}]}', None),
    ],
)
def test_another_codes_answer_is_kept_as_it_is(picture: Path, raw: bytes, content: Any) -> None:
    answer = ask(FakeRuntime(raw), picture)
    assert answer.labels == ()
    assert answer.content == (json.loads(raw) if content is None else content)


def test_pictures_that_cannot_be_sent(tmp_path: Path) -> None:
    aws = FakeRuntime(b"")
    with pytest.raises(InputError, match="cannot be read"):
        ask(aws, tmp_path / "none.png")
    (tmp_path / "empty.png").touch()
    with pytest.raises(InputError, match="is empty"):
        ask(aws, tmp_path / "empty.png")
    (tmp_path / "large.png").write_bytes(b"x" * (MAX_BODY_BYTES + 1))
    with pytest.raises(InputError, match=r"takes 6\.3 MB at most"):
        ask(aws, tmp_path / "large.png")
    assert aws.request == {}


def error(code: str, message: str, **members: Any) -> ClientError:
    response: Any = {"Error": {"Code": code, "Message": message}, **members}
    return ClientError(response, "InvokeEndpoint")


@pytest.mark.model
@pytest.mark.parametrize(
    ("raised", "kind", "words"),
    [
        (
            error("ModelError", "long", OriginalStatusCode=400, OriginalMessage="no picture"),
            InputError,
            "the model cannot use .*: no picture",
        ),
        (
            error("ModelError", "long", OriginalStatusCode=500, OriginalMessage="KeyError: 'x'"),
            CloudFailure,
            r"failed with .*\(status 500\): KeyError: 'x'",
        ),
        (
            error("ValidationError", "Endpoint pets of account 1 not found."),
            InputError,
            "`fogbank up` deploys it",
        ),
        (error("AccessDeniedException", "no"), WorldError, "permission"),
    ],
)
def test_failures(picture: Path, raised: ClientError, kind: type[Exception], words: str) -> None:
    with pytest.raises(kind, match=words):
        ask(FakeRuntime(raised), picture)
