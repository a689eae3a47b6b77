"""SageMaker's service over an empty account: operations by name, inputs and answers held against
botocore's shapes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from botocore.model import ServiceModel
from botocore.validate import ParamValidator

from cloud.aws import NOW, SCOPE, context
from fogbank.cloud.codec.model import service_model
from fogbank.cloud.context import Result
from fogbank.cloud.ports import StoredObject
from fogbank.cloud.rules.endpoint_quota import InstanceCounts
from fogbank.cloud.services.base import dispatch_table
from fogbank.cloud.services.sagemaker import rooms
from fogbank.cloud.state.database import Database
from fogbank.cloud.state.records import SqliteRecords

ROLE = "arn:aws:iam::123456789012:role/notebook"
IMAGE = "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:2.6.0-cpu-py312"


@cache
def _model() -> ServiceModel:
    return service_model("sagemaker")


class Bucket:
    """One bucket, `dogs`, with keys and no bytes."""

    def __init__(self, *keys: str) -> None:
        self.keys = list(keys)

    def stat(self, bucket: str, key: str) -> StoredObject | None:
        self._check(bucket)
        return self._object(key) if key in self.keys else None

    def list(self, bucket: str, prefix: str) -> Iterator[StoredObject]:
        self._check(bucket)
        return iter([self._object(key) for key in sorted(self.keys) if key.startswith(prefix)])

    async def put_file(
        self, bucket: str, key: str, source: Path, *, content_type: str = "binary/octet-stream"
    ) -> StoredObject:
        raise AssertionError("a service writes no objects")

    async def read(self, bucket: str, key: str) -> bytes:
        raise AssertionError("a service reads no objects")

    def _check(self, bucket: str) -> None:
        if bucket != "dogs":
            raise LookupError(bucket)

    def _object(self, key: str) -> StoredObject:
        return StoredObject("dogs", key, 1, "etag", NOW, Path("nowhere"))


@dataclass
class ControlPlane:
    records: SqliteRecords = field(default_factory=lambda: SqliteRecords(Database(":memory:")))
    bucket: Bucket = field(default_factory=lambda: Bucket("train/cat/1.png", "out/model.tar.gz"))
    now: datetime = NOW
    has_optuna: bool = True
    quota: InstanceCounts = field(default_factory=InstanceCounts)

    def __post_init__(self) -> None:
        self._table = dispatch_table(
            _model().operation_names,
            rooms(
                records=self.records,
                scope=SCOPE,
                objects=self.bucket,
                role_exists=lambda arn: arn == ROLE,
                search_model_exists=lambda: self.has_optuna,
                endpoint_quota=self.quota,
            ),
        )

    def call(self, operation: str, **params: Any) -> Mapping[str, Any]:
        """The answer. Fails when the input or the answer does not fit the model."""
        shapes = _model().operation_model(operation)
        _fits(params, shapes.input_shape, operation)
        result = self._table[operation](context(now=self.now), params)
        assert isinstance(result, Mapping)
        _fits(result, shapes.output_shape, operation)
        return result

    def wait(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


def _fits(value: Result, shape: Any, operation: str) -> None:
    if shape is None:
        assert not value, f"{operation} answers nothing"
        return
    report = ParamValidator().validate(value, shape)
    assert not report.has_errors(), report.generate_report()


def training_job(name: str = "dogs-1", **changes: Any) -> dict[str, Any]:
    """The input of a CreateTrainingJob that is all right; a change to None takes a member away."""
    params: dict[str, Any] = {
        "TrainingJobName": name,
        "RoleArn": ROLE,
        "AlgorithmSpecification": {"TrainingImage": IMAGE, "TrainingInputMode": "File"},
        "HyperParameters": {"epochs": "1", "sagemaker_program": '"train.py"'},
        "InputDataConfig": [channel("training", "s3://dogs/train")],
        "OutputDataConfig": {"S3OutputPath": "s3://dogs/out/"},
        "ResourceConfig": {
            "InstanceType": "ml.m5.xlarge",
            "InstanceCount": 1,
            "VolumeSizeInGB": 30,
        },
        "StoppingCondition": {"MaxRuntimeInSeconds": 600},
        **changes,
    }
    return {key: value for key, value in params.items() if value is not None}


def channel(name: str, uri: str, **changes: Any) -> dict[str, Any]:
    source = {"S3DataType": "S3Prefix", "S3Uri": uri, "S3DataDistributionType": "FullyReplicated"}
    return {"ChannelName": name, "DataSource": {"S3DataSource": source}, **changes}


def model(name: str = "dogs", **changes: Any) -> dict[str, Any]:
    params: dict[str, Any] = {
        "ModelName": name,
        "ExecutionRoleArn": ROLE,
        "PrimaryContainer": {"Image": IMAGE, "ModelDataUrl": "s3://dogs/out/model.tar.gz"},
        **changes,
    }
    return {key: value for key, value in params.items() if value is not None}


def variant(name: str = "AllTraffic", **changes: Any) -> dict[str, Any]:
    params: dict[str, Any] = {
        "VariantName": name,
        "ModelName": "dogs",
        "InstanceType": "ml.m5.large",
        "InitialInstanceCount": 1,
        **changes,
    }
    return {key: value for key, value in params.items() if value is not None}


def served(plane: ControlPlane, *variants: dict[str, Any], name: str = "dogs") -> None:
    """A model, a configuration and an endpoint, all called `name`."""
    plane.call("CreateModel", **model())
    plane.call(
        "CreateEndpointConfig",
        EndpointConfigName=name,
        ProductionVariants=list(variants) or [variant()],
    )
    plane.call("CreateEndpoint", EndpointName=name, EndpointConfigName=name)
