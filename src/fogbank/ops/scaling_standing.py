"""How an endpoint's scaling stands now: bounds, policy, alarms, instances.

`observe_standing` reads; the rest is pure. The policy is what the cloud has, not what fogbank.yaml
says: the two may differ.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from fogbank.aws import Aws, existing, explained
from fogbank.ops.kinds import scaling
from fogbank.ops.names import Names
from fogbank.ops.scalable_variant import alarm_prefix, alarm_side


@dataclass(frozen=True, kw_only=True)
class Alarm:
    """One of the two alarms that the policy rests on. side: AlarmHigh or AlarmLow."""

    name: str
    side: str
    state: str
    reason: str
    since: datetime
    threshold: float
    num_periods: int
    period_s: int


@dataclass(frozen=True, kw_only=True)
class Standing:
    """serving, desired: instances. found: None where the endpoint is not scaled."""

    endpoint: str
    status: str
    serving: int
    desired: int
    found: scaling.Found | None
    alarms: tuple[Alarm, ...]

    def to_json(self) -> dict[str, Any]:
        found = self.found
        return {
            "endpoint": {"name": self.endpoint, "status": self.status},
            "instances": {"serving": self.serving, "desired": self.desired},
            "scaling": {
                "min": found.minimum,
                "max": found.maximum,
                "policy": scaling.POLICY_NAME if found.config is not None else None,
                "target": found.target,
                "metric": found.metric,
                "configuration": found.config,
                "schedule": found.schedule,
                "suspended": list(found.suspended),
            }
            if found
            else None,
            "alarms": [asdict(alarm) for alarm in self.alarms],
        }


def observe_standing(aws: Aws, names: Names) -> Standing | None:
    """None where there is no endpoint."""
    with explained(f"look at the scaling of {names.endpoint}", aws.url):
        endpoint = existing(aws.sagemaker.describe_endpoint, EndpointName=names.endpoint)
        if endpoint is None:
            return None
        variants = endpoint.get("ProductionVariants", [])
        alarms = [
            alarm
            for page in aws.cloudwatch.get_paginator("describe_alarms").paginate(
                AlarmNamePrefix=alarm_prefix(names.endpoint)
            )
            for alarm in page["MetricAlarms"]
        ]
        return Standing(
            endpoint=names.endpoint,
            status=endpoint["EndpointStatus"],
            serving=sum(variant.get("CurrentInstanceCount", 0) for variant in variants),
            desired=sum(variant.get("DesiredInstanceCount", 0) for variant in variants),
            found=scaling.observe(aws, names.endpoint),
            alarms=tuple(
                Alarm(
                    name=alarm["AlarmName"],
                    side=alarm_side(alarm["AlarmName"]),
                    state=alarm["StateValue"],
                    reason=alarm.get("StateReason", ""),
                    since=alarm["StateUpdatedTimestamp"],
                    threshold=alarm.get("Threshold", 0.0),
                    num_periods=alarm["EvaluationPeriods"],
                    period_s=alarm.get("Period", 60),
                )
                for alarm in sorted(alarms, key=lambda alarm: alarm["AlarmName"])
            ),
        )
