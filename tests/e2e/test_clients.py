"""The real awscli with nothing but the environment of `fogbank env`; clouds side by side."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from e2e.account import ECHO, INFERENCE_IMAGE, TRAINING_IMAGE, Account, archive
from e2e.waiting import until
from fogbank.testing.cloud import RunningCloud

HOME_IN_USE, PORT_TAKEN = 3, 4

TRAIN = """
import argparse, os, pathlib
parser = argparse.ArgumentParser()
parser.add_argument("--word")
word = parser.parse_args().word
folder = pathlib.Path(os.environ["SM_CHANNEL_TRAINING"])
print("pictures:", sum(path.is_file() for path in folder.rglob("*")))
model = pathlib.Path(os.environ["SM_MODEL_DIR"])
(model / "weights").write_text(word)
(model / "code").mkdir()
(model / "code" / "inference.py").write_text(pathlib.Path("inference.py").read_text())
"""

TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Service": "sagemaker.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
    ],
}


class Shell:
    """Runs `aws` in a folder, with an environment that knows only the cloud."""

    def __init__(self, folder: Path, variables: Mapping[str, str]) -> None:
        self.folder = folder
        self._environment = {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(folder),
            "AWS_PAGER": "",
            **variables,
        }
        self._aws = shutil.which("aws", path=self._environment["PATH"])
        if self._aws is None:
            pytest.skip("awscli is not installed (pip install awscli)")

    def text(self, *arguments: str) -> str:
        ended = subprocess.run(
            [str(self._aws), *arguments],
            cwd=self.folder,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert ended.returncode == 0, f"aws {' '.join(arguments)}: {ended.stderr}"
        return ended.stdout

    def exit_code(self, *arguments: str) -> int:
        return subprocess.run(
            [str(self._aws), *arguments],
            cwd=self.folder,
            env=self._environment,
            capture_output=True,
            timeout=60,
        ).returncode

    def json(self, *arguments: str) -> Any:
        return json.loads(self.text(*arguments, "--output", "json"))


@pytest.fixture
def shell(cloud: RunningCloud, tmp_path: Path) -> Shell:
    return Shell(tmp_path, cloud.environment())


@pytest.mark.slow
def test_the_whole_way_with_the_awscli(shell: Shell) -> None:
    for name in ("cat/1.png", "cat/2.png", "dog/1.png"):
        picture = shell.folder / "pictures" / name
        picture.parent.mkdir(parents=True, exist_ok=True)
        picture.write_bytes(b"\x89PNG" + os.urandom(1000))
    (shell.folder / "code.tar.gz").write_bytes(archive({"train.py": TRAIN, "inference.py": ECHO}))
    (shell.folder / "trust.json").write_text(json.dumps(TRUST))

    shell.text("s3", "mb", "s3://with-the-cli")
    shell.text("s3", "cp", "--recursive", "pictures", "s3://with-the-cli/pictures")
    shell.text("s3", "cp", "code.tar.gz", "s3://with-the-cli/code.tar.gz")
    listed = shell.text("s3", "ls", "--recursive", "s3://with-the-cli/pictures/")
    assert [line.split()[-1] for line in listed.splitlines()] == [
        *("pictures/cat/1.png", "pictures/cat/2.png", "pictures/dog/1.png"),
    ]
    role = shell.json(
        *("iam", "create-role", "--role-name", "CliRole"),
        *("--assume-role-policy-document", "file://trust.json"),
    )["Role"]["Arn"]
    source = {"S3DataType": "S3Prefix", "S3Uri": "s3://with-the-cli/pictures/"}
    shell.text(
        *("sagemaker", "create-training-job", "--training-job-name", "cli", "--role-arn", role),
        *("--algorithm-specification", f"TrainingImage={TRAINING_IMAGE},TrainingInputMode=File"),
        "--hyper-parameters",
        json.dumps(
            {
                "sagemaker_program": '"train.py"',
                "sagemaker_submit_directory": '"s3://with-the-cli/code.tar.gz"',
                "word": '"woof"',
            }
        ),
        "--input-data-config",
        json.dumps([{"ChannelName": "training", "DataSource": {"S3DataSource": source}}]),
        *("--output-data-config", "S3OutputPath=s3://with-the-cli/out"),
        *("--resource-config", "InstanceType=ml.m5.large,InstanceCount=1,VolumeSizeInGB=1"),
        *("--stopping-condition", "MaxRuntimeInSeconds=300"),
    )

    def ended() -> dict[str, Any] | None:
        job: dict[str, Any] = shell.json(
            "sagemaker", "describe-training-job", "--training-job-name", "cli"
        )
        return job if job["TrainingJobStatus"] != "InProgress" else None

    job = until(ended, "the end of the job")
    assert job["TrainingJobStatus"] == "Completed", job
    events = shell.json(
        *("logs", "filter-log-events", "--log-group-name", "/aws/sagemaker/TrainingJobs"),
        *("--log-stream-name-prefix", "cli/", "--filter-pattern", "pictures"),
    )["events"]
    assert "pictures: 3" in [event["message"] for event in events]

    model = f"Image={INFERENCE_IMAGE},ModelDataUrl={job['ModelArtifacts']['S3ModelArtifacts']}"
    shell.text(
        *("sagemaker", "create-model", "--model-name", "cli", "--execution-role-arn", role),
        *("--primary-container", model),
    )
    variant = "VariantName=AllTraffic,ModelName=cli,InitialInstanceCount=1,InstanceType=ml.m5.large"
    shell.text(
        *("sagemaker", "create-endpoint-config", "--endpoint-config-name", "cli"),
        *("--production-variants", variant),
    )
    shell.text(
        *("sagemaker", "create-endpoint"),
        *("--endpoint-name", "cli", "--endpoint-config-name", "cli"),
    )

    def status() -> str | None:
        endpoint = shell.json("sagemaker", "describe-endpoint", "--endpoint-name", "cli")
        return endpoint["EndpointStatus"] if endpoint["EndpointStatus"] != "Creating" else None

    assert until(status, "the endpoint") == "InService"
    shell.text(
        *("sagemaker-runtime", "invoke-endpoint", "--endpoint-name", "cli"),
        *("--body", "fileb://pictures/cat/1.png", "--content-type", "image/png", "answer.json"),
    )
    answer = json.loads((shell.folder / "answer.json").read_text())
    assert answer == {"model": "woof", "said": 1004}
    shell.text("sagemaker", "delete-endpoint", "--endpoint-name", "cli")
    shell.text("s3", "rb", "--force", "s3://with-the-cli")


@pytest.mark.slow
@pytest.mark.observed
def test_the_awscli_waits_for_jobs(shell: Shell, account: Account) -> None:
    """Its waiters look once, then sleep for minutes: here they find things done."""
    account.train("cli-waited", "print('ran')")
    account.train("cli-failed", "raise SystemExit(3)")
    wait = ("sagemaker", "wait", "training-job-completed-or-stopped", "--training-job-name")
    for name, code in (("cli-waited", 0), ("cli-failed", 255)):
        account.job_end(name)
        assert shell.exit_code(*wait, name) == code


@pytest.mark.slow
@pytest.mark.observed
def test_a_log_is_followed_as_logs_tail_does(account: Account) -> None:
    """Version 2 of the awscli, which pip does not install: every few seconds all events from the
    last one's time on, without those that were shown."""
    account.train("tailed", "import time; print('early', flush=True); time.sleep(1); print('late')")
    account.job_says("tailed", "early")
    shown: dict[str, str] = {}
    newest_ms = 0

    def poll() -> bool:
        nonlocal newest_ms
        pages = account.logs.get_paginator("filter_log_events").paginate(
            logGroupName="/aws/sagemaker/TrainingJobs",
            logStreamNamePrefix="tailed/",
            interleaved=True,
            startTime=newest_ms,
        )
        for event in (event for page in pages for event in page["events"]):
            shown.setdefault(event["eventId"], event["message"])
            newest_ms = max(newest_ms, event["timestamp"])
        return "late" in shown.values()

    until(poll, "the last line")
    account.job_end("tailed")
    poll()
    assert list(shown.values()) == account.job_log("tailed")


