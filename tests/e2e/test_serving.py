"""Endpoints through the wire: own inference.py files in real processes, real requests."""

from __future__ import annotations

import os
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import psutil
import pytest
from botocore.exceptions import ClientError

from e2e.account import ECHO, Account, archive, refusal
from e2e.waiting import until
from fogbank.testing.cloud import RunningCloud

PICKY = """
import json, os, sys

class BadPicture(Exception):
    status_code = 400

def model_fn(model_dir):
    return os.environ["GREETING"]

def input_fn(body, content_type, context):
    if content_type == "image/png":
        if not bytes(body).startswith(b"\\x89PNG"):
            raise BadPicture("the body is not a picture")
        return {"size": len(body)}
    return json.loads(body)

def predict_fn(data, model):
    if data.get("fail"):
        raise KeyError("no such breed: " + data["fail"])
    if data.get("die"):
        os._exit(3)
    return {"greeting": model, **data}

def output_fn(prediction, accept, context):
    attributes = context.get_request_header(0, "X-Amzn-SageMaker-Custom-Attributes")
    if attributes:
        context.set_response_header(0, "X-Amzn-SageMaker-Custom-Attributes", attributes[::-1])
    if accept == "text/plain":
        return " ".join(sorted(prediction)), "text/plain"
    return json.dumps(prediction), accept
"""


def replicas(cloud: RunningCloud, endpoint: str) -> list[psutil.Process]:
    """The processes that serve an endpoint and still run."""
    mark = f"{cloud.home}/instances/hosting/{endpoint}-i-"
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("FOGBANK_INSTANCE", "").startswith(mark):
                found.append(process)
        except psutil.Error:
            continue  # it has ended meanwhile, or is none of ours
    return found


@pytest.fixture(scope="module")
def picky(account: Account) -> str:
    account.deploy("picky", PICKY, environment={"GREETING": "hello"})
    account.in_service("picky")
    return "picky"


@pytest.mark.docs
def test_json_in_and_out(account: Account, picky: str) -> None:
    sent = {"ContentType": "application/json", "Accept": "application/json"}
    assert account.invoke(picky, '{"a": 1}', **sent) == {"greeting": "hello", "a": 1}


@pytest.mark.docs
def test_bytes_arrive_untouched(account: Account, picky: str) -> None:
    body = b"\x89PNG" + bytes(range(256)) * 4000
    answer = account.invoke(picky, body, ContentType="image/png")
    assert answer == {"greeting": "hello", "size": len(body)}


@pytest.mark.docs
def test_accept_and_custom_attributes(account: Account, picky: str) -> None:
    answer = account.runtime.invoke_endpoint(
        EndpointName=picky,
        ContentType="application/json",
        Accept="text/plain",
        CustomAttributes="trace=42",
        Body=b'{"a": 1}',
    )
    assert answer["Body"].read() == b"a greeting"
    assert answer["ContentType"] == "text/plain"
    assert answer["CustomAttributes"] == "24=ecart"
    assert answer["InvokedProductionVariant"] == "AllTraffic"


@contextmanager
def model_error(status: int, message: str) -> Iterator[None]:
    """The block raises the ModelError of a container that answered so."""
    with pytest.raises(ClientError) as caught:
        yield
    response: Any = caught.value.response
    assert response["Error"]["Code"] == "ModelError"
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 424
    assert response["OriginalStatusCode"] == status
    assert message in response["OriginalMessage"]
    side = "client" if status < 500 else "server"
    assert response["Error"]["Message"].startswith(
        f'Received {side} error ({status}) from primary with message "'
    )


@pytest.mark.observed
def test_an_error_of_the_users_code(account: Account, picky: str) -> None:
    with model_error(500, "no such breed: dalmatian"):
        account.invoke(picky, '{"fail": "dalmatian"}', ContentType="application/json")
    until(
        lambda: "Traceback (most recent call last):" in account.endpoint_log(picky),
        "the traceback in the log",
    )


@pytest.mark.observed
def test_a_picture_that_is_text(account: Account, picky: str) -> None:
    with model_error(400, "the body is not a picture"):
        account.invoke(picky, b"I am a picture", ContentType="image/png")


