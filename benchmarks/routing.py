"""What InvokeEndpoint adds to a direct call with 1, 2 and 4 replicas, under an even load.

As `gateway_overhead`, with an endpoint that is scaled out between the measurements: choosing among
replicas, and counting what is in flight to each, has to cost nothing.
"""

from __future__ import annotations

import time
from typing import Any

from harness.bench import Bench
from harness.endpoints import EchoEndpoints, bare_replica
from harness.overhead import CONNECTIONS, EvenLoad, added_ms
from harness.results import Result, Row

NAME = "routing"
BUDGET = "InvokeEndpoint adds p50 ≤ 1 ms, p99 ≤ 3 ms with 1, 2 and 4 replicas at 100 req/s"

_LOAD = EvenLoad(rate_per_s=100, num=400)
_BODY_BYTES = 1024
_REPLICAS = (1, 2, 4)
_LIMIT_S = 60


def measure(bench: Bench) -> Result:
    rows: list[Row] = []
    with bench.fogbank() as cloud:
        endpoints = EchoEndpoints(cloud)
        endpoints.create_s("echo")
        sagemaker = cloud.client("sagemaker")
        with bare_replica(bench.scratch / "bare", endpoints.replica_cpus()) as (direct, _):
            for num_replicas in _REPLICAS:
                bench.say(f"{num_replicas} replicas at {_LOAD.rate_per_s} req/s")
                _scale(sagemaker, num_replicas)
                what = f"InvokeEndpoint, {num_replicas} replicas"
                rows += added_ms(bench, cloud, direct, _LOAD, size_bytes=_BODY_BYTES, what=what)
    notes = [
        f"1 KB, {_LOAD.num} requests a round over {CONNECTIONS} kept-alive connections, signed "
        "beforehand; the strategy is RANDOM.",
        "The direct calls go to one replica beside those of the endpoint: the same image and model "
        "without a cloud. The replicas share the cores of this machine.",
    ]
    return Result(rows=rows, notes=notes)


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
