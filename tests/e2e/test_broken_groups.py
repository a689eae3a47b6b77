"""Process groups that break while they train: an instance is lost, or a rank hangs."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import psutil
import pytest

from e2e.account import Account
from e2e.waiting import until

pytest.importorskip("torch")

pytestmark = pytest.mark.slow

TWO = {"InstanceType": "ml.m5.large", "InstanceCount": 2, "VolumeSizeInGB": 1}
GRACE_S = 120
"""From SIGTERM to SIGKILL (API reference, StoppingCondition)."""

LIMIT_S, LONGER_LIMIT_S = 15, 60

DISTRIBUTED = {"sagemaker_torch_distributed_enabled": True}

EPOCHS = """
import os, pathlib, time
import torch, torch.distributed as dist

dist.init_process_group()
gradient = torch.ones(1000)
for epoch in range(10_000):
    for _ in range(10):
        dist.all_reduce(gradient)
        time.sleep(0.01)
    if epoch == 2:
        print(f"rank {dist.get_rank()} has learned something", flush=True)
pathlib.Path(os.environ["SM_MODEL_DIR"], "model.pth").write_bytes(b"weights")
"""

HANGS = """
import os, pathlib, time
import torch.distributed as dist

dist.init_process_group()
pathlib.Path(os.environ["SM_MODEL_DIR"], "first-epoch.pth").write_bytes(b"weights")
print(f"rank {dist.get_rank()} is there", flush=True)
if dist.get_rank() == 1:
    time.sleep(600)  # a data loader that waits for ever
dist.barrier()
"""


def processes_of(folder: Path) -> list[psutil.Process]:
    """Everything that runs on the instance with that folder."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("FOGBANK_INSTANCE") == str(folder):
                found.append(process)
        except psutil.Error:
            continue  # it has ended meanwhile, or is none of ours
    return found


@pytest.fixture(scope="module")
def hanging(account: Account) -> str:
    """A job that hangs in its process group. Started before what the other test needs: its limit
    passes meanwhile."""
    name = f"hangs-{LIMIT_S}"
    start_hanging(account, LIMIT_S)
    until(
        lambda: account.job(name)["TrainingJobStatus"] != "InProgress" or formed(account, name),
        "a process group, or the time limit",
    )
    return name


def start_hanging(account: Account, limit_s: int) -> None:
    name = f"hangs-{limit_s}"
    account.train(name, HANGS, hyperparameters=DISTRIBUTED, ResourceConfig=TWO, limit_s=limit_s)


def formed(account: Account, name: str) -> bool:
    return {"rank 0 is there", "rank 1 is there"} <= set(account.job_log(name))


@pytest.mark.usefixtures("hanging")
def test_an_instance_that_is_killed_in_mid_epoch(account: Account) -> None:
    """As when its host is lost: no last words, no chance to clean up. The reason is that of the
    one that was killed, not "connection closed by peer" of the one that was left."""
    account.train("lost", EPOCHS, hyperparameters=DISTRIBUTED, ResourceConfig=TWO)
    lines = {f"rank {rank} has learned something" for rank in (0, 1)}
    until(lambda: lines <= set(account.job_log("lost")), "both ranks train")
    instance = account.cloud.home / "instances" / "training" / "lost" / "algo-2"
    victims = processes_of(instance)
    assert len(victims) >= 2, "the launcher and the rank"
    for victim in victims:
        os.kill(victim.pid, signal.SIGKILL)
    job = account.job_end("lost")
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Failed", "Failed")
    assert job["FailureReason"].startswith("AlgorithmError: killed by signal 9 (SIGKILL)")
    assert job["FailureReason"].endswith("exit code: 137")
    assert processes_of(instance.with_name("algo-1")) == []
    assert account.keys("out/lost/") == [], "no model that somebody might deploy"


@pytest.mark.docs
def test_a_rank_that_hangs_is_ended_by_the_time_limit(account: Account, hanging: str) -> None:
    """The others wait for it in the barrier. What was saved before is uploaded, as after a stop."""
    name, limit_s = hanging, LIMIT_S
    job = account.job_end(name)
    if not formed(account, name):
        # A busy host may need longer for a group than the job may run: another runs for longer.
        name, limit_s = f"hangs-{LONGER_LIMIT_S}", LONGER_LIMIT_S
        start_hanging(account, limit_s)
        job = account.job_end(name, limit_s=limit_s + 60)
        assert formed(account, name), f"no process group within {limit_s} s"
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "MaxRuntimeExceeded")
    assert "FailureReason" not in job
    seconds = (job["TrainingEndTime"] - job["TrainingStartTime"]).total_seconds()
    assert limit_s <= seconds < limit_s + GRACE_S, "SIGTERM was enough, on every instance"
    assert account.model_of(name) == {"first-epoch.pth": "weights"}
    folder = account.cloud.home / "instances" / "training" / name
    assert [processes_of(folder / host) for host in ("algo-1", "algo-2")] == [[], []]
