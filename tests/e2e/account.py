"""A person's account on a running cloud: jobs, models, endpoints, logs, through boto3 only."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from textwrap import dedent
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from e2e.waiting import until
from fogbank.testing.cloud import RunningCloud

TRAINING_IMAGE = "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:2.6.0-cpu-py312"
INFERENCE_IMAGE = "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-inference:2.6.0-cpu-py312"

ECHO = """
def model_fn(model_dir):
    return open(model_dir + "/weights").read()

def input_fn(body, content_type):
    return body

def predict_fn(data, model):
    return {"model": model, "said": data if isinstance(data, str) else len(data)}
"""
"""An inference.py that says which model it has and what it was told."""


def archive(files: Mapping[str, str | bytes]) -> bytes:
    """A tar.gz of small files."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in files.items():
            data = content.encode() if isinstance(content, str) else content
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def unpacked(data: bytes) -> dict[str, str]:
    """The files of a tar.gz."""
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        found = ((member.name, tar.extractfile(member)) for member in tar)
        return {name.removeprefix("./"): file.read().decode() for name, file in found if file}


@contextmanager
def refusal(code: str, *words: str) -> Iterator[None]:
    """The block raises a ClientError of that code, and its message has all `words` in it."""
    with pytest.raises(ClientError) as caught:
        yield
    error = caught.value.response["Error"]
    assert error["Code"] == code, error
    for word in words:
        assert word in error["Message"], error


