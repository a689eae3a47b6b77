"""Which jobs have a network of their own, and what becomes of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cloud.machines.training_site import TrainingSite
from fogbank.cloud.machines import meeting
from fogbank.cloud.machines.engine import EngineError, Exit, NetworkSpec
from fogbank.cloud.machines.fake import FakeEngine
from fogbank.testing.clock import ManualClock

URL = "http://127.0.0.1:4566"


@pytest.mark.docs
@pytest.mark.parametrize(
    ("num_instances", "isolated", "can_network", "own", "cloud"),
    [
        (1, False, True, False, None),
        (2, False, True, True, URL),
        (1, True, True, True, None),
        (2, True, True, True, None),
        (2, True, False, False, None),
    ],
)
async def test_who_has_a_network(
    tmp_path: Path,
    num_instances: int,
    isolated: bool,
    can_network: bool,
    own: bool,
    cloud: str | None,
) -> None:
    clock = ManualClock()
    engine = FakeEngine(clock, can_network=can_network)
    job = TrainingSite(tmp_path, engine, clock).create(EnableNetworkIsolation=isolated)
    addresses = [f"127.77.0.{number + 1}" for number in range(num_instances)]
    found = await meeting.open_meeting(job, engine, tmp_path, addresses, URL)
    if own:
        (network,) = engine.networks
        assert network.spec.cloud_url == cloud
        assert network.spec.outside is (not isolated)
        assert network.spec.host_names == ("algo-1", "algo-2")[:num_instances]
        assert (found.port, found.interface) == (7777, "eth0")
        assert found.addresses == network.addresses
        assert "FOGBANK_MASTER_PORT" not in found.variables
    else:
        assert engine.networks == []
        assert found.addresses == tuple(addresses)
        assert found.attachment(0) is None
        assert found.variables["FOGBANK_MASTER_ADDR"] == addresses[0]
        assert found.variables["FOGBANK_MASTER_PORT"] == str(found.port)
    await found.close()
    await found.close()
    assert all(network.closed for network in engine.networks)


async def test_a_job_in_its_network(tmp_path: Path) -> None:
    clock = ManualClock()
    engine = FakeEngine(clock, can_network=True)
    site = TrainingSite(tmp_path, engine, clock)
    await site.jobs.start()
    site.create(ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 2})
    await site.until("Training")
    while len(engine.instances) < 2:
        await clock.settle()
    (network,) = engine.networks
    for number, instance in enumerate(engine.instances):
        attachment = instance.spec.attachment
        assert attachment is not None
        assert (attachment.network, attachment.number) == (network, number)
        assert instance.spec.address == network.addresses[number]
        config = instance.spec.base / "input" / "config" / "resourceconfig.json"
        assert json.loads(config.read_text())["network_interface_name"] == "eth0"
        assert instance.spec.env["AWS_ENDPOINT_URL"] == URL
    assert [one.closed for one in engine.networks] == [False]
    for instance in engine.instances:
        instance.ends(Exit(code=0))
    assert (await site.end()).status == "Completed"
    assert [one.closed for one in engine.networks] == [True]
    await site.jobs.stop()


async def test_a_network_that_cannot_be_made_fails_the_job(tmp_path: Path) -> None:
    clock = ManualClock()
    engine = FakeEngine(clock, can_network=True)
    engine.refusal = "no more namespaces"
    with pytest.raises(EngineError):
        await engine.open_network(
            NetworkSpec(name="x", folder=tmp_path, host_names=("a",), cloud_url=None, outside=False)
        )
    site = TrainingSite(tmp_path, engine, clock)
    await site.jobs.start()
    site.create(EnableNetworkIsolation=True)
    job = await site.end()
    assert job.status == "Failed"
    assert "no more namespaces" in (job.failure_reason or "")
    assert site.site.shares.num_leases == 0
    await site.jobs.stop()
