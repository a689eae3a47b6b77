"""What InvokeEndpoint adds to a direct call of the replica, under an even load.

An echo model, once behind the API and once served bare by the same image; 200 requests a second
are due whatever the server does, and each latency counts from when its request was due.
"""

from __future__ import annotations

from harness.bench import Bench
from harness.endpoints import EchoEndpoints, bare_replica
from harness.overhead import CONNECTIONS, EvenLoad, added_ms
from harness.results import Result, Row

NAME = "gateway_overhead"
BUDGET = "InvokeEndpoint adds p50 ≤ 1 ms, p99 ≤ 3 ms at 200 req/s"

_LOAD = EvenLoad(rate_per_s=200, num=800)
_BODIES = (("1 KB", 1024), ("100 KB", 100 * 1024))


def measure(bench: Bench) -> Result:
    rows: list[Row] = []
    with bench.fogbank() as cloud:
        endpoints = EchoEndpoints(cloud)
        endpoints.create_s("echo")
        with bare_replica(bench.scratch / "bare", endpoints.replica_cpus()) as (direct, _):
            for label, size_bytes in _BODIES:
                bench.say(f"{label} at {_LOAD.rate_per_s} req/s")
                what = f"InvokeEndpoint {label}"
                rows += added_ms(bench, cloud, direct, _LOAD, size_bytes=size_bytes, what=what)
    notes = [
        f"{_LOAD.num} requests a round over {CONNECTIONS} kept-alive connections, signed "
        "beforehand; the gateway verifies each signature and the body's SHA-256.",
        "The difference is taken round by round. The model echoes: an answer is as large as its "
        "request, where a classifier's would be small.",
    ]
    return Result(rows=rows, notes=notes)
