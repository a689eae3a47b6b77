"""Auto scaling of the endpoint's variant: a scalable target, one policy, scheduled actions.

The policy has the name under which SageMaker's console shows it (observed: boto3 #2839). Source:
Application Auto Scaling API reference.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fogbank.aws import Aws, existing
from fogbank.ops.kinds.endpoint_config import VARIANT
from fogbank.ops.names import PROJECT_TAG, Names
from fogbank.ops.scalable_variant import DIMENSION, NAMESPACE, resource_id, variant_key
from fogbank.ops.scaling_pause import before_pause, end_pause
from fogbank.ops.spec_scaling import Scaling, Schedule
from fogbank.ops.step import Step
from fogbank.ops.world import World

DEFAULT_COOLDOWN_S = 300
"""Of SageMaker variants, where a policy does not say (user guide, target tracking)."""

POLICY_NAME = "SageMakerEndpointInvocationScalingPolicy"

END_PAUSE = "end_pause"
"""The operation of a step that is two calls, see `ops.scaling_pause`."""

_CPU = "CPUUtilization"
_PREDEFINED = {
    "invocations": "SageMakerVariantInvocationsPerInstance",
    "concurrency": "SageMakerVariantConcurrentRequestsPerModelHighResolution",
}


@dataclass(frozen=True, kw_only=True)
class Desired:
    endpoint: str
    minimum: int
    maximum: int
    config: Mapping[str, Any]
    """TargetTrackingScalingPolicyConfiguration."""
    schedule: Mapping[str, Mapping[str, Any]]
    """Name of the action -> the parameters that say what it does."""
    tags: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Found:
    endpoint: str
    minimum: int
    maximum: int
    config: Mapping[str, Any] | None
    """Of the policy of our name; None where there is none."""
    schedule: Mapping[str, Mapping[str, Any]]
    suspended: tuple[str, ...] = ()
    """What of it is switched off for now: DynamicScalingOutSuspended ..."""
    before_pause: tuple[str, ...] | None = None
    """What of it was switched off before `fogbank scale measure` suspended the rest; None where it
    has not, or has ended that."""
    target_arn: str = ""
    """Of the scalable target."""
    instance_type: str = ""
    """Of the variant that is scaled."""

    @property
    def target(self) -> float | None:
        """None where there is no policy of our name."""
        return None if self.config is None else float(self.config["TargetValue"])

    @property
    def metric(self) -> str | None:
        """As fogbank.yaml calls it; None without a policy, and the metric's own name for one that
        fogbank.yaml has no word for."""
        if self.config is None:
            return None
        predefined = self.config.get("PredefinedMetricSpecification", {})
        kind = predefined.get("PredefinedMetricType")
        if kind is None:
            name = str(self.config.get("CustomizedMetricSpecification", {}).get("MetricName"))
            return "cpu" if name == _CPU else name
        return next((name for name, type_ in _PREDEFINED.items() if type_ == kind), kind)


def desired(scaling: Scaling, target: float, names: Names) -> Desired:
    """target: as a number; `auto` has become one."""
    return Desired(
        endpoint=names.endpoint,
        minimum=scaling.min,
        maximum=scaling.max,
        config={
            "TargetValue": target,
            **_metric(scaling, names),
            "ScaleInCooldown": scaling.scale_in_cooldown_s,
            "ScaleOutCooldown": scaling.scale_out_cooldown_s,
        },
        schedule={entry.name: _action(entry) for entry in scaling.schedule},
        tags={tag["Key"]: tag["Value"] for tag in names.tags},
    )


def _metric(scaling: Scaling, names: Names) -> dict[str, Any]:
    if scaling.metric in _PREDEFINED:
        kind = _PREDEFINED[scaling.metric]
        return {"PredefinedMetricSpecification": {"PredefinedMetricType": kind}}
    return {
        "CustomizedMetricSpecification": {
            "MetricName": _CPU,
            "Namespace": "/aws/sagemaker/Endpoints",
            "Dimensions": [
                {"Name": "EndpointName", "Value": names.endpoint},
                {"Name": "VariantName", "Value": VARIANT},
            ],
            "Statistic": "Average",
            "Unit": "Percent",
        }
    }


def _action(entry: Schedule) -> dict[str, Any]:
    bounds = {"MinCapacity": entry.min, "MaxCapacity": entry.max}
    return {
        "Schedule": entry.at,
        "Timezone": entry.timezone,
        "ScalableTargetAction": {k: v for k, v in bounds.items() if v is not None},
    }


def observe(aws: Aws, endpoint: str) -> Found | None:
    """None where the variant is not scaled."""
    client = aws.client("application-autoscaling")
    key = {"ServiceNamespace": NAMESPACE, "ScalableDimension": DIMENSION}
    targets = client.describe_scalable_targets(**key, ResourceIds=[resource_id(endpoint)])
    if not targets["ScalableTargets"]:
        return None
    target = targets["ScalableTargets"][0]
    policies = client.describe_scaling_policies(
        **key, ResourceId=resource_id(endpoint), PolicyNames=[POLICY_NAME]
    )["ScalingPolicies"]
    actions = client.describe_scheduled_actions(**key, ResourceId=resource_id(endpoint))
    tags = client.list_tags_for_resource(ResourceARN=target["ScalableTargetARN"])["Tags"]
    return Found(
        endpoint=endpoint,
        minimum=target["MinCapacity"],
        maximum=target["MaxCapacity"],
        config=policies[0].get("TargetTrackingScalingPolicyConfiguration") if policies else None,
        schedule={
            action["ScheduledActionName"]: {
                name: action[name]
                for name in ("Schedule", "Timezone", "ScalableTargetAction")
                if name in action
            }
            for action in actions["ScheduledActions"]
        },
        suspended=tuple(name for name, on in target.get("SuspendedState", {}).items() if on),
        before_pause=before_pause(tags),
        target_arn=target["ScalableTargetARN"],
        instance_type=_instance_type(aws, endpoint),
    )


def _instance_type(aws: Aws, endpoint: str) -> str:
    """ "" where the endpoint is gone already."""
    found = existing(aws.sagemaker.describe_endpoint, EndpointName=endpoint)
    if found is None:
        return ""
    config = existing(
        aws.sagemaker.describe_endpoint_config, EndpointConfigName=found["EndpointConfigName"]
    )
    return config["ProductionVariants"][0].get("InstanceType", "") if config else ""


def diff(desired: Desired | None, found: Found | None) -> list[Step]:
    """desired None: the endpoint keeps its number of instances."""
    if desired is None:
        return [] if found is None else [_delete(found, "fogbank.yaml has no scaling")]
    steps: list[Step] = []
    bounds = f"{desired.minimum} to {desired.maximum} instances"
    if found is None or (found.minimum, found.maximum) != (desired.minimum, desired.maximum):
        steps.append(
            _step(
                desired.endpoint,
                "create" if found is None else "update",
                f"let {desired.endpoint} have {bounds}",
                "it is not scaled"
                if found is None
                else f"it has {found.minimum} to {found.maximum}",
                {
                    "operation": "register_scalable_target",
                    "MinCapacity": desired.minimum,
                    "MaxCapacity": desired.maximum,
                    "Tags": dict(desired.tags),
                },
            )
        )
    if found is not None:
        steps += resume(found)
    if found is None or not _is_as(found.config, desired.config):
        steps.append(
            _step(
                desired.endpoint,
                "update",
                f"scale {desired.endpoint} to a target of {desired.config['TargetValue']:g}",
                "it has no policy"
                if found is None or found.config is None
                else "its policy is another one",
                {
                    "operation": "put_scaling_policy",
                    "PolicyName": POLICY_NAME,
                    "PolicyType": "TargetTrackingScaling",
                    "TargetTrackingScalingPolicyConfiguration": dict(desired.config),
                },
            )
        )
    return steps + _schedule_steps(desired, {} if found is None else found.schedule)


def _is_as(found: Mapping[str, Any] | None, desired: Mapping[str, Any]) -> bool:
    """AWS may tell what was not given, such as DisableScaleIn: False."""
    return found is not None and {k: v for k, v in found.items() if v or k in desired} == desired


def resume(found: Found) -> list[Step]:
    """The steps that end a pause of ours whose process was killed. What somebody else suspended
    stays suspended."""
    if found.before_pause is None:
        return []
    return [
        _step(
            found.endpoint,
            "update",
            f"let {found.endpoint} scale again",
            "`fogbank scale measure` suspended its scaling and was killed",
            {
                "operation": END_PAUSE,
                "target_arn": found.target_arn,
                "before": list(found.before_pause),
            },
        )
    ]


def _schedule_steps(desired: Desired, found: Mapping[str, Mapping[str, Any]]) -> list[Step]:
    steps = [
        _step(
            desired.endpoint,
            "update",
            f"schedule {name} for {desired.endpoint}",
            "there is no such schedule" if name not in found else "it is another one",
            {"operation": "put_scheduled_action", "ScheduledActionName": name, **action},
        )
        for name, action in desired.schedule.items()
        if found.get(name) != action
    ]
    return steps + [
        _step(
            desired.endpoint,
            "delete",
            f"forget the schedule {name} of {desired.endpoint}",
            "fogbank.yaml does not have it",
            {"operation": "delete_scheduled_action", "ScheduledActionName": name},
        )
        for name in found
        if name not in desired.schedule
    ]


def _step(endpoint: str, verb: Any, message: str, reason: str, request: dict[str, Any]) -> Step:
    return Step(
        kind="scaling", verb=verb, name=endpoint, message=message, reason=reason, request=request
    )


def _delete(found: Found, reason: str) -> Step:
    return _step(
        found.endpoint,
        "delete",
        f"stop scaling {found.endpoint}",
        reason,
        {"operation": "deregister_scalable_target"},
    )


def release(found: Found, instance_type: str) -> list[Step]:
    """Before the endpoint is updated to that type: SageMaker refuses it for a variant that is a
    scalable target (developer guide, "Update or delete endpoints that use automatic scaling")."""
    if found.instance_type in ("", instance_type):
        return []
    return [_delete(found, f"its instances become {instance_type}")]


def remove(found: Found) -> list[Step]:
    return [_delete(found, f"its endpoint carries the tag {PROJECT_TAG}")]


def apply(world: World, step: Step) -> None:
    """The end of a pause, or else one call whose name and parameters the step has."""
    request = dict(step.request)
    operation = request.pop("operation")
    if operation == END_PAUSE:
        end_pause(world.aws, step.name, request["target_arn"], request["before"])
        return
    call = getattr(world.aws.client("application-autoscaling"), operation)
    call(**variant_key(step.name), **request)
