"""What is to be started for a job. In: a Job, an interpreter. Out: a Launch, which is a command and
an environment. Decides only, and looks at files; what it decides is done by toolkit.py.
How the processes of several instances are started is in distribution.py.
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
from fogbank.images.training.distribution import (
    meeting_point,
    network_interface,
    plan_launcher,
)
from fogbank.images.training.environment import sm_variables
from fogbank.images.training.rendering import to_arguments

# The toolkit's rule: a relative path that no shell, no option parser and no file system call can
# read as anything else.
_SAFE_PROGRAM = re.compile(r"[A-Za-z0-9._][A-Za-z0-9._+-]*(/[A-Za-z0-9._+-]+)*")


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
    notes: tuple[str, ...]
    """What the user should know of how the script is started; warnings in the log."""


def plan_launch(job: Job, interpreter: Interpreter) -> Launch:
    """The command for the job's program; its code has to be in place.

    Raises ContractError where the program is missing, leaves the code folder, is a package with a
    setup.py, or asks for a kind of distribution that this image does not have.
    """
    program = _program(job)
    arguments = to_arguments(job.hyperparameters)
    shell_program: Path | None = None
    variables: Mapping[str, str] = {}
    notes: tuple[str, ...] = ()
    if program.endswith(".py"):
        if (job.folders.code / "setup.py").exists():
            raise ContractError(
                "the code has a setup.py: packages as entry point are not supported here; move the "
                "dependencies to requirements.txt and remove setup.py"
            )
        launcher = plan_launcher(job, interpreter.python)
        variables, notes = launcher.variables, launcher.notes
        command = [*launcher.command, program, *arguments]
    else:
        shell_program = job.folders.code / program
        if not shell_program.is_file():
            raise ContractError(f"the program {program!r} is not in the submitted code")
        words = " ".join(map(shlex.quote, arguments))
        command = ["/bin/sh", "-c", f"./{shlex.quote(program)} {words}"]
    shown = sm_variables(job)
    return Launch(
        command=tuple(command),
        sm_variables=shown,
        env={**_process_environment(job, interpreter, shown), **variables},
        shell_program=shell_program,
        notes=notes,
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


def _process_environment(
    job: Job, interpreter: Interpreter, shown: Mapping[str, str]
) -> dict[str, str]:
    region = job.toolkit_parameters.get("sagemaker_region") or job.environ.get("AWS_REGION", "")
    inherited = job.environ.get("PYTHONPATH")
    master_address, master_port = meeting_point(job)
    return {
        **interpreter.on(job.environ),
        "PYTHONUNBUFFERED": "1",  # a log that arrives when the job is over helps nobody
        "SAGEMAKER_JOB_NAME": str(job.toolkit_parameters.get("sagemaker_job_name", "")),
        "SAGEMAKER_REGION": str(region),
        "CURRENT_HOST": job.current_host,
        # Of AWS's PyTorch image: scripts that form a group of their own, by a rank and a number of
        # processes that they derive from SM_HOSTS, find these and set no others.
        "MASTER_ADDR": master_address,
        "MASTER_PORT": master_port,
        "NCCL_SOCKET_IFNAME": network_interface(job),
        "NCCL_IB_DISABLE": "1",
        "NCCL_DEBUG": "WARN",
        **shown,
        "PYTHONPATH": os.pathsep.join(filter(None, [str(job.folders.code), inherited])),
    }
