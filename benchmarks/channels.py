"""A channel of 10,000 objects, beside one of 10: what a job waits for its data."""

from __future__ import annotations

from functools import partial

from harness.bench import Bench, alternate
from harness.jobs import BUCKET, JobTimes, TimedJobs
from harness.raw_http import address_of, send_all_s
from harness.results import Result, Row, Series
from harness.signing import signed

NAME = "channels"
BUDGET = "10,000 objects ≤ 1 s without copying"

_LIMIT_S = 1.0
_ROUNDS = 5
_SIZES = {"few": 10, "many": 10_000}
_OBJECT = b"x" * 1000


def measure(bench: Bench) -> Result:
    with bench.fogbank() as cloud:
        timed = TimedJobs(cloud)
        for prefix, num in _SIZES.items():
            bench.say(f"uploading {num} objects")
            requests = [
                signed(
                    timed.s3,
                    "put_object",
                    Bucket=BUCKET,
                    Key=f"{prefix}/class-{number % 10}/{number:05}.png",
                    Body=_OBJECT,
                )
                for number in range(num)
            ]
            send_all_s(address_of(cloud.url), requests, 10)
        bench.say("jobs")
        found = alternate(
            bench.rounds(_ROUNDS), {prefix: partial(_run, timed, prefix) for prefix in _SIZES}
        )
        engine = cloud.facts["engine_reason"]
    few, many = found["few"], found["many"]
    rows = [
        Row(
            what="CreateTrainingJob → first line, 10,000 objects",
            fogbank=Series("s", tuple(job.first_line for job in many)),
            peer=Series("s", tuple(job.first_line for job in few)),
            peer_name="10 objects",
            judged="difference",
            limit=_LIMIT_S,
        ),
        Row(
            what="… Downloading → Training",
            fogbank=Series("s", tuple(job.training - job.downloading for job in many)),
            peer=Series("s", tuple(job.training - job.downloading for job in few)),
            peer_name="10 objects",
            judged="difference",
        ),
        Row(
            what="… the script counts 10,000 files",
            fogbank=Series("s", tuple(job.count_s for job in many)),
        ),
    ]
    return Result(rows=rows, notes=[f"Engine: {engine}."])


def _run(timed: TimedJobs, prefix: str) -> JobTimes:
    times = timed.run(f"{prefix}/")
    if times.num_files != _SIZES[prefix]:
        raise RuntimeError(f"the job saw {times.num_files} of {_SIZES[prefix]} files")
    return times
