"""The one request that an image makes to S3."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from fogbank.images import s3
from fogbank.images.errors import FetchError

NOW = time.strptime("2025-03-04 05:06:07", "%Y-%m-%d %H:%M:%S")
KEYS = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI"}


class Bucket(HTTPServer):
    """Answers every GET from a dict, and remembers the headers."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.seen: list[tuple[str, dict[str, str]]] = []
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Bucket

    def do_GET(self) -> None:
        self.server.seen.append((self.path, {k.lower(): v for k, v in self.headers.items()}))
        body = self.server.objects.get(self.path)
        self.send_response(404 if body is None else 200)
        self.end_headers()
        self.wfile.write(body or b"<Code>NoSuchKey</Code>")

    def log_message(self, format: str, *args: Any) -> None:
        return


@pytest.fixture
def bucket() -> Iterator[Bucket]:
    with Bucket() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.mark.model
@pytest.mark.parametrize("token", ["", "session/token+=="])
def test_the_signature_is_botocores(bucket: Bucket, tmp_path: Path, token: str) -> None:
    path = "/my-bucket/a%20b/sourcedir%2Bx.tar.gz"
    bucket.objects[path] = b"content"
    environ = {**KEYS, "AWS_ENDPOINT_URL": bucket.url, "AWS_REGION": "eu-west-1"}
    if token:
        environ["AWS_SESSION_TOKEN"] = token
    s3.fetch("s3://my-bucket/a b/sourcedir+x.tar.gz", tmp_path / "got", environ, NOW)
    assert (tmp_path / "got").read_bytes() == b"content"
    seen_path, headers = bucket.seen[0]
    assert seen_path == path

    signer = S3SigV4Auth(
        Credentials(KEYS["AWS_ACCESS_KEY_ID"], KEYS["AWS_SECRET_ACCESS_KEY"], token or None),
        "s3",
        "eu-west-1",
    )
    request = AWSRequest("GET", bucket.url + path, headers={"X-Amz-Date": headers["x-amz-date"]})
    request.headers["X-Amz-Content-SHA256"] = headers["x-amz-content-sha256"]
    if token:
        request.headers["X-Amz-Security-Token"] = token
    request.context["timestamp"] = headers["x-amz-date"]
    canonical = signer.canonical_request(request)
    expected = signer.signature(signer.string_to_sign(request, canonical), request)
    assert headers["authorization"].endswith(f"Signature={expected}")
    assert headers["x-amz-date"] == "20250304T050607Z"


def test_an_answer_that_is_no_object_is_told(bucket: Bucket, tmp_path: Path) -> None:
    environ = {**KEYS, "AWS_ENDPOINT_URL": bucket.url}
    with pytest.raises(FetchError, match=r"HTTP 404 .*NoSuchKey"):
        s3.fetch("s3://b/k", tmp_path / "got", environ, NOW)


@pytest.mark.parametrize(
    ("uri", "environ", "reason"),
    [
        ("s3://bucket", KEYS, "not of the form"),
        ("s3://b/k", {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, "no credentials"),
        ("s3://b/k", {**KEYS, "AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, "cannot read"),
        ("s3://b/k", {**KEYS, "AWS_ENDPOINT_URL": "file:///etc"}, "not an http"),
    ],
)
def test_what_cannot_work_is_refused(
    uri: str, environ: dict[str, str], reason: str, tmp_path: Path
) -> None:
    with pytest.raises(FetchError, match=reason):
        s3.fetch(uri, tmp_path / "got", environ, NOW)


@pytest.mark.observed
def test_a_job_fetches_its_code(job: Any, bucket: Bucket, pack: Any) -> None:
    packed = pack({"train.py": b"print('from s3')"})
    bucket.objects["/b/source/sourcedir.tar.gz"] = packed.read_bytes()
    job.environ |= {**KEYS, "AWS_ENDPOINT_URL": bucket.url}
    job.hyperparameters["sagemaker_submit_directory"] = json.dumps("s3://b/source/sourcedir.tar.gz")
    done = job.run()
    assert (done.returncode, done.stdout) == (0, "from s3\n"), done.stderr
    assert time.strptime(bucket.seen[0][1]["x-amz-date"], "%Y%m%dT%H%M%SZ").tm_year >= 2025
