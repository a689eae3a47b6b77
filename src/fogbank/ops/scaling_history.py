"""What an endpoint's scaling has done, in the order in which it happened: activities with their
causes, and the changes of the alarms that led to them. Reads Application Auto Scaling (six weeks
back) and CloudWatch (30 days).
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal

from fogbank.aws import Aws, explained
from fogbank.ops.names import Names
from fogbank.ops.scalable_variant import alarm_prefix, alarm_side, variant_key


@dataclass(frozen=True, kw_only=True)
class Event:
    """what: AWS's description of an activity, or an alarm's side and states. detail: the cause of
    the one, CloudWatch's reason of the other. seconds: how long an activity took, once it has
    ended."""

    at: datetime
    kind: Literal["activity", "not scaled", "alarm"]
    what: str
    detail: str
    status: str = ""
    seconds: float | None = None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class AlarmChange:
    """side: AlarmHigh or AlarmLow. before, after: OK, ALARM or INSUFFICIENT_DATA."""

    at: datetime
    side: str
    before: str
    after: str
    reason: str


def read_history(
    aws: Aws, names: Names, since: datetime, *, not_scaled: bool = False
) -> list[Event]:
    """The oldest first. not_scaled: also when a policy was triggered and nothing was changed."""
    with explained(f"look at what the scaling of {names.endpoint} did", aws.url):
        found = activities(aws, names.endpoint, since, not_scaled=not_scaled)
        events = [_activity(item) for item in found]
        events += map(_event, alarm_changes(aws, names.endpoint, since))
    return sorted(events, key=lambda event: event.at)


def activities(
    aws: Aws, endpoint: str, since: datetime, *, not_scaled: bool = False
) -> list[dict[str, Any]]:
    """As AWS tells them, the newest first."""
    pages = (
        aws.client("application-autoscaling")
        .get_paginator("describe_scaling_activities")
        .paginate(**variant_key(endpoint), IncludeNotScaledActivities=not_scaled)
    )
    return [
        item for page in pages for item in page["ScalingActivities"] if item["StartTime"] >= since
    ]


def _activity(item: dict[str, Any]) -> Event:
    reasons = item.get("NotScaledReasons", [])
    ended = item.get("EndTime")
    failed = item["StatusCode"] not in ("Successful", "InProgress", "Pending")
    return Event(
        at=item["StartTime"],
        kind="not scaled" if reasons else "activity",
        what=", ".join(map(_reason, reasons)) if reasons else item["Description"],
        detail=item["StatusMessage"] if failed and not reasons else item["Cause"],
        status="" if reasons else item["StatusCode"],
        seconds=(ended - item["StartTime"]).total_seconds() if ended else None,
    )


def _reason(reason: dict[str, Any]) -> str:
    """AlreadyAtMaxCapacity (now 3, max 3)"""
    words = (("CurrentCapacity", "now"), ("MinCapacity", "min"), ("MaxCapacity", "max"))
    figures = ", ".join(f"{word} {reason[name]}" for name, word in words if name in reason)
    return f"{reason['Code']} ({figures})" if figures else str(reason["Code"])


def alarm_changes(aws: Aws, endpoint: str, since: datetime) -> list[AlarmChange]:
    """In order. Those of alarms that have been deleted meanwhile, too: hence not by name."""
    prefix = alarm_prefix(endpoint)
    found = [
        _change(item["AlarmName"], item["Timestamp"], json.loads(item["HistoryData"]))
        for page in aws.cloudwatch.get_paginator("describe_alarm_history").paginate(
            HistoryItemType="StateUpdate", StartDate=since
        )
        for item in page["AlarmHistoryItems"]
        if item["AlarmName"].startswith(prefix)
    ]
    return sorted(found, key=lambda change: change.at)


def _change(name: str, at: datetime, data: dict[str, Any]) -> AlarmChange:
    return AlarmChange(
        at=at,
        side=alarm_side(name),
        before=data["oldState"]["stateValue"],
        after=data["newState"]["stateValue"],
        reason=data["newState"]["stateReason"],
    )


def _event(change: AlarmChange) -> Event:
    return Event(
        at=change.at,
        kind="alarm",
        what=f"{change.side} {change.before} -> {change.after}",
        detail=change.reason,
    )
