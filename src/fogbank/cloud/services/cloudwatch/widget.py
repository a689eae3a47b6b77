"""What GetMetricWidgetImage is asked to draw: the text of MetricWidget, now -> a checked `Widget`.

Pure. Raises ServiceError ValidationError for what is no widget and for what would not be drawn:
a plot that leaves something out would mislead. Source: CloudWatch API Reference,
"GetMetricWidgetImage: Metric Widget Structure and Syntax".
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Literal

from fogbank.cloud.state.metric_query import Query, invalid, read_queries
from fogbank.cloud.state.metric_search import Search

DEFAULT_WIDTH, DEFAULT_HEIGHT, MAX_SIDE = 600, 400, 2000
"""Pixels."""

DEFAULT_PERIOD_S, DEFAULT_STAT, DEFAULT_START = 300, "Average", "-PT3H"

Side = Literal["left", "right"]

_DRAWN = frozenset(
    {
        *("annotations", "end", "height", "legend", "metrics", "period", "stacked", "start"),
        *("stat", "theme", "timezone", "title", "view", "width", "yAxis"),
    }
)
_WITHOUT_EFFECT = frozenset({"accountId", "liveData", "region", "setPeriodToTimeRange"})
"""There is one account and one region; the others say how a dashboard's widget behaves."""

_OF_A_METRIC = frozenset(
    {
        *("accountId", "color", "expression", "id", "label", "period", "region", "stat"),
        *("visible", "yAxis"),
    }
)
_COLOUR = re.compile(r"#(?:[0-9a-fA-F]{3}){1,2}")
_OFFSET = re.compile(r"([+-])(\d\d):?(\d\d)")
_RELATIVE = re.compile(
    r"(-?)P(?:(\d+)M)?(?:(\d+)W)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?"
)
_UNITS_S = (30 * 86_400, 7 * 86_400, 86_400, 3600, 60, 1)


@dataclass(frozen=True, slots=True)
class Line:
    """One series that is drawn. colour: `#rrggbb`; None: the next of the palette."""

    query: Query
    label: str
    side: Side
    colour: str | None


@dataclass(frozen=True, slots=True)
class Axis:
    """A vertical axis; None is as the data say."""

    minimum: float | None = None
    maximum: float | None = None
    label: str = ""


@dataclass(frozen=True, slots=True)
class Level:
    """A horizontal annotation: a line, or a band up to `until`. fill: which side is shaded."""

    value: float
    label: str = ""
    colour: str | None = None
    until: float | None = None
    fill: Literal["above", "below"] | None = None
    side: Side = "left"


@dataclass(frozen=True, slots=True)
class Moment:
    """A vertical annotation."""

    at: datetime
    label: str = ""
    colour: str | None = None


@dataclass(frozen=True, slots=True)
class Widget:
    """queries: all entries of `metrics`, also those that only feed expressions. Sizes in pixels."""

    title: str
    width: int
    height: int
    start: datetime
    end: datetime
    zone: timezone
    is_dark: bool
    is_stacked: bool
    legend: Literal["bottom", "right", "hidden"]
    queries: tuple[Query, ...]
    lines: tuple[Line, ...]
    axes: Mapping[Side, Axis]
    levels: tuple[Level, ...]
    moments: tuple[Moment, ...]


def read_widget(text: str, now: datetime) -> Widget:
    """Raises ServiceError ValidationError; the text says which property is wrong."""
    try:
        given = json.loads(text)
    except (ValueError, RecursionError):
        raise invalid("The parameter MetricWidget is not valid JSON.") from None
    given = _object("MetricWidget", given)
    unknown = sorted(given.keys() - _DRAWN - _WITHOUT_EFFECT)
    if unknown:
        raise _wrong(unknown[0], f"is not one of {', '.join(sorted(_DRAWN | _WITHOUT_EFFECT))}")
    if given.get("view", "timeSeries") != "timeSeries":
        raise _wrong("view", "is not drawn by Fogbank yet: it draws timeSeries")
    start = _moment("start", given.get("start", DEFAULT_START), now)
    end = _moment("end", given.get("end", "PT0H"), now)
    if start >= end:
        raise _wrong("start", "must be before end")
    queries, lines = _metrics(given)
    annotations = _object("annotations", given.get("annotations", {}))
    for kind in annotations.keys() - {"horizontal", "vertical"}:
        raise _wrong(f"annotations.{kind}", "is not drawn by Fogbank yet")
    axes = _object("yAxis", given.get("yAxis", {}))
    return Widget(
        title=_text("title", given.get("title", "")),
        width=_side("width", given.get("width", DEFAULT_WIDTH)),
        height=_side("height", given.get("height", DEFAULT_HEIGHT)),
        start=start,
        end=end,
        zone=_zone(given.get("timezone", "+0000")),
        is_dark=_one_of("theme", given.get("theme", "light"), ("light", "dark")) == "dark",
        is_stacked=_flag("stacked", given.get("stacked", False)),
        legend=_legend(given.get("legend", {})),
        queries=queries,
        lines=lines,
        axes={"left": _axis("left", axes), "right": _axis("right", axes)},
        levels=tuple(
            _level(f"annotations.horizontal[{number}]", each)
            for number, each in enumerate(_list("horizontal", annotations.get("horizontal", [])))
        ),
        moments=tuple(
            _vertical(f"annotations.vertical[{number}]", each, now)
            for number, each in enumerate(_list("vertical", annotations.get("vertical", [])))
        ),
    )


