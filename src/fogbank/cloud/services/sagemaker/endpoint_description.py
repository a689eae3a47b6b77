"""DescribeEndpoint's answer and ListEndpoints' element: a record -> the members.

The configuration and the models may be gone by now: everything comes from the endpoint's record.
"""

from __future__ import annotations

from typing import Any

from fogbank.cloud.records.hosting import Endpoint, Variant


def describe_endpoint(endpoint: Endpoint) -> dict[str, Any]:
    """The members of DescribeEndpointOutput."""
    answer: dict[str, Any] = {
        **summarize_endpoint(endpoint),
        "EndpointConfigName": endpoint.config_name,
    }
    if endpoint.variants:
        answer["ProductionVariants"] = [
            _variant(variant, endpoint) for variant in endpoint.variants
        ]
    if endpoint.pending_variants:
        answer["PendingDeploymentSummary"] = {
            "EndpointConfigName": endpoint.pending_config or endpoint.config_name,
            "StartTime": endpoint.pending_since or endpoint.modified,
            "ProductionVariants": [
                {
                    **_variant(variant, endpoint),
                    "InstanceType": variant.instance_type,
                    "VariantStatus": [{"Status": "Creating"}],
                }
                for variant in endpoint.pending_variants
            ],
        }
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
