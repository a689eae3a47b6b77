"""GetMetricWidgetImage: what the JSON means, what is refused, and that the picture shows it."""

from __future__ import annotations

import asyncio
import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cloud.aws import NOW, context, refused
from fogbank.cloud.services.cloudwatch.widget import read_widget
from fogbank.cloud.services.cloudwatch.widget_image import WidgetImages
from fogbank.cloud.state.database import Database
from fogbank.cloud.state.metric_query import Watched
from fogbank.cloud.state.metric_store import Metric, MetricStore
from fogbank.testing.clock import ManualClock

CPU = ["/aws/sagemaker/Endpoints", "CPUUtilization", "EndpointName", "dogs"]


def text(**changes: Any) -> str:
    return json.dumps({"metrics": [CPU], **changes})


class Pictures:
    """An endpoint's processors at 40 and 80 percent, minute by minute, for the last half hour."""

    def __init__(self, *, can_draw: bool = True) -> None:
        store = MetricStore(Database(":memory:", schema="telemetry"), ManualClock(NOW))
        for endpoint, value in (("dogs", 40.0), ("cats", 80.0)):
            metric = Metric.of(CPU[0], CPU[1], {"EndpointName": endpoint})
            for minute in range(30):
                at = NOW - timedelta(minutes=minute + 1)
                store.slot_at(metric, "Percent", at, 60).add(value)
        self.room = WidgetImages(store, can_draw=lambda: can_draw)

    def draw(self, widget: str, **params: Any) -> bytes:
        asked = self.room.get_metric_widget_image(
            context(now=NOW), {"MetricWidget": widget, **params}
        )
        image: bytes = asyncio.run(asked)["MetricWidgetImage"]
        return image

    def pixels(self, red: int, green: int, blue: int, **changes: Any) -> int:
        """How many pixels of the picture have about that colour: edges are blended."""
        image = pytest.importorskip("PIL.Image")
        picture = image.open(io.BytesIO(self.draw(text(**changes)))).convert("RGB")
        return sum(
            num
            for num, (r, g, b) in picture.getcolors(1 << 24)
            if max(abs(r - red), abs(g - green), abs(b - blue)) < 80
        )


@pytest.fixture
def pictures() -> Pictures:
    pytest.importorskip("matplotlib")
    return Pictures()


# -- what the JSON means --------------------------------------------------------------------------


@pytest.mark.docs
def test_defaults() -> None:
    widget = read_widget(text(), NOW)
    assert (widget.width, widget.height, widget.title) == (600, 400, "")
    assert (widget.start, widget.end) == (NOW - timedelta(hours=3), NOW)
    assert (widget.zone, widget.is_stacked, widget.is_dark) == (UTC, False, False)
    (line,) = widget.lines
    assert (line.label, line.side, line.query.period_s) == ("CPUUtilization", "left", 300)


@pytest.mark.docs
def test_a_dot_and_three_dots_repeat_the_row_before() -> None:
    rows = [
        [*CPU, "VariantName", "AllTraffic", {"stat": "Maximum", "period": 60}],
        [".", "MemoryUtilization", ".", ".", ".", "."],
        ["...", "Canary"],
        [".", ".", ".", "cats"],
    ]
    queries = read_widget(text(metrics=rows, stat="p90"), NOW).queries
    watched = [query.source for query in queries if isinstance(query.source, Watched)]
    variant = ("VariantName", "AllTraffic")
    assert [(each.metric.name, each.metric.dimensions) for each in watched] == [
        ("CPUUtilization", (("EndpointName", "dogs"), variant)),
        ("MemoryUtilization", (("EndpointName", "dogs"), variant)),
        ("MemoryUtilization", (("EndpointName", "dogs"), ("VariantName", "Canary"))),
        ("MemoryUtilization", (("EndpointName", "cats"),)),
    ]
    assert [each.statistic_name for each in watched] == ["Maximum", "p90", "p90", "p90"]
    assert [query.period_s for query in queries] == [60, 300, 300, 300]


@pytest.mark.docs
def test_an_expression_uses_what_is_not_shown() -> None:
    rows = [
        [*CPU, {"id": "m1", "visible": False}],
        [{"expression": "m1 / 100", "label": "share", "id": "e1", "yAxis": "right"}],
    ]
    widget = read_widget(text(metrics=rows), NOW)
    assert [query.id for query in widget.queries] == ["m1", "e1"]
    (line,) = widget.lines
    assert (line.label, line.side, line.query.source) == ("share", "right", "m1 / 100")


@pytest.mark.docs
@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("-PT3H", NOW - timedelta(hours=3)),
        ("-P1D", NOW - timedelta(days=1)),
        ("-P2WT1M", NOW - timedelta(weeks=2, minutes=1)),
        ("2026-11-21T11:00:00Z", NOW - timedelta(hours=1)),
        ("2026-11-21T11:00:00", datetime(2026, 11, 21, 11, tzinfo=UTC)),
        ("2026-11-21T11:00:00+02:00", NOW - timedelta(hours=3)),
    ],
)
def test_times(given: str, meant: datetime) -> None:
    assert read_widget(text(start=given), NOW).start == meant


