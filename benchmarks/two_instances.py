"""A training on two instances, beside torchrun started by hand on the same cores."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.bench import Bench, alternate
from harness.jobs import IMAGE, archive
from harness.results import Result, Row, Series
from harness.servers import Server

NAME = "two_instances"
BUDGET = "training on two instances ≥ 0.95 x torchrun by hand on the same cores"

_LIMIT = 0.95
_ROUNDS = 6
_LIMIT_S = 300
_POLL_S = 0.5
_NICE = 10
"""Instances are niced so that the cloud stays responsive. Beside other work that costs time, which
says nothing of the way in which they are started: so torchrun by hand is niced, too."""
_BUCKET = "benchmark-two-instances"

SCRIPT = """\
import json, os, time
import torch
import torch.distributed as dist
from torch import nn
from torchvision.models import resnet18

BATCH, SIDE, WARM_UP, STEPS = 16, 64, 4, 24

dist.init_process_group()
torch.manual_seed(dist.get_rank())
model = nn.parallel.DistributedDataParallel(resnet18(num_classes=10))
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
pictures = torch.randn(BATCH, 3, SIDE, SIDE)
labels = torch.randint(10, (BATCH,))
for step in range(WARM_UP + STEPS):
    if step == WARM_UP:
        dist.barrier()
        began = time.perf_counter()
    loss = nn.functional.cross_entropy(model(pictures), labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
dist.barrier()
seconds = time.perf_counter() - began
if dist.get_rank() == 0:
    world = dist.get_world_size()
    surroundings = {"ranks": world, "threads": torch.get_num_threads(), "niceness": os.nice(0),
                    "cores": len(os.sched_getaffinity(0)), "loss": round(loss.item(), 2),
                    "waits": os.environ.get("OMP_WAIT_POLICY")}
    facts = {"pictures_per_s": BATCH * STEPS * world / seconds, "surroundings": surroundings}
    print("BENCHMARK " + json.dumps(facts), flush=True)
dist.destroy_process_group()
"""


@dataclass(frozen=True, kw_only=True)
class Run:
    """One training. seconds: from the command, or from CreateTrainingJob, to the end.
    surroundings: what has to be the same on both sides for the speeds to be comparable."""

    pictures_per_s: float
    surroundings: dict[str, Any]
    seconds: float


def measure(bench: Bench) -> Result:
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        return Result(rows=[], notes=["Not measured: two instances need two cores."])
    script = bench.scratch / "train.py"
    script.write_text(SCRIPT)
    with bench.fogbank() as cloud:
        jobs = _Jobs(cloud)
        bench.say("trainings")
        found = alternate(
            bench.rounds(_ROUNDS), {"job": jobs.run, "bare": lambda: _bare(script, cores)}
        )
    jobs_runs, bare_runs = found["job"], found["bare"]
    surroundings = jobs_runs[0].surroundings
    others = [run.surroundings for runs in found.values() for run in runs]
    if any(other != surroundings for other in others):
        raise RuntimeError(f"not the same conditions: {others}")
    rows = [
        Row(
            what="DDP, resnet18 at 64 px, 16 pictures a rank",
            fogbank=Series("pictures/s", tuple(run.pictures_per_s for run in jobs_runs)),
            peer=Series("pictures/s", tuple(run.pictures_per_s for run in bare_runs)),
            peer_name="torchrun --nnodes 2",
            better="higher",
            judged="ratio",
            limit=_LIMIT,
        ),
        Row(
            what="from the start to the end",
            fogbank=Series("s", tuple(run.seconds for run in jobs_runs)),
            peer=Series("s", tuple(run.seconds for run in bare_runs)),
            peer_name="torchrun --nnodes 2",
        ),
    ]
    return Result(
        rows=rows,
        notes=[
            f"{len(cores) // 2} of {len(cores)} cores for each of two ranks; gloo.",
            f"The same in every run of both: {surroundings} (loss: after the last step).",
            "The end of a job is seen by asking every half second.",
        ],
    )


def _facts(lines: list[str]) -> dict[str, Any]:
    for line in lines:
        _, mark, text = line.partition("BENCHMARK ")
        if mark and text.startswith("{"):
            facts: dict[str, Any] = json.loads(text)
            if facts["surroundings"]["ranks"] == 2:
                return facts
    raise RuntimeError(f"no result of two ranks: {lines[-5:]}")


class _Jobs:
    """Training jobs of two instances, one at a time."""

    def __init__(self, cloud: Server) -> None:
        self._sagemaker = cloud.client("sagemaker")
        self._logs = cloud.client("logs")
        self._role = cloud.facts["role"]
        self._num = 0
        s3 = cloud.client("s3")
        s3.create_bucket(Bucket=_BUCKET)
        s3.put_object(Bucket=_BUCKET, Key="code.tar.gz", Body=archive({"train.py": SCRIPT}))

    def run(self) -> Run:
        self._num += 1
        name = f"two-{self._num}"
        began = time.perf_counter()
        self._sagemaker.create_training_job(
            TrainingJobName=name,
            RoleArn=self._role,
            AlgorithmSpecification={"TrainingImage": IMAGE, "TrainingInputMode": "File"},
            HyperParameters={
                "sagemaker_program": "train.py",
                "sagemaker_submit_directory": f"s3://{_BUCKET}/code.tar.gz",
                "sagemaker_torch_distributed_enabled": "true",
            },
            OutputDataConfig={"S3OutputPath": f"s3://{_BUCKET}/out"},
            # More than any host has: each instance gets half of it.
            ResourceConfig={
                "InstanceType": "ml.m5.24xlarge",
                "InstanceCount": 2,
                "VolumeSizeInGB": 1,
            },
            StoppingCondition={"MaxRuntimeInSeconds": _LIMIT_S},
        )
        self._wait(name)
        seconds = time.perf_counter() - began
        events = self._logs.filter_log_events(
            logGroupName="/aws/sagemaker/TrainingJobs",
            logStreamNamePrefix=f"{name}/",
            filterPattern="BENCHMARK",
        )["events"]
        facts = _facts([event["message"] for event in events])
        return Run(**facts, seconds=seconds)

    def _wait(self, name: str) -> None:
        limit = time.monotonic() + _LIMIT_S
        while time.monotonic() < limit:
            time.sleep(_POLL_S)  # seldom: asking costs the processors that the job wants
            job = self._sagemaker.describe_training_job(TrainingJobName=name)
            if job["TrainingJobStatus"] == "Completed":
                return
            if job["TrainingJobStatus"] != "InProgress":
                raise RuntimeError(f"{name}: {job.get('FailureReason', 'was stopped')}")
        raise RuntimeError(f"{name} did not end in {_LIMIT_S} s")


def _bare(script: Path, cores: list[int]) -> Run:
    """What a person would type on two machines, each with half of the cores."""
    half = len(cores) // 2
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    began = time.perf_counter()
    ranks = [
        subprocess.Popen(
            [
                *("nice", "-n", str(_NICE), "taskset", "--cpu-list", ",".join(map(str, mine))),
                *(sys.executable, "-m", "torch.distributed.run", "--nnodes", "2"),
                *("--nproc_per_node", "1", "--node_rank", str(rank)),
                *("--master_addr", "127.0.0.1", "--master_port", str(port), str(script)),
            ],
            env={
                **os.environ,
                "GLOO_SOCKET_IFNAME": "lo",
                "OMP_NUM_THREADS": str(half),
                "OMP_WAIT_POLICY": "PASSIVE",  # as instances have it
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank, mine in enumerate((cores[:half], cores[half : 2 * half]))
    ]
    ended = [rank.communicate(timeout=_LIMIT_S) for rank in ranks]
    seconds = time.perf_counter() - began
    if any(rank.returncode for rank in ranks):
        raise RuntimeError(f"torchrun failed: {ended[0][1][-2000:]}{ended[1][1][-2000:]}")
    facts = _facts("".join(out for out, _ in ended).splitlines())
    return Run(**facts, seconds=seconds)
