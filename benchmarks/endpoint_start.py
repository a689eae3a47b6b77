"""From CreateEndpoint to InService, beside the same image and model started bare."""

from __future__ import annotations

from itertools import count

from harness.bench import Bench, alternate
from harness.endpoints import EchoEndpoints, bare_replica
from harness.results import Result, Row, Series

NAME = "endpoint_start"
BUDGET = "InService ≤ model load + 1 s"

_LIMIT_S = 1.0
_ROUNDS = 6


def measure(bench: Bench) -> Result:
    numbers = count(1)
    with bench.fogbank() as cloud:
        endpoints = EchoEndpoints(cloud)

        def deployed_s() -> float:
            name = f"echo-{next(numbers)}"
            took = endpoints.create_s(name)
            endpoints.delete(name)
            return took

        def bare_s() -> float:
            with bare_replica(bench.scratch / "bare") as (_, took):
                return took

        bench.say("endpoints")
        found = alternate(bench.rounds(_ROUNDS), {"deployed": deployed_s, "bare": bare_s})
    row = Row(
        what="CreateEndpoint → InService",
        fogbank=Series("s", tuple(found["deployed"])),
        peer=Series("s", tuple(found["bare"])),
        peer_name="the image alone → /ping 200",
        judged="difference",
        limit=_LIMIT_S,
    )
    return Result(rows=[row], notes=["A trivial model; both are asked every 10 ms."])
