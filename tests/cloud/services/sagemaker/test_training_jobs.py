"""CreateTrainingJob, DescribeTrainingJob, StopTrainingJob."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from cloud.aws import NOW, refused
from cloud.services.sagemaker.control_plane import ControlPlane, channel, training_job
from fogbank.cloud.records.training_job import FinalMetric, TrainingJob
from fogbank.cloud.rules.training_job import transition

ARN = "arn:aws:sagemaker:us-east-1:123456789012:training-job/dogs-1"


@pytest.mark.observed
def test_a_new_job_has_every_member_that_sdks_read_without_asking(plane: ControlPlane) -> None:
    assert plane.call("CreateTrainingJob", **training_job()) == {"TrainingJobArn": ARN}
    answer = plane.call("DescribeTrainingJob", TrainingJobName="dogs-1")
    assert answer["ModelArtifacts"] == {
        "S3ModelArtifacts": "s3://dogs/out/dogs-1/output/model.tar.gz"
    }
    assert answer["OutputDataConfig"] == {"S3OutputPath": "s3://dogs/out/", "KmsKeyId": ""}
    assert (answer["TrainingJobStatus"], answer["SecondaryStatus"]) == ("InProgress", "Starting")
    assert answer["SecondaryStatusTransitions"] == [
        {"Status": "Starting", "StartTime": NOW, "StatusMessage": "Starting the training job"}
    ]
    assert answer["StoppingCondition"] == {"MaxRuntimeInSeconds": 600}
    assert (answer["CreationTime"], answer["LastModifiedTime"]) == (NOW, NOW)
    assert answer["ResourceConfig"]["InstanceCount"] == 1
    assert answer["EnableManagedSpotTraining"] is False
    for absent in (
        "TrainingStartTime",
        "TrainingEndTime",
        "BillableTimeInSeconds",
        "FailureReason",
    ):
        assert absent not in answer


@pytest.mark.docs
def test_what_was_asked_for_comes_back_verbatim(plane: ControlPlane) -> None:
    asked = training_job(
        AlgorithmSpecification={
            "TrainingImage": "i",
            "TrainingInputMode": "FastFile",
            "ContainerEntrypoint": ["/bin/bash"],
            "ContainerArguments": ["-c", "echo hello"],
            "MetricDefinitions": [{"Name": "loss", "Regex": "loss: ([0-9.]+)"}],
        },
        ResourceConfig={
            "InstanceType": "ml.g4dn.xlarge",
            "InstanceCount": 2,
            "VolumeSizeInGB": 50,
            "KeepAlivePeriodInSeconds": 600,
        },
        Environment={"EPOCHS": "1"},
        CheckpointConfig={"S3Uri": "s3://dogs/checkpoints", "LocalPath": "/opt/ml/checkpoints"},
        RetryStrategy={"MaximumRetryAttempts": 2},
        EnableManagedSpotTraining=True,
        StoppingCondition={"MaxRuntimeInSeconds": 600, "MaxWaitTimeInSeconds": 900},
        # The profiler's values are not JSON: they have trailing commas.
        ProfilerConfig={"S3OutputPath": "s3://dogs/p", "ProfilingParameters": {"a": "{,}"}},
        DebugHookConfig={"S3OutputPath": "s3://dogs/d", "CollectionConfigurations": []},
    )
    plane.call("CreateTrainingJob", **asked)
    answer = plane.call("DescribeTrainingJob", TrainingJobName="dogs-1")
    for member in asked.keys() - {"OutputDataConfig", "Tags"}:
        assert answer[member] == asked[member], member


@pytest.mark.docs
def test_rules_are_reported_as_not_evaluated(plane: ControlPlane) -> None:
    rule = {"RuleConfigurationName": "Overfit", "RuleEvaluatorImage": "rules:latest"}
    plane.call(
        "CreateTrainingJob",
        **training_job(DebugRuleConfigurations=[rule], ProfilerRuleConfigurations=[rule]),
    )
    answer = plane.call("DescribeTrainingJob", TrainingJobName="dogs-1")
    for member in ("DebugRuleEvaluationStatuses", "ProfilerRuleEvaluationStatuses"):
        (status,) = answer[member]
        assert status["RuleEvaluationStatus"] == "Stopped"
        assert "nothing was checked" in status["StatusDetails"]
        assert status["RuleEvaluationJobArn"]
    assert answer["ProfilingStatus"] == "Disabled"


@pytest.mark.docs
def test_the_end_of_a_job_shows_its_times_metrics_and_reason(plane: ControlPlane) -> None:
    plane.call("CreateTrainingJob", **training_job())
    job = plane.records.get(TrainingJob, "dogs-1")
    assert job is not None
    job = transition(job, "Downloading", "d", NOW + timedelta(seconds=5))
    plane.records.put(replace(job, failure_reason="AlgorithmError: boom, exit code: 1"))
    assert "FailureReason" not in plane.call("DescribeTrainingJob", TrainingJobName="dogs-1")
    metric = FinalMetric(name="loss", value=0.5, at=NOW)
    job = transition(job, "Failed", "f", NOW + timedelta(seconds=25.4))
    plane.records.put(replace(job, failure_reason="AlgorithmError", final_metrics=(metric,)))
    answer = plane.call("DescribeTrainingJob", TrainingJobName="dogs-1")
    assert answer["FailureReason"] == "AlgorithmError"
    assert (answer["TrainingTimeInSeconds"], answer["BillableTimeInSeconds"]) == (20, 20)
    assert answer["TrainingEndTime"] == NOW + timedelta(seconds=25.4)
    assert answer["FinalMetricDataList"] == [{"MetricName": "loss", "Value": 0.5, "Timestamp": NOW}]


@pytest.mark.observed
def test_a_name_is_taken_for_ever(plane: ControlPlane) -> None:
    plane.call("CreateTrainingJob", **training_job())
    with refused(
        "ResourceInUse",
        400,
        "Training job names must be unique within an AWS account and region, and a training job "
        "with this name already exists",
    ):
        plane.call("CreateTrainingJob", **training_job())


def source(**changes: Any) -> list[dict[str, Any]]:
    asked = channel("training", "s3://dogs/train")
    asked["DataSource"]["S3DataSource"].update(changes)
    return [asked]


BAD_INPUT: list[tuple[str, dict[str, Any], str]] = [
    ("no algorithm", {"AlgorithmSpecification": None}, "AlgorithmSpecification is required"),
    (
        "neither image nor algorithm",
        {"AlgorithmSpecification": {"TrainingInputMode": "File"}},
        "either TrainingImage or AlgorithmName",
    ),
    (
        "both image and algorithm",
        {
            "AlgorithmSpecification": {
                "TrainingInputMode": "File",
                "TrainingImage": "i",
                "AlgorithmName": "a",
            }
        },
        "not both",
    ),
    (
        "an algorithm of the marketplace",
        {"AlgorithmSpecification": {"TrainingInputMode": "File", "AlgorithmName": "a"}},
        "does not support AlgorithmName",
    ),
    (
        "pipe mode",
        {"AlgorithmSpecification": {"TrainingInputMode": "Pipe", "TrainingImage": "i"}},
        "Pipe",
    ),
    (
        "a metric regex that does not compile",
        {
            "AlgorithmSpecification": {
                "TrainingInputMode": "File",
                "TrainingImage": "i",
                "MetricDefinitions": [{"Name": "loss", "Regex": "("}],
            }
        },
        "metric loss",
    ),
    ("no resources", {"ResourceConfig": None}, "ResourceConfig is required"),
    (
        "no instances",
        {"ResourceConfig": {"InstanceType": "ml.m5.xlarge", "InstanceCount": 0}},
        "at least 1",
    ),
    (
        "a wait time without spot",
        {"StoppingCondition": {"MaxRuntimeInSeconds": 5, "MaxWaitTimeInSeconds": 9}},
        "EnableManagedSpotTraining",
    ),
    ("spot without a wait time", {"EnableManagedSpotTraining": True}, "MaxWaitTimeInSeconds"),
    (
        "an output path that is no S3 URI",
        {"OutputDataConfig": {"S3OutputPath": "https://dogs/out"}},
        "OutputDataConfig.S3OutputPath",
    ),
    (
        "uncompressed output",
        {"OutputDataConfig": {"S3OutputPath": "s3://dogs/out", "CompressionType": "NONE"}},
        "CompressionType NONE",
    ),
    (
        "checkpoints that are not in S3",
        {"CheckpointConfig": {"S3Uri": "https://dogs/c"}},
        "CheckpointConfig.S3Uri",
    ),
    (
        "an unknown role",
        {"RoleArn": "arn:aws:iam::123456789012:role/nobody"},
        "Could not assume role arn:aws:iam::123456789012:role/nobody. Please ensure that the role "
        "exists and allows principal 'sagemaker.amazonaws.com' to assume the role.",
    ),
    ("a channel twice", {"InputDataConfig": source() * 2}, "training is repeated"),
    (
        "a channel without objects",
        {"InputDataConfig": source(S3Uri="s3://dogs/nothing/")},
        'No S3 objects found under S3 URL "s3://dogs/nothing/" given in input data source.',
    ),
    (
        "a channel in a bucket that is not there",
        {"InputDataConfig": source(S3Uri="s3://cats/train")},
        "No S3 objects found",
    ),
    (
        "a manifest that is not there",
        {"InputDataConfig": source(S3DataType="ManifestFile", S3Uri="s3://dogs/tr")},
        "No S3 objects found",
    ),
    (
        "an augmented manifest",
        {"InputDataConfig": source(S3DataType="AugmentedManifestFile")},
        "AugmentedManifestFile",
    ),
    ("a channel that is no S3 URI", {"InputDataConfig": source(S3Uri="s3://D/x")}, "S3 URI"),
    (
        "gzip input",
        {"InputDataConfig": [channel("a", "s3://dogs/train", CompressionType="Gzip")]},
        "Pipe",
    ),
    (
        "a channel without a source",
        {"InputDataConfig": [{"ChannelName": "a", "DataSource": {}}]},
        "no S3DataSource",
    ),
    (
        "tags with the same key",
        {"Tags": [{"Key": "a", "Value": "1"}, {"Key": "a", "Value": "2"}]},
        "Duplicate tag key",
    ),
]


@pytest.mark.docs
@pytest.mark.parametrize(
    ("changes", "words"), [case[1:] for case in BAD_INPUT], ids=[case[0] for case in BAD_INPUT]
)
def test_bad_input_is_refused_and_leaves_nothing(
    plane: ControlPlane, changes: dict[str, Any], words: str
) -> None:
    with refused("ValidationException", 400, words):
        plane.call("CreateTrainingJob", **training_job(**changes))
    assert plane.records.all(TrainingJob) == []


@pytest.mark.docs
@pytest.mark.parametrize(
    "channels",
    [source(S3DataType="ManifestFile", S3Uri="s3://dogs/train/cat/1.png"), None],
    ids=["a manifest", "no channels"],
)
def test_good_input(plane: ControlPlane, channels: list[dict[str, Any]] | None) -> None:
    plane.call("CreateTrainingJob", **training_job(InputDataConfig=channels))
    plane.call("DescribeTrainingJob", TrainingJobName="dogs-1")


@pytest.mark.docs
def test_without_a_stopping_condition_the_limit_is_a_day(plane: ControlPlane) -> None:
    plane.call("CreateTrainingJob", **training_job(StoppingCondition=None))
    answer = plane.call("DescribeTrainingJob", TrainingJobName="dogs-1")
    assert answer["StoppingCondition"] == {"MaxRuntimeInSeconds": 86_400}


@pytest.mark.observed
def test_stop_is_an_intent_and_is_refused_once_the_job_has_ended(plane: ControlPlane) -> None:
    plane.call("CreateTrainingJob", **training_job())
    plane.wait(3)
    plane.call("StopTrainingJob", TrainingJobName="dogs-1")
    plane.call("StopTrainingJob", TrainingJobName="dogs-1")
    answer = plane.call("DescribeTrainingJob", TrainingJobName="dogs-1")
    assert (answer["TrainingJobStatus"], answer["SecondaryStatus"]) == ("Stopping", "Stopping")
    assert answer["LastModifiedTime"] == NOW + timedelta(seconds=3)
    job = plane.records.get(TrainingJob, "dogs-1")
    assert job is not None
    assert job.stop_requested == NOW + timedelta(seconds=3)
    plane.records.put(transition(job, "Stopped", "s", plane.now))
    with refused(
        "ValidationException",
        400,
        "The request was rejected because the training job is in status Stopped.",
    ):
        plane.call("StopTrainingJob", TrainingJobName="dogs-1")


@pytest.mark.observed
@pytest.mark.parametrize("operation", ["DescribeTrainingJob", "StopTrainingJob"])
def test_an_unknown_job(plane: ControlPlane, operation: str) -> None:
    with refused("ValidationException", 400, "Requested resource not found."):
        plane.call(operation, TrainingJobName="nothing")
