"""The model: the trained archive with the inference code in its `code/` folder, and the SageMaker
model that names it, its image and its role.

Repacking is what the SageMaker SDK does: the PyTorch image looks for code inside the archive.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fogbank.aws import Aws, error_message, existing
from fogbank.ops import archive
from fogbank.ops.image_uris import inference_image
from fogbank.ops.kinds import code
from fogbank.ops.names import PROJECT_TAG, Names, fingerprint, split_s3_uri
from fogbank.ops.spec import Spec
from fogbank.ops.step import Step
from fogbank.ops.survey import Code
from fogbank.ops.world import World


@dataclass(frozen=True, kw_only=True)
class Desired:
    name: str
    source_uri: str
    """What the training job left."""
    bucket: str
    key: str
    """Where the archive with the code goes."""
    code: Code
    request: Mapping[str, Any]
    """CreateModel's parameters."""


@dataclass(frozen=True, kw_only=True)
class Found:
    archive: bool = False
    """Whether the archive with the code is in S3."""
    model: bool = False


def desired(spec: Spec, inference_code: Code, names: Names, source_uri: str) -> Desired:
    region = names.scope.region
    container = {
        "Image": inference_image(region, spec.endpoint.instance_type),
        "Environment": {
            "SAGEMAKER_PROGRAM": inference_code.entry_point,
            "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code",
            "SAGEMAKER_CONTAINER_LOG_LEVEL": "20",
            "SAGEMAKER_REGION": region,
        },
    }
    identity = fingerprint(source_uri, inference_code.digest, container)
    key = f"models/{identity}/model.tar.gz"
    return Desired(
        name=names.versioned(identity),
        source_uri=source_uri,
        bucket=names.bucket,
        key=key,
        code=inference_code,
        request={
            "ModelName": names.versioned(identity),
            "ExecutionRoleArn": names.role_arn("host"),
            "PrimaryContainer": {**container, "ModelDataUrl": names.s3_uri(key)},
            "Tags": names.tags,
        },
    )


def observe(aws: Aws, name: str, bucket: str, key: str) -> Found:
    found = existing(aws.sagemaker.describe_model, ModelName=name)
    return Found(archive=code.observe(aws, bucket, key), model=found is not None)


def diff(desired: Desired, found: Found) -> list[Step]:
    steps = []
    if not found.archive:
        steps.append(
            Step(
                kind="model",
                verb="pack",
                name=f"s3://{desired.bucket}/{desired.key}",
                message=f"pack the trained model together with {desired.code.entry_point}",
                reason="this model and this code are not packed together yet",
                request={
                    "source": desired.source_uri,
                    "bucket": desired.bucket,
                    "key": desired.key,
                    "digest": desired.code.digest,
                    "members": code.members_of(desired.code),
                },
            )
        )
    if not found.model:
        steps.append(
            Step(
                kind="model",
                verb="create",
                name=desired.name,
                message=f"create the model {desired.name}",
                reason="it does not exist",
                request=desired.request,
            )
        )
    return steps


def remove(name: str) -> list[Step]:
    return [
        Step(
            kind="model",
            verb="delete",
            name=name,
            message=f"delete the model {name}",
            reason=f"it carries the tag {PROJECT_TAG}",
        )
    ]


def apply(world: World, step: Step) -> None:
    from botocore.exceptions import ClientError

    match step.verb:
        case "pack":
            _pack(world, step)
        case "create":
            try:
                world.aws.sagemaker.create_model(**step.request)
            except ClientError as error:
                if "already existing" not in error_message(error):
                    raise
        case "delete":
            world.aws.sagemaker.delete_model(ModelName=step.name)
        case _:
            raise AssertionError(f"no way to {step.verb} a model")


def _pack(world: World, step: Step) -> None:
    contents = code.contents_of(step)
    bucket, key = split_s3_uri(step.request["source"])
    trained = world.aws.s3.get_object(Bucket=bucket, Key=key)["Body"]
    with tempfile.TemporaryFile() as packed:
        archive.repack(trained, contents, packed)
        packed.seek(0)
        world.aws.s3.upload_fileobj(
            packed,
            step.request["bucket"],
            step.request["key"],
            ExtraArgs={"ContentType": "application/gzip"},
        )
