"""The picture of a load: requests, instances and latency on one time axis.

Comes in: a record. Goes out: a PNG. Needs Matplotlib, which draws in memory here.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, StrMethodFormatter

from fogbank.ops.load.record import LoadRecord, Second, seconds

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH_IN, HEIGHT_IN, DPI = 10.0, 8.0, 144
NUM_BINS = 160
"""Seconds are gathered until there are no more columns than this: a long load stays readable."""

_COOLDOWN_Y = 0.12
"""Below the instances: there is always one at least."""

_INK, _FAINT, _GRID = "#22303c", "#6b7885", "#e3e8ec"
_LOAD, _ERROR, _SERVING, _DESIRED = "#1f6fb2", "#c0392b", "#2e8b57", "#9aa7b2"
_P50, _P99, _HIGH, _LOW = "#1f6fb2", "#d9730d", "#c0392b", "#5b8db8"


def draw(record: LoadRecord) -> bytes:
    """The PNG."""
    figure = Figure(figsize=(WIDTH_IN, HEIGHT_IN), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    load, instances, latency = figure.subplots(3, 1, sharex=True, height_ratios=[2, 2, 2])
    every = seconds(record.samples)
    width_s = max(1, math.ceil(record.duration_s / NUM_BINS))
    _draw_load(load, every, width_s)
    _draw_instances(instances, record)
    _draw_latency(latency, every, width_s)
    title = f"{record.what}: {len(record.samples)} requests in {record.duration_s:.0f} s"
    if record.time_scale != 1:
        title += f" (alarms and cooldowns {record.time_scale:g} times faster than real time)"
    figure.suptitle(title, fontsize=11, color=_INK)
    latency.set_xlabel("seconds since the start", color=_INK)
    latency.set_xlim(0, max(record.duration_s, 1))
    for axes in (load, instances, latency):
        _dress(axes)
    stream = io.BytesIO()
    figure.savefig(stream, format="png", facecolor="white")
    return stream.getvalue()


def _dress(axes: Axes) -> None:
    axes.grid(visible=True, color=_GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(which="both", colors=_FAINT, labelsize=9)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(_GRID)
    handles, labels = axes.get_legend_handles_labels()
    if handles:
        axes.legend(
            handles,
            labels,
            loc="upper left",
            bbox_to_anchor=(1.01, 1.0),
            frameon=False,
            fontsize=9,
            labelcolor=_INK,
        )


def _binned(every: Sequence[Second], width_s: int) -> dict[int, list[Second]]:
    bins: dict[int, list[Second]] = {}
    for second in every:
        bins.setdefault(second.at_s // width_s * width_s, []).append(second)
    return bins


def _draw_load(axes: Axes, every: Sequence[Second], width_s: int) -> None:
    bins = _binned(every, width_s)
    starts = list(bins)
    due = [sum(second.due for second in group) / width_s for group in bins.values()]
    errors = [sum(second.errors for second in group) / width_s for group in bins.values()]
    axes.bar(starts, due, width_s, align="edge", color=_LOAD, alpha=0.55, label="requests")
    if any(errors):
        axes.bar(starts, errors, width_s, align="edge", color=_ERROR, label="errors")
    axes.set_ylabel("a second", color=_INK)


def _draw_instances(axes: Axes, record: LoadRecord) -> None:
    times = [look.at_s for look in record.looks]
    if times:
        desired = [look.desired for look in record.looks]
        serving = [look.serving for look in record.looks]
        axes.step(times, desired, where="post", color=_DESIRED, linestyle="--", label="desired")
        axes.step(times, serving, where="post", color=_SERVING, linewidth=2, label="serving")
        axes.set_ylim(0, max(desired + serving) + 1)
    for side, color in (("AlarmHigh", _HIGH), ("AlarmLow", _LOW)):
        spans = _spans(record, side)
        for number, (begin_s, end_s) in enumerate(spans):
            label = f"{side} in ALARM" if number == 0 else None
            axes.axvspan(begin_s, end_s, color=color, alpha=0.12, linewidth=0, label=label)
    for number, activity in enumerate(record.activities):
        label = "activity" if number == 0 else None
        axes.axvline(activity.started_s, color=_INK, linewidth=1, linestyle=":", label=label)
    for side, color in (("out", _HIGH), ("in", _LOW)):
        cooldowns = [each for each in record.cooldowns if each.side == side]
        for number, cooldown in enumerate(cooldowns):
            label = f"cooldown after scale-{side}" if number == 0 else None
            ends = [cooldown.begin_s, min(cooldown.end_s, record.duration_s)]
            axes.plot(ends, [_COOLDOWN_Y] * 2, color=color, linewidth=5, alpha=0.7, label=label)
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_ylabel("instances", color=_INK)


def _known(group: Sequence[Second], name: str) -> Iterator[float]:
    for second in group:
        value = second.latency.p50_ms if name == "p50" else second.latency.p99_ms
        if value is not None:
            yield value


def _spans(record: LoadRecord, side: str) -> list[tuple[float, float]]:
    """From when to when the alarm of that side stood; one that stood at the start began there."""
    spans: list[tuple[float, float]] = []
    stood = record.looks[0].alarm_sides if record.looks else ()
    begin_s = 0.0 if side in stood else None
    for change in record.alarm_changes:
        if change.side != side:
            continue
        if change.state == "ALARM":
            begin_s = change.at_s if begin_s is None else begin_s
        elif begin_s is not None:
            spans.append((begin_s, change.at_s))
            begin_s = None
    if begin_s is not None:
        spans.append((begin_s, record.duration_s))
    return spans


def _draw_latency(axes: Axes, every: Sequence[Second], width_s: int) -> None:
    """The worst second of each column: a peak is not smoothed away."""
    bins = _binned(every, width_s)
    for name, color in (("p50", _P50), ("p99", _P99)):
        values = [
            (start, max(known))
            for start, group in bins.items()
            if (known := list(_known(group, name)))
        ]
        if values:
            times, latencies = zip(*values, strict=True)
            axes.plot(times, latencies, color=color, linewidth=1.5, label=name)
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.yaxis.set_minor_formatter(StrMethodFormatter("{x:g}"))
    axes.set_ylabel("latency, ms", color=_INK)
