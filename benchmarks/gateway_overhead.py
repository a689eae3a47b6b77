"""What InvokeEndpoint adds to a direct call of the replica, under an even load.

An echo model, once behind the API and once served bare by the same image; 200 requests a second
are due whatever the server does, and each latency counts from when its request was due.
"""

from __future__ import annotations

import os
from functools import partial

from harness.bench import Bench, alternate
from harness.endpoints import CONTENT_TYPE, EchoEndpoints, bare_replica, invocation
from harness.raw_http import Address, address_of, latencies_ms, open_loop_ms
from harness.results import Result, Row, Series, percentile
from harness.signing import signed

NAME = "gateway_overhead"
BUDGET = "InvokeEndpoint adds p50 ≤ 1 ms, p99 ≤ 3 ms at 200 req/s"

_RATE_PER_S = 200
_NUM = 800
_ROUNDS = 4
_CONNECTIONS = 8
_LIMITS_MS = (("p50", 0.5, 1.0), ("p99", 0.99, 3.0))
_BODIES = (("1 KB", 1024), ("100 KB", 100 * 1024))


def measure(bench: Bench) -> Result:
    rows: list[Row] = []
    with bench.fogbank() as cloud:
        endpoints = EchoEndpoints(cloud)
        endpoints.create_s("echo")
        runtime = cloud.client("sagemaker-runtime")
        with bare_replica(bench.scratch / "bare", endpoints.replica_cpus()) as (direct, _):
            for label, size_bytes in _BODIES:
                bench.say(f"{label} at {_RATE_PER_S} req/s")
                body = os.urandom(size_bytes)
                request = signed(
                    runtime,
                    "invoke_endpoint",
                    EndpointName="echo",
                    Body=body,
                    ContentType=CONTENT_TYPE,
                    Accept=CONTENT_TYPE,
                )
                ways: dict[str, tuple[Address, bytes]] = {
                    "api": (address_of(cloud.url), request),
                    "direct": (direct, invocation(body)),
                }
                for address, one in ways.values():
                    latencies_ms(address, [one], 50)
                found = alternate(
                    bench.rounds(_ROUNDS),
                    {name: partial(_load, *way) for name, way in ways.items()},
                )
                for name, share, limit in _LIMITS_MS:
                    ours, theirs = (
                        Series("ms", tuple(percentile(one, share) for one in found[way]))
                        for way in ("api", "direct")
                    )
                    rows.append(
                        Row(
                            what=f"InvokeEndpoint {label}, {name}",
                            fogbank=ours,
                            peer=theirs,
                            peer_name="direct POST",
                            judged="difference",
                            limit=limit,
                        )
                    )
    notes = [
        f"{_NUM} requests a round over {_CONNECTIONS} kept-alive connections, signed beforehand; "
        "the gateway verifies each signature and the body's SHA-256.",
        "The difference is taken round by round. The model echoes: an answer is as large as its "
        "request, where a classifier's would be small.",
    ]
    return Result(rows=rows, notes=notes)


def _load(address: Address, request: bytes) -> list[float]:
    return open_loop_ms(
        address, request, rate_per_s=_RATE_PER_S, num=_NUM, num_connections=_CONNECTIONS
    )
