"""From CreateTrainingJob to the first line of the script, beside the same interpreter bare."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from harness.bench import Bench, alternate
from harness.jobs import BUCKET, SCRIPT, JobTimes, TimedJobs
from harness.results import Result, Row, Series

NAME = "job_start"
BUDGET = "first line of the script ≤ 0.5 s beyond the interpreter's own start"

_LIMIT_S = 0.5
_ROUNDS = 10
_NUM_OBJECTS = 10


def measure(bench: Bench) -> Result:
    script = bench.scratch / "script.py"
    script.write_text(SCRIPT)
    jobs: list[JobTimes] = []
    with bench.fogbank() as cloud:
        timed = TimedJobs(cloud)
        for number in range(_NUM_OBJECTS):
            timed.s3.put_object(Bucket=BUCKET, Key=f"train/{number}.txt", Body=b"an object")

        def job_s() -> float:
            times = timed.run("train")
            if times.num_files != _NUM_OBJECTS:
                raise RuntimeError(f"the job saw {times.num_files} of {_NUM_OBJECTS} files")
            jobs.append(times)
            return times.first_line

        bench.say("jobs")
        found = alternate(bench.rounds(_ROUNDS), {"job": job_s, "bare": lambda: _bare_s(script)})
        engine = cloud.facts["engine_reason"]
    rows = [
        Row(
            what="CreateTrainingJob → first line",
            fogbank=Series("s", tuple(found["job"])),
            peer=Series("s", tuple(found["bare"])),
            peer_name="python script.py",
            judged="difference",
            limit=_LIMIT_S,
        ),
        *_where(jobs[1:]),
    ]
    return Result(rows=rows, notes=[f"Engine: {engine}.", "Process starts are exact to 10 ms."])


def _bare_s(script: Path) -> float:
    began = time.time()
    done = subprocess.run(
        [sys.executable, "--", script],
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    first_line: float = json.loads(done.stdout.partition(" ")[2])["first_line"]
    return first_line - began


def _where(jobs: list[JobTimes]) -> list[Row]:
    """Where the time goes: the steps one after the other."""
    steps = {
        "CreateTrainingJob answered": [job.answered for job in jobs],
        "sent → Downloading": [job.downloading for job in jobs],
        "Downloading → Training": [job.training - job.downloading for job in jobs],
        "Training → toolkit's process": [job.toolkit_started - job.training for job in jobs],
        "toolkit's process → script's": [job.script_started - job.toolkit_started for job in jobs],
        "script's process → first line": [job.first_line - job.script_started for job in jobs],
    }
    return [
        Row(what=f"… {name}", fogbank=Series("ms", tuple(1e3 * value for value in values)))
        for name, values in steps.items()
    ]
