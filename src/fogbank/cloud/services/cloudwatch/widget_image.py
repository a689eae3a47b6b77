"""GetMetricWidgetImage (CloudWatch API Reference): a plot of metrics as a PNG."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from importlib.util import find_spec

from fogbank.cloud.context import Context, Params, Result
from fogbank.cloud.errors import ServiceError
from fogbank.cloud.services.base import operation
from fogbank.cloud.services.cloudwatch.parameters import time_range_s
from fogbank.cloud.services.cloudwatch.widget import Widget, read_widget
from fogbank.cloud.state.metric_math import Series
from fogbank.cloud.state.metric_query import MetricReader, Span, invalid
from fogbank.cloud.state.metric_store import MetricStore

MAX_POINTS = 100_800
"""Of all lines together, as in GetMetricData."""


def matplotlib_is_installed() -> bool:
    return find_spec("matplotlib") is not None


class WidgetImages:
    """can_draw: whether Matplotlib is there; it is imported with the first picture."""

    def __init__(
        self, store: MetricStore, *, can_draw: Callable[[], bool] = matplotlib_is_installed
    ) -> None:
        self._reader = MetricReader(store)
        self._can_draw = can_draw
        self._drawing = asyncio.Lock()

    @operation("GetMetricWidgetImage")
    async def get_metric_widget_image(self, context: Context, params: Params) -> Result:
        if params.get("OutputFormat", "png") != "png":
            raise invalid(
                f"The OutputFormat {params['OutputFormat']} is not supported by Fogbank: use png."
            )
        widget = read_widget(params["MetricWidget"], context.received)
        if not self._can_draw():
            raise ServiceError(
                "InternalFailure",
                "Fogbank draws metric widgets with Matplotlib, which is not installed: run "
                "`pip install 'fogbank[plots]'` and start the cloud again.",
                status=500,
            )
        series = self._series(widget, context)
        async with self._drawing:  # Matplotlib draws one picture at a time
            image = await asyncio.to_thread(_draw, widget, series)
        return {"MetricWidgetImage": image}

    def _series(self, widget: Widget, context: Context) -> list[Series]:
        spans = [
            Span(*time_range_s(widget.start, widget.end, line.query.period_s, context.received))
            for line in widget.lines
        ]
        asked = sum(
            (span.end_s - span.start_s) // line.query.period_s
            for span, line in zip(spans, widget.lines, strict=True)
        )
        if asked > MAX_POINTS:
            raise invalid(
                f"The widget has up to {asked:,} datapoints, which exceeds the limit of "
                f"{MAX_POINTS:,}: use a longer period or a shorter time range."
            )
        return [
            self._reader.series(line.query, widget.queries, span)
            for span, line in zip(spans, widget.lines, strict=True)
        ]


def _draw(widget: Widget, series: Sequence[Series]) -> bytes:
    from fogbank.cloud.services.cloudwatch.widget_picture import draw

    return draw(widget, series)
