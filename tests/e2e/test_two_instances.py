"""Jobs of two instances through the wire: real torchrun, real process groups on this host."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import pytest

from e2e.account import Account
from e2e.waiting import until

torch = pytest.importorskip("torch")
Image = pytest.importorskip("PIL.Image")

pytestmark = pytest.mark.slow

TWO = {"InstanceType": "ml.m5.large", "InstanceCount": 2, "VolumeSizeInGB": 1}
DISTRIBUTED = {"sagemaker_torch_distributed_enabled": True}
SMDDP = {"sagemaker_distributed_dataparallel_enabled": True}
PYTORCH_DDP = {"sagemaker_pytorch_ddp_enabled": True}
MPI = {"sagemaker_mpi_enabled": True, "sagemaker_mpi_num_of_processes_per_host": 1}

SUM = """
import argparse, json, os, pathlib, time
import torch, torch.distributed as dist

parser = argparse.ArgumentParser()
parser.add_argument("--mine", type=int)
mine = parser.parse_args().mine
dist.init_process_group()
value = torch.tensor([float(mine * (dist.get_rank() + 1))])
for _ in range(40):  # long enough to meet the other job, were that possible
    value = torch.tensor([float(mine * (dist.get_rank() + 1))])
    dist.all_reduce(value)
    time.sleep(0.05)
print(f"rank {dist.get_rank()} of {dist.get_world_size()} on {os.environ['SM_CURRENT_HOST']} "
      f"({os.environ['LOCAL_RANK']}): sum {int(value)}")
dist.destroy_process_group()
pathlib.Path(os.environ["SM_MODEL_DIR"], "sum.txt").write_text(str(int(value)))
"""

OWN_GROUP = """
import json, os
import torch, torch.distributed as dist

hosts = json.loads(os.environ["SM_HOSTS"])
os.environ["WORLD_SIZE"] = str(len(hosts))
os.environ["RANK"] = str(hosts.index(os.environ["SM_CURRENT_HOST"]))
dist.init_process_group("gloo")
value = torch.tensor([dist.get_rank() + 1])
dist.all_reduce(value)
print(f"sum {int(value)} of {dist.get_world_size()}")
dist.destroy_process_group()
"""

BROKEN = """
import argparse, os, signal
import torch.distributed as dist

parser = argparse.ArgumentParser()
parser.add_argument("--how")
dist.init_process_group()
print("together")
if dist.get_rank() == 1:
    if parser.parse_args().how == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    raise ValueError("no pictures of the breed kuvasz")
dist.barrier()
"""

PATIENT = """
import torch.distributed as dist
import time

