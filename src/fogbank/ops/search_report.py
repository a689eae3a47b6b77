"""What is written of a search into the project's report folder: a table and a picture.

Comes in: a search. Goes out: `report/tuning.csv` and `report/tuning.png`.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from fogbank.core.errors import WorldError
from fogbank.ops.search import Search

FOLDER = "report"
TABLE_NAME = "tuning.csv"
PICTURE_NAME = "tuning.png"

Draw = Callable[[Search], bytes]
"""A search -> a PNG."""


@dataclass(frozen=True, kw_only=True)
class Report:
    """table, picture: the files. picture is None where nothing could draw it."""

    table: Path
    picture: Path | None


def drawer() -> Draw | None:
    """What draws a search; None where Matplotlib is not installed."""
    try:
        from fogbank.ops.search_picture import draw
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "matplotlib":
            raise
        return None
    return draw


def write_report(folder: Path, search: Search, draw: Draw | None) -> Report:
    """Write both into the project's report folder, unless they are there already. Without `draw`
    there is no picture, also none of an earlier search.

    Raises WorldError where that cannot be written.
    """
    table, picture = folder / FOLDER / TABLE_NAME, folder / FOLDER / PICTURE_NAME
    text = render_table(search)
    try:
        if picture.exists() and table.exists() and table.read_text("utf-8") == text:
            return Report(table=table, picture=picture)
        table.parent.mkdir(exist_ok=True)
        picture.unlink(missing_ok=True)
        table.write_text(text, "utf-8")
        if draw is not None:
            picture.write_bytes(draw(search))
    except (OSError, UnicodeDecodeError) as error:
        raise WorldError(f"{table.parent} cannot be written: {error}") from error
    return Report(table=table, picture=picture if draw is not None else None)


def render_table(search: Search) -> str:
    """The trials as CSV, with a heading."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerows(_rows(search))
    return stream.getvalue()


def _rows(search: Search) -> Iterator[list[object]]:
    names = [axis.name for axis in search.axes]
    yield [
        "trial", "training_job", "status", search.metric, "best_so_far", *names, "seconds", "reason"
    ]  # fmt: skip
    for trial, best in zip(search.trials, search.best_so_far(), strict=True):
        yield [
            trial.number,
            trial.name,
            trial.status,
            "" if trial.objective is None else trial.objective,
            "" if best is None else best,
            *(trial.hyperparameters.get(name, "") for name in names),
            "" if trial.seconds is None else round(trial.seconds, 1),
            trial.reason,
        ]