def test_lines_of_one_name_are_told_apart_by_their_dimensions() -> None:
    rows = [CPU, [*CPU[:3], "cats"]]
    labels = [line.label for line in read_widget(text(metrics=rows), NOW).lines]
    assert labels == ["dogs CPUUtilization", "cats CPUUtilization"]


@pytest.mark.parametrize(
    ("widget", "words"),
    [
        ("{", "not valid JSON"),
        ("[" * 100_000, "not valid JSON"),
        ("[]", "must be an object"),
        ("{}", "metrics"),
        (text(metrics=[]), "at least one"),
        (text(metrics=[["AWS/SageMaker"]]), "metrics[0]"),
        (text(metrics=[[".", "."]]), "metrics[0]"),
        (text(metrics=[["...", "."]]), "metrics[0]"),
        (text(metrics=[["AWS/SageMaker", 3]]), "metrics[0]"),
        (text(metrics=[[*CPU, {"colour": "red"}]]), "metrics[0].colour"),
        (text(metrics=[[*CPU, {"color": "red"}]]), "metrics[0].color"),
        (text(metrics=[[*CPU, {"stat": "Mean"}]]), "Mean"),
        (text(metrics=[[*CPU, {"expression": "1"}]]), "only one"),
        (text(metrics=[[{"expression": "m9 * 2"}]]), "m9"),
        (text(metrics=[[{"expression": "SEARCH('a', 'Sum', 60)"}]]), "SEARCH"),
        (text(period=61), "Period"),
        (text(period="60"), "period"),
        (text(width=0), "width"),
        (text(height=2001), "height"),
        (text(start="yesterday"), "start"),
        (text(start="-P"), "start"),
        (text(start="-PT99999999999H"), "start"),
        (text(start="0001-01-01T00:00:00+14:00"), "start"),
        (text(start="PT0H", end="-PT1H"), "before end"),
        (text(view="pie"), "view"),
        (text(sparkline=True), "sparkline"),
        (text(timezone="CET"), "timezone"),
        (text(theme="pink"), "theme"),
        (text(legend={"position": "top"}), "legend.position"),
        (text(yAxis={"left": {"min": 2, "max": 1}}), "yAxis.left"),
        (text(annotations={"alarms": ["arn"]}), "annotations.alarms"),
        (text(annotations={"horizontal": [{"label": "x"}]}), "horizontal[0].value"),
        (text(annotations={"horizontal": [{"value": float("nan")}]}), "horizontal[0].value"),
        (text(annotations={"horizontal": [{"value": 10**400}]}), "horizontal[0].value"),
    ],
)
def test_what_is_no_widget_is_refused(widget: str, words: str) -> None:
    with refused("ValidationError", 400, words):
        read_widget(widget, NOW)


# -- the picture ----------------------------------------------------------------------------------


@pytest.mark.docs
def test_the_picture_has_the_size_and_shows_the_lines(pictures: Pictures) -> None:
    rows = [[*CPU, {"color": "#ff0000"}], [*CPU[:3], "cats", {"color": "#00ff00"}]]
    image = pictures.draw(text(metrics=rows, width=400, height=200, title="cost: $5 of $9"))
    assert image[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = (int.from_bytes(image[at : at + 4], "big") for at in (16, 20))
    assert (width, height) == (400, 200)
    assert pictures.pixels(255, 0, 0, metrics=rows) > 50
    assert pictures.pixels(0, 255, 0, metrics=rows) > 50
    assert pictures.pixels(0, 255, 0, metrics=rows[:1]) == 0


@pytest.mark.docs
def test_annotations_axes_and_stacks_are_drawn(pictures: Pictures) -> None:
    widget: dict[str, Any] = {
        "metrics": [[*CPU, {"color": "#ff0000"}], [*CPU[:3], "cats", {"yAxis": "right"}]],
        "annotations": {
            "horizontal": [
                {"value": 50, "color": "#0000ff", "label": "limit", "fill": "above"},
                [{"value": 10, "label": "band"}, {"value": 20}],
            ],
            "vertical": [{"value": "2026-11-21T11:45:00Z", "color": "#00ffff", "label": "now"}],
        },
        "yAxis": {"left": {"min": 0, "max": 100, "label": "percent"}},
        "legend": {"position": "right"},
        "theme": "dark",
    }
    for colour in ((255, 0, 0), (0, 0, 255), (0, 255, 255)):
        assert pictures.pixels(*colour, **widget) > 20
    red = [[*CPU, {"color": "#ff0000"}]]
    assert pictures.pixels(255, 64, 64, metrics=red, stacked=True) > 1000
    assert pictures.pixels(255, 64, 64, metrics=red) < 1000


def test_a_widget_without_data_is_an_empty_plot(pictures: Pictures) -> None:
    assert pictures.draw(text(metrics=[["AWS/SageMaker", "Invocations"]])).startswith(b"\x89PNG")
    assert pictures.draw(text(metrics=[["A", "b"]], stacked=True)).startswith(b"\x89PNG")


def test_what_cannot_be_drawn_is_refused(pictures: Pictures) -> None:
    with refused("ValidationError", 400, "image/png"):
        pictures.draw(text(), OutputFormat="image/png")
    with refused("ValidationError", 400, "100,800"):
        pictures.draw(text(start="-P3D", period=1))
    with refused("InternalFailure", 500, "fogbank[plots]"):
        Pictures(can_draw=False).draw(text())
