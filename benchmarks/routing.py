"""What InvokeEndpoint adds to a direct call with 1, 2 and 4 replicas, under an even load.

As `gateway_overhead`, with an endpoint that is scaled out between the measurements: choosing among
replicas, and counting what is in flight to each, has to cost nothing.
"""

from __future__ import annotations

import os
import time
from functools import partial
from typing import Any

from harness.bench import Bench, alternate
from harness.endpoints import CONTENT_TYPE, EchoEndpoints, bare_replica, invocation
from harness.raw_http import Address, address_of, latencies_ms, open_loop_ms
from harness.results import Result, Row, Series, percentile
from harness.signing import signed

NAME = "routing"
BUDGET = "InvokeEndpoint adds p50 ≤ 1 ms, p99 ≤ 3 ms with 1, 2 and 4 replicas at 100 req/s"

_RATE_PER_S = 100
_NUM = 400
_ROUNDS = 4
_CONNECTIONS = 8
_BODY_BYTES = 1024
_REPLICAS = (1, 2, 4)
_LIMITS_MS = (("p50", 0.5, 1.0), ("p99", 0.99, 3.0))
_LIMIT_S = 60


def measure(bench: Bench) -> Result:
    rows: list[Row] = []
    body = os.urandom(_BODY_BYTES)
    with bench.fogbank() as cloud:
        endpoints = EchoEndpoints(cloud)
        endpoints.create_s("echo")
        sagemaker, runtime = cloud.client("sagemaker"), cloud.client("sagemaker-runtime")
        request = signed(
            runtime,
            "invoke_endpoint",
            EndpointName="echo",
            Body=body,
            ContentType=CONTENT_TYPE,
            Accept=CONTENT_TYPE,
        )
        with bare_replica(bench.scratch / "bare", endpoints.replica_cpus()) as (direct, _):
            ways: dict[str, tuple[Address, bytes]] = {
                "api": (address_of(cloud.url), request),
                "direct": (direct, invocation(body)),
            }
            for num_replicas in _REPLICAS:
                bench.say(f"{num_replicas} replicas at {_RATE_PER_S} req/s")
                _scale(sagemaker, num_replicas)
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
                            what=f"InvokeEndpoint, {num_replicas} replicas, {name}",
                            fogbank=ours,
                            peer=theirs,
                            peer_name="direct POST",
                            judged="difference",
                            limit=limit,
                        )
                    )
    notes = [
        f"1 KB, {_NUM} requests a round over {_CONNECTIONS} kept-alive connections, signed "
        "beforehand; the strategy is RANDOM.",
        "The direct calls go to one replica beside those of the endpoint: the same image and model "
        "without a cloud. The replicas share the cores of this machine.",
    ]
    return Result(rows=rows, notes=notes)


def _load(address: Address, request: bytes) -> list[float]:
    return open_loop_ms(
        address, request, rate_per_s=_RATE_PER_S, num=_NUM, num_connections=_CONNECTIONS
    )


def _scale(sagemaker: Any, num_replicas: int) -> None:
    """Returns when so many serve."""
    sagemaker.update_endpoint_weights_and_capacities(
        EndpointName="echo",
        DesiredWeightsAndCapacities=[
            {"VariantName": "AllTraffic", "DesiredInstanceCount": num_replicas}
        ],
    )
    limit = time.monotonic() + _LIMIT_S
    while time.monotonic() < limit:
        endpoint = sagemaker.describe_endpoint(EndpointName="echo")
        (variant,) = endpoint["ProductionVariants"]
        if endpoint["EndpointStatus"] == "InService":
            if variant["CurrentInstanceCount"] == num_replicas:
                return
            break
        time.sleep(0.1)
    raise RuntimeError(f"the endpoint did not get {num_replicas} replicas: {endpoint}")
