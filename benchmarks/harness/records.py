"""Results -> files that stay: one JSON record a benchmark and day, and the day's table."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from harness.results import Result, Row, Series

RECORDS = Path(__file__).resolve().parents[1] / "records"
COLUMNS = ("measured", "Fogbank", "peer", "compared", "budget", "verdict")


def cells(row: Row) -> tuple[str, ...]:
    """A row's texts, one for each of COLUMNS."""
    peer = f"{row.peer_name}: {row.peer}" if row.peer else ""
    return row.what, str(row.fogbank), peer, row.compared, row.budget, row.verdict


def document(result: Result, about: Mapping[str, Any]) -> dict[str, Any]:
    """The record: `about` (name, date, machine ...), then rows with all their values."""
    rows = [
        {
            **asdict(row),
            "median": row.fogbank.median,
            "peer_median": row.peer.median if row.peer else None,
            "difference_median": row.difference_median,
            "ratio": row.ratio,
            "verdict": row.verdict,
        }
        for row in result.rows
    ]
    return {**about, "rows": rows, "notes": list(result.notes)}


def write(record: Mapping[str, Any], folder: Path = RECORDS) -> Path:
    """Write the record, and the day's table anew from all of that day's records."""
    folder.mkdir(exist_ok=True)
    day = record["date"][:10]
    path = folder / f"{day}_{record['name']}.json"
    path.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    found = [json.loads(one.read_text("utf-8")) for one in sorted(folder.glob(f"{day}_*.json"))]
    (folder / f"{day}.md").write_text(table(day, found), encoding="utf-8")
    return path


def table(day: str, found: Iterable[Mapping[str, Any]]) -> str:
    """Markdown: one section a benchmark."""
    lines = [f"# Benchmarks of {day}", ""]
    lines.append("Medians (lowest–highest of the rounds); made by `benchmarks/run.py`.")
    for record in sorted(found, key=lambda one: str(one["date"])):
        lines += ["", f"## {record['name']}", "", f"Budget: {record['budget']}.", ""]
        lines += [f"| {' | '.join(COLUMNS)} |", f"|{'---|' * len(COLUMNS)}"]
        lines += [f"| {' | '.join(cells(_row(row)))} |" for row in record["rows"]]
        lines += ["", *(f"- {note}" for note in record["notes"]), f"- {_surroundings(record)}"]
    return "\n".join(lines) + "\n"


def _row(saved: Mapping[str, Any]) -> Row:
    names = ("what", "peer_name", "better", "judged", "limit")
    peer = saved["peer"]
    return Row(
        fogbank=_series(saved["fogbank"]),
        peer=_series(peer) if peer else None,
        **{name: saved[name] for name in names},
    )


def _series(saved: Mapping[str, Any]) -> Series:
    return Series(saved["unit"], tuple(saved["values"]))


def _surroundings(record: Mapping[str, Any]) -> str:
    machine, versions = record["machine"], record["versions"]
    load = ", ".join(str(value) for value in record["load_before"])
    packages = ", ".join(f"{name} {number}" for name, number in versions.items())
    return (
        f"{record['date']}, {record['seconds']} s, commit {record['commit']}; {machine['cpu']}, "
        f"{machine['cores']} cores, {machine['memory_gib']} GiB, {machine['kernel']}; load before "
        f"(1, 5, 15 min) {load}; {packages}."
    )
