"""What Application Auto Scaling and its alarms call the variant of an endpoint. Pure."""

from __future__ import annotations

from fogbank.ops.kinds.endpoint_config import VARIANT

NAMESPACE = "sagemaker"
DIMENSION = "sagemaker:variant:DesiredInstanceCount"

ALARM_SIDES = ("AlarmHigh", "AlarmLow")


def resource_id(endpoint: str) -> str:
    return f"endpoint/{endpoint}/variant/{VARIANT}"


def variant_key(endpoint: str) -> dict[str, str]:
    """The parameters that name it in a request."""
    return {
        "ServiceNamespace": NAMESPACE,
        "ResourceId": resource_id(endpoint),
        "ScalableDimension": DIMENSION,
    }


def alarm_prefix(endpoint: str) -> str:
    """What the names of a variant's own alarms begin with."""
    return f"TargetTracking-{resource_id(endpoint)}-"


def alarm_side(name: str) -> str:
    """AlarmHigh of `TargetTracking-endpoint/dogs/variant/AllTraffic-AlarmHigh-<uuid>`."""
    return next((side for side in ALARM_SIDES if f"-{side}-" in name), name)
