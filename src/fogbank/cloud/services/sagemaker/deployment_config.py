"""DeploymentConfig of CreateEndpoint and UpdateEndpoint -> the one that holds, or the refusal.

What the model cannot say: which sizes go together, how large a step may be, which waits fit into
the time limit, which alarms there are. Source: API reference, BlueGreenUpdatePolicy and
TrafficRoutingConfig; developer guide, "Deployment guardrails for updating models in production".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fogbank.cloud.context import Params
from fogbank.cloud.errors import ValidationException
from fogbank.cloud.ports import Records
from fogbank.cloud.records.alarm import Alarm
from fogbank.cloud.records.hosting import Variant
from fogbank.cloud.rules.deployment import SIZE_OF, Policy
from fogbank.cloud.services.sagemaker.refusals import refuse_unsupported

LARGEST_STEP = 0.5
SMALLEST_LINEAR_STEP = 0.1


def deployment_config(
    params: Params,
    last: Mapping[str, Any] | None,
    variants: Sequence[Variant],
    records: Records,
    operation: str,
) -> Mapping[str, Any] | None:
    """The DeploymentConfig of the request, or `last` where RetainDeploymentConfig asks for it; None
    for AWS's default. variants: the new fleet. Raises ValidationException."""
    config: Mapping[str, Any] | None = params.get("DeploymentConfig")
    if not config and params.get("RetainDeploymentConfig"):
        config = last
    if not config:
        return None
    refuse_unsupported(config, ("RollingUpdatePolicy",), f"{operation}'s DeploymentConfig")
    _check_sizes_given(config)
    _check_alarms(config, records)
    policy = Policy.of(config)
    num_instances = sum(variant.desired_count for variant in variants)
    _check_step(policy, num_instances)
    _check_time(policy, num_instances)
    return config


def check_same_names(
    config: Mapping[str, Any] | None, old: Sequence[Variant], new: Sequence[Variant]
) -> None:
    """Deployment guardrails shift traffic between variants of one name. Raises
    ValidationException."""
    before, after = ({variant.name for variant in fleet} for fleet in (old, new))
    if config and "BlueGreenUpdatePolicy" in config and before != after:
        raise ValidationException(
            "With a BlueGreenUpdatePolicy the new endpoint configuration must have the same "
            f"variant names as the old one: {', '.join(sorted(before))}."
        )


def _check_sizes_given(config: Mapping[str, Any]) -> None:
    traffic = config.get("BlueGreenUpdatePolicy", {}).get("TrafficRoutingConfiguration")
    if traffic is None:
        return
    for routing, member in SIZE_OF.items():
        if traffic["Type"] == routing and member not in traffic:
            raise ValidationException(
                f"{member} is required where the Type of TrafficRoutingConfiguration is {routing}."
            )
        if traffic["Type"] != routing and member in traffic:
            raise ValidationException(
                f"{member} is only allowed where the Type of TrafficRoutingConfiguration is "
                f"{routing}, not {traffic['Type']}."
            )


def _check_step(policy: Policy, num_instances: int) -> None:
    if policy.step is None:
        return
    member = SIZE_OF[policy.routing]
    least = SMALLEST_LINEAR_STEP if policy.routing == "LINEAR" else 0.0
    share = policy.step.share(num_instances)
    if not least <= share <= LARGEST_STEP:
        allowed = "10-50%" if least else "less than or equal to 50%"
        raise ValidationException(
            f"{member} must be {allowed} of the new fleet's capacity of {num_instances} "
            f"instance(s): {policy.step.type} {policy.step.value} is {share:.0%}."
        )


def _check_time(policy: Policy, num_instances: int) -> None:
    if policy.limit_s is None:
        return
    waits_s = policy.wait_s + policy.termination_wait_s
    if policy.limit_s <= waits_s:
        raise ValidationException(
            f"MaximumExecutionTimeoutInSeconds ({policy.limit_s}) must be larger than the total "
            f"waiting time of WaitIntervalInSeconds and TerminationWaitInSeconds ({waits_s})."
        )
    num_steps = policy.num_steps(num_instances)
    if policy.limit_s <= num_steps * policy.wait_s:
        raise ValidationException(
            f"MaximumExecutionTimeoutInSeconds ({policy.limit_s}) must be larger than the "
            f"{num_steps} baking periods of {policy.wait_s} s that the traffic takes to move."
        )


def _check_alarms(config: Mapping[str, Any], records: Records) -> None:
    alarms = config.get("AutoRollbackConfiguration", {}).get("Alarms", ())
    if any("AlarmName" not in alarm for alarm in alarms):
        raise ValidationException(
            "Each of the Alarms of AutoRollbackConfiguration needs AlarmName."
        )
    missing = [
        alarm["AlarmName"] for alarm in alarms if records.get(Alarm, alarm["AlarmName"]) is None
    ]
    if missing:
        raise ValidationException(
            "Could not find CloudWatch alarm(s) of AutoRollbackConfiguration: "
            f"{', '.join(missing)}."
        )