class Account:
    """bucket: made here, for everything. Names of jobs and endpoints are the tests' own."""

    def __init__(self, cloud: RunningCloud, bucket: str) -> None:
        self.cloud = cloud
        self.bucket = bucket
        self.s3.create_bucket(Bucket=bucket)

    def client(self, service: str) -> Any:
        # One attempt: a test that needs a second one has found a bug.
        config = Config(retries={"total_max_attempts": 1}, max_pool_connections=32)
        return self.cloud.client(service, config=config)

    @cached_property
    def s3(self) -> Any:
        return self.client("s3")

    @cached_property
    def sagemaker(self) -> Any:
        return self.client("sagemaker")

    @cached_property
    def runtime(self) -> Any:
        return self.client("sagemaker-runtime")

    @cached_property
    def logs(self) -> Any:
        return self.client("logs")

    @cached_property
    def role(self) -> str:
        arn: str = self.client("iam").get_role(RoleName="FogbankNotebook")["Role"]["Arn"]
        return arn

    # -- objects ----------------------------------------------------------------------------------

    def put(self, key: str, content: str | bytes) -> str:
        """Returns its s3:// URI."""
        data = content.encode() if isinstance(content, str) else content
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=data)
        return f"s3://{self.bucket}/{key}"

    def get(self, key: str) -> bytes:
        content: bytes = self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read()
        return content

    def keys(self, prefix: str) -> list[str]:
        answer = self.s3.list_objects_v2(Bucket=self.bucket, Prefix=prefix)
        return [item["Key"] for item in answer.get("Contents", ())]

    # -- training ---------------------------------------------------------------------------------

    def train(
        self,
        name: str,
        script: str,
        *,
        files: Mapping[str, str] | None = None,
        hyperparameters: Mapping[str, Any] | None = None,
        instance_type: str = "ml.m5.large",
        limit_s: int = 600,
        algorithm: Mapping[str, Any] | None = None,
        **request: Any,
    ) -> None:
        """Start a job as the SDK does: the script in an archive, everything else as JSON."""
        code = archive({"train.py": dedent(script), **(files or {})})
        sent = {
            "sagemaker_program": "train.py",
            "sagemaker_submit_directory": self.put(f"code/{name}.tar.gz", code),
            **(hyperparameters or {}),
        }
        self.start_job(
            name,
            {"TrainingImage": TRAINING_IMAGE, "TrainingInputMode": "File", **(algorithm or {})},
            instance_type=instance_type,
            limit_s=limit_s,
            HyperParameters={key: json.dumps(value) for key, value in sent.items()},
            **request,
        )

    def start_job(
        self,
        name: str,
        algorithm: Mapping[str, Any],
        *,
        instance_type: str = "ml.m5.large",
        limit_s: int = 600,
        **request: Any,
    ) -> None:
        self.sagemaker.create_training_job(
            **{
                "TrainingJobName": name,
                "RoleArn": self.role,
                "AlgorithmSpecification": algorithm,
                "OutputDataConfig": {"S3OutputPath": f"s3://{self.bucket}/out"},
                "ResourceConfig": {
                    "InstanceType": instance_type,
                    "InstanceCount": 1,
                    "VolumeSizeInGB": 1,
                },
                "StoppingCondition": {"MaxRuntimeInSeconds": limit_s},
                **request,
            }
        )

    def job(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.sagemaker.describe_training_job(TrainingJobName=name)
        return found

    def job_end(self, name: str, *, limit_s: float = 60.0) -> dict[str, Any]:
        """The job when it is over, which has to be within `limit_s` seconds."""

        def probe() -> dict[str, Any] | None:
            job = self.job(name)
            return job if job["TrainingJobStatus"] in ("Completed", "Failed", "Stopped") else None

        return until(probe, f"the end of training job {name}", limit_s=limit_s)

    def job_says(self, name: str, line: str) -> None:
        """Wait for a line in the job's log."""
        until(lambda: line in self.job_log(name) or None, f"{line!r} in the log of {name}")

    def job_log(self, name: str) -> list[str]:
        return self._log("/aws/sagemaker/TrainingJobs", f"{name}/")

    def _log(self, group: str, prefix: str = "") -> list[str]:
        try:
            pages = self.logs.get_paginator("filter_log_events").paginate(
                logGroupName=group, **({"logStreamNamePrefix": prefix} if prefix else {})
            )
            return [event["message"] for page in pages for event in page["events"]]
        except self.logs.exceptions.ResourceNotFoundException:
            return []

    def model_of(self, name: str) -> dict[str, str]:
        """What a job left in /opt/ml/model."""
        uri = self.job(name)["ModelArtifacts"]["S3ModelArtifacts"]
        return unpacked(self.get(uri.removeprefix(f"s3://{self.bucket}/")))

    # -- hosting ----------------------------------------------------------------------------------

    def create_model(
        self,
        name: str,
        code: str = ECHO,
        *,
        data: bytes | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """A model whose weights are its name, or whose archive is `data`."""
        if data is None:
            data = archive({"weights": name, "code/inference.py": dedent(code)})
        self.sagemaker.create_model(
            ModelName=name,
            ExecutionRoleArn=self.role,
            PrimaryContainer={
                "Image": INFERENCE_IMAGE,
                "ModelDataUrl": self.put(f"models/{name}/model.tar.gz", data),
                "Environment": dict(environment or {}),
            },
        )

    def create_config(self, name: str, *variants: Mapping[str, Any]) -> None:
        """Each variant: VariantName and ModelName; the rest has defaults."""
        defaults = {
            "InstanceType": "ml.m5.large",
            "InitialInstanceCount": 1,
            "InitialVariantWeight": 1.0,
        }
        self.sagemaker.create_endpoint_config(
            EndpointConfigName=name,
            ProductionVariants=[{**defaults, **variant} for variant in variants],
        )

    def deploy(self, name: str, code: str = ECHO, *, count: int = 1, **model: Any) -> None:
        """A model, a configuration and an endpoint of one name."""
        self.create_model(name, code, **model)
        self.create_config(
            name,
            {"VariantName": "AllTraffic", "ModelName": name, "InitialInstanceCount": count},
        )
        self.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)

    def endpoint(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.sagemaker.describe_endpoint(EndpointName=name)
        return found

    def settled(self, name: str) -> dict[str, Any]:
        """The endpoint when it is InService or Failed."""

        def probe() -> dict[str, Any] | None:
            endpoint = self.endpoint(name)
            return endpoint if endpoint["EndpointStatus"] in ("InService", "Failed") else None

        return until(probe, f"endpoint {name} in service")

    def in_service(self, name: str) -> None:
        endpoint = self.settled(name)
        assert endpoint["EndpointStatus"] == "InService", endpoint["FailureReason"]

    def failure(self, name: str) -> str:
        """Why an endpoint has failed."""
        endpoint = self.settled(name)
        assert endpoint["EndpointStatus"] == "Failed"
        reason: str = endpoint["FailureReason"]
        return reason

    def invoke(self, name: str, body: str | bytes = "hello", **request: Any) -> Any:
        """The decoded JSON of the answer."""
        sent = {"ContentType": "text/csv", "Body": body, **request}
        return json.load(self.runtime.invoke_endpoint(EndpointName=name, **sent)["Body"])

    def endpoint_log(self, name: str) -> list[str]:
        return self._log(f"/aws/sagemaker/Endpoints/{name}")

    def delete_endpoint(self, name: str) -> None:
        """Returns when it is gone."""
        self.sagemaker.delete_endpoint(EndpointName=name)

        def gone() -> bool:
            names = self.sagemaker.list_endpoints(NameContains=name)["Endpoints"]
            return name not in [endpoint["EndpointName"] for endpoint in names]

        until(gone, f"endpoint {name} gone")
