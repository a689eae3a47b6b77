"""The life of one training instance, as one straight method. In: the environment. Out: an exit
code, `output/success` or `output/failure`, and the log on standard error.
"""

from __future__ import annotations

import json
import logging
import time
import traceback
from collections.abc import Mapping
from pathlib import Path

from fogbank.images import child, overlay
from fogbank.images.errors import ExecuteUserScriptError, ImageError
from fogbank.images.training.contract import Folders, read_job
from fogbank.images.training.environment import training_environment
from fogbank.images.training.launch import Launch, plan_launch
from fogbank.images.training.submission import place_code

_log = logging.getLogger("sagemaker-training-toolkit")
_KILLED_IN_A_SHELL = 137


def train(environ: Mapping[str, str], now: time.struct_time) -> int:
    """Run the job that the machine prepared; answer our exit code.

    0 where the script ended with 0; 1 where it did not or where the job is wrong; the errno of a
    host error. `now` is UTC. Never raises: what went wrong is in `output/failure`.
    """
    logging.basicConfig(
        format="%(asctime)s %(name)-12s %(levelname)-8s %(message)s", level=logging.INFO
    )
    output = Folders(base=Path(environ.get("SAGEMAKER_BASE_DIR", "/opt/ml"))).output
    try:
        _run(environ, now)
    except ImageError as error:
        return _fail(output, str(error), 1)
    except Exception as error:
        code = error.errno if isinstance(error, OSError) and error.errno else 1
        return _fail(output, f"Framework Error: \n{traceback.format_exc()}\n{error}", code)
    _log.info("Reporting training SUCCESS")
    (output / "success").write_text("")
    return 0


def _run(environ: Mapping[str, str], now: time.struct_time) -> None:
    job = read_job(environ)
    _log.setLevel(job.log_level)
    place_code(job, now)
    for folder in (job.folders.model, job.folders.output_data):
        folder.mkdir(parents=True, exist_ok=True)
    interpreter = overlay.interpreter_for(job.folders.code, environ)
    launch = plan_launch(job, interpreter)
    if launch.shell_program is not None:
        launch.shell_program.chmod(launch.shell_program.stat().st_mode | 0o755)
    for note in launch.notes:
        _log.warning(note)
    _log_invocation(launch, training_environment(job))
    ended = child.run(launch.command, env=launch.env, cwd=job.folders.code)
    if ended.exit_code != 0:
        raise ExecuteUserScriptError(
            " ".join(launch.command),
            ended.exit_code,
            child.last_words(ended.stderr_tail),
            "OutOfMemory: Process killed by SIGKILL (signal 9)"
            if ended.exit_code == _KILLED_IN_A_SHELL
            else None,
        )


def _log_invocation(launch: Launch, env: Mapping[str, object]) -> None:
    variables = "\n".join(f"{name}={value}" for name, value in launch.sm_variables.items())
    _log.info(
        "Invoking user script\n\nTraining Env:\n\n%s\n\nEnvironment variables:\n\n%s\n\n"
        "Invoking script with the following command:\n\n%s\n\n",
        json.dumps(env, indent=4),
        variables,
        " ".join(launch.command),
    )


def _fail(output: Path, message: str, exit_code: int) -> int:
    output.mkdir(parents=True, exist_ok=True)
    failure = output / "failure"
    if not failure.exists():  # the script's own words come first
        failure.write_text(message, "utf-8", "backslashreplace")
    _log.error("Reporting training FAILURE")
    _log.error(message)
    _log.error("Encountered exit_code %d", exit_code)
    return exit_code
