"""The history that alarms leave, and how much of it is kept."""

from __future__ import annotations

from cloud.aws import NOW
from fogbank.cloud.records.alarm import AlarmEvent
from fogbank.cloud.state.alarms import MAX_EVENTS, append
from fogbank.cloud.state.database import Database
from fogbank.cloud.state.records import SqliteRecords


def event(number: int) -> AlarmEvent:
    return AlarmEvent(
        alarm="high", number=number, at=NOW, type="StateUpdate", summary="", data="{}"
    )


def numbers(records: SqliteRecords) -> list[int]:
    return [each.number for each in records.all(AlarmEvent)]


def test_events_are_numbered_in_their_order_also_within_a_transaction() -> None:
    records = SqliteRecords(Database(":memory:"))
    append(records, "high", NOW, "StateUpdate", "one", {})
    with records.transaction():
        append(records, "low", NOW, "StateUpdate", "two", {})
        append(records, "high", NOW, "StateUpdate", "three", {})
    assert [each.summary for each in records.all(AlarmEvent)] == ["one", "two", "three"]
    assert numbers(records) == [1, 2, 3]


def test_one_event_too_many_is_the_end_of_the_oldest() -> None:
    records = SqliteRecords(Database(":memory:"))
    records.put(event(1), event(2), event(MAX_EVENTS))
    append(records, "high", NOW, "StateUpdate", "one more", {})
    assert numbers(records) == [2, MAX_EVENTS, MAX_EVENTS + 1]
