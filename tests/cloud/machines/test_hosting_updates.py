"""Updates that move the traffic step by step, with containers that the test plays. Waits of a
deployment pass ten times faster than the clock."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from cloud.machines.hosting_site import HostingSite, Stage
from fogbank.cloud.machines.engine import Exit
from fogbank.cloud.machines.instance_supply import InstanceSupply
from fogbank.cloud.ports import Invocation
from fogbank.cloud.records.alarm import Alarm, AlarmState
from fogbank.cloud.records.hosting import EndpointStatus

CANARY: dict[str, Any] = {
    "BlueGreenUpdatePolicy": {
        "TrafficRoutingConfiguration": {
            "Type": "CANARY",
            "CanarySize": {"Type": "CAPACITY_PERCENT", "Value": 50},
            "WaitIntervalInSeconds": 100,
        },
        "TerminationWaitInSeconds": 50,
    },
    "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": "errors"}]},
}


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[HostingSite]:
    hosting = HostingSite(tmp_path, InstanceSupply(time_scale=10.0))
    await hosting.endpoints.start()
    yield hosting
    await hosting.endpoints.stop()
    await hosting.engine.stop()
    assert hosting.shares.num_leases == 0


def set_alarm(site: HostingSite, name: str, state: AlarmState) -> None:
    now = site.clock.now()
    site.records.put(
        Alarm(
            name=name,
            arn="arn",
            request={},
            configured=now,
            state=state,
            state_reason="Threshold Crossed",
            updated=now,
            transitioned=now,
        )
    )


def play(site: HostingSite, **stages: Stage) -> None:
    """What the containers of a fleet say: those of `new` have an environment that says so."""
    site.engine.play = lambda instance: stages[instance.spec.env.get("FLEET", "old")].play(instance)


async def in_canary(site: HostingSite, new: Stage, *, count: int = 2) -> None:
    """`old` serves with `count` replicas; half of the traffic goes to a part of the new ones."""
    play(site, old=Stage("old"), new=new)
    site.create(desired_count=count)
    await site.becomes("InService")
    set_alarm(site, "errors", "OK")
    container = {**site.variant().container, "Environment": {"FLEET": "new"}}
    site.update(CANARY, desired_count=count, container=container)
    await site.until(lambda: site.stage == "Baking")


async def heard(site: HostingSite, num_requests: int = 200, **invocation: Any) -> Counter[str]:
    """Who answers requests; not one may fail."""
    found: Counter[str] = Counter()
    for _ in range(num_requests):
        sent = Invocation("dogs", b"x", {}, **invocation)
        found[(await site.router.invoke(sent)).body.decode()] += 1
    return found


def num_routed(site: HostingSite) -> int:
    """Replicas that take requests."""
    return len(list(site.router.fleet().get(("dogs", "AllTraffic"), ())))


def status(site: HostingSite) -> EndpointStatus:
    return site.endpoint.status


@pytest.mark.docs
@pytest.mark.parametrize("invocation", [{}, {"target_variant": "AllTraffic"}])
async def test_a_canary_gets_its_share_and_the_other_new_replicas_nothing(
    site: HostingSite, invocation: dict[str, Any]
) -> None:
    await in_canary(site, Stage("new"))
    answers = await heard(site, **invocation)
    assert 50 < answers["new"] < 150  # half of 200; the odds of anything else are 1 in 10**12
    assert answers["old"] == 200 - answers["new"]
    assert (num_routed(site), len(site.engine.running)) == (3, 4)


@pytest.mark.docs
async def test_the_rest_follows_and_the_old_fleet_is_kept_for_a_while(site: HostingSite) -> None:
    await in_canary(site, Stage("new"))
    start_s = site.clock.monotonic_s()
    await site.until(lambda: site.stage == "TerminationWait")
    assert site.clock.monotonic_s() - start_s == pytest.approx(20, abs=1)
    assert set(await heard(site, 50)) == {"new"}
    assert (len(site.engine.running), site.endpoint.status) == (4, "Updating")
    endpoint = await site.becomes("InService")
    assert site.clock.monotonic_s() - start_s == pytest.approx(25, abs=1)
    assert (endpoint.config_name, len(site.engine.running)) == ("second", 2)


@pytest.mark.docs
async def test_an_alarm_wakes_the_keeper_and_the_old_fleet_serves_again(site: HostingSite) -> None:
    new = Stage("new")
    await in_canary(site, new)
    new.free.clear()
    asking = [asyncio.create_task(site.invoke()) for _ in range(40)]
    await site.until(lambda: new.num_waiting + sum(task.done() for task in asking) == 40)
    assert 0 < new.num_waiting < 40
    set_alarm(site, "of-somebody-else", "ALARM")
    await site.clock.settle()
    assert status(site) == "Updating"
    set_alarm(site, "errors", "ALARM")
    await site.clock.settle()  # no time passes
    assert status(site) == "RollingBack"
    assert set(await heard(site, 50)) == {"old"}
    assert status(site) == "RollingBack", "the new fleet still has requests"
    new.free.set()
    assert set(await asyncio.gather(*asking)) == {"old", "new"}, "each ends where it is"
    endpoint = await site.becomes("InService")
    assert endpoint.config_name == "first"
    assert str(endpoint.failure_reason).endswith("errors (Threshold Crossed)")
    assert (len(site.engine.running), endpoint.variants[0].current_count) == (2, 2)


async def test_while_the_canary_is_down_the_old_fleet_has_all_requests(site: HostingSite) -> None:
    await in_canary(site, Stage("new"), count=1)
    again = Stage("again", ping=503)
    play(site, new=again)
    canary = site.engine.running[-1]
    canary.ends(Exit(code=1))
    assert set(await heard(site, 50)) == {"old"}
    again.ping = 200
    await site.until(lambda: site.endpoint.pending_variants[0].current_count == 1)
    assert set(await heard(site, 50)) == {"old", "again"}
    assert (await site.becomes("InService")).config_name == "second"


async def test_a_restart_of_the_cloud_goes_on_where_it_was(site: HostingSite) -> None:
    await in_canary(site, Stage("new"))
    shift = site.endpoint.shift
    assert shift is not None
    await site.endpoints.stop()
    assert site.engine.running == []
    await site.clock.advance(5)
    site.begin()
    await site.endpoints.start()
    await site.until(lambda: num_routed(site) == 3)
    assert site.endpoint.shift == shift
    assert set(await heard(site, 50)) == {"old", "new"}
    await site.until(lambda: site.endpoint.shift != shift)
    assert (site.clock.now() - shift.since).total_seconds() == pytest.approx(10, abs=1)
    assert (await site.becomes("InService")).config_name == "second"


async def test_an_update_under_way_ends_when_its_record_says_deleting(site: HostingSite) -> None:
    await in_canary(site, Stage("new"))
    site.delete()
    await site.until(lambda: site.is_deleted)
    assert site.engine.running == []
