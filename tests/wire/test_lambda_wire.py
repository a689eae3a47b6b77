"""Lambda over real HTTP, with functions that really run: boto3, the awscli, plain HTTP clients."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import urlopen

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from fogbank.testing.cloud import RunningCloud

HANDLER = b"""
import base64

def handler(event, context):
    if event.get("fails"):
        raise ValueError("as asked")
    return {"seen": event, "version": context.function_version}

def web(event, context):
    body = event.get("body", "")
    if event.get("isBase64Encoded"):
        body = base64.b64decode(body).hex()
    method = event["requestContext"]["http"]["method"]
    return {
        "statusCode": 201,
        "headers": {"Content-Type": "text/plain", "X-Path": event["rawPath"]},
        "cookies": ["a=1", "b=2"],
        "body": f"{method} {body}",
    }
"""


def zipped(handler: bytes = HANDLER) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as made:
        info = zipfile.ZipInfo("index.py")
        info.external_attr = 0o644 << 16
        made.writestr(info, handler)
    return held.getvalue()


@pytest.fixture(scope="module")
def role(cloud: RunningCloud) -> Iterator[str]:
    iam = cloud.client("iam")
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "lambda.amazonaws.com"},
                "Action": "sts:AssumeRole",
            }
        ],
    }
    made = iam.create_role(RoleName="wire-function", AssumeRolePolicyDocument=json.dumps(trust))
    yield made["Role"]["Arn"]
    iam.delete_role(RoleName="wire-function")


@pytest.fixture(scope="module")
def lambda_(cloud: RunningCloud, role: str) -> Iterator[Any]:
    """A client, and the functions `wire-echo` and `wire-web`."""
    client = cloud.client("lambda")
    for name, entry in (("wire-echo", "handler"), ("wire-web", "web")):
        client.create_function(
            FunctionName=name,
            Runtime="python3.12",
            Role=role,
            Handler=f"index.{entry}",
            Code={"ZipFile": zipped()},
        )
        client.get_waiter("function_active_v2").wait(
            FunctionName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 20}
        )
    yield client
    for name in ("wire-echo", "wire-web"):
        client.delete_function(FunctionName=name)


@pytest.mark.docs
def test_a_function_answers_and_reports(lambda_: Any) -> None:
    answer = lambda_.invoke(FunctionName="wire-echo", Payload=b'{"a": 1}', LogType="Tail")
    assert json.load(answer["Payload"]) == {"seen": {"a": 1}, "version": "$LATEST"}
    assert answer["ExecutedVersion"] == "$LATEST"
    failed = lambda_.invoke(FunctionName="wire-echo", Payload=b'{"fails": true}')
    assert failed["FunctionError"] == "Unhandled"
    assert json.load(failed["Payload"])["errorType"] == "ValueError"


@pytest.mark.docs
def test_code_is_updated_published_and_reached_through_an_alias(lambda_: Any) -> None:
    name = {"FunctionName": "wire-echo"}
    first = lambda_.publish_version(**name)["Version"]
    lambda_.update_function_code(**name, ZipFile=zipped(b"def handler(event, context): return 2"))
    lambda_.get_waiter("function_updated_v2").wait(**name, WaiterConfig={"Delay": 1})
    second = lambda_.publish_version(**name)["Version"]
    for version in (first, second):
        lambda_.get_waiter("published_version_active").wait(
            **name, Qualifier=version, WaiterConfig={"Delay": 1}
        )
    lambda_.create_alias(**name, Name="live", FunctionVersion=first)
    through = lambda_.invoke(FunctionName="wire-echo:live")
    assert json.load(through["Payload"]) == {"seen": {}, "version": first}
    lambda_.update_alias(**name, Name="live", FunctionVersion=second)
    moved = lambda_.invoke(FunctionName="wire-echo:live")
    assert (json.load(moved["Payload"]), moved["ExecutedVersion"]) == (2, second)
    lambda_.update_function_code(**name, ZipFile=zipped())
    lambda_.get_waiter("function_updated_v2").wait(**name, WaiterConfig={"Delay": 1})


@pytest.mark.docs
def test_a_function_that_is_switched_off_is_throttled(lambda_: Any, cloud: RunningCloud) -> None:
    once = cloud.client("lambda", config=Config(retries={"total_max_attempts": 1}))
    lambda_.put_function_concurrency(FunctionName="wire-echo", ReservedConcurrentExecutions=0)
    try:
        with pytest.raises(ClientError) as caught:
            once.invoke(FunctionName="wire-echo")
    finally:
        lambda_.delete_function_concurrency(FunctionName="wire-echo")
    answer: Any = caught.value.response
    assert answer["Error"]["Code"] == "TooManyRequestsException"
    assert answer["Reason"] == "ReservedFunctionConcurrentInvocationLimitExceeded"
    assert int(answer["ResponseMetadata"]["HTTPHeaders"]["retry-after"]) >= 1


@pytest.mark.docs
def test_a_large_zip_goes_in_and_comes_back(lambda_: Any, role: str) -> None:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as made:
        made.writestr("index.py", bytes(10_000_000))
    lambda_.create_function(
        FunctionName="wire-large",
        Runtime="python3.12",
        Role=role,
        Handler="index.handler",
        Code={"ZipFile": held.getvalue()},
    )
    location = lambda_.get_function(FunctionName="wire-large")["Code"]["Location"]
    with urlopen(location) as downloaded:
        assert downloaded.read() == held.getvalue()
    lambda_.delete_function(FunctionName="wire-large")


def send(
    url: str, method: str = "GET", body: bytes | None = None, **headers: str
) -> tuple[HTTPResponse, bytes]:
    parts = urlsplit(url)
    with closing(HTTPConnection(parts.netloc, timeout=60)) as connection:
        target = f"{parts.path}?{parts.query}" if parts.query else parts.path
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, target, body=body, headers=named)
        answer = connection.getresponse()
        return answer, answer.read()


@pytest.fixture(scope="module")
def url(lambda_: Any) -> str:
    """The address of `wire-web`, which everybody may call."""
    name = {"FunctionName": "wire-web"}
    made: str = lambda_.create_function_url_config(
        **name, AuthType="NONE", Cors={"AllowOrigins": ["https://a.example"]}
    )["FunctionUrl"]
    assert send(made)[0].status == 403
    lambda_.add_permission(
        **name,
        StatementId="url",
        Principal="*",
        Action="lambda:InvokeFunctionUrl",
        FunctionUrlAuthType="NONE",
    )
    lambda_.add_permission(
        **name,
        StatementId="function",
        Principal="*",
        Action="lambda:InvokeFunction",
        InvokedViaFunctionUrl=True,
    )
    return made


@pytest.mark.docs
def test_a_url_serves_its_function(url: str) -> None:
    answer, body = send(f"{url}a%20b?q=1", "POST", b"\xff\x00", content_type="image/jpeg")
    assert (answer.status, body) == (201, b"POST ff00")
    assert answer.getheader("content-type") == "text/plain"
    assert answer.getheader("x-path") == "/a%20b"
    assert answer.headers.get_all("set-cookie") == ["a=1", "b=2"]


@pytest.mark.docs
def test_a_url_answers_head_preflight_and_its_host_name(url: str) -> None:
    answer, body = send(url, "HEAD")
    assert (answer.status, body) == (201, b"")
    assert answer.getheader("content-length") == "5"
    asked, body = send(
        url, "OPTIONS", origin="https://a.example", access_control_request_method="GET"
    )
    assert (asked.status, body) == (200, b"")
    assert asked.getheader("access-control-allow-origin") == "https://a.example"
    url_id = urlsplit(url).path.split("/")[2]
    root = url.partition("/_lambda-url")[0]
    named, _ = send(f"{root}/x", host=f"{url_id}.lambda-url.us-east-1.on.aws")
    assert (named.status, named.getheader("x-path")) == (201, "/x")


@pytest.mark.docs
def test_a_signed_url(lambda_: Any, cloud: RunningCloud, url: str) -> None:
    lambda_.update_function_url_config(FunctionName="wire-web", AuthType="AWS_IAM")
    try:
        assert send(url)[0].status == 403
        keys = cloud.credentials["notebook"]
        request = AWSRequest("POST", url, data=b"{}", headers={"content-type": "application/json"})
        credentials = Credentials(
            keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"]
        )
        SigV4Auth(credentials, "lambda", "us-east-1").add_auth(request)
        headers = dict(request.headers.items())
        answer, body = send(url, "POST", b"{}", **headers)
        assert (answer.status, body) == (201, b"POST {}")
        tampered, _ = send(url, "POST", b"[]", **headers)
        assert tampered.status == 403
    finally:
        lambda_.update_function_url_config(FunctionName="wire-web", AuthType="NONE")


@pytest.mark.docs
def test_the_awscli_makes_and_invokes_a_function(
    cloud: RunningCloud, role: str, tmp_path: Path
) -> None:
    program = shutil.which("aws", path=str(Path(sys.executable).parent)) or shutil.which("aws")
    if program is None:
        pytest.skip("awscli is not installed (pip install awscli)")
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), **cloud.environment()}

    def aws(*arguments: str) -> Any:
        done = subprocess.run(
            [program, "lambda", *arguments, "--output", "json"],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        )
        return json.loads(done.stdout) if done.stdout else {}

    (tmp_path / "code.zip").write_bytes(zipped())
    name = ("--function-name", "wire-cli")
    made = aws(
        "create-function",
        *name,
        *("--runtime", "python3.12"),
        *("--role", role),
        *("--handler", "index.handler"),
        *("--zip-file", "fileb://code.zip"),
        *("--environment", "Variables={WORD=dogs}"),
    )
    assert made["State"] == "Pending"
    aws("wait", "function-active-v2", *name)
    answer = aws("invoke", *name, "--payload", '{"a": 1}', "answer.json")
    assert answer == {"StatusCode": 200, "ExecutedVersion": "$LATEST"}
    assert json.loads((tmp_path / "answer.json").read_text())["seen"] == {"a": 1}
    cloud.client("lambda").delete_function(FunctionName="wire-cli")
    gone = subprocess.run(
        [program, "lambda", "get-function", *name],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "(ResourceNotFoundException)" in gone.stderr
    assert "Function not found: " in gone.stderr
