"""Requests of CreateHyperParameterTuningJob, for all tests of tuning."""

from __future__ import annotations

from typing import Any

ROLE = "arn:aws:iam::123456789012:role/notebook"
IMAGE = "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:2.6.0-cpu-py312"

RANGES: dict[str, Any] = {
    "ContinuousParameterRanges": [
        {"Name": "lr", "MinValue": "0.001", "MaxValue": "0.1", "ScalingType": "Logarithmic"}
    ],
    "IntegerParameterRanges": [{"Name": "epochs", "MinValue": "1", "MaxValue": "8"}],
    "CategoricalParameterRanges": [{"Name": "batch-size", "Values": ['"32"', '"64"', '"128"']}],
}
"""Categories are quoted, as the SageMaker SDK's version 2 sends them."""

GRID: dict[str, Any] = {
    "CategoricalParameterRanges": [
        {"Name": "optimizer", "Values": ["sgd", "adam"]},
        {"Name": "batch-size", "Values": ["32", "64", "128"]},
    ]
}

OBJECTIVE = {"Type": "Minimize", "MetricName": "loss"}


def merged(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """A change to None takes a member away."""
    return {key: value for key, value in {**base, **changes}.items() if value is not None}


def limits(number: int | None = 6, parallel: int = 2, **more: Any) -> dict[str, Any]:
    found = {"MaxNumberOfTrainingJobs": number, "MaxParallelTrainingJobs": parallel, **more}
    return merged(found, {})


def config(**changes: Any) -> dict[str, Any]:
    """HyperParameterTuningJobConfig."""
    return merged(
        {
            "Strategy": "Random",
            "ResourceLimits": limits(),
            "HyperParameterTuningJobObjective": OBJECTIVE,
            "ParameterRanges": RANGES,
            "TrainingJobEarlyStoppingType": "Off",
            "RandomSeed": 7,
        },
        changes,
    )


def definition(**changes: Any) -> dict[str, Any]:
    """HyperParameterTrainingJobDefinition, as the SDK's version 2 sends it."""
    return merged(
        {
            "StaticHyperParameters": {"sagemaker_program": '"hpo.py"'},
            "AlgorithmSpecification": {
                "TrainingImage": IMAGE,
                "TrainingInputMode": "File",
                "MetricDefinitions": [
                    {"Name": "loss", "Regex": "Loss: ([0-9.]+)"},
                    {"Name": "accuracy", "Regex": "Accuracy: ([0-9.]+)"},
                    {"Name": "bare", "Regex": "[0-9.]+"},
                ],
            },
            "RoleArn": ROLE,
            "OutputDataConfig": {"S3OutputPath": "s3://dogs/out"},
            "HyperParameterTuningResourceConfig": {
                "InstanceType": "ml.m5.large",
                "InstanceCount": 1,
                "VolumeSizeInGB": 30,
            },
            "StoppingCondition": {"MaxRuntimeInSeconds": 600},
        },
        changes,
    )


def tuning_job(
    name: str = "dogs-hpo",
    *,
    configured: dict[str, Any] | None = None,
    defined: dict[str, Any] | None = None,
    **changes: Any,
) -> dict[str, Any]:
    """The whole request. configured, defined: changes within the configuration and the
    definition."""
    return merged(
        {
            "HyperParameterTuningJobName": name,
            "HyperParameterTuningJobConfig": config(**(configured or {})),
            "TrainingJobDefinition": definition(**(defined or {})),
        },
        changes,
    )


def several(*definitions: dict[str, Any], **configured: Any) -> dict[str, Any]:
    """A request with several definitions, each with an objective and ranges of its own."""
    return tuning_job(
        configured={
            "HyperParameterTuningJobObjective": None,
            "ParameterRanges": None,
            **configured,
        },
        TrainingJobDefinition=None,
        TrainingJobDefinitions=[
            definition(
                **{
                    "DefinitionName": f"definition-{number}",
                    "TuningObjective": OBJECTIVE,
                    "HyperParameterRanges": RANGES,
                    **changes,
                }
            )
            for number, changes in enumerate(definitions)
        ],
    )
