"""Environments that are given up in the middle of something: nothing of them is put away before
their process has ended. The engine starts nothing, and a test holds up its starts and ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cloud.machines.functions.function_site import FunctionSite, until
from fogbank.cloud.machines.engine import Exit, InstanceSpec
from fogbank.cloud.machines.fake import FakeEngine, FakeInstance
from fogbank.cloud.machines.functions.environment import PROVISIONED_INIT_LIMIT_S
from fogbank.cloud.records.function import ProvisionedConcurrency
from fogbank.core.clock import Clock
from fogbank.testing.clock import ManualClock


class HeldInstance(FakeInstance):
    """Ends by a kill when `may_end` is set."""

    def __init__(self, spec: InstanceSpec, clock: Clock, may_end: asyncio.Event) -> None:
        super().__init__(spec, clock, 1)
        self._may_end = may_end

    async def kill(self) -> Exit:
        await self._may_end.wait()
        return await super().kill()


class HeldEngine(FakeEngine):
    """asked: it was asked for a process. may_start, may_end: what it waits for."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.clock = clock
        self.asked = asyncio.Event()
        self.may_start = asyncio.Event()
        self.may_end = asyncio.Event()

    async def start(self, spec: InstanceSpec) -> FakeInstance:
        self.asked.set()
        await self.may_start.wait()
        instance = HeldInstance(spec, self.clock, self.may_end)
        self.instances.append(instance)
        return instance


@pytest.fixture
async def held() -> HeldEngine:
    return HeldEngine(ManualClock())


@pytest.fixture
async def site(held: HeldEngine, tmp_path: Path) -> AsyncIterator[FunctionSite]:
    """With an environment that is being made: the engine has been asked for its process."""
    site = FunctionSite(tmp_path / "home", held.clock, held, network=71 << 8)
    await site.start()
    site.create("f", "", version="1")
    site.provision("f", "1", 1)
    async with asyncio.timeout(10):
        await held.asked.wait()
    yield site
    for gate in (held.may_start, held.may_end):
        gate.set()
    await site.stop()


async def advance(site: FunctionSite, seconds: float) -> None:
    assert isinstance(site.clock, ManualClock)
    await site.clock.advance(seconds)


async def gone(site: FunctionSite) -> None:
    await until(lambda: not site.folders, "the environment to be put away")
    assert site.site.shares.num_leases == 0


async def test_given_up_while_its_process_is_started(site: FunctionSite, held: HeldEngine) -> None:
    site.records.delete(ProvisionedConcurrency, "f:1")
    await advance(site, 1)
    assert (len(site.folders), site.site.shares.num_leases) == (1, 1)
    held.may_start.set()
    held.may_end.set()
    await gone(site)
    assert [one.has_ended for one in held.instances] == [True]


async def test_cancelled_while_its_process_is_ended(site: FunctionSite, held: HeldEngine) -> None:
    held.may_start.set()
    await until(lambda: held.instances, "the process")
    await advance(site, PROVISIONED_INIT_LIMIT_S + 1)
    stop = asyncio.create_task(site.functions.stop())
    await advance(site, 1)
    assert (site.site.shares.num_leases, len(held.running)) == (1, 1)
    held.may_end.set()
    async with asyncio.timeout(10):
        await stop
    await gone(site)
