"""Schedules: the user guide's examples, time zones, and what is refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fogbank.cloud.errors import ValidationException
from fogbank.cloud.rules.schedule import next_due

NOW = datetime(2026, 11, 21, 12, 30, tzinfo=UTC)  # a Saturday


def due(schedule: str, after: datetime = NOW, timezone: str = "UTC") -> str | None:
    found = next_due(schedule, timezone, NOW, after)
    return None if found is None else found.strftime("%Y-%m-%d %H:%M:%S")


@pytest.mark.docs
@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("at(2026-12-24T18:00:00)", "2026-12-24 18:00:00"),
        ("at(2026-01-01T00:00:00)", None),
        ("rate(5 minutes)", "2026-11-21 12:35:00"),
        ("rate(1 hour)", "2026-11-21 13:30:00"),
        ("rate(2 days)", "2026-11-23 12:30:00"),
        ("cron(0 10 * * ? *)", "2026-11-22 10:00:00"),
        ("cron(15 12 ? * * *)", "2026-11-22 12:15:00"),
        ("cron(0 18 ? * MON-FRI *)", "2026-11-23 18:00:00"),
        ("cron(0 8 1 * ? *)", "2026-12-01 08:00:00"),
        ("cron(*/10 * ? * SAT *)", "2026-11-21 12:40:00"),
        ("cron(0/25 * * * ? *)", "2026-11-21 12:50:00"),
        ("cron(0 8-18/5 ? * 2-6 2027)", "2027-01-01 08:00:00"),
        ("cron(0 9 L * ? *)", "2026-11-30 09:00:00"),
        ("cron(0 9 15W 8 ? 2027)", "2027-08-16 09:00:00"),  # the 15th is a Sunday
        ("cron(0 9 ? * 6L *)", "2026-11-27 09:00:00"),
        ("cron(0 9 ? * 3#2 *)", "2026-12-08 09:00:00"),
        ("cron(0 9 29 2 ? *)", "2028-02-29 09:00:00"),
        ("cron(0 9 30 FEB ? *)", None),
        ("cron(0 9 * * ? 2025)", None),
    ],
)
def test_the_next_time(schedule: str, expected: str | None) -> None:
    assert due(schedule) == expected


@pytest.mark.docs
def test_schedules_run_in_their_time_zone() -> None:
    assert due("cron(0 9 * * ? *)", timezone="America/New_York") == "2026-11-21 14:00:00"
    assert due("at(2026-12-24T18:00:00)", timezone="Asia/Tokyo") == "2026-12-24 09:00:00"


def test_a_clock_change_skips_and_repeats_nothing() -> None:
    # In Berlin 02:30 does not exist on 2027-03-28 and comes twice on 2027-10-31.
    march = datetime(2027, 3, 27, 12, 0, tzinfo=UTC)
    assert due("cron(30 2 * * ? *)", march, "Europe/Berlin") == "2027-03-29 00:30:00"
    first = next_due(
        "cron(30 2 * * ? *)", "Europe/Berlin", NOW, datetime(2027, 10, 30, 12, tzinfo=UTC)
    )
    assert first is not None
    second = next_due("cron(30 2 * * ? *)", "Europe/Berlin", NOW, first)
    assert second is not None
    assert second - first >= timedelta(hours=23)


@pytest.mark.docs
@pytest.mark.parametrize(
    "schedule",
    [
        "every day",
        "rate(0 minutes)",
        "rate(5 weeks)",
        "at(2026-02-30T00:00:00)",
        "at(2026-02-01)",
        "cron(0 9 * * *)",
        "cron(0 9 * * * *)",
        "cron(0 9 ? * ? *)",
        "cron(60 9 * * ? *)",
        "cron(0 24 * * ? *)",
        "cron(0 9 0 * ? *)",
        "cron(0 9 * 13 ? *)",
        "cron(0 9 ? * FUN *)",
        "cron(5-1 9 * * ? *)",
        "cron(*/0 9 * * ? *)",
        "cron(a/b 9 * * ? *)",
    ],
)
def test_what_is_no_schedule_is_refused_by_name(schedule: str) -> None:
    with pytest.raises(ValidationException, match="Invalid schedule expression") as refusal:
        due(schedule)
    assert schedule in refusal.value.message


def test_a_time_zone_that_does_not_exist_is_refused() -> None:
    for timezone in ("Mars/Olympus", "../etc/passwd", ""):
        with pytest.raises(ValidationException, match="Invalid timezone"):
            due("rate(1 day)", timezone=timezone)


@given(
    st.sampled_from(["rate(7 minutes)", "cron(*/20 6-9 ? * MON-FRI *)", "cron(0 0 L * ? *)"]),
    st.integers(0, 4 * 365 * 24 * 60).map(lambda minutes: NOW + timedelta(minutes=minutes)),
)
def test_the_next_time_is_later_and_nothing_lies_between(schedule: str, after: datetime) -> None:
    created = datetime(2025, 1, 1, tzinfo=UTC)
    found = next_due(schedule, "Europe/Berlin", created, after)
    assert found is not None
    assert found > after
    almost = found - timedelta(seconds=1)
    if almost > after:
        assert next_due(schedule, "Europe/Berlin", created, almost) == found
