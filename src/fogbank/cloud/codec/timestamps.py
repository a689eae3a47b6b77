"""Moments as the protocols write them: `iso8601`, `rfc822`, `unixTimestamp`; to the millisecond."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)


def from_epoch(seconds: float) -> datetime:
    """Epoch seconds, fraction kept. Raises ValueError where no date is meant (NaN, year 60000)."""
    if not math.isfinite(seconds):
        raise ValueError(f"not a moment: {seconds}")
    try:
        return _EPOCH + timedelta(seconds=seconds)
    except OverflowError:
        raise ValueError(f"not a moment: {seconds}") from None


def to_epoch(moment: datetime) -> int | float:
    """Epoch seconds to the millisecond: whole ones as an integer, as AWS prints them."""
    ms = (_aware(moment) - _EPOCH) // _MS
    return ms // 1000 if ms % 1000 == 0 else ms / 1000


def read(text: str, form: str) -> datetime:
    """A moment from its text, aware and in UTC. Raises ValueError.

    A text of digits is taken as epoch seconds and a text in ISO 8601 as such whatever the model's
    form: AWS's services take both.
    """
    if form.lower() == "rfc822" and "," in text:
        return _aware(parsedate_to_datetime(text))
    if text.lstrip("-").replace(".", "", 1).isdigit() and "-" not in text[1:]:
        # "2026" alone would be a year to fromisoformat, and "20260101" a day: both are numbers here
        return from_epoch(float(text))
    return _aware(datetime.fromisoformat(text.strip()))


def write(moment: datetime, form: str, *, always_ms: bool = False) -> str:
    """A moment as text. `always_ms` writes `.000` too, as S3 does in ISO 8601."""
    moment = _aware(moment)
    kind = form.lower()
    if kind == "unixtimestamp":
        return str(to_epoch(moment))
    if kind == "rfc822":
        return format_datetime(moment, usegmt=True)
    precise = always_ms or moment.microsecond >= 1000
    return (
        moment.replace(tzinfo=None).isoformat(timespec="milliseconds" if precise else "seconds")
        + "Z"
    )


def _aware(moment: datetime) -> datetime:
    if moment.tzinfo is UTC:
        return moment
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
