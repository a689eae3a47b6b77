"""What CloudWatch keeps of alarms: what they watch, how they stand, and what happened to them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Literal

AlarmState = Literal["OK", "ALARM", "INSUFFICIENT_DATA"]


@dataclass(frozen=True, kw_only=True)
class Alarm:
    """A metric alarm.

    request:      the validated input of PutMetricAlarm, verbatim.
    configured:   when PutMetricAlarm last wrote it.
    state_reason_data: JSON.
    updated:      when it was last evaluated to something, or set by hand.
    transitioned: when its state last changed.
    """

    kind: ClassVar[str] = "cloudwatch.alarm"

    name: str
    arn: str
    request: Mapping[str, Any]
    configured: datetime
    state: AlarmState = "INSUFFICIENT_DATA"
    state_reason: str = "Unchecked: Initial alarm creation"
    state_reason_data: str | None = None
    updated: datetime
    transitioned: datetime

    @property
    def key(self) -> str:
        return self.name


@dataclass(frozen=True, kw_only=True)
class AlarmEvent:
    """One line of an alarm's history. number: counts up within the cloud, so that events of one
    moment keep their order. data: JSON."""

    kind: ClassVar[str] = "cloudwatch.alarm_event"

    alarm: str
    number: int
    at: datetime
    type: Literal["ConfigurationUpdate", "StateUpdate", "Action"]
    summary: str
    data: str

    @property
    def key(self) -> str:
        return event_key(self.number)


def event_key(number: int) -> str:
    """The key of an alarm's event: in the order of the numbers."""
    return f"{number:012d}"
