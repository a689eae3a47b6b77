"""What the cloud does while it is asked: instances, alarms, activities, looked at once a second."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fogbank.aws import Aws, existing
from fogbank.core.clock import Clock
from fogbank.ops.scaling_history import alarm_changes

LOOK_EVERY_S = 1.0


@dataclass(frozen=True, slots=True)
class Look:
    """at_s: since the start. serving, desired: instances. alarms: names of those in ALARM."""

    at_s: float
    serving: int
    desired: int
    alarms: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Activity:
    """A scaling activity. started_s, ended_s: since the start of the load. count: so many instances
    were asked for."""

    started_s: float
    ended_s: float | None
    description: str
    cause: str
    status: str
    count: int


@dataclass(frozen=True, slots=True)
class AlarmChange:
    """side: AlarmHigh or AlarmLow. state: what it became."""

    at_s: float
    side: str
    state: str


class Watch:
    """Looks at one variant of one endpoint. boto3 waits in a thread, so that requests do not."""

    def __init__(self, aws: Aws, endpoint: str, clock: Clock) -> None:
        self.looks: list[Look] = []
        self._aws = aws
        self._endpoint = endpoint
        self._clock = clock
        self.started = clock.now()

    async def run(self, seen: Callable[[Look], None]) -> None:
        """Until it is cancelled."""
        while True:
            look = await asyncio.to_thread(self.look)
            if look is not None:
                self.looks.append(look)
                seen(look)
            await self._clock.sleep(LOOK_EVERY_S)

    def look(self) -> Look | None:
        """How it stands now; None where there is no such endpoint."""
        found = existing(self._aws.sagemaker.describe_endpoint, EndpointName=self._endpoint)
        if found is None:
            return None
        variants = found.get("ProductionVariants", [])
        alarms = self._aws.cloudwatch.describe_alarms(
            AlarmNamePrefix=f"TargetTracking-endpoint/{self._endpoint}/", StateValue="ALARM"
        )["MetricAlarms"]
        return Look(
            at_s=(self._clock.now() - self.started).total_seconds(),
            serving=sum(variant.get("CurrentInstanceCount", 0) for variant in variants),
            desired=sum(variant.get("DesiredInstanceCount", 0) for variant in variants),
            alarms=tuple(alarm["AlarmName"] for alarm in alarms),
        )

    def activities(self) -> list[Activity]:
        """Scaling activities since the start, the oldest first."""
        client = self._aws.client("application-autoscaling")
        found: list[dict[str, Any]] = []
        for page in client.get_paginator("describe_scaling_activities").paginate(
            ServiceNamespace="sagemaker"
        ):
            found += [
                each
                for each in page["ScalingActivities"]
                if each["ResourceId"].startswith(f"endpoint/{self._endpoint}/variant/")
                and each["StartTime"] >= self.started
            ]
        return [
            Activity(
                started_s=self._since(each["StartTime"]),
                ended_s=self._since(each["EndTime"]) if "EndTime" in each else None,
                description=each["Description"],
                cause=each["Cause"],
                status=each["StatusCode"],
                count=_count(each["Description"]),
            )
            for each in reversed(found)
        ]

    def alarm_changes(self) -> list[AlarmChange]:
        """Since the start. A look a second would miss some, or see them late."""
        return [
            AlarmChange(self._since(change.at), change.side, change.after)
            for change in alarm_changes(self._aws, self._endpoint, self.started)
        ]

    def _since(self, moment: datetime) -> float:
        return (moment - self.started).total_seconds()


def _count(description: str) -> int:
    """3 of `Setting desired instance count to 3.`"""
    return int(description.rstrip(".").rpartition(" ")[2])
