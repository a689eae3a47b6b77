"""The picture of a search: the objective over the trials, and over each hyperparameter.

Comes in: a search. Goes out: a PNG. Needs Matplotlib, which draws in memory here: no window, no
state that outlives a call.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, MaxNLocator

from fogbank.ops.search import Axis, Search, Trial, shown_number, shown_value

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH_IN, OVERVIEW_IN, ROW_IN = 10.0, 3.6, 2.7
DPI = 144
NUM_COLUMNS = 3

_INK, _FAINT, _GRID = "#22303c", "#6b7885", "#e3e8ec"
_POINT, _BEST, _FAILED = "#1f6fb2", "#d9730d", "#c0392b"
_BOTTOM = 0.04
"""Height of the marks of trials without an objective, as a share of the axes."""
_MAX_LABEL = 14


def draw(search: Search) -> bytes:
    """The PNG."""
    num_rows = math.ceil(len(search.axes) / NUM_COLUMNS)
    heights = [OVERVIEW_IN, *[ROW_IN] * num_rows]
    figure = Figure(figsize=(WIDTH_IN, sum(heights)), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    num_columns = min(NUM_COLUMNS, max(1, len(search.axes)))
    grid = figure.add_gridspec(1 + num_rows, num_columns, height_ratios=heights)
    overview = figure.add_subplot(grid[0, :])
    _draw_overview(overview, search)
    for index, axis in enumerate(search.axes):
        row, column = divmod(index, num_columns)
        axes = figure.add_subplot(grid[1 + row, column], sharey=overview)
        _draw_axis(axes, search, axis, is_first=column == 0)
    stream = io.BytesIO()
    _make_room_below(overview, search)
    figure.legend(
        handles=list(_explained(search)),
        loc="outside lower center",
        ncols=6,
        frameon=False,
        fontsize=9,
        labelcolor=_INK,
    )
    figure.savefig(stream, format="png", facecolor="white")
    return stream.getvalue()


def _draw_overview(axes: Axes, search: Search) -> None:
    _dress(axes)
    axes.set_title(_title(search), color=_INK, fontsize=11, loc="left")
    axes.set_xlabel("trial", color=_INK)
    axes.set_ylabel(search.metric, color=_INK)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=15))
    last = max((trial.number for trial in search.trials), default=1)
    axes.set_xlim(0.5, last + 0.5)
    if search.is_logarithmic:
        axes.set_yscale("log")
    best = [
        (trial.number, value)
        for trial, value in zip(search.trials, search.best_so_far(), strict=True)
        if value is not None
    ]
    if best:
        numbers, values = zip(*[*best, (last + 0.5, best[-1][1])], strict=True)
        axes.step(numbers, values, where="post", color=_BEST, linewidth=1.5, zorder=2)
    for trial in search.trials:
        _mark(axes, search, trial, trial.number)


def _make_room_below(axes: Axes, search: Search) -> None:
    """For the marks of trials without an objective, so that they meet no points."""
    if all(trial.objective is not None for trial in search.trials):
        return
    low, high = axes.get_ylim()
    share = 2 * _BOTTOM
    if search.is_logarithmic:
        axes.set_ylim(low / (high / low) ** share, high)
    else:
        axes.set_ylim(low - (high - low) * share, high)


def _title(search: Search) -> str:
    verb = "maximize" if search.goal == "Maximize" else "minimize"
    best = search.best
    found = (
        f"best {shown_number(best.objective)} in trial {best.number}"
        if best is not None and best.objective is not None
        else "nothing found"
    )
    return f"{search.name}: {verb} {search.metric}, {found}"


def _draw_axis(axes: Axes, search: Search, axis: Axis, *, is_first: bool) -> None:
    _dress(axes)
    axes.set_xlabel(axis.name, color=_INK)
    if is_first:
        axes.set_ylabel(search.metric, color=_INK)
    else:
        axes.tick_params(labelleft=False)
    if axis.values:
        _scale_categories(axes, axis)
    else:
        _scale_numbers(axes, axis)
    met: dict[float, int] = {}
    for trial in search.trials:
        position = axis.position(trial.hyperparameters.get(axis.name, ""))
        if position is None:
            continue
        if axis.values:
            # Side by side, so that equal objectives do not hide each other.
            met[position] = met.get(position, -1) + 1
            position += (0.0, -0.2, 0.2, -0.1, 0.1)[met[position] % 5]
        _mark(axes, search, trial, position)


def _scale_categories(axes: Axes, axis: Axis) -> None:
    labels = [_short(shown_value(value)) for value in axis.values]
    is_crowded = sum(map(len, labels)) > 24
    axes.set_xlim(-0.5, len(labels) - 0.5)
    axes.set_xticks(
        range(len(labels)),
        labels,
        rotation=35 if is_crowded else 0,
        ha="right" if is_crowded else "center",
        rotation_mode="anchor",
    )


def _scale_numbers(axes: Axes, axis: Axis) -> None:
    if axis.scale == "reverse_log":
        _scale_reversed(axes, axis)
    elif axis.scale == "log":
        axes.set_xscale("log")
        margin = (axis.high / axis.low) ** 0.05
        axes.set_xlim(axis.low / margin, axis.high * margin)
    else:
        if axis.is_whole:
            axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
        margin = (axis.high - axis.low) * 0.05
        axes.set_xlim(axis.low - margin, axis.high + margin)


def _scale_reversed(axes: Axes, axis: Axis) -> None:
    """Fine near 1: 0.9, 0.99 and 0.999 are equally far apart."""
    import numpy as np

    def forward(x: Any) -> Any:
        return -np.log1p(-np.minimum(x, 1 - 1e-12))

    def inverse(x: Any) -> Any:
        return -np.expm1(-x)

    axes.set_xscale("function", functions=(forward, inverse))
    start, end = float(forward(axis.low)), float(forward(axis.high))
    margin = (end - start) * 0.05
    axes.set_xlim(float(inverse(start - margin)), float(inverse(end + margin)))
    ticks = [tick for tick in (0.0, 0.5, 0.9, 0.99, 0.999, 0.9999) if axis.low <= tick <= axis.high]
    axes.xaxis.set_major_locator(FixedLocator(ticks if len(ticks) > 1 else [axis.low, axis.high]))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")


def _mark(axes: Axes, search: Search, trial: Trial, x: float) -> None:
    if trial.objective is None:
        axes.plot(
            x,
            _BOTTOM,
            marker="x" if trial.status == "Failed" else "|",
            markersize=7,
            color=_FAILED if trial.status == "Failed" else _FAINT,
            transform=axes.get_xaxis_transform(),
            clip_on=False,
            zorder=4,
        )
        return
    is_best = search.best is trial
    later = trial.number / max(len(search.trials), 1)
    colour = _BEST if is_best else to_rgba(_POINT, 0.3 + 0.7 * later)
    axes.plot(
        x,
        trial.objective,
        marker="*" if is_best else "o",
        markersize=14 if is_best else 7,
        markerfacecolor="white" if trial.status == "Stopped" and not is_best else colour,
        markeredgecolor="white" if is_best else colour,
        markeredgewidth=1.2,
        linestyle="none",
        zorder=5 if is_best else 3,
    )


def _explained(search: Search) -> Iterator[Line2D]:
    """The legend: of what there is."""

    def mark(label: str, **look: Any) -> Line2D:
        return Line2D([], [], label=label, **{"linestyle": "none", **look})

    def has(status: str, *, objective: bool) -> bool:
        return any(
            trial.status == status and (trial.objective is not None) == objective
            for trial in search.trials
        )

    if search.best is not None:
        yield mark("best", marker="*", color=_BEST, markersize=12)
        yield mark("best so far", color=_BEST, linestyle="-")
    if has("Completed", objective=True):
        yield mark("trial (later is darker)", marker="o", color=_POINT)
    if has("Stopped", objective=True):
        yield mark("stopped", marker="o", markerfacecolor="white", markeredgecolor=_POINT)
    if any(t.objective is None and t.status != "Failed" for t in search.trials):
        yield mark("no value", marker="|", color=_FAINT)
    if has("Failed", objective=False):
        yield mark("failed", marker="x", color=_FAILED)


def _dress(axes: Axes) -> None:
    axes.grid(color=_GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=_FAINT, labelsize=9)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(_FAINT)


def _short(text: str) -> str:
    return text if len(text) <= _MAX_LABEL else text[: _MAX_LABEL - 1] + "…"
