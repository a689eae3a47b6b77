"""Control-plane calls one after the other, and the server's memory.

Through boto3, whose own cost is most of what a user sees, and as ready-made signed requests over
one socket, which is what the server takes. moto's server answers the same calls.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from harness.bench import Bench, alternate
from harness.jobs import IMAGE
from harness.raw_http import address_of, latencies_ms
from harness.results import Result, Row, Series, percentile
from harness.servers import Server
from harness.signing import signed

NAME = "control_plane"
BUDGET = "p50 ≤ 3 ms a call; server at rest ≤ 120 MB"

_LIMIT_MS = 3.0
_LIMIT_MB = 120.0
_CALLS = 100
_ROUNDS = 5
_JOB, _BUCKET, _MODEL = "benchmark-job", "benchmark-control", "benchmark-model"


@dataclass(frozen=True)
class Call:
    """A call that can be made again and again: one operation, or several that undo each other."""

    name: str
    service: str
    steps: tuple[tuple[str, dict[str, Any]], ...]


def _calls(role: str) -> tuple[Call, ...]:
    model = {"ModelName": _MODEL}
    create = {**model, "ExecutionRoleArn": role, "PrimaryContainer": {"Image": IMAGE}}
    return (
        Call(
            "DescribeTrainingJob",
            "sagemaker",
            (("describe_training_job", {"TrainingJobName": _JOB}),),
        ),
        Call("ListTrainingJobs", "sagemaker", (("list_training_jobs", {}),)),
        Call(
            "CreateModel + DeleteModel",
            "sagemaker",
            (("create_model", create), ("delete_model", model)),
        ),
        Call("GetCallerIdentity", "sts", (("get_caller_identity", {}),)),
    )


def measure(bench: Bench) -> Result:
    with bench.fogbank_and_moto() as servers:
        at_rest = {server.name: server.rss_mb for server in servers}
        for server in servers:
            _create_job(server)
        rows: list[Row] = []
        for call in _calls("arn:aws:iam::123456789012:role/FogbankNotebook"):
            for client, way in (("raw", _raw_ms), ("boto3", _boto3_ms)):
                bench.say(f"{call.name}, {client}")
                prepared = {server.name: _prepare(way, server, call) for server in servers}
                found = alternate(bench.rounds(_ROUNDS), prepared)
                rows += _rows(call, client, found)
        after = {server.name: server.rss_mb for server in servers}
    memory = (("memory at rest, fresh", at_rest), ("memory after this benchmark", after))
    rows += [
        Row(
            what=what,
            fogbank=Series("MB", (found["Fogbank"],)),
            peer=Series("MB", (found["moto"],)) if "moto" in found else None,
            peer_name="moto",
            limit=_LIMIT_MB if found is at_rest else None,
        )
        for what, found in memory
    ]
    notes = [
        f"{_CALLS} calls a round, one at a time; each number is a round's percentile.",
        "CreateModel + DeleteModel is the pair's time: two calls, each synced to disk by Fogbank. "
        "moto keeps everything in memory.",
        "moto closes the connection after each answer, so that each of its calls connects anew.",
    ]
    return Result(rows=rows, notes=notes)


def _create_job(server: Server) -> None:
    server.client("s3").create_bucket(Bucket=_BUCKET)
    server.client("sagemaker").create_training_job(
        TrainingJobName=_JOB,
        RoleArn="arn:aws:iam::123456789012:role/FogbankNotebook",
        AlgorithmSpecification={
            "TrainingImage": IMAGE,
            "TrainingInputMode": "File",
            "ContainerEntrypoint": ["/bin/true"],
        },
        HyperParameters={"epochs": "3", "learning-rate": "0.01"},
        OutputDataConfig={"S3OutputPath": f"s3://{_BUCKET}/out"},
        ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
        StoppingCondition={"MaxRuntimeInSeconds": 60},
    )
    time.sleep(1)  # the job is over, and the server at rest


def _prepare(
    way: Callable[[Server, Any, Call], list[float]], server: Server, call: Call
) -> Callable[[], list[float]]:
    return partial(way, server, server.client(call.service), call)


def _raw_ms(server: Server, client: Any, call: Call) -> list[float]:
    requests = [signed(client, operation, **given) for operation, given in call.steps]
    steps = latencies_ms(address_of(server.url), requests, _CALLS)
    return [sum(together) for together in zip(*steps, strict=True)]


def _boto3_ms(server: Server, client: Any, call: Call) -> list[float]:
    found: list[float] = []
    for _ in range(_CALLS):
        began = time.perf_counter()
        for operation, given in call.steps:
            getattr(client, operation)(**given)
        found.append((time.perf_counter() - began) * 1e3)
    return found


def _rows(call: Call, client: str, found: dict[str, list[list[float]]]) -> list[Row]:
    """The budget is for the server: the raw client's p50 is judged."""

    def series(name: str, share: float) -> Series | None:
        if name not in found:
            return None
        return Series("ms", tuple(percentile(one, share) for one in found[name]))

    rows: list[Row] = []
    for label, share in (("p50", 0.5), ("p99", 0.99)):
        ours = series("Fogbank", share)
        assert ours is not None
        rows.append(
            Row(
                what=f"{call.name}, {client}, {label}",
                fogbank=ours,
                peer=series("moto", share),
                peer_name="moto",
                limit=_LIMIT_MS * len(call.steps) if label == "p50" else None,
            )
        )
    return rows
