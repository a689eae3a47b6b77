"""The one way in which alarms are written: put, deleted, changed in state, each with its history.

Events of one cloud are numbered, so that those of one moment keep their order; the oldest are
forgotten beyond MAX_EVENTS. Source: CloudWatch API Reference, AlarmHistoryItem.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Literal

from fogbank.cloud.ports import Records
from fogbank.cloud.records.alarm import Alarm, AlarmEvent, AlarmState, event_key
from fogbank.cloud.records.tags import Tags
from fogbank.core.arn import Scope

MAX_EVENTS = 10_000
"""CloudWatch keeps history for 30 days; here so many events."""

MAX_DATA_CHARS = 4095


def put(records: Records, scope: Scope, request: Mapping[str, Any], now: datetime) -> Alarm:
    """Create the alarm of PutMetricAlarm's input (checked, without Tags), or replace what it
    watches: an alarm that exists keeps its state."""
    name: str = request["AlarmName"]
    found = records.get(Alarm, name)
    if found is None:
        alarm = Alarm(
            name=name,
            arn=scope.arn("cloudwatch", f"alarm:{name}"),
            request=request,
            configured=now,
            updated=now,
            transitioned=now,
        )
    else:
        alarm = replace(found, request=request, configured=now)
    done, kind = ("created", "Create") if found is None else ("updated", "Update")
    with records.transaction():
        records.put(alarm)
        append(
            records,
            name,
            now,
            "ConfigurationUpdate",
            f'Alarm "{name}" {done}',
            {"type": kind, "version": "1.0", "updatedAlarm": request},
        )
    return alarm


def delete(records: Records, name: str, now: datetime) -> None:
    """Nothing where there is none."""
    with records.transaction():
        alarm = records.delete(Alarm, name)
        if alarm is not None:
            records.delete(Tags, alarm.arn)
            append(
                records,
                name,
                now,
                "ConfigurationUpdate",
                f'Alarm "{name}" deleted',
                {"type": "Delete", "version": "1.0", "deletedAlarm": alarm.request},
            )


def append(
    records: Records,
    alarm: str,
    at: datetime,
    type_: Literal["ConfigurationUpdate", "StateUpdate", "Action"],
    summary: str,
    data: Mapping[str, Any],
) -> None:
    """Write one event; inside a transaction of the caller's where it belongs to a change."""
    newest = records.last(AlarmEvent)
    text = json.dumps(data, default=str)
    event = AlarmEvent(
        alarm=alarm,
        number=1 if newest is None else newest.number + 1,
        at=at,
        type=type_,
        summary=summary[:255],
        data=text if len(text) <= MAX_DATA_CHARS else json.dumps({"type": type_, "version": "1.0"}),
    )
    with records.transaction():
        # Numbers have no gaps, so that one more makes one too many.
        records.delete(AlarmEvent, event_key(event.number - MAX_EVENTS))
        records.put(event)


def change_state(
    records: Records,
    alarm: Alarm,
    state: AlarmState,
    reason: str,
    reason_data: str | None,
    now: datetime,
) -> Alarm:
    """Write the alarm with its new state, and the event where the state is another one."""
    changed = replace(
        alarm,
        state=state,
        state_reason=reason,
        state_reason_data=reason_data,
        updated=now,
        transitioned=now if state != alarm.state else alarm.transitioned,
    )
    with records.transaction():
        records.put(changed)
        if state != alarm.state:
            append(
                records,
                alarm.name,
                now,
                "StateUpdate",
                f"Alarm updated from {alarm.state} to {state}",
                {
                    "version": "1.0",
                    "oldState": _state(alarm),
                    "newState": _state(changed),
                },
            )
    return changed


def _state(alarm: Alarm) -> dict[str, Any]:
    data = alarm.state_reason_data
    known = {} if data is None else {"stateReasonData": json.loads(data)}
    return {"stateValue": alarm.state, "stateReason": alarm.state_reason, **known}
