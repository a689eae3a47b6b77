"""SageMaker's control plane as boto3 sees it: error codes, texts, paginators, waiters."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from botocore.exceptions import ClientError

from fogbank.testing.cloud import RunningCloud

BUCKET = "sagemaker-control"
IMAGE = "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:2.6.0-cpu-py312"
ARN = "arn:aws:sagemaker:us-east-1:123456789012"


@pytest.fixture(scope="module")
def sagemaker(cloud: RunningCloud) -> Any:
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket=BUCKET)
    s3.upload_fileobj(io.BytesIO(b"a picture"), BUCKET, "train/cat/1.png")
    s3.upload_fileobj(io.BytesIO(b"a model"), BUCKET, "model.tar.gz")
    return cloud.client("sagemaker")


@pytest.fixture(scope="module")
def role(cloud: RunningCloud) -> str:
    arn: str = cloud.client("iam").get_role(RoleName="FogbankNotebook")["Role"]["Arn"]
    return arn


@pytest.fixture
def model(sagemaker: Any, role: str) -> Iterator[str]:
    sagemaker.create_model(
        ModelName="wire-model",
        ExecutionRoleArn=role,
        PrimaryContainer={"Image": IMAGE, "ModelDataUrl": f"s3://{BUCKET}/model.tar.gz"},
    )
    yield "wire-model"
    sagemaker.delete_model(ModelName="wire-model")


@contextmanager
def refusal(code: str, *words: str) -> Iterator[None]:
    """The block raises a ClientError of that code, and its message has all `words` in it."""
    with pytest.raises(ClientError) as caught:
        yield
    error = caught.value.response["Error"]
    assert error["Code"] == code
    for word in words:
        assert word in error["Message"]


def job(name: str, role_arn: str, **changes: Any) -> dict[str, Any]:
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/train"}
    return {
        "TrainingJobName": name,
        "RoleArn": role_arn,
        "AlgorithmSpecification": {
            "TrainingImage": IMAGE,
            "TrainingInputMode": "File",
            "ContainerEntrypoint": ["/bin/sleep"],
            "ContainerArguments": ["600"],
        },
        "InputDataConfig": [{"ChannelName": "training", "DataSource": {"S3DataSource": source}}],
        "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/out"},
        "ResourceConfig": {
            "InstanceType": "ml.m5.xlarge",
            "InstanceCount": 1,
            "VolumeSizeInGB": 1,
        },
        "StoppingCondition": {"MaxRuntimeInSeconds": 900},
        **changes,
    }


@pytest.mark.observed
def test_what_is_not_there_says_so_in_awss_words(sagemaker: Any) -> None:
    with refusal("ValidationException", "Requested resource not found."):
        sagemaker.describe_training_job(TrainingJobName="nothing")
    with refusal("ValidationException", f'Could not find endpoint "{ARN}:endpoint/nothing".'):
        sagemaker.describe_endpoint(EndpointName="nothing")
    with refusal("ValidationException", f'Could not find model "{ARN}:model/nothing".'):
        sagemaker.delete_model(ModelName="nothing")


@pytest.mark.model
def test_the_waiter_for_a_deleted_endpoint_takes_the_error_as_success(sagemaker: Any) -> None:
    sagemaker.get_waiter("endpoint_deleted").wait(
        EndpointName="nothing", WaiterConfig={"Delay": 1, "MaxAttempts": 1}
    )


@pytest.mark.observed
def test_a_training_job_by_its_intent(sagemaker: Any, role: str) -> None:
    answer = sagemaker.create_training_job(
        **job("wire-job", role), Tags=[{"Key": "fogbank:project", "Value": "wire"}]
    )
    arn = answer["TrainingJobArn"]
    assert arn == f"{ARN}:training-job/wire-job"
    with pytest.raises(sagemaker.exceptions.ResourceInUse, match="must be unique"):
        sagemaker.create_training_job(**job("wire-job", role))
    assert sagemaker.list_tags(ResourceArn=arn)["Tags"] == [
        {"Key": "fogbank:project", "Value": "wire"}
    ]
    (summary,) = sagemaker.list_training_jobs(NameContains="wire-job")["TrainingJobSummaries"]
    assert summary["TrainingJobArn"] == arn
    sagemaker.stop_training_job(TrainingJobName="wire-job")
    sagemaker.get_waiter("training_job_completed_or_stopped").wait(
        TrainingJobName="wire-job", WaiterConfig={"Delay": 1, "MaxAttempts": 60}
    )
    described = sagemaker.describe_training_job(TrainingJobName="wire-job")
    assert described["TrainingJobStatus"] == "Stopped"
    assert described["OutputDataConfig"]["KmsKeyId"] == ""
    assert described["ModelArtifacts"]["S3ModelArtifacts"].endswith("/wire-job/output/model.tar.gz")
    with refusal("ValidationException", "because the training job is in status Stopped"):
        sagemaker.stop_training_job(TrainingJobName="wire-job")


@pytest.mark.observed
def test_input_that_makes_no_sense(sagemaker: Any, role: str) -> None:
    nobody = "arn:aws:iam::123456789012:role/nobody"
    with refusal("ValidationException", f"Could not assume role {nobody}."):
        sagemaker.create_training_job(**job("refused", nobody))
    with refusal("ValidationException", 'No S3 objects found under S3 URL "s3://nowhere/train"'):
        source = {"S3DataType": "S3Prefix", "S3Uri": "s3://nowhere/train"}
        channel = {"ChannelName": "training", "DataSource": {"S3DataSource": source}}
        sagemaker.create_training_job(**job("refused", role, InputDataConfig=[channel]))
    with refusal("ValidationException", "resourceConfig.instanceType", "enum value set"):
        resources = {"InstanceType": "t3.large", "InstanceCount": 1, "VolumeSizeInGB": 1}
        sagemaker.create_training_job(**job("refused", role, ResourceConfig=resources))
    assert not sagemaker.list_training_jobs(NameContains="refused")["TrainingJobSummaries"]


@pytest.mark.observed
def test_model_data_that_is_not_there(sagemaker: Any, role: str) -> None:
    url = f"s3://{BUCKET}/nothing.tar.gz"
    with refusal("ValidationException", f"Could not find model data at {url}."):
        sagemaker.create_model(
            ModelName="refused",
            ExecutionRoleArn=role,
            PrimaryContainer={"Image": IMAGE, "ModelDataUrl": url},
        )


@pytest.mark.model
def test_configurations_through_the_paginator(sagemaker: Any, model: str) -> None:
    variant = {
        "VariantName": "AllTraffic",
        "ModelName": model,
        "InstanceType": "ml.m5.large",
        "InitialInstanceCount": 1,
    }
    names = [f"wire-config-{number:02}" for number in range(12)]
    for name in names:
        sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
    pages = sagemaker.get_paginator("list_endpoint_configs").paginate(
        NameContains="wire-config", SortBy="Name", SortOrder="Ascending"
    )
    found = [[c["EndpointConfigName"] for c in page["EndpointConfigs"]] for page in pages]
    assert [len(page) for page in found] == [10, 2]
    assert [name for page in found for name in page] == names
    with refusal("ValidationException", "Cannot create already existing endpoint configuration"):
        sagemaker.create_endpoint_config(EndpointConfigName=names[0], ProductionVariants=[variant])
    for name in names:
        sagemaker.delete_endpoint_config(EndpointConfigName=name)
    assert not sagemaker.list_endpoint_configs(NameContains="wire-config")["EndpointConfigs"]


@pytest.mark.docs
def test_tags_through_the_paginator(sagemaker: Any, model: str) -> None:
    arn = f"{ARN}:model/{model}"
    tags = [{"Key": f"key-{number:02}", "Value": "naïve größe"} for number in range(3)]
    sagemaker.add_tags(ResourceArn=arn, Tags=tags)
    pages = list(sagemaker.get_paginator("list_tags").paginate(ResourceArn=arn))
    assert [tag for page in pages for tag in page["Tags"]] == tags
    sagemaker.delete_tags(ResourceArn=arn, TagKeys=["key-00", "key-01", "key-02"])
    assert sagemaker.list_tags(ResourceArn=arn)["Tags"] == []


@pytest.mark.observed
def test_invoking_what_is_not_there(cloud: RunningCloud) -> None:
    runtime = cloud.client("sagemaker-runtime")
    with refusal("ValidationError", "Endpoint nothing of account 123456789012 not found."):
        runtime.invoke_endpoint(EndpointName="nothing", Body=b"x", ContentType="image/png")


@pytest.mark.observed
def test_a_body_over_six_megabytes(cloud: RunningCloud) -> None:
    runtime = cloud.client("sagemaker-runtime")
    with refusal("413", "exceeded 6291456 bytes", str(6 * 1024 * 1024 + 1)):
        runtime.invoke_endpoint(EndpointName="nothing", Body=b"x" * (6 * 1024 * 1024 + 1))
