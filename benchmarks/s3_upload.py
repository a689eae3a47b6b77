"""Objects into S3: many small ones and a large one, and the large one back.

Through boto3 as `aws s3 cp` would (s3transfer, 10 threads), which on a small machine is the
bottleneck itself; through ready-made signed requests, which are not; and as plain files written
and synced, which is what any store that keeps its word has to do at least.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from boto3.s3.transfer import TransferConfig, create_transfer_manager

from harness.bench import Bench, alternate
from harness.raw_http import address_of, send_all_s
from harness.results import Result, Row, Series
from harness.servers import Server
from harness.signing import signed

NAME = "s3_upload"
BUDGET = "many small files ≥ 5 x moto's server"

_LIMIT_RATIO = 5.0
_NUM_SMALL = 2000
_SMALL_BYTES = 100_000
_LARGE_BYTES = 300_000_000
_ROUNDS = 3
_CONNECTIONS = 10
_SMALL, _LARGE = "benchmark-small", "benchmark-large"

Measure = Callable[[], float]


def measure(bench: Bench) -> Result:
    num_small = 200 if bench.quick else _NUM_SMALL
    large_bytes = _LARGE_BYTES // 10 if bench.quick else _LARGE_BYTES
    files = _write_files(bench.scratch / "small", num_small)
    large = bench.scratch / "large.bin"
    large.write_bytes(os.urandom(large_bytes))
    with bench.fogbank_and_moto() as servers:
        for server in servers:
            for bucket in (_SMALL, _LARGE):
                server.client("s3").create_bucket(Bucket=bucket)

        def compare(
            what: str, unit: str, amount: float, way: Callable[[Server], Measure], **others: Measure
        ) -> dict[str, Series]:
            """The rate of `amount` things at each server."""
            bench.say(what)
            measures = {server.name: way(server) for server in servers} | others
            rounds = alternate(bench.rounds(_ROUNDS), measures, warm_up=not warmed)
            warmed.append(what)  # what was measured first has warmed up the servers
            return {
                name: Series(unit, tuple(amount / seconds for seconds in found))
                for name, found in rounds.items()
            }

        warmed: list[str] = []
        shares: list[float] = []
        large_mb = large_bytes / 1e6
        raw = compare(
            "small files, raw",
            "files/s",
            num_small,
            lambda server: _raw_small(server, files, shares),
            plain=partial(_plain_s, bench.scratch, files),
        )
        boto3 = compare("small, boto3", "files/s", num_small, lambda s: _small(s, files))
        up = compare("large, up", "MB/s", large_mb, lambda s: partial(_up, s, large))
        down = compare("large, down", "MB/s", large_mb, lambda s: partial(_down, s, large))
    size = f"{large_bytes // 1_000_000} MB"
    small = f"{num_small:,} files of {_SMALL_BYTES // 1000} KB"
    rows = [
        _row(f"PUT {small}, raw client", raw, limited=True),
        _row(f"PUT {small}, boto3", boto3, limited=True),
        Row(
            what="… raw client, beside plain files",
            fogbank=raw["Fogbank"],
            peer=raw["plain"],
            peer_name="write + fsync, one by one",
            better="higher",
        ),
        _row(f"upload {size}, boto3", up),
        _row(f"download {size}, boto3", down),
    ]
    notes = [
        f"{_CONNECTIONS} connections or threads; objects are deleted between rounds, not timed.",
        "Fogbank has synced an object to disk before it answers; moto keeps objects in memory or "
        "in unsynced temporary files.",
        f"The raw client used {sum(shares) / len(shares):.0%} of one processor while it sent.",
    ]
    return Result(rows=rows, notes=notes)


def _row(what: str, found: dict[str, Series], *, limited: bool = False) -> Row:
    return Row(
        what=what,
        fogbank=found["Fogbank"],
        peer=found.get("moto"),
        peer_name="moto",
        better="higher",
        judged="ratio" if limited else "value",
        limit=_LIMIT_RATIO if limited else None,
    )


def _write_files(folder: Path, num: int) -> list[Path]:
    folder.mkdir()
    files = [folder / f"{number:05}.jpg" for number in range(num)]
    for file in files:
        file.write_bytes(os.urandom(_SMALL_BYTES))
    return files


def _small(server: Server, files: list[Path]) -> Measure:
    client = server.client("s3")

    def measure() -> float:
        began = time.perf_counter()
        with create_transfer_manager(client, TransferConfig()) as transfers:
            for one in [transfers.upload(str(f), _SMALL, f.name) for f in files]:
                one.result()
        took = time.perf_counter() - began
        _empty(client, files)
        return took

    return measure


def _raw_small(server: Server, files: list[Path], shares: list[float]) -> Measure:
    client = server.client("s3")
    requests = [
        signed(client, "put_object", Bucket=_SMALL, Key=file.name, Body=file.read_bytes())
        for file in files
    ]

    def measure() -> float:
        cpu = time.process_time()
        took = send_all_s(address_of(server.url), requests, _CONNECTIONS)
        shares.append((time.process_time() - cpu) / took)
        _empty(client, files)
        return took

    return measure


def _empty(client: Any, files: list[Path]) -> None:
    for start in range(0, len(files), 1000):
        keys = [{"Key": file.name} for file in files[start : start + 1000]]
        client.delete_objects(Bucket=_SMALL, Delete={"Objects": keys, "Quiet": True})


def _up(server: Server, large: Path) -> float:
    client = server.client("s3")
    began = time.perf_counter()
    client.upload_file(str(large), _LARGE, "large.bin")
    return time.perf_counter() - began


def _down(server: Server, large: Path) -> float:
    target = large.with_suffix(".back")
    client = server.client("s3")
    began = time.perf_counter()
    client.download_file(_LARGE, "large.bin", str(target))
    took = time.perf_counter() - began
    if target.stat().st_size != large.stat().st_size:
        raise RuntimeError(f"{target} came back with another size")
    target.unlink()
    return took


def _plain_s(scratch: Path, files: list[Path]) -> float:
    contents = [file.read_bytes() for file in files]
    folder = scratch / "plain"
    folder.mkdir()
    began = time.perf_counter()
    for number, content in enumerate(contents):
        with (folder / str(number)).open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    took = time.perf_counter() - began
    shutil.rmtree(folder)
    return took
