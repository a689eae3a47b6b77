"""The waiters of the awscli, really waiting: minutes of sleep between two looks."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from clients.conftest import FOGBANK, LIMIT_S, client_environments
from e2e.account import ECHO, Account
from fogbank.core.clock import SystemClock
from fogbank.testing.cloud import RunningCloud

LOOK_S = {"training-job-completed-or-stopped": 120, "endpoint-in-service": 30}
SLOW = f"import time\ntime.sleep(15)\n{ECHO}"


@pytest.fixture
def aws(cloud: RunningCloud, tmp_path: Path) -> Callable[..., float]:
    """Runs `aws` under `fogbank run`; returns the seconds that it took to end well."""
    client_environments()
    aws = str(Path(sys.executable).with_name("aws"))
    command = [str(FOGBANK), "run", "--home", str(cloud.home), "--", aws]
    clock = SystemClock()

    def run(*arguments: str) -> float:
        start_s = clock.monotonic_s()
        ended = subprocess.run(
            [*command, *arguments],
            env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
        )
        assert ended.returncode == 0, ended.stderr
        return clock.monotonic_s() - start_s

    return run


@pytest.mark.observed
@pytest.mark.slow
@pytest.mark.timeout(LIMIT_S)
def test_the_waiters_wait(aws: Callable[..., float], cloud: RunningCloud) -> None:
    account = Account(cloud, "command-line")
    account.train("awaited", "import time; time.sleep(15)")
    account.deploy("awaited", SLOW)
    wait = ("sagemaker", "wait")
    with ThreadPoolExecutor() as both:
        job = both.submit(
            aws, *wait, "training-job-completed-or-stopped", "--training-job-name", "awaited"
        )
        endpoint = both.submit(aws, *wait, "endpoint-in-service", "--endpoint-name", "awaited")
    assert job.result() > LOOK_S["training-job-completed-or-stopped"]
    assert account.job("awaited")["TrainingJobStatus"] == "Completed"
    assert endpoint.result() > LOOK_S["endpoint-in-service"]
    account.in_service("awaited")
    account.delete_endpoint("awaited")
    for delete, name in (
        (account.sagemaker.delete_endpoint_config, "EndpointConfigName"),
        (account.sagemaker.delete_model, "ModelName"),
    ):
        delete(**{name: "awaited"})
