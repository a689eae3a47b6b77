"""One trivial model, twice: deployed through the API, and served bare by the same image."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from harness.jobs import archive
from harness.raw_http import Address, Connection, address_of
from harness.servers import Server, free_port
from harness.signing import signed

IMAGE = "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-inference:2.6.0-cpu-py312"
BUCKET = "benchmark-models"
MODEL = "echo"
CONTENT_TYPE = "application/octet-stream"
_POLL_S = 0.01
_LIMIT_S = 120
_SERVES = "fogbank.images.inference"

INFERENCE = """\
def model_fn(model_dir):
    return None

def transform_fn(model, body, content_type, accept):
    return bytes(body), "application/octet-stream"
"""


class EchoEndpoints:
    """The model and endpoint configuration `echo` exist once this is made."""

    def __init__(self, cloud: Server) -> None:
        self._cloud = cloud
        self._sagemaker = cloud.client("sagemaker")
        s3 = cloud.client("s3")
        s3.create_bucket(Bucket=BUCKET)
        s3.put_object(
            Bucket=BUCKET, Key="model.tar.gz", Body=archive({"code/inference.py": INFERENCE})
        )
        self._sagemaker.create_model(
            ModelName=MODEL,
            ExecutionRoleArn=cloud.facts["role"],
            PrimaryContainer={"Image": IMAGE, "ModelDataUrl": f"s3://{BUCKET}/model.tar.gz"},
        )
        self._sagemaker.create_endpoint_config(
            EndpointConfigName=MODEL,
            ProductionVariants=[
                {
                    "VariantName": "AllTraffic",
                    "ModelName": MODEL,
                    "InstanceType": "ml.m5.large",
                    "InitialInstanceCount": 1,
                }
            ],
        )

    def create_s(self, name: str) -> float:
        """Seconds from sending CreateEndpoint until DescribeEndpoint says InService."""
        asking = signed(self._sagemaker, "describe_endpoint", EndpointName=name)
        connection = Connection(address_of(self._cloud.url))
        began = time.perf_counter()
        self._sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=MODEL)
        while b'"InService"' not in (answer := connection.exchange(asking).body):
            if b'"Failed"' in answer or time.perf_counter() - began > _LIMIT_S:
                raise RuntimeError(f"the endpoint {name} is not in service: {bytes(answer)!r}")
            time.sleep(_POLL_S)
        took = time.perf_counter() - began
        connection.close()
        return took

    def delete(self, name: str) -> None:
        """Returns when it is gone."""
        self._sagemaker.delete_endpoint(EndpointName=name)
        limit = time.monotonic() + _LIMIT_S
        while time.monotonic() < limit:
            if not self._sagemaker.list_endpoints(NameContains=name)["Endpoints"]:
                return
            time.sleep(0.1)
        raise RuntimeError(f"the endpoint {name} does not go")

    def replica_cpus(self) -> list[int]:
        """The processors that the cloud gave to a replica that runs."""
        for process in psutil.Process(self._cloud.pid).children(recursive=True):
            if _SERVES in process.cmdline():
                return [int(cpu) for cpu in process.cpu_affinity() or ()]
        raise RuntimeError("no replica runs")


@contextmanager
def bare_replica(folder: Path, cpus: list[int] | None = None) -> Iterator[tuple[Address, float]]:
    """The image without a cloud, as nice as the cloud runs it and on the same processors.
    Gives its address and the seconds from its start until /ping answered 200."""
    code = folder / "model" / "code"
    code.mkdir(parents=True, exist_ok=True)
    (code / "inference.py").write_text(INFERENCE)
    port = free_port()
    environment = {
        **os.environ,
        "SAGEMAKER_BASE_DIR": str(folder),
        "SAGEMAKER_BIND_TO_PORT": str(port),
        "PYTHONUNBUFFERED": "1",
    }
    began = time.perf_counter()
    with (folder / "replica.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", _SERVES],
            env=environment,
            cwd=folder,
            stdout=log,
            stderr=log,
        )
    address = ("127.0.0.1", port)
    try:
        while not _is_healthy(address):
            if process.poll() is not None or time.perf_counter() - began > _LIMIT_S:
                raise RuntimeError(f"the image does not serve: see {folder / 'replica.log'}")
            time.sleep(_POLL_S)
        took = time.perf_counter() - began
        if cpus is not None:
            bare = psutil.Process(process.pid)
            for one in (bare, *bare.children(recursive=True)):
                one.cpu_affinity(cpus)
        yield address, took
    finally:
        process.terminate()
        process.wait(timeout=30)


def _is_healthy(address: Address) -> bool:
    connection = Connection(address)
    try:
        connection.exchange(b"GET /ping HTTP/1.1\r\nhost: replica\r\n\r\n")
    except (ConnectionError, RuntimeError):  # not listening yet; 503 while it loads
        return False
    finally:
        connection.close()
    return True


def invocation(body: bytes) -> bytes:
    """The request that a replica gets."""
    head = (
        "POST /invocations HTTP/1.1\r\nhost: replica\r\n"
        f"content-type: {CONTENT_TYPE}\r\naccept: {CONTENT_TYPE}\r\n"
        f"content-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body
