"""The semantic checks of CreateTrainingJob: input that the model allows -> nothing, or a refusal.

What is not carried out is refused, not ignored. Source: API reference, CreateTrainingJob.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fogbank.cloud.context import Params
from fogbank.cloud.errors import ValidationException
from fogbank.cloud.ports import Objects
from fogbank.cloud.rules.metric_definitions import compile_definitions
from fogbank.cloud.services.sagemaker.refusals import (
    RoleExists,
    check_role,
    first_repeated,
    refuse_unsupported,
)
from fogbank.cloud.services.sagemaker.s3_uri import S3Uri, has_object, has_objects

UNSUPPORTED = ("ServerlessJobConfig", "ModelPackageConfig", "MlflowConfig")
_CREATE = "CreateTrainingJob"


def check_training_job(
    params: Params, *, region: str, objects: Objects, role_exists: RoleExists
) -> None:
    """Raises ValidationException for the first thing that is wrong."""
    refuse_unsupported(params, UNSUPPORTED, _CREATE)
    _check_algorithm(params.get("AlgorithmSpecification"))
    _check_resources(params.get("ResourceConfig"))
    _check_time_limits(params)
    _check_output(params)
    check_role(params["RoleArn"], role_exists)
    _check_channels(params, region, objects)


def _check_algorithm(specification: Mapping[str, Any] | None) -> None:
    if specification is None:
        raise ValidationException("AlgorithmSpecification is required to create a training job.")
    image, name = specification.get("TrainingImage"), specification.get("AlgorithmName")
    if bool(image) == bool(name):
        raise ValidationException(
            "AlgorithmSpecification needs either TrainingImage or AlgorithmName, and not both."
        )
    refuse_unsupported(specification, ("AlgorithmName",), _CREATE)
    _check_input_mode(specification["TrainingInputMode"])
    compile_definitions(specification.get("MetricDefinitions", ()))


def _check_input_mode(mode: str) -> None:
    if mode == "Pipe":
        raise ValidationException(
            "Fogbank does not support the input mode Pipe yet: use File or FastFile."
        )


def _check_resources(resources: Mapping[str, Any] | None) -> None:
    if resources is None:
        raise ValidationException("ResourceConfig is required to create a training job.")
    refuse_unsupported(
        resources, ("InstanceGroups", "InstancePreferences", "TrainingPlanArn"), _CREATE
    )
    if not resources.get("InstanceType") or resources.get("InstanceCount", 0) < 1:
        raise ValidationException(
            "ResourceConfig needs an InstanceType and an InstanceCount of at least 1."
        )


def _check_time_limits(params: Params) -> None:
    condition = params.get("StoppingCondition", {})
    wait_s, run_s = condition.get("MaxWaitTimeInSeconds"), condition.get("MaxRuntimeInSeconds")
    if not params.get("EnableManagedSpotTraining"):
        if wait_s is not None:
            raise ValidationException(
                "MaxWaitTimeInSeconds can only be given when EnableManagedSpotTraining is true."
            )
    elif wait_s is None or (run_s is not None and wait_s < run_s):
        raise ValidationException(
            "Invalid MaxWaitTimeInSeconds. It must be present and be greater than or equal to "
            "MaxRuntimeInSeconds when EnableManagedSpotTraining is true."
        )


def _check_output(params: Params) -> None:
    output = params["OutputDataConfig"]
    S3Uri.parse(output["S3OutputPath"], "OutputDataConfig.S3OutputPath")
    if output.get("CompressionType") == "NONE":
        raise ValidationException(
            "Fogbank does not support OutputDataConfig.CompressionType NONE yet: use GZIP."
        )
    if "CheckpointConfig" in params:
        S3Uri.parse(params["CheckpointConfig"]["S3Uri"], "CheckpointConfig.S3Uri")


def _check_channels(params: Params, region: str, objects: Objects) -> None:
    channels = params.get("InputDataConfig", ())
    repeated = first_repeated(channel["ChannelName"] for channel in channels)
    if repeated is not None:
        raise ValidationException(
            f"Channel names must be unique within a training job: {repeated} is repeated."
        )
    for channel in channels:
        _check_channel(channel, params["RoleArn"], region, objects)


def _check_channel(
    channel: Mapping[str, Any], role_arn: str, region: str, objects: Objects
) -> None:
    where = f"InputDataConfig channel {channel['ChannelName']}"
    _check_input_mode(channel.get("InputMode", "File"))
    if channel.get("CompressionType", "None") != "None":
        raise ValidationException(f"{where}: CompressionType Gzip needs the input mode Pipe.")
    refuse_unsupported(channel["DataSource"], ("FileSystemDataSource", "DatasetSource"), _CREATE)
    source = channel["DataSource"].get("S3DataSource")
    if source is None:
        raise ValidationException(f"{where} has no S3DataSource.")
    uri = S3Uri.parse(source["S3Uri"], f"{where}: S3Uri")
    match source["S3DataType"]:
        case "S3Prefix":
            found = has_objects(objects, uri)
        case "ManifestFile":
            found = has_object(objects, uri)
        case other:
            raise ValidationException(f"Fogbank does not support S3DataType {other} yet.")
    if not found:
        raise ValidationException(
            f'No S3 objects found under S3 URL "{source["S3Uri"]}" given in input data source. '
            f"Please ensure that the bucket exists in the selected region ({region}), that "
            f'objects exist under that S3 prefix, and that the role "{role_arn}" has '
            f'"s3:ListBucket" permissions on bucket "{uri.bucket}".'
        )