# -- metrics --------------------------------------------------------------------------------------


def _metrics(given: Mapping[str, Any]) -> tuple[tuple[Query, ...], tuple[Line, ...]]:
    rows = _list("metrics", given.get("metrics"))
    if not rows:
        raise _wrong("metrics", "needs at least one metric or expression")
    asked: list[dict[str, Any]] = []
    looks: list[Mapping[str, Any]] = []
    names: list[str] = []
    before: list[str] = []
    for number, row in enumerate(rows):
        where = f"metrics[{number}]"
        path, look = _row(where, row, before)
        query: dict[str, Any] = {
            "Id": look.get("id", f"fogbank{number}"),
            "ReturnData": _flag(f"{where}.visible", look.get("visible", True)),
        }
        if "expression" in look:
            query["Expression"] = _text(f"{where}.expression", look["expression"])
            if "period" in look:
                query["Period"] = _period(where, look["period"])
            names.append(query["Expression"])
        else:
            before = path
            query["MetricStat"] = {
                "Metric": {
                    "Namespace": path[0],
                    "MetricName": path[1],
                    "Dimensions": [
                        {"Name": name, "Value": value}
                        for name, value in zip(path[2::2], path[3::2], strict=True)
                    ],
                },
                "Period": _period(where, look.get("period", given.get("period", DEFAULT_PERIOD_S))),
                "Stat": _text(f"{where}.stat", look.get("stat", given.get("stat", DEFAULT_STAT))),
            }
            names.append(path[1])
        asked.append(query)
        looks.append(look)
    queries = read_queries(asked)
    if any(isinstance(query.source, Search) for query in queries):
        raise _wrong("metrics", "has a SEARCH, which Fogbank does not draw yet")
    repeated = {name for name, count in Counter(names).items() if count > 1}
    lines = [
        Line(
            query=query,
            label=_text(f"metrics[{number}].label", look["label"])
            if "label" in look
            else _name(name, request, is_repeated=name in repeated),
            side=_yaxis(f"metrics[{number}].yAxis", look.get("yAxis", "left")),
            colour=_colour(f"metrics[{number}].color", look.get("color")),
        )
        for number, (query, request, look, name) in enumerate(
            zip(queries, asked, looks, names, strict=True)
        )
        if query.returned
    ]
    return tuple(queries), tuple(lines)


def _row(where: str, row: Any, before: Sequence[str]) -> tuple[list[str], Mapping[str, Any]]:
    """One entry with its shorthands written out: `.` is the value of the row before at that place,
    `...` are all of them up to those that follow."""
    parts = list(_list(where, row))
    look: Mapping[str, Any] = {}
    if parts and isinstance(parts[-1], dict):
        look = parts.pop()
    unknown = sorted(look.keys() - _OF_A_METRIC)
    if unknown:
        raise _wrong(f"{where}.{unknown[0]}", f"is not one of {', '.join(sorted(_OF_A_METRIC))}")
    if "id" in look:
        _text(f"{where}.id", look["id"])
    if "expression" in look:
        if parts:
            raise _wrong(where, "has an expression and a metric: it can be only one of them")
        return [], look
    if not all(isinstance(part, str) for part in parts):
        raise _wrong(where, "must be texts, and at the end perhaps an object")
    if parts and parts[0] == "...":
        parts = [*before[: max(0, len(before) - len(parts) + 1)], *parts[1:]]
    if any(part == "." and index >= len(before) for index, part in enumerate(parts)):
        raise _wrong(where, "repeats with a period what the row before does not have")
    path = [before[index] if part == "." else part for index, part in enumerate(parts)]
    if len(path) < 2 or len(path) % 2:
        raise _wrong(
            where, "must be a namespace, a metric name, and names and values of dimensions"
        )
    return path, look


def _name(name: str, request: Mapping[str, Any], *, is_repeated: bool) -> str:
    """What the legend calls a line: with its dimensions where the name alone is not enough."""
    dimensions = request.get("MetricStat", {}).get("Metric", {}).get("Dimensions", ())
    if not is_repeated or not dimensions:
        return name
    return " ".join([*(each["Value"] for each in dimensions), name])


def _period(where: str, given: Any) -> int:
    if not isinstance(given, int) or isinstance(given, bool):
        raise _wrong(f"{where}.period", "must be a whole number of seconds")
    return given


# -- the rest -------------------------------------------------------------------------------------


