"""Functions in front of endpoints, through the wire: a handler as people write it, unchanged, and
the project's own with its settings."""

from __future__ import annotations

import base64
import http.server
import io
import json
import threading
import zipfile
from collections.abc import Iterator
from typing import Any

import pytest

from e2e.account import Account
from e2e.waiting import until

pytestmark = pytest.mark.slow

READS_URLS = """
import json, urllib.request

def model_fn(model_dir):
    return None

def input_fn(body, content_type):
    assert content_type == "application/json", content_type
    return urllib.request.urlopen(json.loads(body)["url"]).read()

def predict_fn(data, model):
    return [[float(data.count(bytes([number]))) for number in range(3)]]

def output_fn(prediction, accept):
    return json.dumps(prediction), accept
"""
"""An inference.py that takes JSON with the address of a picture, and answers scores."""

USUAL_HANDLER = """
import json
import boto3

ENDPOINT = "reads-urls"
client = boto3.Session().client("sagemaker-runtime")

def lambda_handler(event, context):
    print("event is of type", type(event))
    print("context is", context)
    answer = client.invoke_endpoint(
        EndpointName=ENDPOINT,
        ContentType="application/json",
        Accept="application/json",
        Body=json.dumps(event),
    )
    text = answer["Body"].read().decode("utf-8")
    return {
        "statusCode": 200,
        "headers": {"Content-Type": "text/plain", "Access-Control-Allow-Origin": "*"},
        "type-result": str(type(text)),
        "COntent-Type-In": str(context),
        "body": json.dumps(json.loads(text)),
    }
"""

PICTURE = b"\x00\x01\x01\x02\x02\x02"


@pytest.fixture(scope="module")
def picture_url() -> Iterator[str]:
    """Where a server of this machine hands out a picture."""

    class Pictures(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(PICTURE)))
            self.end_headers()
            self.wfile.write(PICTURE)

        def log_message(self, format: str, *arguments: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Pictures) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/dog.jpg"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def handler(account: Account) -> str:
    """The usual handler as a function, its endpoint behind it."""
    account.deploy("reads-urls", READS_URLS)
    role = account.client("iam").create_role(
        RoleName="usual-handler",
        AssumeRolePolicyDocument=json.dumps(
            {
                "Version": "2012-10-17",
                "Statement": [
                    {
                        "Effect": "Allow",
                        "Principal": {"Service": "lambda.amazonaws.com"},
                        "Action": "sts:AssumeRole",
                    }
                ],
            }
        ),
    )["Role"]["Arn"]
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as opened:
        opened.writestr("lambda_function.py", USUAL_HANDLER)
    functions = account.client("lambda")
    functions.create_function(
        FunctionName="usual-handler",
        Runtime="python3.12",
        Role=role,
        Handler="lambda_function.lambda_handler",
        Timeout=30,
        MemorySize=256,
        Code={"ZipFile": archive.getvalue()},
    )
    until(
        lambda: (
            functions.get_function(FunctionName="usual-handler")["Configuration"]["State"]
            == "Active"
        ),
        "the function active",
    )
    account.in_service("reads-urls")
    return "usual-handler"


def test_the_usual_handler_runs_unchanged(account: Account, handler: str, picture_url: str) -> None:
    answer = account.client("lambda").invoke(
        FunctionName=handler, LogType="Tail", Payload=json.dumps({"url": picture_url}).encode()
    )
    assert "FunctionError" not in answer
    said = json.load(answer["Payload"])
    assert said["statusCode"] == 200
    assert json.loads(said["body"]) == [[1.0, 2.0, 3.0]]
    assert said["type-result"] == "<class 'str'>"
    assert said["COntent-Type-In"].startswith("LambdaContext([aws_request_id=")
    assert said["headers"]["Access-Control-Allow-Origin"] == "*"
    log = base64.b64decode(answer["LogResult"]).decode()
    assert "event is of type <class 'dict'>" in log
    assert "context is LambdaContext([aws_request_id=" in log
    assert f"log_group_name=/aws/lambda/{handler}" in log
    assert "REPORT RequestId: " in log


def test_an_endpoint_that_fails_is_the_handlers_own_trouble(account: Account, handler: str) -> None:
    answer = account.client("lambda").invoke(FunctionName=handler, Payload=b'{"no": "url"}')
    assert answer["FunctionError"] == "Unhandled"
    assert json.load(answer["Payload"])["errorType"] == "ModelError"
