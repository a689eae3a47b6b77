"""What `fogbank env` and `fogbank run` make of an environment, and the proxy as a process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener

import psutil
import pytest

from fogbank.aws import Credentials
from fogbank.core.clock import wait
from fogbank.core.errors import WorldError
from fogbank.ops.client_environment import (
    ProxyFacts,
    command_environment,
    shell_variables,
    start_proxy,
)
from fogbank.ops.local_cloud import RunningCloud, variables

KEYS = Credentials(access_key_id="A", secret_access_key="S", session_token="T")


@pytest.fixture
def running(tmp_path: Path) -> RunningCloud:
    return RunningCloud(
        pid=1,
        port=4566,
        url="http://127.0.0.1:4566",
        home=tmp_path,
        engine="process",
        engine_reason="",
        account="123456789012",
        region="eu-west-1",
        version="1",
        started="2026-01-01T00:00:00+00:00",
        time_scale=1.0,
    )


def modules(variables: dict[str, str]) -> dict[str, object]:
    """The SDKs' defaults that the environment names."""
    document = json.loads(Path(variables["SAGEMAKER_ADMIN_CONFIG_OVERRIDE"]).read_text())
    found: dict[str, object] = document["SageMaker"]["PythonSDK"]["Modules"]
    return found


@pytest.mark.observed
def test_a_shell_gets_what_plain_variables_can_do(running: RunningCloud) -> None:
    found = shell_variables(running, KEYS)
    assert modules(found) == {
        "TelemetryOptOut": True,
        "Session": {"DefaultS3Bucket": "sagemaker-eu-west-1-123456789012"},
    }
    assert found.items() >= variables(running, KEYS).items()


def test_a_command_is_led_through_the_proxy(running: RunningCloud) -> None:
    outer = {
        "PATH": "/bin",
        "AWS_PROFILE": "work",
        "AWS_ENDPOINT_URL_S3": "https://elsewhere",
        "HTTPS_PROXY": "http://company:3128",
        "NO_PROXY": "amazonaws.com,example.org",
        "REQUESTS_CA_BUNDLE": "/etc/company.pem",
    }
    proxy = ProxyFacts(port=5000, ca_bundle=Path("/tmp/ca.pem"))
    found = command_environment(outer, running, KEYS, proxy, network=False)
    assert modules(found) == {"TelemetryOptOut": True}
    assert found.pop("SAGEMAKER_ADMIN_CONFIG_OVERRIDE").startswith(str(running.home))
    names = ("https_proxy", "http_proxy", "all_proxy")
    assert found == {
        "PATH": "/bin",
        **variables(running, KEYS),
        **dict.fromkeys([*names, *map(str.upper, names)], "http://127.0.0.1:5000"),
        **dict.fromkeys(("NO_PROXY", "no_proxy"), "127.0.0.1,localhost,::1"),
        **dict.fromkeys(
            ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"),
            "/tmp/ca.pem",
        ),
    }


def test_with_the_network_plain_http_goes_its_own_way(running: RunningCloud) -> None:
    outer = {"HTTP_PROXY": "http://company:3128", "HTTPS_PROXY": "http://company:3128"}
    proxy = ProxyFacts(port=5000, ca_bundle=Path("/tmp/ca.pem"))
    found = command_environment(outer, running, KEYS, proxy, network=True)
    assert found["HTTP_PROXY"] == "http://company:3128"
    assert found["HTTPS_PROXY"] == found["https_proxy"] == "http://127.0.0.1:5000"


@contextmanager
def waiting_process() -> Iterator[int]:
    """A process that does nothing until the block ends."""
    with subprocess.Popen(["sleep", "60"]) as process:
        try:
            yield process.pid
        finally:
            process.kill()


def listener(port: int) -> psutil.Process | None:
    """Who listens on a port of this machine, among this user's processes."""
    for process in psutil.process_iter():
        try:
            if any(
                one.laddr and one.laddr.port == port and one.status == psutil.CONN_LISTEN
                for one in process.net_connections("tcp4")
            ):
                return process
        except psutil.Error:
            continue
    return None


@pytest.mark.slow
def test_the_proxy_lives_as_long_as_its_process(running: RunningCloud) -> None:
    with waiting_process() as pid:
        facts = start_proxy(running, pid, network=False)
        found = listener(facts.port)
        assert found is not None
        # Nothing of it is a child of who asked for it, and nothing holds its terminal.
        assert found.pid not in {child.pid for child in psutil.Process().children(recursive=True)}
        assert os.getsid(found.pid) == found.pid
        assert "BEGIN CERTIFICATE" in facts.ca_bundle.read_text()
        assert "PRIVATE KEY" not in facts.ca_bundle.read_text()
        opener = build_opener(ProxyHandler({"http": f"http://127.0.0.1:{facts.port}"}))
        with pytest.raises(URLError, match="Forbidden"):
            opener.open("http://example.com/")
    found.wait(timeout=10)
    assert not facts.ca_bundle.exists()
    assert "http://example.com/ is plain HTTP" in (running.home / "run.log").read_text()


def test_no_proxy_for_a_process_that_has_gone(running: RunningCloud) -> None:
    with subprocess.Popen(["true"]) as process:
        process.wait()
    with pytest.raises(WorldError, match="did not start"):
        start_proxy(running, process.pid, network=False)


@pytest.mark.slow
def test_a_proxy_of_a_killed_process_ends(running: RunningCloud) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        facts = start_proxy(running, process.pid, network=True)
        os.kill(process.pid, signal.SIGKILL)
    for _ in range(200):
        if listener(facts.port) is None:
            return
        wait(0.05)
    raise AssertionError("the proxy is still there")
