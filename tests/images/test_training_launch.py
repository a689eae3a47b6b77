"""Which command a job is started with, where it asks for a process group."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fogbank.images.errors import ContractError
from fogbank.images.overlay import Interpreter
from fogbank.images.training.contract import read_job
from fogbank.images.training.launch import Launch, plan_launch

GROUP = {"instance_group_name": "homogeneousCluster", "instance_type": "ml.m5.xlarge"}


def plan(
    job: Any, hosts: list[str], current: str, *, instance_type: str = "ml.m5.xlarge", **sent: str
) -> Launch:
    config = job.base / "input" / "config"
    config.mkdir(parents=True, exist_ok=True)
    job.script("print()")
    (config / "hyperparameters.json").write_text(
        json.dumps({"sagemaker_program": '"train.py"', "epochs": "1", **sent})
    )
    (config / "inputdataconfig.json").write_text("{}")
    (config / "resourceconfig.json").write_text(
        json.dumps(
            {
                "current_host": current,
                "current_instance_type": instance_type,
                "hosts": hosts,
                "instance_groups": [{**GROUP, "hosts": hosts}],
            }
        )
    )
    return plan_launch(read_job(job.environ), Interpreter(Path("/py"), None))


@pytest.mark.observed
@pytest.mark.parametrize(
    "parameter",
    [
        "sagemaker_torch_distributed_enabled",
        "sagemaker_pytorch_ddp_enabled",
        "sagemaker_distributed_dataparallel_enabled",
    ],
)
def test_distribution_starts_torchrun_on_every_host(job: Any, parameter: str) -> None:
    job.environ |= {"FOGBANK_MASTER_ADDR": "127.0.0.1", "FOGBANK_MASTER_PORT": "29511"}
    launch = plan(job, ["algo-1", "algo-2"], "algo-2", **{parameter: "true"})
    assert " ".join(launch.command) == (
        "/py -m torch.distributed.run --nnodes 2 --nproc_per_node 1 --master_addr 127.0.0.1 "
        "--master_port 29511 --node_rank 1 train.py --epochs 1"
    )


@pytest.mark.observed
def test_without_a_word_of_the_machine_the_first_host_is_the_master(job: Any) -> None:
    job.environ["CUDA_VISIBLE_DEVICES"] = "0,1,2,3"
    on = {"sagemaker_torch_distributed_enabled": "true"}
    two = plan(job, ["algo-1", "algo-2"], "algo-1", **on).command
    assert " ".join(two[5:]).startswith(
        "--nproc_per_node 4 --master_addr algo-1 --master_port 7777 --node_rank 0 train.py"
    )
    one = plan(job, ["algo-1"], "algo-1", **on).command
    assert one[:8] == (
        *("/py", "-m", "torch.distributed.run"),
        *("--nnodes", "1", "--nproc_per_node", "4", "train.py"),
    )


@pytest.mark.observed
def test_a_script_finds_where_its_hosts_meet(job: Any) -> None:
    hosts = ["algo-1", "algo-2"]
    env = plan(job, hosts, "algo-2").env
    assert (env["MASTER_ADDR"], env["MASTER_PORT"]) == ("algo-1", "7777")
    job.environ |= {"FOGBANK_MASTER_ADDR": "127.77.0.1", "FOGBANK_MASTER_PORT": "29511"}
    env = plan(job, hosts, "algo-2").env
    assert (env["MASTER_ADDR"], env["MASTER_PORT"]) == ("127.77.0.1", "29511")
    on = {"sagemaker_torch_distributed_enabled": "true"}
    assert plan(job, hosts, "algo-2", **on).env["NCCL_PROTO"] == "simple"
    assert "NCCL_PROTO" not in env


def test_without_distribution_every_host_runs_the_script(job: Any) -> None:
    off = {"sagemaker_torch_distributed_enabled": "false"}
    assert plan(job, ["algo-1", "algo-2"], "algo-2", **off).command[:3] == ("/py", "--", "train.py")


def test_distribution_that_is_not_offered_is_refused(job: Any) -> None:
    with pytest.raises(ContractError, match="parameter servers"):
        plan(job, ["algo-1"], "algo-1", sagemaker_parameter_server_enabled="true")


def test_gloo_listens_where_the_instances_reach_each_other(job: Any) -> None:
    on = {"sagemaker_torch_distributed_enabled": "true"}
    hosts = ["algo-1", "algo-2"]
    assert plan(job, hosts, "algo-1", **on).env["GLOO_SOCKET_IFNAME"] == "eth0"
    assert "GLOO_SOCKET_IFNAME" not in plan(job, hosts, "algo-1").env
    job.environ["GLOO_SOCKET_IFNAME"] = "bond0"
    assert plan(job, hosts, "algo-1", **on).env["GLOO_SOCKET_IFNAME"] == "bond0"


@pytest.mark.docs
@pytest.mark.parametrize(
    ("instance_type", "num_notes"),
    [("ml.m5.xlarge", 2), ("ml.p4d.24xlarge", 1), ("ml.p4de.24xlarge", 1)],
)
def test_smddp_says_what_aws_supports(job: Any, instance_type: str, num_notes: int) -> None:
    on = {"sagemaker_distributed_dataparallel_enabled": "true"}
    notes = plan(job, ["algo-1"], "algo-1", instance_type=instance_type, **on).notes
    assert len(notes) == num_notes
    assert "started by torchrun here" in notes[0]
    if num_notes == 2:
        assert f"refuses smdistributed.dataparallel on {instance_type}" in notes[1]
        assert "ml.p3.16xlarge, ml.p3dn.24xlarge, ml.p4d.24xlarge, ml.p4de.24xlarge" in notes[1]


@pytest.mark.observed
def test_mpi_is_started_by_torchrun_with_a_note(job: Any, tmp_path: Path) -> None:
    on = {
        "sagemaker_mpi_enabled": "true",
        "sagemaker_mpi_num_of_processes_per_host": "2",
        "sagemaker_mpi_custom_mpi_options": '"--oversubscribe"',
    }
    job.environ["PATH"] = str(tmp_path)
    launch = plan(job, ["algo-1", "algo-2"], "algo-1", **on)
    assert launch.command[1:7] == (
        *("-m", "torch.distributed.run", "--nnodes", "2", "--nproc_per_node", "2"),
    )
    assert "mpirun is not installed" in launch.notes[0]
    assert "'--oversubscribe'" in launch.notes[1]
    (tmp_path / "mpirun").write_text("#!/bin/sh\n")
    (tmp_path / "mpirun").chmod(0o755)
    assert f"{tmp_path}/mpirun would need SSH" in plan(job, ["algo-1"], "algo-1", **on).notes[0]
    with pytest.raises(ContractError, match="'two'; it must be a whole number"):
        wrong = {**on, "sagemaker_mpi_num_of_processes_per_host": '"two"'}
        plan(job, ["algo-1"], "algo-1", **wrong)


def test_a_plain_job_has_no_notes(job: Any) -> None:
    assert plan(job, ["algo-1"], "algo-1").notes == ()


@pytest.mark.slow
def test_two_hosts_form_one_process_group(job: Any, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    import socket

    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    job.environ |= {"FOGBANK_MASTER_ADDR": "127.0.0.1", "FOGBANK_MASTER_PORT": str(port)}
    script = (
        "import torch, torch.distributed as dist\n"
        "dist.init_process_group('gloo')\n"
        "t = torch.tensor([float(dist.get_rank() + 1)])\n"
        "dist.all_reduce(t)\n"
        "print('sum', int(t), 'of', dist.get_world_size())\n"
        "dist.destroy_process_group()\n"
    )
    hosts = ["algo-1", "algo-2"]
    processes: list[subprocess.Popen[str]] = []
    for host in hosts:
        each = type(job)(
            tmp_path / host, {**job.environ, "SAGEMAKER_BASE_DIR": f"{tmp_path}/{host}"}
        )
        each.script(script)
        each.hyperparameters = {"sagemaker_torch_distributed_enabled": "true"}
        each.resources = {
            "current_host": host,
            "hosts": hosts,
            "instance_groups": [{**GROUP, "hosts": hosts}],
            "network_interface_name": "lo",
        }
        each.base.joinpath("output").mkdir(parents=True)
        processes.append(each.start())
    outputs = [process.communicate(timeout=120) for process in processes]
    assert [out for out, _ in outputs] == ["sum 3 of 2\n"] * 2, outputs
    assert sys.executable in outputs[0][1]
