"""What Application Auto Scaling keeps: targets, their policies and scheduled actions, and what was
done. Keys begin with the target's `NAMESPACE|RESOURCE|DIMENSION`, so all that belongs to a target
has the prefix of its key and another bar."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Literal


def target_key(namespace: str, resource: str, dimension: str) -> str:
    """Of a scalable target."""
    return f"{namespace}|{resource}|{dimension}"


@dataclass(frozen=True, kw_only=True)
class ScalableTarget:
    """Something whose capacity may be changed between two bounds."""

    kind: ClassVar[str] = "autoscaling.target"

    namespace: str
    resource: str
    dimension: str
    arn: str
    minimum: int
    maximum: int
    role_arn: str
    created: datetime
    scale_out_suspended: bool = False
    scale_in_suspended: bool = False
    scheduled_suspended: bool = False

    @property
    def key(self) -> str:
        return target_key(self.namespace, self.resource, self.dimension)


@dataclass(frozen=True, kw_only=True)
class ScalingPolicy:
    """type: StepScaling or TargetTrackingScaling; config: the policy's configuration, verbatim.
    alarms: names of the alarms that the service made for it: (high, low), or none for steps."""

    kind: ClassVar[str] = "autoscaling.policy"

    target: str
    name: str
    arn: str
    type: Literal["StepScaling", "TargetTrackingScaling"]
    config: Mapping[str, Any]
    alarms: tuple[str, ...] = ()
    created: datetime

    @property
    def key(self) -> str:
        return f"{self.target}|{self.name}"


@dataclass(frozen=True, kw_only=True)
class ScheduledAction:
    """last_due: the last time of the schedule that has been acted upon."""

    kind: ClassVar[str] = "autoscaling.scheduled_action"

    target: str
    name: str
    arn: str
    schedule: str
    timezone: str = "UTC"
    start: datetime | None = None
    end: datetime | None = None
    minimum: int | None = None
    maximum: int | None = None
    created: datetime
    last_due: datetime | None = None

    @property
    def key(self) -> str:
        return f"{self.target}|{self.name}"


ActivityStatus = Literal[
    "Pending", "InProgress", "Successful", "Overridden", "Unfulfilled", "Failed"
]


@dataclass(frozen=True, kw_only=True)
class ScalingActivity:
    """One change of capacity, or the reason for none.

    number:     counts up within the cloud: activities of one moment keep their order.
    desired:    the capacity that was asked for; `before` is what there was.
    policy:     the name of the policy that asked, "" for bounds and schedules.
    cooldown_s: how long after its success it keeps later ones back.
    not_scaled: NotScaledReasons' members, of an activity that did nothing.
    """

    kind: ClassVar[str] = "autoscaling.activity"

    target: str
    number: int
    id: str
    description: str
    cause: str
    started: datetime
    ended: datetime | None = None
    status: ActivityStatus
    message: str = ""
    before: int
    desired: int
    policy: str = ""
    cooldown_s: float = 0.0
    not_scaled: tuple[Mapping[str, Any], ...] = ()

    @property
    def key(self) -> str:
        return f"{self.target}|{self.number:012d}"
