"""Inits that take too long, under a clock that a test moves and an engine that starts nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cloud.machines.functions.function_site import FunctionSite
from fogbank.cloud.machines.engine import Exit, InstanceSpec
from fogbank.cloud.machines.fake import FakeEngine, FakeInstance
from fogbank.cloud.machines.functions.environment import PROVISIONED_INIT_LIMIT_S
from fogbank.cloud.ports import FunctionUnavailable
from fogbank.cloud.records.function import FunctionVersion
from fogbank.testing.clock import ManualClock


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[FunctionSite]:
    clock = ManualClock()
    site = FunctionSite(tmp_path / "home", clock, FakeEngine(clock), network=69 << 8)
    await site.start()
    yield site
    await site.stop()


def engine(site: FunctionSite) -> FakeEngine:
    assert isinstance(site.engine, FakeEngine)
    return site.engine


async def started(site: FunctionSite, count: int) -> None:
    """Wait until so many processes have been started: files are made in threads before."""
    async with asyncio.timeout(10):
        while len(engine(site).instances) < count:  # noqa: ASYNC110 - threads tell nobody
            await asyncio.sleep(0.002)


async def advance(site: FunctionSite, seconds: float) -> None:
    assert isinstance(site.clock, ManualClock)
    await site.clock.advance(seconds)


@pytest.mark.docs
async def test_an_init_over_10_s_is_tried_again_under_the_functions_time_out(
    site: FunctionSite,
) -> None:
    site.create("f", "", timeout_s=3)
    call = asyncio.create_task(site.failure("f"))
    await started(site, 1)
    await advance(site, 9.9)
    assert len(engine(site).running) == 1
    await advance(site, 0.2)
    await started(site, 2)
    assert len(engine(site).running) == 1, "the first was killed"
    await advance(site, 3.1)
    found = await call
    assert found == {
        "errorType": "Sandbox.Timedout",
        "errorMessage": "RequestId: call-2 Error: Task timed out after 3.00 seconds",
    }
    assert engine(site).running == []
    await advance(site, 1)
    words = [line.split("\t", 1) for line in site.logs.lines]
    phases = [line for line in site.logs.lines if line.startswith("INIT_REPORT")]
    assert phases == [
        "INIT_REPORT Init Duration: 10000.00 ms\tPhase: init\tStatus: timeout\n",
        "INIT_REPORT Init Duration: 3000.00 ms\tPhase: invoke\tStatus: timeout\n",
    ]
    assert [word[0].split()[0] for word in words][-4:] == [
        *("START", "2026-01-01T00:00:13.000Z", "END", "REPORT")
    ]
    assert "Duration: 3000.00 ms" in site.logs.lines[-1]
    assert "Init Duration" not in site.logs.lines[-1]


@pytest.mark.docs
async def test_a_provisioned_environment_may_take_longer(site: FunctionSite) -> None:
    site.create("f", "", version="1")
    site.provision("f", "1", 1)
    await started(site, 1)
    await advance(site, PROVISIONED_INIT_LIMIT_S - 1)
    assert site.provisioned("f", "1").status == "IN_PROGRESS"
    await advance(site, 2)
    async with asyncio.timeout(10):
        while site.provisioned("f", "1").status != "FAILED":
            await asyncio.sleep(0.002)  # what it leaves is removed in threads
            await advance(site, 0)


@pytest.mark.docs
async def test_utilization_is_said_while_nobody_calls(site: FunctionSite) -> None:
    """Scaling in is decided by it."""
    site.create("f", "", version="1")
    site.provision("f", "1", 1)
    await started(site, 1)
    await advance(site, 21)
    resource = {"FunctionName": "f", "Resource": "f:1"}
    assert site.metric("ProvisionedConcurrencyUtilization", **resource) == [0, 0]
    assert site.metric("ProvisionedConcurrentExecutions", **resource) == [0, 0]


async def test_a_runtime_that_asks_before_its_start_is_known(site: FunctionSite) -> None:
    """On a busy host the first `next` may come before the engine has said that it runs."""

    class Late(FakeEngine):
        async def start(self, spec: InstanceSpec) -> FakeInstance:
            instance = await super().start(spec)
            address, _, port = spec.env["AWS_LAMBDA_RUNTIME_API"].partition(":")
            reader, writer = await asyncio.open_connection(address, int(port))
            connections.append((reader, writer))
            writer.write(b"GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\n\r\n")
            await asyncio.sleep(0.05)
            return instance

    connections: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
    late = FunctionSite(site.home / "late", site.clock, Late(site.clock), network=70 << 8)
    await late.start()
    late.create("f", "", version="1")
    late.provision("f", "1", 1)
    async with asyncio.timeout(10):
        while late.provisioned("f", "1").status != "READY":  # noqa: ASYNC110 - real sockets
            await asyncio.sleep(0.002)
    await late.stop()
    for _, writer in connections:
        writer.close()


async def test_an_engine_that_refuses(site: FunctionSite) -> None:
    site.create("f", "")
    engine(site).refusal = "the host has no processes left"
    with pytest.raises(FunctionUnavailable, match="no processes left"):
        await site.invoke("f")
    assert site.site.shares.num_leases == 0
    assert site.folders == []


@pytest.mark.docs
async def test_memory_exceeded_in_the_init(site: FunctionSite) -> None:
    site.create("f", "")
    call = asyncio.create_task(site.failure("f"))
    for number in (1, 2):
        await started(site, number)
        engine(site).instances[-1].ends(Exit(signal=9, oom=True))
        await advance(site, 0)
    assert (await call)["errorType"] == "Runtime.OutOfMemory"


@pytest.mark.docs
async def test_versions_are_prepared(site: FunctionSite) -> None:
    def state(name: str) -> tuple[str, str | None, str, str | None]:
        found = site.records.get(FunctionVersion, f"{name}:$LATEST")
        assert found is not None
        return (
            found.state,
            found.state_reason_code,
            found.update_status,
            found.update_reason_code,
        )

    site.create("good", "x = 1", state="Pending")
    bad_zip = site.code.add({"app.py": "broken"})
    site.code.broken.add(bad_zip)
    site.create("zip", "", state="Pending", code_sha256=bad_zip)
    site.create("role", "", state="Pending", role_arn="arn:aws:iam::123456789012:role/absent")
    site.create("updated", "y = 1", update_status="InProgress")
    site.create("broken", "", update_status="InProgress", code_sha256=bad_zip)
    await advance(site, 0)
    assert state("good") == ("Active", None, "Successful", None)
    assert state("zip")[:2] == ("Failed", "InvalidZipFileException")
    assert state("role")[:2] == ("Failed", "InvalidConfiguration")
    assert state("updated") == ("Active", None, "Successful", None)
    assert state("broken") == ("Active", None, "Failed", "InvalidZipFileException")
