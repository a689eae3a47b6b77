"""The servers that are measured: a Fogbank cloud in a folder of its own, and moto's server.

moto is a development tool here: it lives in `.venv-peers/`, which is made on first use.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import boto3
import psutil
from botocore.config import Config

from fogbank.testing.cloud import RunningCloud
from harness.surroundings import ROOT

MOTO_VERSION = "5.2.2"
REGION = "us-east-1"
_PEERS = ROOT / ".venv-peers"
_MOTO = f"moto[server,s3,iam,sts]=={MOTO_VERSION}"
_START_LIMIT_S = 60


class PeerMissing(Exception):
    """The peer cannot be measured here; the text says why."""


@dataclass(frozen=True, kw_only=True)
class Server:
    """An AWS-compatible server that runs."""

    name: str
    url: str
    pid: int
    keys: dict[str, str]
    """boto3's names of a session's credentials."""
    facts: dict[str, Any]
    """What the server says about itself."""

    def client(self, service: str) -> Any:
        """A boto3 client with boto3's defaults, but without retries: they would hide errors."""
        session = boto3.session.Session(region_name=REGION, **self.keys)  # type: ignore[arg-type]
        config = Config(
            retries={"total_max_attempts": 1},
            max_pool_connections=10,
            s3={"addressing_style": "path"},
        )
        client: Any = session.client(service, endpoint_url=self.url, config=config)  # type: ignore[call-overload]
        return client

    @property
    def rss_mb(self) -> float:
        """Resident memory of the server and what it started, in MB of a million bytes."""
        process = psutil.Process(self.pid)
        family = [process, *process.children(recursive=True)]
        return sum(one.memory_info().rss for one in family) / 1e6


@contextmanager
def fogbank(folder: Path) -> Iterator[Server]:
    """A fresh cloud with its state below `folder`."""
    cloud = RunningCloud(Path(tempfile.mkdtemp(dir=folder, prefix="cloud-"))).start()
    try:
        found = cloud.credentials["notebook"]
        yield Server(
            name="Fogbank",
            url=cloud.url,
            pid=cloud.pid,
            keys={
                "aws_access_key_id": found["AccessKeyId"],
                "aws_secret_access_key": found["SecretAccessKey"],
                "aws_session_token": found["SessionToken"],
            },
            facts={**json.loads((cloud.home / "cloud.json").read_text()), "role": found["RoleArn"]},
        )
    finally:
        cloud.stop()


@contextmanager
def moto(folder: Path) -> Iterator[Server]:
    """moto's server, fresh. Raises PeerMissing where it cannot be installed or started."""
    program = _moto_server()
    port = free_port()
    with (folder / "moto.log").open("ab") as log:
        process = subprocess.Popen(
            [program, "-H", "127.0.0.1", "-p", str(port)], stdout=log, stderr=log, cwd=folder
        )
    url = f"http://127.0.0.1:{port}"
    try:
        _wait_for(f"{url}/moto-api/", process)
        keys = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing"}
        yield Server(name="moto", url=url, pid=process.pid, keys=keys, facts={})
    finally:
        process.terminate()
        process.wait(timeout=30)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def _wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    limit = time.monotonic() + _START_LIMIT_S
    while time.monotonic() < limit and process.poll() is None:
        try:
            with urlopen(url, timeout=5):
                return
        except (URLError, ConnectionError):
            time.sleep(0.05)
    raise PeerMissing("moto's server did not start")


@cache
def _moto_server() -> Path:
    program = _PEERS / "bin" / "moto_server"
    installed = _PEERS / "lib"
    if program.exists() and list(installed.glob(f"*/site-packages/moto-{MOTO_VERSION}.dist-info")):
        return program
    print(f"installing {_MOTO} into {_PEERS} (once)", file=sys.stderr)
    for command in (
        [sys.executable, "-m", "venv", str(_PEERS)],
        [str(_PEERS / "bin" / "python"), "-m", "pip", "install", "--quiet", _MOTO],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
            raise PeerMissing(f"{_MOTO} cannot be installed: {last}")
    return program
