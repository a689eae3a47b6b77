"""When a scheduled action is due: (its schedule, time zone, a moment) -> the next time after it.

    at(yyyy-mm-ddThh:mm:ss)      once
    rate(value unit)             every so many minutes, hours or days, counted from its creation
    cron(minutes hours day-of-month month day-of-week year)

Sources: Application Auto Scaling User Guide, "Cron expressions" and "Scheduled scaling". A cron
time that a clock change skips is not due that day; one that it repeats is due once.
"""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from fogbank.cloud.errors import ValidationException

_MONTHS = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]
_DAYS = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"]
_UNITS = {"minute": 60, "hour": 3600, "day": 86_400}
_LAST_YEAR = 2199

_RATE = re.compile(r"rate\((\d+) (minute|hour|day)s?\)")
_AT = re.compile(r"at\((\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\)")
_CRON = re.compile(r"cron\(([^()]+)\)")

DayFits = Callable[[date], bool]


@dataclass(frozen=True, slots=True)
class _Cron:
    minutes: Sequence[int]
    hours: Sequence[int]
    months: Sequence[int]
    years: Sequence[int]
    day_fits: DayFits


def next_due(schedule: str, timezone: str, created: datetime, after: datetime) -> datetime | None:
    """The first time later than `after` (UTC); None where there is none any more.

    created: from where rates count. Raises ValidationException for what is no schedule, and for a
    time zone that does not exist.
    """
    zone = _zone(timezone)
    if found := _AT.fullmatch(schedule):
        try:
            moment = datetime.fromisoformat(found[1]).replace(tzinfo=zone).astimezone(UTC)
        except ValueError:
            raise _invalid(schedule, "its date does not exist") from None
        return moment if moment > after else None
    if found := _RATE.fullmatch(schedule):
        period_s = int(found[1]) * _UNITS[found[2]]
        if not period_s:
            raise _invalid(schedule, "the rate must be at least 1")
        periods = (after - created).total_seconds() // period_s + 1
        return created + timedelta(seconds=max(periods, 1) * period_s)
    if found := _CRON.fullmatch(schedule):
        return _next_cron(_parse(schedule, found[1].split()), zone, after)
    raise _invalid(
        schedule,
        "it must be at(yyyy-mm-ddThh:mm:ss), rate(value unit) or cron(minutes hours day-of-month "
        "month day-of-week year)",
    )


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        raise ValidationException(f"Invalid timezone: {name}") from None


def _invalid(schedule: str, why: str) -> ValidationException:
    return ValidationException(f"Invalid schedule expression: {schedule} ({why})")


def _next_cron(cron: _Cron, zone: ZoneInfo, after: datetime) -> datetime | None:
    local = after.astimezone(zone)
    day = local.date()
    while (year := next((y for y in cron.years if y >= day.year), None)) is not None:
        if year > day.year:
            day = date(year, 1, 1)
        if day.month not in cron.months:
            day = _first_of_next_month(day)
            continue
        if cron.day_fits(day):
            for hour in cron.hours:
                for minute in cron.minutes:
                    moment = datetime.combine(day, time(hour, minute), zone).astimezone(UTC)
                    exists = moment.astimezone(zone).replace(tzinfo=None) == datetime.combine(
                        day, time(hour, minute)
                    )
                    if moment > after and exists:
                        return moment
        day += timedelta(days=1)
    return None


def _first_of_next_month(day: date) -> date:
    return (day.replace(day=28) + timedelta(days=4)).replace(day=1)


def _parse(schedule: str, fields: Sequence[str]) -> _Cron:
    if len(fields) != 6:
        raise _invalid(schedule, f"a cron expression has six fields, this one {len(fields)}")
    minutes, hours, month_day, months, week_day, years = fields
    if (month_day == "?") == (week_day == "?"):
        raise _invalid(schedule, "exactly one of day-of-month and day-of-week must be ?")
    names = {name: number for number, name in enumerate(_MONTHS, 1)}
    try:
        return _Cron(
            minutes=_numbers(minutes, 0, 59),
            hours=_numbers(hours, 0, 23),
            months=_numbers(months, 1, 12, names),
            years=_numbers(years, 1970, _LAST_YEAR),
            day_fits=_month_day(month_day) if week_day == "?" else _week_day(week_day),
        )
    except ValueError as error:
        raise _invalid(schedule, str(error)) from None


def _numbers(
    field: str, lowest: int, highest: int, names: Mapping[str, int] | None = None
) -> list[int]:
    """`*`, `5`, `1-5`, `1,3,5`, `*/15`, `8-18/2`; names where the field has them."""

    def number(text: str) -> int:
        value = (names or {}).get(text.upper())
        if value is None:
            if not text.isdecimal():
                raise ValueError(f"{field} is not understood")
            value = int(text)
        if not lowest <= value <= highest:
            raise ValueError(f"{text} is not between {lowest} and {highest}")
        return value

    found: set[int] = set()
    for part in field.split(","):
        range_, has_step, step_text = part.partition("/")
        step = 1
        if has_step:
            if not step_text.isdecimal() or int(step_text) == 0:
                raise ValueError(f"{part} is not understood")
            step = int(step_text)
        if range_ == "*":
            first, last = lowest, highest
        elif "-" in range_:
            first, last = map(number, range_.split("-", 1))
        else:
            first = number(range_)
            last = highest if has_step else first
        if first > last:
            raise ValueError(f"{part} is upside down")
        found.update(range(first, last + 1, step))
    return sorted(found)


def _month_day(field: str) -> DayFits:
    """Also `L`, the last day, and `15W`, the weekday nearest to the 15th within the month."""
    if field == "L":
        return lambda day: day.day == monthrange(day.year, day.month)[1]
    if nearest := re.fullmatch(r"(\d+)W", field):
        (wanted,) = _numbers(nearest[1], 1, 31)
        return lambda day: day.day == _nearest_weekday(day.year, day.month, wanted)
    days = _numbers(field, 1, 31)
    return lambda day: day.day in days


def _nearest_weekday(year: int, month: int, wanted: int) -> int | None:
    last = monthrange(year, month)[1]
    if wanted > last:
        return None
    for shift in (0, -1, 1, -2, 2):
        number = wanted + shift
        if 1 <= number <= last and date(year, month, number).weekday() < 5:
            return number
    raise AssertionError("of five days in a row in one month one is a weekday")


def _week_day(field: str) -> DayFits:
    """1 is Sunday. Also `6L`, the last Friday of the month, and `3#2`, the second Tuesday."""
    names = {name: number for number, name in enumerate(_DAYS, 1)}
    if last := re.fullmatch(r"(\w+)L", field):
        (wanted,) = _numbers(last[1], 1, 7, names)
        return lambda day: (
            _sunday_first(day) == wanted and day.day + 7 > monthrange(day.year, day.month)[1]
        )
    if nth := re.fullmatch(r"(\w+)#([1-5])", field):
        (wanted,) = _numbers(nth[1], 1, 7, names)
        which = int(nth[2])
        return lambda day: _sunday_first(day) == wanted and (day.day - 1) // 7 + 1 == which
    days = _numbers(field, 1, 7, names)
    return lambda day: _sunday_first(day) in days


def _sunday_first(day: date) -> int:
    return day.isoweekday() % 7 + 1