dist.init_process_group()
print("together", dist.get_rank(), flush=True)
time.sleep(600)
"""

TRAIN = "from fogbank.vision.train import main\n\nmain()\n"


def warnings(log: list[str]) -> list[str]:
    return [line for line in log if "Warning: " in line]


def last_message(job: Mapping[str, Any]) -> str:
    message: str = job["SecondaryStatusTransitions"][-1]["StatusMessage"]
    return message


@pytest.mark.docs
def test_two_jobs_at_once_form_their_own_groups(account: Account) -> None:
    """One as torch_distributed, one as smdistributed.dataparallel (and the SDK's pytorchddp)."""
    pairs = {"pair-a": (1, DISTRIBUTED), "pair-b": (100, SMDDP)}
    for name, (mine, distribution) in pairs.items():
        settings = {**distribution, "mine": mine}
        account.train(name, SUM, hyperparameters=settings, ResourceConfig=TWO)
    for name, (mine, _) in pairs.items():
        job = account.job_end(name)
        assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
        said = [line for line in account.job_log(name) if line.startswith("rank ")]
        assert sorted(said) == [
            f"rank 0 of 2 on algo-1 (0): sum {3 * mine}",
            f"rank 1 of 2 on algo-2 (0): sum {3 * mine}",
        ]
        assert warnings(account.job_log(name)) == []
        assert last_message(job) == "Training job completed"
        streams = account.logs.describe_log_streams(
            logGroupName="/aws/sagemaker/TrainingJobs", logStreamNamePrefix=f"{name}/"
        )["logStreams"]
        hosts = [stream["logStreamName"].partition("/")[2].rpartition("-")[0] for stream in streams]
        assert hosts == ["algo-1", "algo-2"]
    refused = "AWS refuses smdistributed.dataparallel on ml.m5.large: it supports ml.p3.16xlarge, "
    told = [name for name in pairs for line in account.job_log(name) if refused in line]
    assert told == ["pair-b"] * 2, "each instance's log names the types"


@pytest.mark.observed
@pytest.mark.parametrize(("num_instances", "said"), [(1, "sum 1 of 1"), (2, "sum 3 of 2")])
def test_a_script_forms_its_own_group_of_the_hosts(
    account: Account, num_instances: int, said: str
) -> None:
    """AWS's PyTorch image sets MASTER_ADDR and MASTER_PORT also without any distribution."""
    name = f"own-group-{num_instances}"
    account.train(name, OWN_GROUP, ResourceConfig={**TWO, "InstanceCount": num_instances})
    job = account.job_end(name)
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    assert account.job_log(name).count(said) == num_instances


@pytest.mark.parametrize(
    ("how", "distribution", "reason"),
    [
        ("raises", DISTRIBUTED, "ValueError: no pictures of the breed kuvasz"),
        ("killed", PYTORCH_DDP, "Signal 9 (SIGKILL)"),
    ],
    ids=["raises", "killed"],
)
def test_a_rank_that_fails_ends_the_job_with_its_own_reason(
    account: Account, how: str, distribution: Mapping[str, Any], reason: str
) -> None:
    name = f"rank-{how}"
    settings = {**distribution, "how": how}
    account.train(name, BROKEN, hyperparameters=settings, ResourceConfig=TWO)
    job = account.job_end(name)
    assert job["TrainingJobStatus"] == "Failed"
    assert reason in job["FailureReason"]
    assert account.job_log(name).count("together") == 2


def test_a_stop_reaches_every_rank(account: Account) -> None:
    account.train("stop-both", PATIENT, hyperparameters=MPI, ResourceConfig=TWO)
    until(
        lambda: {"together 0", "together 1"} <= set(account.job_log("stop-both")),
        "a process group",
    )
    account.sagemaker.stop_training_job(TrainingJobName="stop-both")
    assert account.job_end("stop-both")["TrainingJobStatus"] == "Stopped"


def test_the_workload_shares_the_work(account: Account) -> None:
    for split, each in (("train", 6), ("valid", 2)):
        for name, colour in {"red": (220, 40, 50), "blue": (40, 60, 220)}.items():
            for number in range(each):
                shade = tuple(min(255, value + 5 * number) for value in colour)
                picture = io.BytesIO()
                Image.new("RGB", (32, 32), shade).save(picture, "PNG")
                account.put(f"colours/{split}/{name}/{number}.png", picture.getvalue())
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{account.bucket}/colours/"}
    account.train(
        "colours",
        TRAIN,
        hyperparameters={**DISTRIBUTED, "epochs": 2, "batch_size": 4, "image_size": 32},
        InputDataConfig=[{"ChannelName": "training", "DataSource": {"S3DataSource": source}}],
        ResourceConfig=TWO,
    )
    job = account.job_end("colours")
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    log = account.job_log("colours")
    assert any(line.startswith("2 processes train one model") for line in log)
    assert sum(line.startswith("epoch=") for line in log) == 2, "one rank speaks for both"
    assert "features of train: 6 of 6 pictures of rank 0" in log
    assert warnings(log) == []
    artifact = account.get("out/colours/output/model.tar.gz")
    assert artifact.startswith(b"\x1f\x8b")