def test_code_that_dies_costs_one_request(account: Account, picky: str) -> None:
    with model_error(500, "the worker that served the request died"):
        account.invoke(picky, '{"die": true}', ContentType="application/json")
    assert account.invoke(picky, "{}", ContentType="application/json") == {"greeting": "hello"}


@pytest.mark.model
def test_a_body_of_more_than_6_mb(account: Account, picky: str) -> None:
    limit = 6 * 1024 * 1024
    body = b"\x89PNG".ljust(limit, b"x")
    assert account.invoke(picky, body, ContentType="image/png")["size"] == limit
    with pytest.raises(ClientError) as caught:
        account.invoke(picky, body + b"x", ContentType="image/png")
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 413


def test_an_endpoint_that_does_not_exist(account: Account) -> None:
    with refusal("ValidationError", "Endpoint nowhere of account 123456789012 not found."):
        account.invoke("nowhere")
    with refusal("ValidationException", "endpoint/nowhere"):
        account.endpoint("nowhere")


@pytest.mark.docs  # developer guide, "SageMaker AI endpoint invocation metrics"
def test_invocations_are_counted(account: Account, picky: str) -> None:
    account.invoke(picky, "{}", ContentType="application/json")
    cloudwatch = account.client("cloudwatch")

    def names() -> set[str]:
        dimensions = [
            {"Name": "EndpointName", "Value": picky},
            {"Name": "VariantName", "Value": "AllTraffic"},
        ]
        answer = cloudwatch.list_metrics(Namespace="AWS/SageMaker", Dimensions=dimensions)
        return {metric["MetricName"] for metric in answer["Metrics"]}

    wanted = {"Invocations", "InvocationsPerInstance", "ModelLatency", "OverheadLatency"}
    until(lambda: wanted <= names(), "the metrics of the endpoint")


@pytest.mark.docs
def test_two_variants_share_the_traffic(account: Account) -> None:
    for name in ("model-a", "model-b"):
        account.create_model(name)
    account.create_config(
        "ab",
        {"VariantName": "A", "ModelName": "model-a", "InitialVariantWeight": 1.0},
        {"VariantName": "B", "ModelName": "model-b", "InitialVariantWeight": 1.0},
    )
    account.sagemaker.create_endpoint(EndpointName="ab", EndpointConfigName="ab")
    account.in_service("ab")
    for variant, model in (("A", "model-a"), ("B", "model-b")):
        answers = [account.invoke("ab", TargetVariant=variant)["model"] for _ in range(5)]
        assert answers == [model] * 5
    shared = Counter(account.invoke("ab")["model"] for _ in range(60))
    assert set(shared) == {"model-a", "model-b"}
    account.sagemaker.update_endpoint_weights_and_capacities(
        EndpointName="ab",
        DesiredWeightsAndCapacities=[{"VariantName": "A", "DesiredWeight": 0.0}],
    )
    assert {account.invoke("ab")["model"] for _ in range(20)} == {"model-b"}
    with refusal("ValidationError", "Variant C"):
        account.invoke("ab", TargetVariant="C")
    account.in_service("ab")
    account.delete_endpoint("ab")


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("no-archive", b"this is no archive", "model.tar.gz"),
        (
            "climber",
            archive({"weights": "w", "../../climbed-out": "evil"}),
            "../../climbed-out",
        ),
    ],
)
def test_an_archive_that_cannot_be_used(
    account: Account, name: str, data: bytes, words: str
) -> None:
    account.deploy(name, data=data)
    reason = account.failure(name)
    assert reason.startswith("Could not use the model data at s3://")
    assert words in reason
    assert list(account.cloud.home.rglob("climbed-out")) == []
    account.delete_endpoint(name)


