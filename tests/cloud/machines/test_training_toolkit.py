"""The toolkit launch style: code from S3, run by the training image as a real process."""

from __future__ import annotations

import io
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
