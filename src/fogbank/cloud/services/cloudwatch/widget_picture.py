"""The picture of a metric widget: a `Widget` and its series -> a PNG.

Needs Matplotlib, which draws in memory here: no window, no state that outlives a call.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import cycle
from typing import TYPE_CHECKING

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter, date2num
from matplotlib.figure import Figure

from fogbank.cloud.services.cloudwatch.widget import Axis, Level, Line, Side, Widget
from fogbank.cloud.state.metric_math import Series

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

DPI = 100
MAX_LEGEND = 20
"""More lines than that in a legend would leave no room for the plot."""

_PALETTE = ("#1f6fb2", "#d9730d", "#2e8b57", "#c0392b", "#7d5ba6", "#8c6d46", "#c75b9b", "#5f6b73")
_ANNOTATION = "#8a1f3b"


def draw(widget: Widget, series: Sequence[Series]) -> bytes:
    """series: those of `widget.lines`, in their order. The PNG has exactly the widget's size."""
    ink, paper, grid = (
        ("#dfe5ea", "#22303c", "#42525f") if widget.is_dark else ("#22303c", "#ffffff", "#e3e8ec")
    )
    figure = Figure(
        figsize=(widget.width / DPI, widget.height / DPI),
        dpi=DPI,
        layout="constrained",
        facecolor=paper,
    )
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    _dress(axes, widget, ink, paper, grid)
    sides: dict[Side, Axes] = {"left": axes}
    if "right" in {line.side for line in widget.lines} | {level.side for level in widget.levels}:
        sides["right"] = right = axes.twinx()
        right.tick_params(colors=ink, labelsize=8)
        right.spines[:].set_visible(False)
    shown = _draw_lines(widget, series, sides)
    for level in widget.levels:
        _draw_level(sides[level.side], level)
    for moment in widget.moments:
        colour = moment.colour or _ANNOTATION
        at = _place(moment.at.timestamp())
        axes.axvline(at, color=colour, linewidth=1, linestyle="--", zorder=1)
        axes.annotate(
            _plain(moment.label),
            (at, 1.0),
            xycoords=("data", "axes fraction"),
            xytext=(3, -3),
            textcoords="offset points",
            va="top",
            fontsize=8,
            color=colour,
        )
    for side, one in sides.items():
        _scale(one, widget.axes[side], ink)
    for level in widget.levels:
        _shade(sides[level.side], level)
    if shown and widget.legend != "hidden":
        at_right = widget.legend == "right"
        legend = figure.legend(
            handles=shown[:MAX_LEGEND],
            loc="outside right upper" if at_right else "outside lower left",
            ncols=1 if at_right else max(1, min(3, widget.width // 200)),
            frameon=False,
            fontsize=8,
            labelcolor=ink,
        )
        if len(shown) > MAX_LEGEND:
            legend.set_title(f"{MAX_LEGEND} of {len(shown)} lines")
            legend.get_title().set(color=ink, fontsize=8)
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=DPI)
    return stream.getvalue()


def _draw_lines(
    widget: Widget, series: Sequence[Series], sides: Mapping[Side, Axes]
) -> list[Artist]:
    palette = cycle(_PALETTE)
    looks = [(line, line.colour or next(palette)) for line in widget.lines]
    if widget.is_stacked:
        return [
            area
            for side, axes in sides.items()
            for area in _stack(
                axes,
                [
                    (line, colour, found)
                    for (line, colour), found in zip(looks, series, strict=True)
                    if line.side == side
                ],
            )
        ]
    handles: list[Artist] = []
    for (line, colour), found in zip(looks, series, strict=True):
        times, values = _points(found, line.query.period_s)
        # A lone point has no line: without its mark it would not be seen.
        (drawn,) = sides[line.side].plot(
            times,
            values,
            color=colour,
            linewidth=1.5,
            marker="o",
            markersize=3 if len(found) < 60 else 0,
            label=_plain(line.label),
        )
        handles.append(drawn)
    return handles


def _points(series: Series, period_s: int) -> tuple[list[float], list[float]]:
    """The points in their order; a gap in the data is a gap in the line."""
    times: list[float] = []
    values: list[float] = []
    last_s: int | None = None
    for at_s, value in sorted(series.items()):
        if last_s is not None and at_s - last_s > period_s:
            times.append(_place(last_s + period_s))
            values.append(float("nan"))
        times.append(_place(at_s))
        values.append(value)
        last_s = at_s
    return times, values


def _stack(axes: Axes, lines: Sequence[tuple[Line, str, Series]]) -> list[Artist]:
    """Areas on top of each other; a missing value is none."""
    times = sorted({at_s for _, _, series in lines for at_s in series})
    if not times:
        return []
    return list(
        axes.stackplot(
            [_place(at_s) for at_s in times],
            [[series.get(at_s, 0.0) for at_s in times] for _, _, series in lines],
            colors=[colour for _, colour, _ in lines],
            labels=[_plain(line.label) for line, _, _ in lines],
            alpha=0.75,
        )
    )


def _draw_level(axes: Axes, level: Level) -> None:
    colour = level.colour or _ANNOTATION
    axes.axhline(level.value, color=colour, linewidth=1.2, zorder=1)
    if level.until is not None:
        axes.axhline(level.until, color=colour, linewidth=1.2, zorder=1)
        axes.axhspan(level.value, level.until, color=colour, alpha=0.12, linewidth=0)
    axes.annotate(
        _plain(level.label),
        (0.0, level.value),
        xycoords=("axes fraction", "data"),
        xytext=(4, 3),
        textcoords="offset points",
        fontsize=8,
        color=colour,
    )


def _scale(axes: Axes, axis: Axis, ink: str) -> None:
    axes.set_ylabel(_plain(axis.label), color=ink, fontsize=9)
    low, high = axes.get_ylim()
    axes.set_ylim(
        low if axis.minimum is None else axis.minimum,
        high if axis.maximum is None else axis.maximum,
    )


def _shade(axes: Axes, level: Level) -> None:
    """Up to the edge of the plot, so only after that is known."""
    if level.fill is None:
        return
    low, high = axes.get_ylim()
    end = high if level.fill == "above" else low
    axes.axhspan(level.value, end, color=level.colour or _ANNOTATION, alpha=0.12, linewidth=0)


def _dress(axes: Axes, widget: Widget, ink: str, paper: str, grid: str) -> None:
    axes.set_facecolor(paper)
    axes.set_title(_plain(widget.title), color=ink, fontsize=11, loc="left")
    axes.grid(color=grid, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=ink, labelsize=8)
    axes.spines[:].set_visible(False)
    axes.spines["bottom"].set_visible(True)
    axes.spines["bottom"].set_color(ink)
    axes.set_xlim(_place(widget.start.timestamp()), _place(widget.end.timestamp()))
    locator = AutoDateLocator(  # type: ignore[no-untyped-call]
        tz=widget.zone, minticks=3, maxticks=max(3, widget.width // 80)
    )
    formatter = ConciseDateFormatter(locator, tz=widget.zone)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(formatter)
    axes.xaxis.get_offset_text().set_color(ink)
    axes.xaxis.get_offset_text().set_fontsize(8)


def _plain(text: str) -> str:
    """Dollars are dollars: Matplotlib would take what stands between two for a formula."""
    return text.replace("$", r"\$")


def _place(second: float) -> float:
    """Where a moment is on Matplotlib's axis of dates, which counts days."""
    place: float = date2num(datetime.fromtimestamp(second, UTC))  # type: ignore[no-untyped-call]
    return float(place)
