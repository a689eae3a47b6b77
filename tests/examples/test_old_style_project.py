"""A project as thousands of public ones are (old_style/) tunes, trains on 1 and on 2, and serves.

It knows nothing of this project, and asks torchvision for the pretrained resnet50; what the cloud's
folder holds for it here is random.
"""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from e2e.account import TRAINING_IMAGE, Account, archive
from e2e.waiting import until
from fogbank.testing.cloud import RunningCloud

torch = pytest.importorskip("torch")
models = pytest.importorskip("torchvision.models")
Image = pytest.importorskip("PIL.Image")

LIMIT_S = 240
pytestmark = [pytest.mark.slow, pytest.mark.observed, pytest.mark.timeout(LIMIT_S)]

PROJECT = Path(__file__).parent / "old_style"
COLOURS = {"blue": (30, 60, 220), "red": (220, 60, 30)}
METRIC = {"Name": "average test loss", "Regex": "Testing Loss: ([0-9\\.]+)"}


def jpeg(colour: tuple[int, int, int]) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (40, 36), colour).save(buffer, "JPEG")
    return buffer.getvalue()


@pytest.fixture(scope="module")
def account(cloud: RunningCloud) -> Account:
    """Pictures in S3, and weights where the cloud's jobs and endpoints look for them."""
    checkpoints = cloud.home / "torch" / "hub" / "checkpoints"
    checkpoints.mkdir(parents=True, exist_ok=True)
    network = models.resnet50()
    with torch.no_grad():
        for weight in network.parameters():
            # One bit of each number is random: a tenth of the time to compress 100 MB of them.
            weight.copy_(weight.sign() * weight.abs().mean())
    torch.save(network.state_dict(), checkpoints / "resnet50-0676ba61.pth")
    account = Account(cloud, "old-style")
    for split, each in (("train", 6), ("test", 3)):
        for label, (red, green, blue) in COLOURS.items():
            for number in range(each):
                picture = jpeg((red, green + 10 * number, blue))
                account.put(f"dogImages/{split}/{label}/{number}.jpg", picture)
    return account


@pytest.fixture(scope="module")
def code(account: Account) -> str:
    return account.put(
        "code/sourcedir.tar.gz", archive({"hpo.py": (PROJECT / "hpo.py").read_text()})
    )


@pytest.fixture(scope="module")
def tuned(account: Account, code: str) -> dict[str, Any]:
    """The tuning job when it is over."""
    account.sagemaker.create_hyper_parameter_tuning_job(
        HyperParameterTuningJobName="old-style",
        HyperParameterTuningJobConfig={
            "Strategy": "Bayesian",
            "HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": METRIC["Name"]},
            "ResourceLimits": {"MaxNumberOfTrainingJobs": 2, "MaxParallelTrainingJobs": 2},
            "ParameterRanges": {
                "ContinuousParameterRanges": [
                    {"Name": "lr", "MinValue": "0.001", "MaxValue": "0.01"}
                ],
                "CategoricalParameterRanges": [{"Name": "batch_size", "Values": ['"4"', '"6"']}],
            },
        },
        TrainingJobDefinition={
            "StaticHyperParameters": hyperparameters(code),
            "AlgorithmSpecification": algorithm(),
            "HyperParameterTuningResourceConfig": instances(1),
            **job(account),
        },
    )

    def probe() -> dict[str, Any] | None:
        found: dict[str, Any] = account.sagemaker.describe_hyper_parameter_tuning_job(
            HyperParameterTuningJobName="old-style"
        )
        return found if found["HyperParameterTuningJobStatus"] != "InProgress" else None

    return until(probe, "the end of the tuning job", limit_s=LIMIT_S)


def hyperparameters(code: str) -> dict[str, str]:
    sent = {"sagemaker_program": "hpo.py", "sagemaker_submit_directory": code}
    return {name: json.dumps(value) for name, value in sent.items()}


def algorithm() -> dict[str, Any]:
    return {
        "TrainingImage": TRAINING_IMAGE,
        "TrainingInputMode": "File",
        "MetricDefinitions": [METRIC],
    }


def instances(count: int) -> dict[str, Any]:
    return {"InstanceType": "ml.m5.xlarge", "InstanceCount": count, "VolumeSizeInGB": 1}


