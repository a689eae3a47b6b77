"""What may be scaled, and what Application Auto Scaling knows of each kind: names -> facts.

Sources: Application Auto Scaling API Reference, RegisterScalableTarget and
PredefinedMetricSpecification; User Guide, "Service-linked roles". Alarm figures: see
`target_tracking`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from fogbank.cloud.errors import ValidationException
from fogbank.cloud.rules.target_tracking import LAMBDA_LOW_PERIODS, LOW_PERIODS

SAGEMAKER_VARIANT = ("sagemaker", "sagemaker:variant:DesiredInstanceCount")
LAMBDA_CONCURRENCY = ("lambda", "lambda:function:ProvisionedConcurrency")


@dataclass(frozen=True, slots=True, kw_only=True)
class Predefined:
    """The metric that a predefined metric type stands for: members of PutMetricAlarm."""

    namespace: str
    metric: str
    statistic: str
    period_s: int
    dimensions: Callable[[Mapping[str, str]], Mapping[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scalable:
    """One scalable dimension.

    resource: the form of ResourceId; its groups name the parts.
    capacity: what activities call it: "Setting desired instance count to 3."
    role:     the service-linked role's service and name.
    default_cooldown_s: of policies that set none.
    least:    the smallest MinCapacity.
    """

    namespace: str
    dimension: str
    resource: re.Pattern[str]
    example: str
    capacity: str
    role: tuple[str, str]
    default_cooldown_s: int
    low_periods: int
    least: int
    predefined: Mapping[str, Predefined]

    def parts(self, resource_id: str) -> Mapping[str, str]:
        """The named parts of a ResourceId. Raises ValidationException."""
        found = self.resource.fullmatch(resource_id)
        if found is None:
            raise ValidationException(
                f"Unsupported service namespace, resource type or scalable dimension: the resource "
                f"ID {resource_id} is not of the form {self.example}."
            )
        return found.groupdict()

    def role_arn(self, account: str) -> str:
        """Of the service-linked role that changes the capacity."""
        service, name = self.role
        return f"arn:aws:iam::{account}:role/aws-service-role/{service}/{name}"


def _variant(parts: Mapping[str, str]) -> Mapping[str, str]:
    return {"EndpointName": parts["endpoint"], "VariantName": parts["variant"]}


def _alias(parts: Mapping[str, str]) -> Mapping[str, str]:
    name, qualifier = parts["function"], parts["qualifier"]
    return {"FunctionName": name, "Resource": f"{name}:{qualifier}"}


SCALABLES: Mapping[tuple[str, str], Scalable] = {
    SAGEMAKER_VARIANT: Scalable(
        namespace=SAGEMAKER_VARIANT[0],
        dimension=SAGEMAKER_VARIANT[1],
        resource=re.compile(r"endpoint/(?P<endpoint>[^/]+)/variant/(?P<variant>[^/]+)"),
        example="endpoint/ENDPOINT/variant/VARIANT",
        capacity="desired instance count",
        role=(
            "sagemaker.application-autoscaling.amazonaws.com",
            "AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint",
        ),
        default_cooldown_s=300,
        low_periods=LOW_PERIODS,
        least=1,
        predefined={
            "SageMakerVariantInvocationsPerInstance": Predefined(
                namespace="AWS/SageMaker",
                metric="InvocationsPerInstance",
                statistic="Sum",
                period_s=60,
                dimensions=_variant,
            ),
            "SageMakerVariantConcurrentRequestsPerModelHighResolution": Predefined(
                namespace="AWS/SageMaker",
                metric="ConcurrentRequestsPerModel",
                statistic="Average",
                period_s=10,
                dimensions=_variant,
            ),
        },
    ),
    LAMBDA_CONCURRENCY: Scalable(
        namespace=LAMBDA_CONCURRENCY[0],
        dimension=LAMBDA_CONCURRENCY[1],
        resource=re.compile(r"function:(?P<function>[^:]+):(?P<qualifier>[^:]+)"),
        example="function:FUNCTION:ALIAS-OR-VERSION",
        capacity="provisioned concurrency",
        role=(
            "lambda.application-autoscaling.amazonaws.com",
            "AWSServiceRoleForApplicationAutoScaling_LambdaConcurrency",
        ),
        default_cooldown_s=0,
        low_periods=LAMBDA_LOW_PERIODS,
        least=0,
        predefined={
            "LambdaProvisionedConcurrencyUtilization": Predefined(
                namespace="AWS/Lambda",
                metric="ProvisionedConcurrencyUtilization",
                statistic="Maximum",
                period_s=60,
                dimensions=_alias,
            ),
        },
    ),
}


def scalable(namespace: str, dimension: str) -> Scalable:
    """Raises ValidationException for a pair that cannot be scaled here."""
    found = SCALABLES.get((namespace, dimension))
    if found is None:
        known = ", ".join(f"{one} {other}" for one, other in SCALABLES)
        raise ValidationException(
            f"Unsupported service namespace, resource type or scalable dimension: {namespace} "
            f"{dimension}. This cloud scales {known}."
        )
    return found


def watched_metric(
    kind: Scalable, parts: Mapping[str, str], config: Mapping[str, Any]
) -> dict[str, Any]:
    """What a target tracking policy's alarms watch: members of PutMetricAlarm. Raises
    ValidationException where the configuration names no metric, or one of something else."""
    given = config.get("PredefinedMetricSpecification")
    custom = config.get("CustomizedMetricSpecification")
    if (given is None) == (custom is None):
        raise ValidationException(
            "Exactly one of PredefinedMetricSpecification and CustomizedMetricSpecification must "
            "be specified."
        )
    if given is not None:
        return _predefined(kind, parts, given["PredefinedMetricType"])
    assert custom is not None, "one of the two is there"
    if custom.get("Metrics"):
        queries = [dict(query) for query in custom["Metrics"]]
        for query in queries:
            if "MetricStat" in query:
                query["MetricStat"] = {"Period": 60, **query["MetricStat"]}
        return {"Metrics": queries}
    missing = [name for name in ("MetricName", "Namespace", "Statistic") if not custom.get(name)]
    if missing:
        raise ValidationException(
            f"CustomizedMetricSpecification needs {', '.join(missing)}, or Metrics."
        )
    members = ("MetricName", "Namespace", "Dimensions", "Statistic", "Unit")
    return {**{name: custom[name] for name in members if custom.get(name)}, "Period": 60}


def _predefined(kind: Scalable, parts: Mapping[str, str], name: str) -> dict[str, Any]:
    metric = kind.predefined.get(name)
    if metric is None:
        raise ValidationException(
            f"Invalid predefined metric type: {name}. For {kind.dimension} it is one of "
            f"{', '.join(kind.predefined)}."
        )
    return {
        "Namespace": metric.namespace,
        "MetricName": metric.metric,
        "Dimensions": [
            {"Name": key, "Value": value} for key, value in metric.dimensions(parts).items()
        ],
        "Statistic": metric.statistic,
        "Period": metric.period_s,
    }
