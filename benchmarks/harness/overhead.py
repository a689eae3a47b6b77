"""What InvokeEndpoint adds to a direct call of the replica, under an even load."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import partial

from harness.bench import Bench, alternate
from harness.endpoints import CONTENT_TYPE, invocation
from harness.raw_http import Address, address_of, latencies_ms, open_loop_ms
from harness.results import Row, Series, percentile
from harness.servers import Server
from harness.signing import signed

CONNECTIONS = 8
"""Kept alive; the requests of a round go over these."""

_ROUNDS = 4
_WARM_UP = 50
_LIMITS_MS = (("p50", 0.5, 1.0), ("p99", 0.99, 3.0))


@dataclass(frozen=True, kw_only=True)
class EvenLoad:
    """num: requests of a round. They are due at the rate whatever the server does, and each
    latency counts from when its request was due."""

    rate_per_s: float
    num: int

    def latencies_ms(self, address: Address, request: bytes) -> list[float]:
        return open_loop_ms(
            address,
            request,
            rate_per_s=self.rate_per_s,
            num=self.num,
            num_connections=CONNECTIONS,
        )


def added_ms(
    bench: Bench, cloud: Server, direct: Address, load: EvenLoad, *, size_bytes: int, what: str
) -> list[Row]:
    """p50 and p99 through the endpoint `echo` of the cloud, beside those of the bare replica at
    `direct`, with a body of random bytes. `what` names them in the table."""
    body = os.urandom(size_bytes)
    request = signed(
        cloud.client("sagemaker-runtime"),
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
        latencies_ms(address, [one], _WARM_UP)
    found = alternate(
        bench.rounds(_ROUNDS),
        {name: partial(load.latencies_ms, *way) for name, way in ways.items()},
    )

    def series(way: str, share: float) -> Series:
        return Series("ms", tuple(percentile(one, share) for one in found[way]))

    return [
        Row(
            what=f"{what}, {name}",
            fogbank=series("api", share),
            peer=series("direct", share),
            peer_name="direct POST",
            judged="difference",
            limit=limit,
        )
        for name, share, limit in _LIMITS_MS
    ]
