"""How the processes of a job find each other. In: a Job and an interpreter. Out: a Launcher.

torchrun starts every kind of process group that is offered here. It gives each process MASTER_ADDR,
MASTER_PORT, RANK, LOCAL_RANK and WORLD_SIZE, from which `torch.distributed.init_process_group()`
needs no argument. Sources: "Distributed training with the SageMaker AI distributed data
parallelism library" (supported instance types), torch.distributed.run.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fogbank.images.errors import ContractError
from fogbank.images.training.contract import Job
from fogbank.images.training.environment import training_environment

_MASTER_PORT = "7777"

_TORCH = "sagemaker_torch_distributed_enabled"
_DDP = "sagemaker_pytorch_ddp_enabled"
_SMDDP = "sagemaker_distributed_dataparallel_enabled"
_MPI = "sagemaker_mpi_enabled"
_OFFERED = (_TORCH, _DDP, _SMDDP, _MPI)
_NOT_OFFERED = {
    "sagemaker_pytorch_xla_multi_worker_enabled": "PyTorch XLA",
    "sagemaker_parameter_server_enabled": "parameter servers",
    "sagemaker_multi_worker_mirrored_strategy_enabled": "MultiWorkerMirroredStrategy",
}
_SMDDP_TYPES = ("ml.p3.16xlarge", "ml.p3dn.24xlarge", "ml.p4d.24xlarge", "ml.p4de.24xlarge")


@dataclass(frozen=True, kw_only=True)
class Launcher:
    """What stands before the script's name on the command line."""

    command: tuple[str, ...]
    variables: Mapping[str, str]
    notes: tuple[str, ...] = ()
    """What is different from AWS, one sentence or two each."""


def network_interface(job: Job) -> str:
    """The interface over which the instances reach each other."""
    return str(job.resource_config.get("network_interface_name", "eth0"))


def meeting_point(job: Job) -> tuple[str, str]:
    """Address and port at which the instances' processes find each other.

    On AWS every job has a network of its own, and so the fixed port. Where instances share one, the
    machine names an address and a port for each job: on the fixed one two jobs meet.
    """
    address = job.environ.get("FOGBANK_MASTER_ADDR", training_environment(job)["master_hostname"])
    return address, job.environ.get("FOGBANK_MASTER_PORT", _MASTER_PORT)


def plan_launcher(job: Job, python: Path) -> Launcher:
    """The launcher that the job's hyperparameters ask for; without any, the bare interpreter.

    Raises ContractError where they ask for one that this image does not have.
    """
    parameters = job.framework_parameters
    env = training_environment(job)
    bare = Launcher(command=(str(python), "--"), variables={})
    if env["current_instance_group"] not in env["distribution_instance_groups"]:
        return bare
    for name, kind in _NOT_OFFERED.items():
        if parameters.get(name):
            raise ContractError(
                f"distribution by {kind} ({name}) is not offered here; use torch_distributed"
            )
    asked = [name for name in _OFFERED if parameters.get(name)]
    if not asked:
        return bare
    hosts: list[str] = env["distribution_hosts"]
    command = [str(python), "-m", "torch.distributed.run", "--nnodes", str(len(hosts))]
    command += ["--nproc_per_node", str(_num_processes(job, asked[0]))]
    if len(hosts) > 1:
        address, port = meeting_point(job)
        rank = str(hosts.index(job.current_host))
        command += ["--master_addr", address, "--master_port", port, "--node_rank", rank]
    variables = {"NCCL_PROTO": "simple"}
    if "GLOO_SOCKET_IFNAME" not in job.environ:
        # Else gloo listens on whatever the host's name resolves to, which need not be there.
        variables["GLOO_SOCKET_IFNAME"] = network_interface(job)
    return Launcher(
        command=tuple(command),
        variables=variables,
        notes=tuple(_notes(job, asked[0])),
    )


def _num_processes(job: Job, asked: str) -> int:
    named = job.framework_parameters.get("sagemaker_mpi_num_of_processes_per_host")
    if asked == _MPI and named is not None:
        try:
            return max(1, int(str(named)))
        except ValueError:
            raise ContractError(
                f"hyperparameter sagemaker_mpi_num_of_processes_per_host is {named!r}; it must be "
                "a whole number such as 1"
            ) from None
    return max(1, job.host.num_gpus)


def _notes(job: Job, asked: str) -> list[str]:
    if asked == _SMDDP:
        return _smddp_notes(str(job.resource_config.get("current_instance_type", "local")))
    if asked == _MPI:
        return _mpi_notes(job)
    return []


def _smddp_notes(instance_type: str) -> list[str]:
    notes = [
        "smdistributed.dataparallel (also what pytorchddp sends) is started by torchrun here, with "
        "torch's own process group: a script that imports smdistributed finds no such module"
    ]
    if instance_type not in _SMDDP_TYPES:
        supported = ", ".join(_SMDDP_TYPES)
        notes.append(
            f"AWS refuses smdistributed.dataparallel on {instance_type}: it supports {supported}. "
            "There, use one of them, or torch_distributed, which runs everywhere"
        )
    return notes


def _mpi_notes(job: Job) -> list[str]:
    found = shutil.which("mpirun", path=job.environ.get("PATH"))
    why = "mpirun is not installed" if found is None else f"{found} would need SSH between them"
    notes = [
        f"MPI: the instances are started by torchrun here ({why}). Scripts find RANK, LOCAL_RANK, "
        "WORLD_SIZE, MASTER_ADDR and MASTER_PORT; the variables of MPI (OMPI_COMM_WORLD_RANK and "
        "its kin) are not set, so mpi4py and Horovod see one process"
    ]
    options = job.framework_parameters.get("sagemaker_mpi_custom_mpi_options")
    if options:
        notes.append(f"MPI: the options {options!r} are for mpirun and are ignored")
    return notes