def job(account: Account) -> dict[str, Any]:
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{account.bucket}/dogImages/"}
    return {
        "RoleArn": account.role,
        "InputDataConfig": [{"ChannelName": "training", "DataSource": {"S3DataSource": source}}],
        "OutputDataConfig": {"S3OutputPath": f"s3://{account.bucket}/out"},
        "StoppingCondition": {"MaxRuntimeInSeconds": LIMIT_S},
    }


def train(account: Account, code: str, tuned: dict[str, Any], count: int) -> dict[str, Any]:
    """Train with the best values, which are sent on as they were shown."""
    name = f"old-style-{count}"
    account.sagemaker.create_training_job(
        TrainingJobName=name,
        AlgorithmSpecification=algorithm(),
        HyperParameters=hyperparameters(code) | tuned["BestTrainingJob"]["TunedHyperParameters"],
        ResourceConfig=instances(count),
        **job(account),
    )
    ended = account.job_end(name, limit_s=LIMIT_S)
    assert ended["TrainingJobStatus"] == "Completed", ended.get("FailureReason")
    return ended


def test_it_tunes(tuned: dict[str, Any]) -> None:
    assert tuned["HyperParameterTuningJobStatus"] == "Completed", tuned.get("FailureReason")
    assert tuned["ObjectiveStatusCounters"] == {"Succeeded": 2, "Pending": 0, "Failed": 0}
    best = tuned["BestTrainingJob"]
    assert best["FinalHyperParameterTuningJobObjectiveMetric"]["MetricName"] == METRIC["Name"]
    assert best["TunedHyperParameters"]["batch_size"] in ('"4"', '"6"')


def test_it_trains_on_one_instance_and_serves(
    account: Account, code: str, tuned: dict[str, Any]
) -> None:
    ended = train(account, code, tuned, 1)
    (metric,) = ended["FinalMetricDataList"]
    assert metric["MetricName"] == METRIC["Name"]
    log = account.job_log("old-style-1")
    (said,) = [line for line in log if line.startswith("Testing Loss: ")]
    assert metric["Value"] == pytest.approx(float(said.removeprefix("Testing Loss: ")))
    assert not any("identical models" in line for line in log)
    # As the SDK does it: the job's archive, and the code beside the model.
    uri = ended["ModelArtifacts"]["S3ModelArtifacts"]
    account.deploy(
        "old-style",
        data=with_code(account.get(uri.removeprefix(f"s3://{account.bucket}/"))),
    )
    try:
        endpoint = account.settled("old-style")
        assert endpoint["EndpointStatus"] == "InService", endpoint.get("FailureReason")
        scores = predict(account, jpeg(COLOURS["red"]), "image/jpeg")
        assert [len(row) for row in scores] == [2]
        colour = json.dumps({"colour": COLOURS["red"]}).encode()
        # The same picture, but for what JPEG takes of it.
        assert predict(account, colour, "application/json")[0] == pytest.approx(scores[0], rel=0.1)
    finally:
        account.sagemaker.delete_endpoint(EndpointName="old-style")


def with_code(model: bytes) -> bytes:
    """A job's archive with inference.py added; quickly, for it holds 100 MB of weights."""
    code = (PROJECT / "inference.py").read_bytes()
    member = tarfile.TarInfo("code/inference.py")
    member.size = len(code)
    packed = io.BytesIO()
    with (
        tarfile.open(fileobj=io.BytesIO(model)) as source,
        tarfile.open(fileobj=packed, mode="w:gz", compresslevel=1) as target,
    ):
        target.addfile(source.getmember("model.pth"), source.extractfile("model.pth"))
        target.addfile(member, io.BytesIO(code))
    return packed.getvalue()


def predict(account: Account, body: bytes, content_type: str) -> list[list[float]]:
    answer = account.runtime.invoke_endpoint(
        EndpointName="old-style", ContentType=content_type, Body=body
    )
    scores: list[list[float]] = json.load(answer["Body"])
    return scores


def test_two_instances_that_form_no_group_are_told_so(
    account: Account, code: str, tuned: dict[str, Any]
) -> None:
    ended = train(account, code, tuned, 2)
    log = account.job_log("old-style-2")
    assert sum(line.startswith("Testing Loss: ") for line in log) == 2
    at_start, at_end = [line for line in log if "Warning: " in line and "instances" in line]
    assert "no distribution in its hyperparameters" in at_start
    assert "2 of 2 instances trained identical models" in at_end
    assert "instance-seconds" in at_end
    message = ended["SecondaryStatusTransitions"][-1]["StatusMessage"]
    assert message == f"Training job completed. {at_end}"
