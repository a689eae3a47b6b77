"""Invocations of a trivial function: warm, cold, and a thousand in a row."""

from __future__ import annotations

import re
import time
from base64 import b64decode
from collections.abc import Callable

import psutil

from harness.bench import Bench, alternate
from harness.functions import EVENT, EchoFunction, bare_runtime
from harness.raw_http import address_of, latencies_ms
from harness.results import Result, Row, Series, percentile
from harness.signing import signed

NAME = "functions"
BUDGET = "warm p50 ≤ 5 ms; cold ≤ 0.3 s beyond the runtime's start; 1,000 calls leak nothing"

_NUM = 300
_IN_A_ROW = 1000
_ROUNDS = 5
_WARM_LIMIT_MS = 5.0
_COLD_LIMIT_S = 0.3
_GROWTH_LIMIT_MB = 2.0
_PEER = "awslambdaric in a bare loop"


def measure(bench: Bench) -> Result:
    rows: list[Row] = []
    with bench.fogbank() as cloud:
        function = EchoFunction(cloud)
        address = address_of(cloud.url)
        request = signed(function.client, "invoke", FunctionName="echo", Payload=EVENT)

        def raw_ms() -> list[float]:
            return latencies_ms(address, [request], _NUM)[0]

        def boto3_ms() -> list[float]:
            return [_timed_ms(function.invoke) for _ in range(_NUM)]

        with bare_runtime(bench.scratch / "bare") as bare:

            def bare_ms() -> list[float]:
                return [_timed_ms(bare.invoke) for _ in range(_NUM)]

            bench.say("warm calls")
            found = alternate(
                bench.rounds(_ROUNDS), {"raw": raw_ms, "boto3": boto3_ms, "bare": bare_ms}
            )
        for what, client in (("ready-made requests", "raw"), ("boto3", "boto3")):
            for name, share in (("p50", 0.5), ("p99", 0.99)):
                rows.append(
                    Row(
                        what=f"warm Invoke, {what}, {name}",
                        fogbank=_series(found[client], share),
                        peer=_series(found["bare"], share),
                        peer_name=_PEER,
                        limit=_WARM_LIMIT_MS if name == "p50" else None,
                    )
                )
        bench.say("cold starts")
        rows.append(_cold(bench, function))
        bench.say("a thousand calls in a row")
        rows += _growth(function, cloud.pid)
    return Result(
        rows=rows,
        notes=[
            f"{_NUM} calls a round, one after the other. The bare loop has no API, no signature, "
            "no log and no limits: it is the floor.",
            "A cold start is a call after a change of the configuration. The bare one starts the "
            "process, too, with all of Fogbank's environment on its path.",
        ],
    )


def _cold(bench: Bench, function: EchoFunction) -> Row:
    def bare_s() -> float:
        began = time.perf_counter()
        with bare_runtime(bench.scratch / "bare") as bare:
            bare.invoke()
            return time.perf_counter() - began

    found = alternate(bench.rounds(_ROUNDS * 2), {"cold": function.cold_s, "bare": bare_s})
    return Row(
        what="cold Invoke",
        fogbank=Series("s", tuple(found["cold"])),
        peer=Series("s", tuple(found["bare"])),
        peer_name=_PEER,
        judged="difference",
        limit=_COLD_LIMIT_S,
    )


def _growth(function: EchoFunction, server_pid: int) -> list[Row]:
    server = psutil.Process(server_pid)
    for _ in range(_NUM):
        function.invoke()
    server_before, environment_before = server.memory_info().rss, _max_memory_mb(function)
    for _ in range(_IN_A_ROW):
        function.invoke()
    server_mb = (server.memory_info().rss - server_before) / 1e6
    environment_mb = _max_memory_mb(function) - environment_before
    grown = (("server", server_mb), ("environment", environment_mb))
    return [
        Row(
            what=f"{_IN_A_ROW} calls in a row: the {who} grows by",
            fogbank=Series("MB", (value,)),
            limit=_GROWTH_LIMIT_MB,
        )
        for who, value in grown
    ]


def _max_memory_mb(function: EchoFunction) -> float:
    """What REPORT says."""
    answer = function.client.invoke(FunctionName="echo", Payload=EVENT, LogType="Tail")
    text = b64decode(answer["LogResult"]).decode()
    found = re.search(r"Max Memory Used: (\d+) MB", text)
    assert found is not None, text
    return float(found[1])


def _timed_ms(call: Callable[[], None]) -> float:
    began = time.perf_counter()
    call()
    return (time.perf_counter() - began) * 1000


def _series(rounds: list[list[float]], share: float) -> Series:
    return Series("ms", tuple(percentile(one, share) for one in rounds))