def _level(where: str, given: Any) -> Level:
    """A line, or a band where two are given in a list."""
    if isinstance(given, list):
        if len(given) != 2:
            raise _wrong(where, "must be one annotation or a pair of them")
        low, high = (_object(where, each) for each in given)
        return Level(
            _number(f"{where}.value", low.get("value")),
            _text(f"{where}.label", low.get("label", "")),
            _colour(f"{where}.color", low.get("color")),
            until=_number(f"{where}.value", high.get("value")),
            side=_yaxis(f"{where}.yAxis", low.get("yAxis", "left")),
        )
    one = _object(where, given)
    fill = one.get("fill", "none")
    return Level(
        _number(f"{where}.value", one.get("value")),
        _text(f"{where}.label", one.get("label", "")),
        _colour(f"{where}.color", one.get("color")),
        fill=None if _one_of(f"{where}.fill", fill, ("above", "below", "none")) == "none" else fill,
        side=_yaxis(f"{where}.yAxis", one.get("yAxis", "left")),
    )


def _vertical(where: str, given: Any, now: datetime) -> Moment:
    one = _object(where, given)
    return Moment(
        _moment(f"{where}.value", one.get("value"), now),
        _text(f"{where}.label", one.get("label", "")),
        _colour(f"{where}.color", one.get("color")),
    )


def _axis(side: Side, given: Mapping[str, Any]) -> Axis:
    one = _object(f"yAxis.{side}", given.get(side, {}))
    low, high = (
        None if one.get(name) is None else _number(f"yAxis.{side}.{name}", one[name])
        for name in ("min", "max")
    )
    if low is not None and high is not None and low >= high:
        raise _wrong(f"yAxis.{side}", "must have a min below its max")
    return Axis(low, high, _text(f"yAxis.{side}.label", one.get("label", "")))


def _legend(given: Any) -> Literal["bottom", "right", "hidden"]:
    position = _object("legend", given).get("position", "bottom")
    match _one_of("legend.position", position, ("bottom", "right", "hidden")):
        case "right":
            return "right"
        case "hidden":
            return "hidden"
    return "bottom"


def _moment(where: str, given: Any, now: datetime) -> datetime:
    """ISO 8601: a moment, or a duration from now (`-PT3H`, `-P1D`)."""
    text = _text(where, given)
    relative = _RELATIVE.fullmatch(text)
    try:
        if relative and any(relative.groups()[1:]):
            sign, *amounts = relative.groups()
            seconds = sum(
                int(amount or 0) * unit_s for amount, unit_s in zip(amounts, _UNITS_S, strict=True)
            )
            return now - timedelta(seconds=seconds) if sign else now + timedelta(seconds=seconds)
        moment = datetime.fromisoformat(text)
        # In UTC, the first and the last hours of the calendar are in no year that there is.
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise _wrong(
            where, "must be a time such as 2026-01-31T12:00:00Z or a duration such as -PT3H"
        ) from None


def _zone(given: Any) -> timezone:
    found = _OFFSET.fullmatch(_text("timezone", given))
    if not found or int(found[2]) > 14 or int(found[3]) > 59:
        raise _wrong("timezone", "must be an offset such as +0130")
    offset = timedelta(hours=int(found[2]), minutes=int(found[3]))
    return timezone(-offset if found[1] == "-" else offset)


def _yaxis(where: str, given: Any) -> Side:
    return "right" if _one_of(where, given, ("left", "right")) == "right" else "left"


def _colour(where: str, given: Any) -> str | None:
    if given is None:
        return None
    if not _COLOUR.fullmatch(_text(where, given)):
        raise _wrong(where, "must be a colour such as #1f77b4")
    return str(given)


def _side(where: str, given: Any) -> int:
    if not isinstance(given, int) or isinstance(given, bool) or not 1 <= given <= MAX_SIDE:
        raise _wrong(where, f"must be a number of pixels from 1 to {MAX_SIDE}")
    return given


def _number(where: str, given: Any) -> float:
    # Python's JSON has NaN and numbers beyond a double; a plot has not.
    if isinstance(given, int | float) and not isinstance(given, bool) and abs(given) < math.inf:
        try:
            return float(given)
        except OverflowError:
            pass
    raise _wrong(where, "must be a number")


def _flag(where: str, given: Any) -> bool:
    if not isinstance(given, bool):
        raise _wrong(where, "must be true or false")
    return given


def _text(where: str, given: Any) -> str:
    if not isinstance(given, str):
        raise _wrong(where, "must be a text")
    return given


def _one_of(where: str, given: Any, known: Sequence[str]) -> str:
    if given not in known:
        raise _wrong(where, f"must be one of {', '.join(known)}")
    return str(given)


def _list(where: str, given: Any) -> list[Any]:
    if not isinstance(given, list):
        raise _wrong(where, "must be a list")
    return given


def _object(where: str, given: Any) -> Mapping[str, Any]:
    if not isinstance(given, dict):
        raise _wrong(where, "must be an object")
    return given


def _wrong(where: str, what: str) -> Exception:
    return invalid(f"The property {where} of MetricWidget {what}.")
