"""The one runner: `python benchmarks/run.py [NAME ...]`, or `make bench` for all.

Runs each benchmark in turn, prints its table, and writes benchmarks/records/<date>_<name>.json and
<date>.md. A budget that is not met is a verdict in the table, not an error.
Exit codes: 0 all measured, 1 a benchmark failed, 2 an unknown name.
"""

from __future__ import annotations

import argparse
import gc
import shlex
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import Any, Protocol

from rich.console import Console
from rich.table import Table

import alarm_evaluation
import channels
import control_plane
import dogs
import endpoint_start
import functions
import gateway_overhead
import job_start
import metrics_growth
import routing
import s3_upload
import trial_start
import tuning
import two_instances
from harness import records, surroundings
from harness.bench import Bench
from harness.results import Result
from harness.servers import MOTO_VERSION


class Benchmark(Protocol):
    """What each benchmark's file has."""

    NAME: str
    BUDGET: str

    def measure(self, bench: Bench) -> Result: ...


BENCHMARKS: tuple[Benchmark, ...] = (
    control_plane,
    gateway_overhead,
    routing,
    s3_upload,
    job_start,
    endpoint_start,
    functions,
    alarm_evaluation,
    metrics_growth,
    channels,
    two_instances,
    trial_start,
    tuning,
    dogs,
)
_STYLES = {"met": "green", "not met": "bold red", "not measured": "yellow", "": ""}


def main() -> int:
    known = {benchmark.NAME: benchmark for benchmark in BENCHMARKS}
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(known))
    parser.add_argument(
        "--quick", action="store_true", help="one round each, without a record: does it run?"
    )
    options = parser.parse_args()
    unknown = set(options.names) - known.keys()
    if unknown:
        parser.error(f"no benchmark {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    console = Console(width=max(120, Console().width))
    failed = [
        name
        for name in options.names or known
        if not _run(known[name], console, quick=options.quick)
    ]
    if failed:
        console.print(f"[bold red]not measured: {', '.join(failed)}[/]")
    return 1 if failed else 0


def _run(benchmark: Benchmark, console: Console, *, quick: bool) -> bool:
    console.rule(f"{benchmark.NAME}: {benchmark.BUDGET}", align="left")
    gc.collect()
    about: dict[str, Any] = {
        "name": benchmark.NAME,
        "budget": benchmark.BUDGET,
        "date": surroundings.now().isoformat(timespec="seconds"),
        "command": shlex.join(["python", "benchmarks/run.py", benchmark.NAME]),
        "commit": surroundings.commit(),
        "machine": surroundings.machine(),
        "versions": {**surroundings.versions(), "moto": MOTO_VERSION},
        "load_before": surroundings.load(),
    }
    began = time.perf_counter()
    with (
        tempfile.TemporaryDirectory(prefix="fogbank-bench-") as folder,
        console.status("") as status,
    ):
        bench = Bench(scratch=Path(folder), quick=quick, say=status.update)
        try:
            result = benchmark.measure(bench)
        except Exception:  # the others are still worth measuring
            traceback.print_exc()
            return False
    result = Result(rows=result.rows, notes=[*bench.notes, *result.notes])
    about["seconds"] = round(time.perf_counter() - began, 1)
    _print(result, console)
    console.print(f"{about['seconds']} s, load before {about['load_before'][0]}\n", style="dim")
    if not quick:
        records.write(records.document(result, about))
    return True


def _print(result: Result, console: Console) -> None:
    table = Table(*records.COLUMNS, box=None, pad_edge=False)
    for row in result.rows:
        table.add_row(*records.cells(row), style=_STYLES[row.verdict])
    console.print(table)
    for note in result.notes:
        console.print(f"- {note}", style="dim")


if __name__ == "__main__":
    sys.exit(main())
