"""The cloud as a process: found, started, stopped; and what is not ours is left alone."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from fogbank.aws import Credentials
from fogbank.core.clock import SystemClock, wait
from fogbank.core.errors import InputError, WorldError
from fogbank.ops.local_cloud import (
    LocalCloud,
    PortTaken,
    RunningCloud,
    Settings,
    environment,
    variables,
)

RUNNING = RunningCloud(
    pid=1,
    port=4566,
    url="http://127.0.0.1:4566",
    home=Path("/h"),
    engine="process",
    engine_reason="",
    account="123456789012",
    region="eu-west-1",
    version="1",
    started="2026-01-01T00:00:00+00:00",
    time_scale=1.0,
)


def local_cloud(home: Path) -> LocalCloud:
    return LocalCloud(home, clock=SystemClock(), pause=wait)


def write_facts(home: Path, pid: int, port: int) -> None:
    home.mkdir(exist_ok=True)
    facts = {**vars_of(RUNNING), "pid": pid, "url": f"http://127.0.0.1:{port}", "home": str(home)}
    (home / "cloud.json").write_text(json.dumps(facts))


def vars_of(running: RunningCloud) -> dict[str, object]:
    return {name: getattr(running, name) for name in RunningCloud.__dataclass_fields__}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.slow
def test_start_find_stop(tmp_path: Path) -> None:
    cloud = local_cloud(tmp_path / "home")
    assert cloud.find() is None
    running, started = cloud.start(Settings(port=0, account="1" * 12, region="eu-west-1"))
    try:
        assert started
        assert (running.account, running.region) == ("1" * 12, "eu-west-1")
        assert cloud.find() == running
        assert cloud.start(Settings(port=0)) == (running, False)
        caller = cloud.aws(running).sts.get_caller_identity()
        assert caller["Account"] == "1" * 12
        assert ":assumed-role/" in caller["Arn"]
        with pytest.raises(
            PortTaken, match=f"port {running.port} is taken by the Fogbank cloud of"
        ):
            local_cloud(tmp_path / "other").start(Settings(port=running.port))
    finally:
        assert cloud.stop() == running
    assert cloud.find() is None
    assert cloud.stop() is None
    with pytest.raises(ProcessLookupError):
        os.kill(running.pid, 0)


@pytest.mark.slow
def test_a_cloud_that_was_killed_is_started_again(tmp_path: Path) -> None:
    cloud = local_cloud(tmp_path / "home")
    running, _ = cloud.start(Settings(port=0))
    os.kill(running.pid, signal.SIGKILL)
    os.waitpid(running.pid, 0)
    assert cloud.find() is None
    again, started = cloud.start(Settings(port=running.port))
    assert started
    assert again.pid != running.pid
    assert cloud.stop() == again


@pytest.mark.slow
def test_a_cloud_that_hangs_is_known_by_its_command_line_and_killed(tmp_path: Path) -> None:
    cloud = local_cloud(tmp_path / "home")
    running, _ = cloud.start(Settings(port=0))
    os.kill(running.pid, signal.SIGSTOP)
    assert cloud.stop(limit_s=0.2) == running
    with pytest.raises(ProcessLookupError):
        os.kill(running.pid, 0)


@pytest.mark.slow
def test_a_port_that_another_program_has(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))  # who listens and is silent is asked for 5 s who it is
        port = other.getsockname()[1]
        with pytest.raises(PortTaken, match=f"port {port} is taken by .*FOGBANK_PORT"):
            local_cloud(tmp_path).start(Settings(port=port))


def test_a_process_that_is_not_ours_gets_no_signal(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as innocent:
        write_facts(tmp_path, innocent.pid, free_port())
        assert local_cloud(tmp_path).stop() is None
        assert innocent.poll() is None
        innocent.kill()


def test_a_note_of_a_cloud_that_was_killed(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        gone.wait()
    write_facts(tmp_path, gone.pid, free_port())
    cloud = local_cloud(tmp_path)
    assert cloud.find() is None
    assert cloud.stop() is None


def test_a_damaged_note(tmp_path: Path) -> None:
    (tmp_path / "cloud.json").write_text("{}")
    with pytest.raises(WorldError, match="remove it"):
        local_cloud(tmp_path).find()


def test_a_start_that_fails_shows_the_log(tmp_path: Path) -> None:
    (tmp_path / "records.db").write_text("no database\n" * 1000)
    with pytest.raises(WorldError, match=r"did not start\. The end of its log") as caught:
        local_cloud(tmp_path).start(Settings(port=0))
    assert "database" in str(caught.value)


def test_a_home_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="FOGBANK_HOME"):
        local_cloud(tmp_path / "file/home").start(Settings(port=0))


def test_credentials_are_not_shown() -> None:
    keys = Credentials(access_key_id="A", secret_access_key="hidden", session_token="hidden")
    assert "hidden" not in repr(keys)


def test_the_environment_of_a_command() -> None:
    keys = Credentials(access_key_id="A", secret_access_key="S", session_token="T")
    outer = {
        "PATH": "/bin",
        "AWS_PROFILE": "work",
        "AWS_ENDPOINT_URL_S3": "https://elsewhere",
        "AWS_ACCESS_KEY_ID": "theirs",
        "HTTP_PROXY": "http://proxy",
        "no_proxy": "example.org",
    }
    assert environment(outer, variables(RUNNING, keys)) == {
        "PATH": "/bin",
        "HTTP_PROXY": "http://proxy",
        "NO_PROXY": "example.org,127.0.0.1,localhost",
        "no_proxy": "example.org,127.0.0.1,localhost",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:4566",
        "AWS_REGION": "eu-west-1",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_ACCESS_KEY_ID": "A",
        "AWS_SECRET_ACCESS_KEY": "S",
        "AWS_SESSION_TOKEN": "T",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