@pytest.mark.observed  # the sentence about the ping health check
def test_code_that_cannot_be_imported(account: Account) -> None:
    account.deploy("no-import", "import a_package_that_nobody_has\n" + ECHO)
    reason = account.failure("no-import")
    assert reason.startswith(
        "The primary container for production variant AllTraffic did not pass the ping health "
        "check. Please check CloudWatch logs for this endpoint."
    )
    assert reason.endswith("ModuleNotFoundError: No module named 'a_package_that_nobody_has'")
    with refusal("ValidationException", "Cannot update endpoint"):
        account.sagemaker.update_endpoint(EndpointName="no-import", EndpointConfigName="no-import")
    account.delete_endpoint("no-import")


def test_an_update_that_fails_keeps_what_serves(account: Account, picky: str) -> None:
    account.create_model("broken", "raise RuntimeError('weights are missing')")
    account.create_config("broken", {"VariantName": "AllTraffic", "ModelName": "broken"})
    account.sagemaker.update_endpoint(EndpointName=picky, EndpointConfigName="broken")
    account.in_service(picky)
    endpoint = account.endpoint(picky)
    assert endpoint["EndpointConfigName"] == picky
    assert "RuntimeError: weights are missing" in endpoint["FailureReason"]
    assert account.invoke(picky, "{}", ContentType="application/json") == {"greeting": "hello"}


class Load:
    """Clients that ask an endpoint without a pause, each after the answer to its last request."""

    def __init__(self, account: Account, endpoint: str, num_clients: int) -> None:
        self.heard: list[str] = []
        self._account = account
        self._endpoint = endpoint
        self._num_clients = num_clients
        self._over = threading.Event()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Raises what a client met, at the end of the block."""
        with ThreadPoolExecutor(self._num_clients) as pool:
            clients = [pool.submit(self._ask) for _ in range(self._num_clients)]
            try:
                yield
            finally:
                self._over.set()
            for client in clients:
                client.result()

    def _ask(self) -> None:
        while not self._over.is_set():
            self.heard.append(self._account.invoke(self._endpoint)["model"])

    def hears(self, model: str, num: int) -> None:
        """Wait until that many answers of a model have come."""
        until(lambda: self.heard.count(model) >= num, f"{num} answers of {model}")


def test_an_update_under_load_loses_no_request(account: Account) -> None:
    account.deploy("before", count=2)
    account.create_model("after")
    account.create_config(
        "after", {"VariantName": "AllTraffic", "ModelName": "after", "InitialInstanceCount": 2}
    )
    account.in_service("before")
    load = Load(account, "before", num_clients=4)
    with load.running():
        load.hears("before", 50)
        account.sagemaker.update_endpoint(EndpointName="before", EndpointConfigName="after")
        account.in_service("before")
        load.hears("after", 50)
    # Requests that the old ones had may end after the first answer of the new ones, no others.
    first_new = load.heard.index("after")
    assert load.heard[first_new:].count("before") <= 4
    assert account.endpoint("before")["EndpointConfigName"] == "after"
    account.delete_endpoint("before")
    assert replicas(account.cloud, "before") == []


def test_a_replica_that_is_killed_is_replaced(account: Account) -> None:
    account.deploy("phoenix")
    account.in_service("phoenix")
    first = replicas(account.cloud, "phoenix")
    assert first
    for process in first:
        os.kill(process.pid, signal.SIGKILL)
    psutil.wait_procs(first, timeout=10)
    assert account.invoke("phoenix") == {"model": "phoenix", "said": "hello"}
    assert account.endpoint("phoenix")["EndpointStatus"] == "InService"
    second = {process.pid for process in replicas(account.cloud, "phoenix")}
    assert second
    assert second.isdisjoint(process.pid for process in first)
    account.delete_endpoint("phoenix")


def test_delete_frees_the_name(account: Account) -> None:
    for word in ("one", "two"):
        account.create_model(f"reborn-{word}")
        account.create_config(
            f"reborn-{word}", {"VariantName": "AllTraffic", "ModelName": f"reborn-{word}"}
        )
        account.sagemaker.create_endpoint(
            EndpointName="reborn", EndpointConfigName=f"reborn-{word}"
        )
        account.in_service("reborn")
        assert account.invoke("reborn")["model"] == f"reborn-{word}"
        account.delete_endpoint("reborn")
        with refusal("ValidationError", "not found"):
            account.invoke("reborn")
