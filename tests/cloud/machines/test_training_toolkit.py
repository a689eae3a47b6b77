"""The toolkit launch style: code from S3, run by the training image as a real process."""

from __future__ import annotations

import io
import sys
import tarfile

import pytest

from cloud.machines.training_site import TrainingSite

SCRIPT = b"""
import argparse, os, pathlib
parser = argparse.ArgumentParser()
parser.add_argument("--epochs", type=int)
given = parser.parse_args()
source = pathlib.Path(os.environ["SM_CHANNEL_TRAIN"], "a.txt").read_text()
print("epochs", given.epochs, "loss: 0.125;")
pathlib.Path(os.environ["SM_MODEL_DIR"], "model.txt").write_text(source * given.epochs)
"""
FAILING = b"raise ValueError('no such breed')"


def code(script: bytes) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        info = tarfile.TarInfo("train.py")
        info.size = len(script)
        tar.addfile(info, io.BytesIO(script))
    return packed.getvalue()


def create(training: TrainingSite, script: bytes) -> None:
    training.objects.add("in", "train/a.txt", b"alpha")
    training.objects.add("in", "sourcedir.tar.gz", code(script))
    source = {"S3DataType": "S3Prefix", "S3Uri": "s3://in/train"}
    training.create(
        AlgorithmSpecification={
            "TrainingImage": "pytorch-training:2.6",
            "TrainingInputMode": "FastFile",
            "MetricDefinitions": [{"Name": "loss", "Regex": "loss: (.*?);"}],
        },
        HyperParameters={
            "epochs": "2",
            "sagemaker_program": '"train.py"',
            "sagemaker_submit_directory": '"s3://in/sourcedir.tar.gz"',
        },
        InputDataConfig=[{"ChannelName": "train", "DataSource": {"S3DataSource": source}}],
    )


@pytest.mark.observed
async def test_a_script_trains_on_its_channel(training: TrainingSite) -> None:
    create(training, SCRIPT)
    job = await training.end()
    assert (job.status, job.failure_reason) == ("Completed", None), training.logs.lines
    packed = training.objects.content("out", "jobs/dogs/output/model.tar.gz")
    with tarfile.open(fileobj=io.BytesIO(packed), mode="r:gz") as tar:
        model = tar.extractfile("model.txt")
        assert model is not None
        assert model.read() == b"alphaalpha"
    assert "epochs 2 loss: 0.125;" in training.logs.lines
    assert [(final.name, final.value) for final in job.final_metrics] == [("loss", 0.125)]


@pytest.mark.observed
async def test_a_script_that_raises_says_what(training: TrainingSite) -> None:
    create(training, FAILING)
    job = await training.end()
    assert job.status == "Failed"
    assert (job.failure_reason or "").startswith("AlgorithmError: ExecuteUserScriptError:")
    assert "ValueError: no such breed" in (job.failure_reason or "")
    assert any("Traceback" in line for line in training.logs.lines)


@pytest.mark.observed
async def test_the_drivers_of_sdk_v3_find_opt_ml(training: TrainingSite) -> None:
    """They name /opt/ml themselves: really there where the host can, written anew elsewhere."""
    driver = b"#!/bin/sh\ncp /opt/ml/input/data/train/a.txt /opt/ml/model/model.txt\n"
    driver += b"test ! -e /opt/mlx && pwd > '/opt/ml/output/data/where'\n"
    training.objects.add("in", "job/input/sm_drivers/sm_train.sh", driver)
    training.objects.add("in", "job/input/sm_drivers/picture.bin", b"\xff\xfe/opt/ml/")
    training.objects.add("in", "train/a.txt", b"alpha")
    channels = {"sm_drivers": "s3://in/job/input/sm_drivers", "train": "s3://in/train"}
    training.create(
        AlgorithmSpecification={
            "TrainingImage": "pytorch-training:2.6",
            "TrainingInputMode": "File",
            "ContainerEntrypoint": ["/bin/bash"],
            "ContainerArguments": [
                "-c",
                "chmod +x /opt/ml/input/data/sm_drivers/sm_train.sh && "
                "/opt/ml/input/data/sm_drivers/sm_train.sh",
            ],
        },
        InputDataConfig=[
            {
                "ChannelName": name,
                "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": uri}},
            }
            for name, uri in channels.items()
        ],
    )
    job = await training.end()
    assert (job.status, job.failure_reason) == ("Completed", None), training.logs.lines
    packed = training.objects.content("out", "jobs/dogs/output/model.tar.gz")
    with tarfile.open(fileobj=io.BytesIO(packed), mode="r:gz") as tar:
        assert tar.getnames() == ["model.txt"]
    assert training.objects.content("in", "job/input/sm_drivers/sm_train.sh") == driver


@pytest.mark.observed
async def test_the_torchrun_driver_of_sdk_v3_meets_where_the_machine_says(
    training: TrainingSite,
) -> None:
    """Its own place is port 7777 of algo-1: right in a network of the job's own; on the host's a
    name that nobody knows."""
    driver = (
        b"import os\nprint(f\"at {os.environ['SM_MASTER_ADDR']}:{os.environ['SM_MASTER_PORT']}\")\n"
    )
    for name in ("torchrun_driver.py", "other_driver.py"):
        training.objects.add("in", f"drivers/distributed_drivers/{name}", driver)
    folder = "/opt/ml/input/data/sm_drivers/distributed_drivers"
    training.runs(
        f"export SM_MASTER_ADDR=algo-1 SM_MASTER_PORT=7777; "
        f"echo or $FOGBANK_MASTER_ADDR:$FOGBANK_MASTER_PORT $GLOO_SOCKET_IFNAME;"
        f"for name in torchrun other; do {sys.executable} {folder}/${{name}}_driver.py; done",
        ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 2},
        InputDataConfig=[
            {
                "ChannelName": "sm_drivers",
                "DataSource": {
                    "S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://in/drivers"}
                },
            }
        ],
    )
    assert (await training.end()).status == "Completed", training.logs.lines
    told = [line for line in training.logs.lines if line.startswith(("or ", "at "))]
    if training.engine.can_network:
        assert told.count("or : eth0") + told.count("or : lo") == 2
        assert told.count("at algo-1:7777") == 4
        return
    ours = {line.removeprefix("or ").removesuffix(" lo") for line in told if line[:2] == "or"}
    assert len(ours) == 1
    assert told.count(f"at {ours.pop()}") == 2
    assert told.count("at algo-1:7777") == 2
