"""What is to be started for a job. In: a Job, an interpreter. Out: a Launch, which is a command and
an environment. Decides only, and looks at files;
what it decides is done by toolkit.py.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fogbank.images.errors import ContractError
from fogbank.images.overlay import Interpreter
from fogbank.images.training.contract import Job
from fogbank.images.training.environment import sm_variables, training_environment
from fogbank.images.training.rendering import to_arguments

# The toolkit's rule: a relative path that no shell, no option parser and no file system call can
# read as anything else.
_SAFE_PROGRAM = re.compile(r"[A-Za-z0-9._][A-Za-z0-9._+-]*(/[A-Za-z0-9._+-]+)*")
_MASTER_PORT = "7777"
_TORCHRUN = (
    "sagemaker_torch_distributed_enabled",
    "sagemaker_pytorch_ddp_enabled",
    "sagemaker_distributed_dataparallel_enabled",
)
_NOT_OFFERED = {
    "sagemaker_mpi_enabled": "MPI",
    "sagemaker_pytorch_xla_multi_worker_enabled": "PyTorch XLA",
    "sagemaker_parameter_server_enabled": "parameter servers",
    "sagemaker_multi_worker_mirrored_strategy_enabled": "MultiWorkerMirroredStrategy",
}


@dataclass(frozen=True, kw_only=True)
class Launch:
    """One process to start."""

    command: tuple[str, ...]
    sm_variables: Mapping[str, str]
    """Those that the log shows."""
    env: Mapping[str, str]
    """The whole environment of the process."""
    shell_program: Path | None
    """A file that has to be executable, where the program is no Python script."""


def plan_launch(job: Job, interpreter: Interpreter) -> Launch:
    """The command for the job's program; its code has to be in place.

    Raises ContractError where the program is missing, leaves the code folder, is a package with a
    setup.py, or asks for a kind of distribution that this image does not have.
    """
    program = _program(job)
    arguments = to_arguments(job.hyperparameters)
    shell_program: Path | None = None
    if program.endswith(".py"):
        if (job.folders.code / "setup.py").exists():
            raise ContractError(
                "the code has a setup.py: packages as entry point are not supported here; move the "
                "dependencies to requirements.txt and remove setup.py"
            )
        command = [*_python_command(job, interpreter), program, *arguments]
    else:
        shell_program = job.folders.code / program
        if not shell_program.is_file():
            raise ContractError(f"the program {program!r} is not in the submitted code")
        words = " ".join([shlex.quote(program), *map(shlex.quote, arguments)])
        command = ["/bin/sh", "-c", f"./{words}"]
    shown = sm_variables(job)
    return Launch(
        command=tuple(command),
        sm_variables=shown,
        env=_process_environment(job, interpreter, shown),
        shell_program=shell_program,
    )


def _program(job: Job) -> str:
    program = job.program
    if not program:
        raise ContractError(
            "no program to run: set the hyperparameter sagemaker_program to the name of your "
            "script, relative to the submitted code, for example train.py"
        )
    inside = (job.folders.code / program).resolve().is_relative_to(job.folders.code.resolve())
    segments = program.split("/")
    if not _SAFE_PROGRAM.fullmatch(program) or {".", ".."} & set(segments) or not inside:
        raise ContractError(
            f"the program {program!r} is not a plain path inside the submitted code: use letters, "
            "digits and . _ + - / only, for example train.py or bin/train.sh"
        )
    return program


def _python_command(job: Job, interpreter: Interpreter) -> list[str]:
    python = str(interpreter.python)
    parameters = job.framework_parameters
    env = training_environment(job)
    if env["current_instance_group"] not in env["distribution_instance_groups"]:
        return [python, "--"]
    for name, kind in _NOT_OFFERED.items():
        if parameters.get(name):
            raise ContractError(
                f"distribution by {kind} ({name}) is not offered here; use torch_distributed"
            )
    if not any(parameters.get(name) for name in _TORCHRUN):
        return [python, "--"]
    hosts: list[str] = env["distribution_hosts"]
    processes = str(max(1, job.host.num_gpus))
    command = [python, "-m", "torch.distributed.run", "--nnodes", str(len(hosts))]
    command += ["--nproc_per_node", processes]
    if len(hosts) > 1:
        # On AWS every job has a network of its own, and so the fixed port. Where instances share
        # one, the machine names an address and a port for each job: on the fixed one two jobs meet.
        address = job.environ.get("FOGBANK_MASTER_ADDR", env["master_hostname"])
        port = job.environ.get("FOGBANK_MASTER_PORT", _MASTER_PORT)
        rank = str(hosts.index(job.current_host))
        command += ["--master_addr", address, "--master_port", port, "--node_rank", rank]
    return command


def _process_environment(
    job: Job, interpreter: Interpreter, shown: Mapping[str, str]
) -> dict[str, str]:
    region = job.toolkit_parameters.get("sagemaker_region") or job.environ.get("AWS_REGION", "")
    inherited = job.environ.get("PYTHONPATH")
    return {
        **interpreter.on(job.environ),
        "PYTHONUNBUFFERED": "1",  # a log that arrives when the job is over helps nobody
        "SAGEMAKER_JOB_NAME": str(job.toolkit_parameters.get("sagemaker_job_name", "")),
        "SAGEMAKER_REGION": str(region),
        "CURRENT_HOST": job.current_host,
        "NCCL_SOCKET_IFNAME": str(job.resource_config.get("network_interface_name", "eth0")),
        **shown,
        "PYTHONPATH": os.pathsep.join(filter(None, [str(job.folders.code), inherited])),
    }
