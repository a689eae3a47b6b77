"""Transfer learning on ten dog breeds: runs `vision_dogs.py` and takes its record over."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from harness.bench import Bench
from harness.results import Result, Row, Series

NAME = "vision_dogs"
BUDGET = "validation accuracy ≥ 0.93 with the frozen default backbone"

_SCRIPT = Path(__file__).with_name("vision_dogs.py")
_LIMIT = 0.93
_SEEDS = 2


def measure(bench: Bench) -> Result:
    out = bench.scratch / "record.json"
    bench.say("training")
    done = subprocess.run(
        [sys.executable, _SCRIPT, "--seeds", str(bench.rounds(_SEEDS)), "--out", out],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{_SCRIPT.name} ended with {done.returncode}: {done.stderr[-2000:]}")
    if not out.exists():
        return Result(rows=[], notes=[done.stdout.strip()])
    runs = json.loads(out.read_text())["runs"]
    rows = [
        Row(
            what="validation accuracy",
            fogbank=Series("", tuple(run["valid_accuracy"] for run in runs)),
            better="higher",
            limit=_LIMIT,
        ),
        Row(what="one training job", fogbank=Series("s", tuple(run["seconds"] for run in runs))),
    ]
    return Result(rows=rows, notes=["One run a seed; seconds include start and imports."])
