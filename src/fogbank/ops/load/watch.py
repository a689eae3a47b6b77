"""What the cloud does while it is asked: instances, alarms, activities, looked at once a second."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from fogbank.aws import Aws, existing, explained
from fogbank.core.clock import Clock
from fogbank.core.errors import WorldError
from fogbank.ops.scalable_variant import alarm_prefix, alarm_side
from fogbank.ops.scaling_history import activities, alarm_changes

LOOK_EVERY_S = 1.0


@dataclass(frozen=True, slots=True)
class Look:
    """at_s: since the start. serving, desired: instances. alarms: names of those in ALARM."""

    at_s: float
    serving: int
    desired: int
    alarms: tuple[str, ...] = ()

    @property
    def alarm_sides(self) -> tuple[str, ...]:
        """AlarmHigh and AlarmLow, as far as they are in ALARM."""
        return tuple(sorted({alarm_side(name) for name in self.alarms}))


@dataclass(frozen=True, slots=True)
class Activity:
    """A scaling activity. started_s, ended_s: since the start of the load. count: so many instances
    were asked for; None where bounds were changed, by a schedule."""

    started_s: float
    ended_s: float | None
    description: str
    cause: str
    status: str
    count: int | None


@dataclass(frozen=True, slots=True)
class AlarmChange:
    """side: AlarmHigh or AlarmLow. state: what it became."""

    at_s: float
    side: str
    state: str


class Watch:
    """Looks at one variant of one endpoint. boto3 waits in a thread, so that requests do not.

    looks: what was seen. failures: what went wrong with those looks that saw nothing.
    """

    def __init__(self, aws: Aws, endpoint: str, clock: Clock) -> None:
        self.looks: list[Look] = []
        self.failures: list[str] = []
        self._aws = aws
        self._endpoint = endpoint
        self._clock = clock
        self.started = clock.now()

    async def run(self, seen: Callable[[Look], None]) -> None:
        """Until it is cancelled. A cloud that does not answer is looked at again: it may be one
        that is restarted under load."""
        while True:
            try:
                look = await asyncio.to_thread(self.look)
            except WorldError as error:
                self.failures.append(str(error))
            else:
                if look is not None:
                    self.looks.append(look)
                    seen(look)
            await self._clock.sleep(LOOK_EVERY_S)

    def look(self) -> Look | None:
        """How it stands now; None where there is no such endpoint."""
        with explained(f"look at the endpoint {self._endpoint}", self._aws.url):
            found = existing(self._aws.sagemaker.describe_endpoint, EndpointName=self._endpoint)
            if found is None:
                return None
            alarms = self._aws.cloudwatch.describe_alarms(
                AlarmNamePrefix=alarm_prefix(self._endpoint), StateValue="ALARM"
            )["MetricAlarms"]
        variants = found.get("ProductionVariants", [])
        return Look(
            at_s=(self._clock.now() - self.started).total_seconds(),
            serving=sum(variant.get("CurrentInstanceCount", 0) for variant in variants),
            desired=sum(variant.get("DesiredInstanceCount", 0) for variant in variants),
            alarms=tuple(alarm["AlarmName"] for alarm in alarms),
        )

    def activities(self) -> list[Activity]:
        """Scaling activities since the start, the oldest first."""
        with explained(f"look at what the scaling of {self._endpoint} did", self._aws.url):
            found = activities(self._aws, self._endpoint, self.started)
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
        with explained(f"look at the alarms of {self._endpoint}", self._aws.url):
            found = alarm_changes(self._aws, self._endpoint, self.started)
        return [AlarmChange(self._since(each.at), each.side, each.after) for each in found]

    def _since(self, moment: datetime) -> float:
        return (moment - self.started).total_seconds()


def _count(description: str) -> int | None:
    """3 of `Setting desired instance count to 3.`; None of `Setting min capacity to 2`."""
    found = re.search(r"desired instance count to (\d+)", description)
    return int(found[1]) if found else None
