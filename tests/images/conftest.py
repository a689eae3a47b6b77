"""What the tests of the images share: a job's folder tree, a model's, and the processes on them."""

from __future__ import annotations

import http.client
import io
import json
import os
import signal
import socket
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

PATIENCE_S = 60


@dataclass
class TrainingJob:
    """The folder tree of one instance, and the image on it."""

    base: Path
    environ: dict[str, str]
    program: str | None = "train.py"
    hyperparameters: dict[str, str] = field(default_factory=dict)
    channels: dict[str, Any] = field(default_factory=dict)
    resources: dict[str, Any] = field(
        default_factory=lambda: {"current_host": "algo-1", "hosts": ["algo-1"]}
    )

    @property
    def code(self) -> Path:
        return self.base / "code"

    @property
    def failure(self) -> str:
        return (self.base / "output" / "failure").read_text()

    @property
    def has_succeeded(self) -> bool:
        return (self.base / "output" / "success").exists()

    def script(self, text: str, name: str = "train.py") -> None:
        path = self.code / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def start(self) -> subprocess.Popen[str]:
        config = self.base / "input" / "config"
        config.mkdir(parents=True, exist_ok=True)
        (self.base / "output").mkdir(exist_ok=True)
        sent = dict(self.hyperparameters)
        if self.program is not None:
            sent["sagemaker_program"] = json.dumps(self.program)
        for name, value in (
            ("hyperparameters", sent),
            ("inputdataconfig", self.channels),
            ("resourceconfig", self.resources),
        ):
            (config / f"{name}.json").write_text(json.dumps(value))
        return subprocess.Popen(
            [sys.executable, "-m", "fogbank.images.training"],
            env=self.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self) -> subprocess.CompletedProcess[str]:
        with self.start() as process:
            out, err = process.communicate(timeout=PATIENCE_S)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """An environment without anything of the developer's, and without an index to install from."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return {
        **kept,
        "SAGEMAKER_BASE_DIR": str(tmp_path / "ml"),
        "FOGBANK_OVERLAYS": str(tmp_path / "overlays"),
        "PIP_NO_INDEX": "1",
        "PIP_CONFIG_FILE": os.devnull,
        "OMP_NUM_THREADS": "1",
    }


@pytest.fixture
def job(environ: dict[str, str]) -> TrainingJob:
    base = Path(environ["SAGEMAKER_BASE_DIR"])
    (base / "code").mkdir(parents=True)
    return TrainingJob(base, environ)


@pytest.fixture
def pack(tmp_path: Path) -> Callable[[dict[str, bytes]], Path]:
    """Write files into a sourcedir.tar.gz as the SDKs do: members at the root."""

    def packed(members: dict[str, bytes]) -> Path:
        path = tmp_path / "sourcedir.tar.gz"
        with tarfile.open(path, "w:gz") as tar:
            for name, data in members.items():
                member = tarfile.TarInfo(name)
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
        return path

    return packed


@dataclass
class Answer:
    status: int
    body: bytes
    headers: dict[str, str]


@dataclass
class Server:
    """A running inference image."""

    process: subprocess.Popen[str]
    port: int

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: dict[str, str] | None = None,
        connection: http.client.HTTPConnection | None = None,
    ) -> Answer:
        used = connection or self.connect()
        try:
            used.request(method, path, body, headers or {}, encode_chunked=not _is_sized(body))
            response = used.getresponse()
            return Answer(
                response.status, response.read(), {k.lower(): v for k, v in response.getheaders()}
            )
        finally:
            if connection is None:
                used.close()

    def invoke(self, body: Any = b"", **headers: str) -> Answer:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.call("POST", "/invocations", body, named)

    def raw(self, data: bytes) -> bytes:
        """Send bytes and read until the server closes."""
        with socket.create_connection(("127.0.0.1", self.port), PATIENCE_S) as sock:
            sock.sendall(data)
            answer = b""
            while chunk := sock.recv(1 << 16):
                answer += chunk
            return answer

    def stop(self) -> tuple[int, str]:
        """SIGTERM; the exit code and standard error."""
        self.process.send_signal(signal.SIGTERM)
        _, err = self.process.communicate(timeout=PATIENCE_S)
        return self.process.returncode, err


def _is_sized(body: Any) -> bool:
    return body is None or isinstance(body, bytes | str)


ServeModel = Callable[..., Server]


@pytest.fixture
def serve(environ: dict[str, str]) -> Iterator[ServeModel]:
    """Serve a model whose inference.py is given; waits for the first healthy ping unless told not
    to. The server listens on a socket that the test made, so no request can come too early."""
    running: list[Server] = []
    model = Path(environ["SAGEMAKER_BASE_DIR"]) / "model"
    (model / "code").mkdir(parents=True)

    def start(source: str | None, *, healthy: bool = True, **variables: str) -> Server:
        if source is not None:
            (model / "code" / "inference.py").write_text(source)
        with socket.create_server(("127.0.0.1", 0)) as listener:
            process = subprocess.Popen(
                [sys.executable, "-m", "fogbank.images.inference"],
                env={**environ, **variables, "FOGBANK_BIND_FD": str(listener.fileno())},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                pass_fds=[listener.fileno()],
            )
            server = Server(process, listener.getsockname()[1])
        running.append(server)
        while healthy and server.call("GET", "/ping").status != 200:
            assert process.poll() is None, process.communicate()[1]
        return server

    yield start
    for server in running:
        if server.process.poll() is None:
            server.process.kill()
        server.process.communicate()
