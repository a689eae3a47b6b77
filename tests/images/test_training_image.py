"""The training image as a machine starts it: a process on a folder tree."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from fogbank.images.training.contract import read_job
from fogbank.images.training.environment import sm_variables
from fogbank.images.training.rendering import to_arguments

CASES = json.loads((Path(__file__).parents[1] / "cases/images/arguments.json").read_text())
SHOW = "import os, sys, json; print(json.dumps([sys.argv[1:], dict(os.environ), os.getcwd()]))\n"


@pytest.mark.observed
def test_success_is_exit_0_and_a_success_file(job: Any) -> None:
    job.script("print('hello from the script')")
    done = job.run()
    assert done.returncode == 0
    assert done.stdout == "hello from the script\n"
    assert job.has_succeeded
    assert not (job.base / "output" / "failure").exists()
    assert "Invoking script with the following command:" in done.stderr
    assert "Reporting training SUCCESS" in done.stderr


@pytest.mark.observed
def test_the_script_sees_arguments_environment_and_folders(job: Any) -> None:
    job.hyperparameters = {"epochs": "2", "lr": '"0.5"', "_tuning_objective_metric": "test loss"}
    job.channels = {"training": {"TrainingInputMode": "File"}, "valid": {}}
    job.resources = {
        "current_host": "algo-2",
        "current_instance_type": "ml.m5.xlarge",
        "current_group_name": "homogeneousCluster",
        "hosts": ["algo-1", "algo-2"],
        "instance_groups": [
            {
                "instance_group_name": "homogeneousCluster",
                "instance_type": "ml.m5.xlarge",
                "hosts": ["algo-1", "algo-2"],
            }
        ],
        "network_interface_name": "lo",
    }
    job.environ |= {"CUDA_VISIBLE_DEVICES": "0,1", "TRAINING_JOB_NAME": "dogs-1", "MINE": "yes"}
    job.script(SHOW)
    done = job.run()
    assert done.returncode == 0, done.stderr
    arguments, env, cwd = json.loads(done.stdout)
    assert arguments == ["--epochs", "2", "--lr", "0.5"]
    assert Path(cwd) == job.code
    base = job.base
    expected = {
        "MINE": "yes",
        "PYTHONUNBUFFERED": "1",
        "SM_MODEL_DIR": f"{base}/model",
        "SM_INPUT_DIR": f"{base}/input",
        "SM_INPUT_CONFIG_DIR": f"{base}/input/config",
        "SM_OUTPUT_DIR": f"{base}/output",
        "SM_OUTPUT_DATA_DIR": f"{base}/output/data",
        "SM_OUTPUT_INTERMEDIATE_DIR": f"{base}/output/intermediate",
        "SM_CHANNELS": '["training","valid"]',
        "SM_CHANNEL_TRAINING": f"{base}/input/data/training",
        "SM_CHANNEL_VALID": f"{base}/input/data/valid",
        "SM_HPS": '{"epochs":2,"lr":"0.5"}',
        "SM_HP_EPOCHS": "2",
        "SM_HP_LR": "0.5",
        "SM_USER_ARGS": '["--epochs","2","--lr","0.5"]',
        "SM_USER_ENTRY_POINT": "train.py",
        "SM_MODULE_NAME": "train",
        "SM_MODULE_DIR": f"{base}/code",
        "SM_HOSTS": '["algo-1","algo-2"]',
        "SM_CURRENT_HOST": "algo-2",
        "SM_CURRENT_INSTANCE_TYPE": "ml.m5.xlarge",
        "SM_CURRENT_INSTANCE_GROUP": "homogeneousCluster",
        "SM_CURRENT_INSTANCE_GROUP_HOSTS": '["algo-1","algo-2"]',
        "SM_INSTANCE_GROUPS": '["homogeneousCluster"]',
        "SM_DISTRIBUTION_INSTANCE_GROUPS": "[]",
        "SM_NUM_GPUS": "2",
        "SM_NUM_NEURONS": "0",
        "SM_LOG_LEVEL": "20",
        "SM_FRAMEWORK_MODULE": "",
        "SM_FRAMEWORK_PARAMS": "{}",
        "SM_NETWORK_INTERFACE_NAME": "lo",
        "SM_IS_HETERO": "false",
    }
    assert {name: env.get(name) for name in expected} == expected
    assert env["PYTHONPATH"].split(":")[0] == str(job.code)
    assert int(env["SM_NUM_CPUS"]) >= 1
    assert json.loads(env["SM_RESOURCE_CONFIG"]) == job.resources
    assert json.loads(env["SM_INPUT_DATA_CONFIG"]) == job.channels
    assert list(json.loads(env["SM_INSTANCE_GROUPS_DICT"])) == ["homogeneousCluster"]
    whole = json.loads(env["SM_TRAINING_ENV"])
    assert whole["job_name"] == "dogs-1"
    assert (whole["is_master"], whole["master_hostname"]) == (False, "algo-1")
    assert (base / "model").is_dir()
    assert (base / "output" / "data").is_dir()


@pytest.mark.observed
@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case["name"]))
def test_hyperparameters_become_arguments_and_variables(case: Any, job: Any) -> None:
    config = job.base / "input" / "config"
    config.mkdir(parents=True)
    (config / "hyperparameters.json").write_text(json.dumps(case["sent"]))
    (config / "inputdataconfig.json").write_text("{}")
    (config / "resourceconfig.json").write_text(json.dumps(job.resources))
    read = read_job(job.environ)
    assert to_arguments(read.hyperparameters) == case["arguments"]
    variables = sm_variables(read)
    assert {name: variables[name] for name in case["variables"]} == case["variables"]


@pytest.mark.observed
def test_every_argument_of_the_table_survives_the_process(job: Any) -> None:
    for case in CASES:
        job.hyperparameters |= case["sent"]
    job.script(SHOW)
    done = job.run()
    assert done.returncode == 0, done.stderr
    arguments = json.loads(done.stdout)[0]
    assert "$(rm -rf x); `id` 'q' \"d\"" in arguments
    assert "Dächshund 犬" in arguments


@pytest.mark.observed
def test_an_exception_is_exit_1_with_the_traceback_in_the_failure_file(job: Any) -> None:
    job.script("def load():\n    raise ValueError('no class folders')\n\nload()\n")
    done = job.run()
    assert done.returncode == 1
    assert not job.has_succeeded
    lines = job.failure.split("\n")
    assert lines[0] == "ExecuteUserScriptError:"
    assert lines[1] == "ExitCode 1"
    assert lines[2] == 'ErrorMessage "Traceback (most recent call last):'
    assert 'ValueError: no class folders"' in lines
    assert lines[-1] == f'Command "{sys.executable} -- train.py"'
    assert "ValueError: no class folders" in done.stderr
    assert "Reporting training FAILURE" in done.stderr


@pytest.mark.observed
@pytest.mark.parametrize(
    ("script", "exit_code", "message"),
    [
        ("import sys; sys.exit(3)", 3, '""'),
        ("import sys; sys.exit('too few pictures')", 1, '"too few pictures"'),
        ("import os; os.kill(os.getpid(), 9)", -9, '""'),
        ("import os; os.kill(os.getpid(), 11)", -11, '""'),
    ],
)
def test_other_ends_name_their_exit_code(
    job: Any, script: str, exit_code: int, message: str
) -> None:
    job.script(script)
    assert job.run().returncode == 1
    assert job.failure.startswith(
        f"ExecuteUserScriptError:\nExitCode {exit_code}\nErrorMessage {message}\nCommand "
    )


def test_of_a_long_traceback_the_end_stays_within_the_failure_reason(job: Any) -> None:
    # Two functions in turn: Python folds the frames of one that calls itself.
    job.script(
        "def even(n):\n    return odd(n - 1) if n else 1 / 0\n"
        "def odd(n):\n    return even(n - 1)\n"
        "even(60)\n"
    )
    job.run()
    assert 'ZeroDivisionError: division by zero"' in job.failure[:1024]


def test_the_scripts_own_failure_file_is_kept(job: Any) -> None:
    job.script(
        "import os, sys\n"
        "with open(os.environ['SM_OUTPUT_DIR'] + '/failure', 'w') as out: out.write('mine')\n"
        "sys.exit(1)\n"
    )
    assert job.run().returncode == 1
    assert job.failure == "mine"


def test_sigterm_reaches_the_script(job: Any) -> None:
    job.script(
        "import signal, sys\n"
        "def save(*_):\n    print('checkpoint saved'); sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, save)\nprint('running')\nsignal.pause()\n"
    )
    with job.start() as process:
        assert process.stdout.readline() == "running\n"
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=60)
    assert (out, process.returncode) == ("checkpoint saved\n", 0)
    assert job.has_succeeded


def test_a_grandchild_that_holds_stderr_does_not_hold_the_job(job: Any) -> None:
    job.script(
        "import subprocess, sys\n"
        "p = subprocess.Popen(['sleep', '600'], stdout=subprocess.DEVNULL)\nprint(p.pid)\n"
    )
    done = job.run()
    assert done.returncode == 0
    os.kill(int(done.stdout), signal.SIGKILL)


def test_shell_programs_get_quoted_arguments(job: Any) -> None:
    job.program = "run/train.sh"
    job.hyperparameters = {"note": json.dumps("it's $HOME")}
    job.script('#!/bin/sh\nprintf "%s|" "$@"\npwd\n', "run/train.sh")
    done = job.run()
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"--note|it's $HOME|{job.code}\n"


@pytest.mark.observed
def test_a_shell_program_out_of_memory_says_so(job: Any) -> None:
    job.program = "train.sh"
    job.script("#!/bin/sh\nexit 137\n", "train.sh")
    assert job.run().returncode == 1
    assert 'ExtraInfo "OutOfMemory: Process killed by SIGKILL (signal 9)"' in job.failure


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        (None, "no program to run"),
        ("../train.py", "not a plain path"),
        ("/etc/passwd", "not a plain path"),
        ("-c", "not a plain path"),
        ("a;b.sh", "not a plain path"),
        ("absent.sh", "is not in the submitted code"),
    ],
)
def test_a_wrong_program_is_a_clear_failure(job: Any, program: str | None, reason: str) -> None:
    job.program = program
    job.script("print('never')")
    assert job.run().returncode == 1
    assert reason in job.failure
    assert "Traceback" not in job.failure


def test_a_missing_script_is_named(job: Any) -> None:
    job.program = "absent.py"
    job.script("print('never')")
    assert job.run().returncode == 1
    assert "ExitCode 2" in job.failure
    assert "absent.py" in job.failure


def test_packages_are_refused(job: Any) -> None:
    job.script("print('never')")
    job.script("", "setup.py")
    assert job.run().returncode == 1
    assert "setup.py" in job.failure


def test_a_missing_configuration_file_is_named(job: Any) -> None:
    job.script("print('never')")
    job.resources = {}
    assert job.run().returncode == 1
    assert "resourceconfig.json has no 'current_host'" in job.failure


def test_code_comes_from_an_archive_a_folder_or_a_file(job: Any, pack: Any, tmp_path: Path) -> None:
    folder = tmp_path / "source"
    folder.mkdir()
    script = folder / "train.py"
    script.write_text("print('ran')")
    packed = pack({"train.py": b"print('ran')"})
    for source in (packed, folder, script):
        job.hyperparameters["sagemaker_submit_directory"] = json.dumps(str(source))
        for old in job.code.iterdir():
            if old.is_file():
                old.unlink()
        done = job.run()
        assert (done.returncode, done.stdout) == (0, "ran\n"), done.stderr


@pytest.mark.observed
def test_code_that_is_there_already_wins(job: Any, pack: Any) -> None:
    job.script("print('placed by the machine')")
    packed = pack({"train.py": b"print('archive')"})
    job.hyperparameters["sagemaker_submit_directory"] = json.dumps(str(packed))
    assert job.run().stdout == "placed by the machine\n"


def test_a_hostile_archive_fails_the_job_and_writes_nothing(
    job: Any, pack: Any, tmp_path: Path
) -> None:
    packed = pack({"../../escaped.py": b"x"})
    job.hyperparameters["sagemaker_submit_directory"] = json.dumps(str(packed))
    assert job.run().returncode == 1
    assert "leaves the folder" in job.failure
    assert not list(tmp_path.rglob("escaped.py"))


@pytest.mark.parametrize("source", [None, "/nowhere/at/all"])
def test_no_code_is_a_clear_failure(job: Any, source: str | None) -> None:
    if source is not None:
        job.hyperparameters["sagemaker_submit_directory"] = json.dumps(source)
    assert job.run().returncode == 1
    assert "sagemaker_submit_directory" in job.failure
