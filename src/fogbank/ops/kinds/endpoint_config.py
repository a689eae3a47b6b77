"""The endpoint configuration: which model, on which instances, how many. Never changed, only
replaced: its name carries a hash of what it says.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fogbank.aws import Aws, error_message, existing
from fogbank.ops.names import PROJECT_TAG, Names, fingerprint
from fogbank.ops.spec import Spec
from fogbank.ops.step import Step
from fogbank.ops.world import World

VARIANT = "AllTraffic"


@dataclass(frozen=True, kw_only=True)
class Desired:
    name: str
    request: Mapping[str, Any]
    """CreateEndpointConfig's parameters."""


def desired(spec: Spec, names: Names, model_name: str) -> Desired:
    variants = [
        {
            "VariantName": VARIANT,
            "ModelName": model_name,
            "InitialInstanceCount": spec.endpoint.instance_count,
            "InstanceType": spec.endpoint.instance_type,
            "InitialVariantWeight": 1,
        }
    ]
    name = names.versioned(fingerprint(variants))
    return Desired(
        name=name,
        request={
            "EndpointConfigName": name,
            "ProductionVariants": variants,
            "Tags": names.tags,
        },
    )


def observe(aws: Aws, name: str) -> bool:
    """Whether it exists. (Its name says what it is.)"""
    describe = aws.sagemaker.describe_endpoint_config
    return existing(describe, EndpointConfigName=name) is not None


def diff(desired: Desired, found: bool) -> list[Step]:
    if found:
        return []
    variant = desired.request["ProductionVariants"][0]
    return [
        Step(
            kind="endpoint-config",
            verb="create",
            name=desired.name,
            message=(
                f"create the endpoint configuration {desired.name} "
                f"({variant['InitialInstanceCount']} x {variant['InstanceType']})"
            ),
            reason="it does not exist",
            request=desired.request,
        )
    ]


def remove(name: str) -> list[Step]:
    return [
        Step(
            kind="endpoint-config",
            verb="delete",
            name=name,
            message=f"delete the endpoint configuration {name}",
            reason=f"it carries the tag {PROJECT_TAG}",
        )
    ]


def apply(world: World, step: Step) -> None:
    from botocore.exceptions import ClientError

    match step.verb:
        case "create":
            try:
                world.aws.sagemaker.create_endpoint_config(**step.request)
            except ClientError as error:
                if "already existing" not in error_message(error):
                    raise
        case "delete":
            world.aws.sagemaker.delete_endpoint_config(EndpointConfigName=step.name)
        case _:
            raise AssertionError(f"no way to {step.verb} an endpoint configuration")
