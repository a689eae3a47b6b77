"""The picture of a comparison: the load, and the instances that each target would have, over time.

In: rows. Out: a PNG. Needs Matplotlib, which draws in memory here.
"""

from __future__ import annotations

import io
from collections.abc import Sequence

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from fogbank.planner.scaling_comparison import Row
from fogbank.planner.scaling_simulation import MINUTE_S, LoadPerS

WIDTH_IN, ROW_IN, DPI = 10.0, 1.6, 144

_INK, _FAINT, _GRID, _LOAD, _SERVING = "#22303c", "#6b7885", "#e3e8ec", "#1f6fb2", "#2e8b57"


def draw(rows: Sequence[Row], load_per_s: LoadPerS) -> bytes:
    """The PNG."""
    figure = Figure(
        figsize=(WIDTH_IN, ROW_IN * (len(rows) + 1) + 0.6), dpi=DPI, layout="constrained"
    )
    FigureCanvasAgg(figure)
    minutes = len(rows[0].simulation.instances)
    hours = [minute / 60 for minute in range(minutes + 1)]
    load, *rest = figure.subplots(len(rows) + 1, 1, sharex=True)
    rates = [load_per_s(minute * MINUTE_S + MINUTE_S / 2) for minute in range(minutes)]
    load.stairs(rates, hours, fill=True, color=_LOAD, alpha=0.55)
    load.set_title("requests a second", fontsize=10, color=_INK, loc="left")
    load.set_ylim(0, None)
    most = max(row.simulation.plan.maximum for row in rows)
    for axes, row in zip(rest, rows, strict=True):
        found = row.simulation
        axes.stairs(found.instances, hours, fill=True, color=_SERVING, alpha=0.55)
        axes.set_title(
            f"instances with target {row.target:g}: {found.instance_hours:.1f} instance-hours, "
            f"{len(found.changes)} activities",
            fontsize=10,
            color=_INK,
            loc="left",
        )
        axes.set_ylim(0, most + 0.5)
        axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    for axes in (load, *rest):
        axes.set_xlim(0, minutes / 60)
        axes.grid(visible=True, color=_GRID, linewidth=0.8)
        axes.set_axisbelow(True)
        axes.tick_params(colors=_FAINT, labelsize=9)
        for side in ("top", "right", "left", "bottom"):
            axes.spines[side].set_color(_GRID)
    rest[-1].set_xlabel("hours", color=_INK)
    stream = io.BytesIO()
    figure.savefig(stream, format="png", facecolor="white")
    return stream.getvalue()
