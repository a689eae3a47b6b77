"""DescribeEndpoint's answer and ListEndpoints' element: a record -> the members.

The configuration and the models may be gone by now: everything comes from the endpoint's record.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from fogbank.cloud.records.hosting import Endpoint, Variant
from fogbank.cloud.rules.deployment import Policy, num_activated


def describe_endpoint(endpoint: Endpoint) -> dict[str, Any]:
    """The members of DescribeEndpointOutput."""
    answer: dict[str, Any] = {
        **summarize_endpoint(endpoint),
        "EndpointConfigName": endpoint.config_name,
    }
    if endpoint.variants:
        answer["ProductionVariants"] = [
            {**_variant(variant, endpoint), **_old_status(variant, endpoint)}
            for variant in endpoint.variants
        ]
    if endpoint.pending_variants and endpoint.status in ("Creating", "Updating"):
        answer["PendingDeploymentSummary"] = {
            "EndpointConfigName": endpoint.pending_config or endpoint.config_name,
            "StartTime": endpoint.pending_since or endpoint.modified,
            "ProductionVariants": [
                {
                    **_variant(variant, endpoint),
                    "InstanceType": variant.instance_type,
                    **_new_status(variant, endpoint),
                }
                for variant in endpoint.pending_variants
            ],
        }
    if endpoint.last_deployment is not None:
        answer["LastDeploymentConfig"] = endpoint.last_deployment
    if endpoint.failure_reason is not None:
        answer["FailureReason"] = endpoint.failure_reason
    return answer


def summarize_endpoint(endpoint: Endpoint) -> dict[str, Any]:
    """The members of EndpointSummary."""
    return {
        "EndpointName": endpoint.name,
        "EndpointArn": endpoint.arn,
        "EndpointStatus": endpoint.status,
        "CreationTime": endpoint.created,
        "LastModifiedTime": endpoint.modified,
    }


def _variant(variant: Variant, endpoint: Endpoint) -> dict[str, Any]:
    image = variant.container["Image"]
    summary: dict[str, Any] = {
        "VariantName": variant.name,
        "DeployedImages": [
            {
                "SpecifiedImage": image,
                "ResolvedImage": image,
                "ResolutionTime": endpoint.modified,
            }
        ],
        "CurrentWeight": variant.current_weight,
        "DesiredWeight": variant.desired_weight,
        "CurrentInstanceCount": variant.current_count,
        "DesiredInstanceCount": variant.desired_count,
    }
    settings = variant.settings or {}
    if "RoutingConfig" in settings:
        summary["RoutingConfig"] = settings["RoutingConfig"]
    return summary


def _new_status(variant: Variant, endpoint: Endpoint) -> dict[str, Any]:
    """VariantStatus of a variant that comes; none any more when the old fleet ends."""
    shift = endpoint.shift
    if shift is None:
        since = endpoint.pending_since or endpoint.modified
        return _status("Creating", f"Launching {variant.desired_count} instance(s).", since)
    if shift.stage == "Deleting":
        return {}
    policy = Policy.of(endpoint.pending_deployment)
    part = policy.routing.lower() if shift.share < 1.0 else "full"
    on = f"{part} capacity of {num_activated(variant, shift.share)} instance(s)."
    if shift.stage == "ActivatingTraffic":
        return _status("ActivatingTraffic", f"Activating traffic on {on}", shift.since)
    is_baking = shift.stage == "Baking"
    seconds = policy.wait_s if is_baking else policy.termination_wait_s
    member = "WaitIntervalInSeconds" if is_baking else "TerminationWaitInSeconds"
    message = f"Baking for {seconds} seconds ({member}) with traffic enabled on {on}"
    return _status("Baking", message, shift.since)


def _old_status(variant: Variant, endpoint: Endpoint) -> dict[str, Any]:
    """VariantStatus of a variant that an update has replaced, while it ends."""
    shift = endpoint.shift
    if shift is None or endpoint.status != "Updating" or shift.stage != "Deleting":
        return {}
    return _status("Deleting", f"Terminating {variant.desired_count} instance(s).", shift.since)


def _status(status: str, message: str, since: datetime) -> dict[str, Any]:
    """Sentences: developer guide, "SageMaker endpoint deployment state change"."""
    return {
        "VariantStatus": [{"Status": status, "StatusMessage": message, "StartTime": since}],
    }
