"""A real cloud in a process and a folder of its own, for tests.

def test_upload(cloud):                      # the fixture of fogbank.testing.plugin
    cloud.client("s3").create_bucket(Bucket="dogs")
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from fogbank.aws import Credentials, boto3_session
from fogbank.core.clock import Clock, SystemClock, wait
from fogbank.core.errors import WorldError

START_LIMIT_S = 60


class RunningCloud:
    """A cloud that `start` starts on a free port and `stop` ends.

    home: its folder. A cloud that was killed can be started again on the same folder and port.
    """

    def __init__(self, home: Path, *, environment: Mapping[str, str] | None = None) -> None:
        self.home = home
        self._environment = {**os.environ, **(environment or {})}
        self._process: subprocess.Popen[bytes] | None = None
        self._clock: Clock = SystemClock()
        self.port = 0

    def start(self) -> RunningCloud:
        """Returns when it answers. Raises WorldError with the end of its log when it does not."""
        self.home.mkdir(parents=True, exist_ok=True)
        with (self.home / "cloud.log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "fogbank.cloud",
                    "--home",
                    self.home,
                    "--port",
                    str(self.port),
                ],
                stdout=log,
                stderr=log,
                env=self._environment,
                start_new_session=True,
            )
        limit_s = self._clock.monotonic_s() + START_LIMIT_S
        while self._clock.monotonic_s() < limit_s:
            if self._process.poll() is not None:
                break
            if self._answers():
                return self
            wait(0.02)
        raise WorldError(f"the cloud did not start:\n{self.log()[-4000:]}")

    def _answers(self) -> bool:
        try:
            facts = json.loads((self.home / "cloud.json").read_text())
            with urlopen(f"{facts['url']}/_fogbank/health", timeout=5) as answer:  # noqa: S310 - loopback
                self.port = facts["port"]
                return bool(json.load(answer)["pid"] == self.pid)
        except OSError:  # no file yet, nobody there, or no answer in time on a busy host
            return False

    @property
    def pid(self) -> int:
        assert self._process is not None, "not started"
        return self._process.pid

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def log(self) -> str:
        return (self.home / "cloud.log").read_text(errors="replace")

    def kill(self) -> None:
        """SIGKILL to the server alone, as a crash would; `start` brings it back."""
        os.kill(self.pid, signal.SIGKILL)
        assert self._process is not None
        self._process.wait()

    def stop(self) -> int:
        """A clean stop; returns the exit code."""
        assert self._process is not None, "not started"
        self._process.terminate()
        return self._process.wait(timeout=60)

    @cached_property
    def credentials(self) -> Mapping[str, Mapping[str, str]]:
        """`root` and `notebook`: AccessKeyId, SecretAccessKey and the notebook's SessionToken."""
        found: Mapping[str, Mapping[str, str]] = json.loads(
            (self.home / "credentials.json").read_text()
        )
        return found

    def environment(self, identity: str = "notebook") -> dict[str, str]:
        """The variables with which any AWS client reaches this cloud as that identity."""
        keys = self.credentials[identity]
        variables = {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": keys["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": keys["SecretAccessKey"],
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        if "SessionToken" in keys:
            variables["AWS_SESSION_TOKEN"] = keys["SessionToken"]
        return variables

    def client(self, service: str, identity: str = "notebook", **settings: Any) -> Any:
        """A boto3 client. `Any`, because its methods are made at run time from the models."""
        keys = self.credentials[identity]
        credentials = Credentials(
            access_key_id=keys["AccessKeyId"],
            secret_access_key=keys["SecretAccessKey"],
            session_token=keys.get("SessionToken"),
        )
        session = boto3_session(credentials, "us-east-1")
        return session.client(service, endpoint_url=self.url, **settings)
