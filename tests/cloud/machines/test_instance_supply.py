"""Instances that take their time, and instances that are not there."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from cloud.machines.hosting_site import HostingSite, Stage
from fogbank.cloud.machines.engine import Exit
from fogbank.cloud.machines.instance_supply import InstanceSupply
from fogbank.cloud.rules.endpoint_fleet import PROVISION_TIMEOUT_S
from fogbank.cloud.rules.endpoint_quota import InstanceCounts


@asynccontextmanager
async def hosting(folder: Path, supply: InstanceSupply) -> AsyncIterator[HostingSite]:
    site = HostingSite(folder, supply)
    await site.endpoints.start()
    yield site
    await site.endpoints.stop()
    await site.engine.stop()
    assert site.shares.num_leases == 0


def resize(site: HostingSite, count: int) -> None:
    """What a change of capacity writes."""
    endpoint = site.endpoint
    (variant,) = endpoint.variants
    site.records.put(
        replace(
            endpoint,
            status="Updating",
            variants=(replace(variant, desired_count=count),),
            pending_since=site.clock.now(),
        )
    )


@pytest.mark.docs
async def test_an_instance_takes_as_long_as_is_set(tmp_path: Path) -> None:
    """And that is none of the time that the container has to start in."""
    async with hosting(tmp_path, InstanceSupply(start_s=30)) as site:
        began = site.clock.now()
        site.create(settings={"ContainerStartupHealthCheckTimeoutInSeconds": 20})
        await site.clock.advance(29)
        assert (site.endpoint.status, site.engine.running) == ("Creating", [])
        await site.becomes("InService")
        assert timedelta(seconds=30) <= site.clock.now() - began < timedelta(seconds=32)


@pytest.mark.docs
async def test_a_container_that_dies_is_started_on_its_instance(tmp_path: Path) -> None:
    async with hosting(tmp_path, InstanceSupply(start_s=60)) as site:
        site.create()
        await site.becomes("InService")
        died = site.clock.now()
        site.engine.running[0].ends(Exit(code=1))
        await site.until(lambda: site.endpoint.variants[0].current_count == 0)
        await site.until(lambda: site.endpoint.variants[0].current_count == 1)
        assert site.clock.now() - died < timedelta(seconds=10)


async def test_a_restart_of_the_cloud_finds_its_instances(tmp_path: Path) -> None:
    async with hosting(tmp_path, InstanceSupply(start_s=60)) as site:
        site.create()
        await site.becomes("InService")
        await site.endpoints.stop()
        again = site.clock.now()
        site.begin()
        await site.endpoints.start()
        await site.until(lambda: bool(site.engine.running))
        assert site.clock.now() - again < timedelta(seconds=10)


@pytest.mark.docs
async def test_time_that_is_scaled_brings_instances_sooner(tmp_path: Path) -> None:
    async with hosting(tmp_path, InstanceSupply(start_s=300, time_scale=60)) as site:
        began = site.clock.now()
        site.create()
        await site.becomes("InService")
        assert timedelta(seconds=5) <= site.clock.now() - began < timedelta(seconds=7)


@pytest.mark.observed
async def test_a_shortage_leaves_the_change_under_way_and_then_gives_up(tmp_path: Path) -> None:
    shortage = InstanceSupply(InstanceCounts({"ml.m5.large": 2}), time_scale=60)
    async with hosting(tmp_path, shortage) as site:
        site.create()
        await site.becomes("InService")
        resize(site, 3)
        began = site.clock.now()
        await site.until(lambda: site.endpoint.variants[0].current_count == 2)
        assert site.endpoint.status == "Updating"
        await site.becomes("InService")
        took_s = (site.clock.now() - began).total_seconds() * 60
        assert PROVISION_TIMEOUT_S <= took_s < PROVISION_TIMEOUT_S + 120
        assert site.endpoint.failure_reason is None
        assert site.endpoint.variants[0].desired_count == 2


async def test_an_instance_that_becomes_free_ends_the_shortage(tmp_path: Path) -> None:
    shortage = InstanceSupply(InstanceCounts(others=1))
    async with hosting(tmp_path, shortage) as site:
        site.create()
        await site.becomes("InService")
        site.engine.play = Stage("new").play
        site.update()
        began = site.clock.now()
        await site.until(lambda: site.clock.now() - began > timedelta(seconds=30))
        assert (site.endpoint.status, len(site.engine.running)) == ("Updating", 1)
        assert shortage.take("ml.m5.large", 1) == 0
        shortage.give_back("ml.m5.large")  # as another endpoint does whose instance ends
        await site.becomes("InService")
        assert await site.invoke() == "new"
        await site.until(lambda: len(site.engine.running) == 1)


def test_the_supply_counts_by_type() -> None:
    supply = InstanceSupply(InstanceCounts({"ml.m5.large": 2}))
    assert supply.take("ml.m5.large", 3) == 2
    assert supply.take("ml.m5.large", 1) == 0
    assert supply.take("ml.c5.large", 7) == 7
    supply.give_back("ml.m5.large")
    assert supply.take("ml.m5.large", 2) == 1
