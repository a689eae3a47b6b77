"""One trivial function, twice: deployed through the API, and AWS's runtime client driven bare.

The bare one is the floor: `python -m awslambdaric` and a loop that answers its requests, with
nothing in between and nothing written down.
"""

from __future__ import annotations

import io
import json
import os
import socket
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.servers import Server

HANDLER = "app.handler"
CODE = "def handler(event, context):\n    return event\n"
EVENT = b'{"picture": "s3://dogs/1.jpg"}'
_LIMIT_S = 60
_POLL_S = 0.005
_TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Service": "lambda.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
    ],
}


class EchoFunction:
    """The function `echo` exists, and is Active, once this is made."""

    def __init__(self, cloud: Server) -> None:
        self.client = cloud.client("lambda")
        role = cloud.client("iam").create_role(
            RoleName="echo", AssumeRolePolicyDocument=json.dumps(_TRUST)
        )
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w") as archive:
            archive.writestr("app.py", CODE)
        self.client.create_function(
            FunctionName="echo",
            Runtime=f"python3.{sys.version_info.minor}",
            Role=role["Role"]["Arn"],
            Handler=HANDLER,
            Code={"ZipFile": content.getvalue()},
            MemorySize=256,
        )
        self._settle()
        self._changes = 0

    def invoke(self) -> None:
        """One call through boto3."""
        answer = self.client.invoke(FunctionName="echo", Payload=EVENT)
        assert answer["Payload"].read() == EVENT, answer

    def cold_s(self) -> float:
        """Seconds of a call that finds no environment: the configuration has just changed."""
        self._changes += 1
        self.client.update_function_configuration(
            FunctionName="echo", Environment={"Variables": {"CHANGE": str(self._changes)}}
        )
        self._settle()
        began = time.perf_counter()
        self.invoke()
        return time.perf_counter() - began

    def _settle(self) -> None:
        limit = time.monotonic() + _LIMIT_S
        while time.monotonic() < limit:
            found = self.client.get_function_configuration(FunctionName="echo")
            if found["State"] == "Active" and found.get("LastUpdateStatus") == "Successful":
                return
            time.sleep(_POLL_S)
        raise RuntimeError(f"the function is not ready: {found}")


class BareRuntime:
    """AWS's runtime client, and the other end of its connection."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self._connection: socket.socket | None = None
        self._number = 0

    def invoke(self) -> None:
        """Hand out an event and take the answer and the next request."""
        if self._connection is None:
            self._connection, _ = self._listener.accept()
            self._connection.settimeout(_LIMIT_S)
            self._connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._receive()
        self._number += 1
        headers = (
            f"Lambda-Runtime-Aws-Request-Id: {self._number}\r\n"
            f"Lambda-Runtime-Deadline-Ms: {int(time.time() * 1000) + 3000}\r\n"
            "Lambda-Runtime-Invoked-Function-Arn: arn:aws:lambda:us-east-1:1:function:echo\r\n"
            "Content-Type: application/json\r\n"  # without it the client ends without a word
        )
        self._send("200 OK", headers, EVENT)
        assert self._receive() == EVENT
        self._send("202 Accepted", "", b"{}")
        self._receive()

    def _send(self, status: str, headers: str, body: bytes) -> None:
        assert self._connection is not None
        head = f"HTTP/1.1 {status}\r\n{headers}Content-Length: {len(body)}\r\n\r\n"
        self._connection.sendall(head.encode() + body)

    def _receive(self) -> bytes:
        assert self._connection is not None
        data = b""
        while b"\r\n\r\n" not in data:
            data += self._piece()
        head, _, body = data.partition(b"\r\n\r\n")
        size = 0
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                size = int(line.partition(b":")[2])
        while len(body) < size:
            body += self._piece()
        return body

    def _piece(self) -> bytes:
        assert self._connection is not None
        piece = self._connection.recv(65536)
        if not piece:
            raise ConnectionError("the runtime client has gone")
        return piece

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()


@contextmanager
def bare_runtime(folder: Path) -> Iterator[BareRuntime]:
    """Started, not yet waited for: its first `invoke` is a cold start."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "app.py").write_text(CODE)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(_LIMIT_S)
        environment = {
            **os.environ,
            "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{listener.getsockname()[1]}",
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "awslambdaric", HANDLER], cwd=folder, env=environment
        )
        runtime = BareRuntime(listener)
        try:
            yield runtime
        finally:
            process.kill()
            process.wait()
            runtime.close()