@pytest.mark.slow
@pytest.mark.observed
def test_the_awscli_waits_for_endpoints(shell: Shell, account: Account) -> None:
    wait = ("sagemaker", "wait")
    account.deploy("cli-waited")
    account.in_service("cli-waited")
    assert shell.exit_code(*wait, "endpoint-in-service", "--endpoint-name", "cli-waited") == 0
    account.delete_endpoint("cli-waited")
    assert shell.exit_code(*wait, "endpoint-deleted", "--endpoint-name", "cli-waited") == 0
    assert shell.exit_code(*wait, "endpoint-in-service", "--endpoint-name", "cli-waited") == 255


@pytest.fixture
def second(tmp_path: Path) -> Iterator[RunningCloud]:
    running = RunningCloud(tmp_path / "second").start()
    yield running
    assert running.stop() == 0


def test_two_clouds_side_by_side(cloud: RunningCloud, second: RunningCloud) -> None:
    assert cloud.port != second.port
    for number, one in enumerate((cloud, second)):
        s3 = one.client("s3")
        s3.create_bucket(Bucket="side-by-side")
        s3.put_object(Bucket="side-by-side", Key="mine", Body=str(number))
    for number, one in enumerate((cloud, second)):
        found = one.client("s3").get_object(Bucket="side-by-side", Key="mine")["Body"].read()
        assert found == str(number).encode()


def start(*arguments: str) -> subprocess.CompletedProcess[str]:
    """A cloud that is expected to refuse."""
    return subprocess.run(
        [sys.executable, "-m", "fogbank.cloud", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_a_second_cloud_on_the_same_folder(cloud: RunningCloud) -> None:
    ended = start("--home", str(cloud.home), "--port", "0")
    assert ended.returncode == HOME_IN_USE
    assert f"{cloud.home} is in use by another Fogbank cloud" in ended.stderr
    assert cloud.client("sts").get_caller_identity()["Account"] == "123456789012"
    assert (cloud.home / "cloud.json").exists()


def test_a_port_that_is_taken(cloud: RunningCloud, tmp_path: Path) -> None:
    ended = start("--home", str(tmp_path), "--port", str(cloud.port))
    assert ended.returncode == PORT_TAKEN
    assert f"cannot listen on 127.0.0.1:{cloud.port}" in ended.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_a_cloud_cleanly(tmp_path: Path, number: signal.Signals) -> None:
    running = RunningCloud(tmp_path).start()
    assert (tmp_path / "cloud.json").exists()
    os.kill(running.pid, number)
    assert running.stop() == 0
    assert not (tmp_path / "cloud.json").exists()
    assert "the cloud has stopped" in running.log()
