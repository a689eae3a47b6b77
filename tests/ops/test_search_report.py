"""The table and the picture of a search."""

from __future__ import annotations

import csv
import io
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from fogbank.core.errors import WorldError
from fogbank.ops.search import Axis, Search
from fogbank.ops.search_report import drawer, render_table, write_report
from ops.test_search import search_of


def fake_draw(search: Search) -> bytes:
    return search.name.encode()


def test_the_table_has_every_trial_and_the_best_so_far() -> None:
    rows = list(csv.reader(io.StringIO(render_table(search_of(0.5, None, 0.25, 0.75)))))
    assert rows[0] == [
        "trial",
        "training_job",
        "status",
        "loss",
        "best_so_far",
        "lr",
        "size",
        "seconds",
        "reason",
    ]
    assert [row[0] for row in rows[1:]] == ["1", "2", "3", "4"]
    assert [row[3] for row in rows[1:]] == ["0.5", "", "0.25", "0.75"]
    assert [row[4] for row in rows[1:]] == ["0.5", "0.5", "0.25", "0.25"]
    assert rows[2][2:] == [
        "Failed",
        "",
        "0.5",
        "0.002",
        "32",
        "12.3",
        "AlgorithmError: it raised\nmore",
    ]


def test_a_report_that_is_there_is_not_written_again(tmp_path: Path) -> None:
    first = write_report(tmp_path, search_of(0.5), fake_draw)
    assert first.picture is not None
    first.picture.write_bytes(b"seen")
    assert write_report(tmp_path, search_of(0.5), fake_draw) == first
    assert first.picture.read_bytes() == b"seen"
    assert write_report(tmp_path, search_of(0.5, 0.25), fake_draw) == first
    assert first.picture.read_bytes() == b"pets-1"


def test_without_matplotlib_there_is_a_table_and_no_picture_of_something_else(
    tmp_path: Path,
) -> None:
    write_report(tmp_path, search_of(0.5), fake_draw)
    report = write_report(tmp_path, search_of(0.25), None)
    assert report.picture is None
    assert [path.name for path in report.table.parent.iterdir()] == ["tuning.csv"]


def test_nothing_draws_where_matplotlib_is_not_installed() -> None:
    program = (
        "import sys; sys.modules['matplotlib'] = None; "
        "from fogbank.ops.search_report import drawer; print(drawer())"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert found.stdout == "None\n", found.stderr


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "report").write_text("a file")
    with pytest.raises(WorldError, match="cannot be written"):
        write_report(tmp_path, search_of(0.5), fake_draw)


AXES = (
    Axis(name="lr", low=1e-4, high=0.1, scale="log"),
    Axis(name="momentum", low=0.5, high=0.999, scale="reverse_log"),
    Axis(name="depth", low=1, high=5, is_whole=True),
    Axis(name="size", values=("32", "64")),
    Axis(name="backbone", values=("efficientnet_lite0", "vit_base_patch16_224", "resnet50")),
)


@pytest.mark.parametrize(
    ("objectives", "num_axes"),
    [
        ((0.5, None, 0.25, 0.75), 3),
        ((0.5,), 1),
        ((None, None), 3),
        ((0.0001, 1.0, None), 5),
        ((-1.0, 1.0), 1),
        ((0.5, 0.5), 1),
    ],
)
def test_the_picture_is_a_png_whatever_was_found(
    objectives: tuple[float | None, ...], num_axes: int
) -> None:
    pytest.importorskip("matplotlib")
    draw = drawer()
    assert draw is not None
    search = search_of(*objectives)
    values = {"lr": "0.01", "momentum": "0.9", "depth": "3", "size": "64", "backbone": "resnet50"}
    trials = tuple(replace(trial, hyperparameters=values) for trial in search.trials)
    picture = draw(replace(search, axes=AXES[:num_axes], trials=trials))
    assert picture.startswith(b"\x89PNG\r\n\x1a\n")
    assert picture.endswith(b"IEND\xaeB`\x82")
    assert _size(picture) == (1440, {1: 907, 3: 907, 5: 1296}[num_axes])


def _size(picture: bytes) -> tuple[int, int]:
    """Width and height of a PNG, px."""
    return int.from_bytes(picture[16:20]), int.from_bytes(picture[20:24])


def test_the_picture_changes_with_what_it_shows() -> None:
    pytest.importorskip("matplotlib")
    draw = drawer()
    assert draw is not None
    assert draw(search_of(0.5, 0.25)) == draw(search_of(0.5, 0.25))
    assert draw(search_of(0.5, 0.25)) != draw(search_of(0.5, None))
