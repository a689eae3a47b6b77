"""Training jobs through the wire: scripts that were never written for Fogbank, real processes."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest

from e2e.account import TRAINING_IMAGE, Account, refusal
from e2e.waiting import until

LEARN = """
import argparse, json, os, pathlib

parser = argparse.ArgumentParser()
parser.add_argument("--epochs", type=int)
parser.add_argument("--learning-rate", type=float)
parser.add_argument("--backbone")
arguments = parser.parse_args()

seen = {}
for name in json.loads(os.environ["SM_CHANNELS"]):
    folder = pathlib.Path(os.environ["SM_CHANNEL_" + name.upper()])
    seen[name] = {
        str(path.relative_to(folder)): path.read_text()
        for path in sorted(folder.rglob("*")) if path.is_file()
    }
for epoch in range(arguments.epochs):
    print(f"epoch {epoch} Testing Loss: {1 / (epoch + 1):.2f}")

model = pathlib.Path(os.environ["SM_MODEL_DIR"])
(model / "code").mkdir()
(model / "code" / "inference.py").write_text("# serves")
(model / "seen.json").write_text(json.dumps(seen))
(model / "arguments.json").write_text(json.dumps(vars(arguments)))
pathlib.Path(os.environ["SM_OUTPUT_DATA_DIR"], "report.txt").write_text("fine")
"""


def channel(name: str, uri: str, kind: str = "S3Prefix", **more: str) -> dict[str, Any]:
    source = {"S3DataType": kind, "S3Uri": uri, "S3DataDistributionType": "FullyReplicated"}
    return {"ChannelName": name, "DataSource": {"S3DataSource": source}, **more}


@pytest.fixture(scope="module")
def learned(account: Account) -> dict[str, Any]:
    """A job with everything that most jobs have, when it has ended."""
    for name in ("cat/1.txt", "cat/2.txt", "dog/1.txt"):
        account.put(f"pictures/{name}", f"picture {name}")
    manifest = [{"prefix": f"s3://{account.bucket}/pictures/"}, "dog/1.txt"]
    account.train(
        "learn",
        LEARN,
        hyperparameters={"epochs": 3, "learning-rate": "0.5", "backbone": "resnet 50; echo $HOME"},
        algorithm={
            "MetricDefinitions": [{"Name": "test:loss", "Regex": r"Testing Loss: ([0-9.]+)"}]
        },
        InputDataConfig=[
            channel("training", f"s3://{account.bucket}/pictures/"),
            channel("fast", f"s3://{account.bucket}/pictures/cat", InputMode="FastFile"),
            channel("listed", account.put("train.manifest", json.dumps(manifest)), "ManifestFile"),
        ],
    )
    job = account.job_end("learn")
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    return job


@pytest.mark.docs
def test_channels_and_arguments_arrive(account: Account, learned: dict[str, Any]) -> None:
    model = account.model_of("learn")
    assert sorted(model) == ["arguments.json", "code/inference.py", "seen.json"]
    assert json.loads(model["arguments.json"]) == {
        "epochs": 3,
        "learning_rate": 0.5,
        "backbone": "resnet 50; echo $HOME",
    }
    assert json.loads(model["seen.json"]) == {
        "training": {name: f"picture {name}" for name in ("cat/1.txt", "cat/2.txt", "dog/1.txt")},
        "fast": {name: f"picture cat/{name}" for name in ("1.txt", "2.txt")},
        "listed": {"dog/1.txt": "picture dog/1.txt"},
    }


@pytest.mark.docs
def test_outputs_are_in_s3(account: Account, learned: dict[str, Any]) -> None:
    uri = f"s3://{account.bucket}/out/learn/output/model.tar.gz"
    assert learned["ModelArtifacts"] == {"S3ModelArtifacts": uri}
    assert account.keys("out/learn/") == [
        "out/learn/output/model.tar.gz",
        "out/learn/output/output.tar.gz",
    ]


@pytest.mark.docs
def test_the_history_of_a_job(learned: dict[str, Any]) -> None:
    history = learned["SecondaryStatusTransitions"]
    assert [entry["Status"] for entry in history] == [
        *("Starting", "Downloading", "Training", "Uploading", "Completed"),
    ]
    assert learned["SecondaryStatus"] == "Completed"
    for entry, following in pairwise(history):
        assert entry["StartTime"] <= entry["EndTime"] == following["StartTime"]
    assert learned["CreationTime"] <= learned["TrainingStartTime"] <= learned["TrainingEndTime"]


@pytest.mark.docs
def test_metrics_are_read_from_the_log(account: Account, learned: dict[str, Any]) -> None:
    (final,) = learned["FinalMetricDataList"]
    assert (final["MetricName"], round(final["Value"], 2)) == ("test:loss", 0.33)
    cloudwatch = account.client("cloudwatch")

    def found() -> dict[str, Any] | None:
        (answer,) = cloudwatch.get_metric_data(
            MetricDataQueries=[
                {
                    "Id": "loss",
                    "MetricStat": {
                        "Metric": {
                            "Namespace": "/aws/sagemaker/TrainingJobs",
                            "MetricName": "test:loss",
                            "Dimensions": [{"Name": "TrainingJobName", "Value": "learn"}],
                        },
                        "Period": 3600,
                        "Stat": "Minimum",
                    },
                }
            ],
            StartTime=learned["CreationTime"].replace(minute=0, second=0, microsecond=0),
            EndTime=learned["CreationTime"].replace(year=learned["CreationTime"].year + 1),
        )["MetricDataResults"]
        return answer if answer["Values"] else None

    assert round(min(until(found, "the metric in CloudWatch")["Values"]), 2) == 0.33


def test_the_log_of_a_job_that_is_over_is_complete(
    account: Account, learned: dict[str, Any]
) -> None:
    epochs = [line for line in account.job_log("learn") if line.startswith("epoch")]
    assert epochs == [
        "epoch 0 Testing Loss: 1.00",
        "epoch 1 Testing Loss: 0.50",
        "epoch 2 Testing Loss: 0.33",
    ]


@pytest.mark.docs
def test_a_stop_lets_the_script_save_its_model(account: Account) -> None:
    script = """
        import os, pathlib, signal, sys

        def save(*_):
            pathlib.Path(os.environ["SM_MODEL_DIR"], "half.txt").write_text("half a model")
            sys.exit(0)

        signal.signal(signal.SIGTERM, save)
        print("at work")
        signal.pause()
    """
    account.train("stop-me", script)
    account.job_says("stop-me", "at work")
    account.sagemaker.stop_training_job(TrainingJobName="stop-me")
    assert account.job("stop-me")["TrainingJobStatus"] in ("Stopping", "Stopped")
    job = account.job_end("stop-me")
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "Stopped")
    assert account.model_of("stop-me") == {"half.txt": "half a model"}


def test_a_stop_at_once(account: Account) -> None:
    account.train("stop-early", "import time; time.sleep(600)")
    account.sagemaker.stop_training_job(TrainingJobName="stop-early")
    assert account.job_end("stop-early")["TrainingJobStatus"] == "Stopped"


@pytest.mark.docs
def test_a_job_that_takes_too_long(account: Account) -> None:
    account.train("too-long", "import time; time.sleep(600)", limit_s=1)
    job = account.job_end("too-long")
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "MaxRuntimeExceeded")


@pytest.mark.observed
def test_a_script_that_raises(account: Account) -> None:
    account.train("raises", "print('so far')\nraise ValueError('no pictures in class cat')")
    job = account.job_end("raises")
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Failed", "Failed")
    reason = job["FailureReason"]
    assert reason.startswith("AlgorithmError: ExecuteUserScriptError:")
    assert "ValueError: no pictures in class cat" in reason
    assert reason.endswith("exit code: 1")
    log = account.job_log("raises")
    assert "so far" in log
    assert "Traceback (most recent call last):" in log
    assert account.keys("out/raises/") == []


def test_a_script_that_is_killed(account: Account) -> None:
    account.train("killed", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    job = account.job_end("killed")
    assert job["TrainingJobStatus"] == "Failed"
    assert job["FailureReason"].startswith("AlgorithmError: ExecuteUserScriptError:")
    assert "-9" in job["FailureReason"] or "SIGKILL" in job["FailureReason"]


@pytest.mark.slow
@pytest.mark.observed
def test_a_script_that_uses_more_memory_than_its_instance_has(account: Account) -> None:
    script = """
        import mmap
        flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | mmap.MAP_POPULATE  # faster than to touch it
        held = []
        while True:
            held.append(mmap.mmap(-1, 128 << 20, flags=flags))
    """
    account.train("hungry", script, instance_type="ml.t3.medium")
    job = account.job_end("hungry")
    assert job["TrainingJobStatus"] == "Failed"
    assert job["FailureReason"].startswith(
        "ClientError: Please use an instance type with more memory, or reduce the size of training "
        "data processed on an instance."
    )
    assert "ran out of memory" in job["FailureReason"]


def test_a_script_that_leaves_no_model(account: Account) -> None:
    account.train("modest", "print('done')")
    job = account.job_end("modest")
    assert job["TrainingJobStatus"] == "Completed"
    assert "there is no model.tar.gz" in job["SecondaryStatusTransitions"][-1]["StatusMessage"]
    assert account.keys("out/modest/") == []


def test_requirements_that_are_there_already(account: Account) -> None:
    files = {"requirements.txt": "boto3>=1.40\n", "mine.py": "WORD = 'helper'"}
    account.train("needs", "import boto3, mine; print('has', mine.WORD)", files=files)
    assert account.job_end("needs")["TrainingJobStatus"] == "Completed"
    assert "has helper" in account.job_log("needs")


def test_a_script_calls_the_cloud_with_its_role(account: Account) -> None:
    script = """
        import boto3
        print(boto3.client("sts").get_caller_identity()["Arn"])
        boto3.client("s3").put_object(Bucket="end-to-end", Key="from-a-job", Body=b"hello")
    """
    account.train("calls", script)
    job = account.job_end("calls")
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    arn = "arn:aws:sts::123456789012:assumed-role/FogbankNotebook/SageMaker"
    assert arn in account.job_log("calls")
    assert account.get("from-a-job") == b"hello"


@pytest.mark.docs
def test_an_entrypoint_and_arguments_of_the_callers(account: Account) -> None:
    account.put("driver/run.sh", 'echo "$TRAINING_JOB_NAME: $1"; echo model > /opt/ml/model/m.txt')
    account.start_job(
        "own-entrypoint",
        {
            "TrainingImage": TRAINING_IMAGE,
            "TrainingInputMode": "File",
            "ContainerEntrypoint": ["/bin/sh", "-c"],
            "ContainerArguments": [
                'sh /opt/ml/input/data/driver/run.sh "$0"; cp /opt/ml/input/config/*.json /opt/ml/'
                "model/",
                "two words",
            ],
        },
        HyperParameters={"rate": "0.5"},
        InputDataConfig=[channel("driver", f"s3://{account.bucket}/driver/")],
    )
    job = account.job_end("own-entrypoint")
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    assert "own-entrypoint: two words" in account.job_log("own-entrypoint")
    model = account.model_of("own-entrypoint")
    assert json.loads(model["hyperparameters.json"]) == {"rate": "0.5"}
    assert sorted(json.loads(model["inputdataconfig.json"])) == ["driver"]
    assert json.loads(model["resourceconfig.json"])["hosts"] == ["algo-1"]


@pytest.mark.docs
def test_checkpoints_go_to_s3_and_come_back(account: Account) -> None:
    script = """
        import pathlib
        state = pathlib.Path("/opt/ml/checkpoints/state.txt")
        if not state.parent.is_dir():
            import os
            state = pathlib.Path(os.environ["SM_MODEL_DIR"]).parent / "checkpoints" / "state.txt"
        print("found", state.read_text() if state.exists() else "nothing")
        state.write_text("epoch 7")
    """
    for name in ("first-half", "second-half"):
        account.train(
            name, script, CheckpointConfig={"S3Uri": f"s3://{account.bucket}/checkpoints"}
        )
        assert account.job_end(name)["TrainingJobStatus"] == "Completed"
    assert account.get("checkpoints/state.txt") == b"epoch 7"
    assert "found nothing" in account.job_log("first-half")
    assert "found epoch 7" in account.job_log("second-half")


def test_a_job_cannot_change_an_object_through_its_channel(account: Account) -> None:
    names = [f"precious/{number}.txt" for number in range(8)]
    for name in names:
        account.put(name, f"precious {name}")
    script = """
        import os, pathlib
        folder = pathlib.Path(os.environ["SM_CHANNEL_TRAINING"])
        files = sorted(folder.iterdir())
        evil = b"evil"
        attacks = [
            lambda path: path.write_bytes(evil),
            lambda path: (path.chmod(0o777), path.write_bytes(evil)),
            lambda path: os.truncate(path, 1),
            lambda path: os.pwrite(os.open(path, os.O_RDWR), evil, 0),
            lambda path: path.rename(path.with_suffix(".moved")),
            lambda path: path.unlink(),
            lambda path: (os.link(path, folder / "l"), (folder / "l").write_bytes(evil)),
            lambda path: os.replace("/dev/null", path),
        ]
        print(os.getuid(), len(files))
        for path, attack in zip(files, attacks, strict=True):
            try:
                attack(path)
            except OSError as error:
                print("refused", path.name, error)
        print("over")
    """
    account.train(
        "attack",
        script,
        InputDataConfig=[channel("training", f"s3://{account.bucket}/precious/")],
    )
    assert account.job_end("attack")["TrainingJobStatus"] == "Completed"
    assert "over" in account.job_log("attack")
    assert account.keys("precious/") == names
    for name in names:
        assert account.get(name) == f"precious {name}".encode()


@pytest.mark.observed
def test_a_channel_without_objects(account: Account) -> None:
    uri = f"s3://{account.bucket}/no/such/prefix/"
    with refusal("ValidationException", f'No S3 objects found under S3 URL "{uri}"'):
        account.train("nothing", "print('never')", InputDataConfig=[channel("training", uri)])


def test_a_name_that_is_taken(account: Account, learned: dict[str, Any]) -> None:
    with refusal("ResourceInUse", "learn"):
        account.train("learn", "print('again')")


def test_a_role_that_does_not_exist(account: Account) -> None:
    role = "arn:aws:iam::123456789012:role/nobody"
    with refusal("ValidationException", role):
        account.train("no-role", "print('never')", RoleArn=role)
