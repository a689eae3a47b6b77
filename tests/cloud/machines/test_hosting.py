"""Endpoints from their records to replicas that serve; the containers are played by the test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from cloud.machines.hosting_site import HostingSite, Stage, dies
from fogbank.cloud.machines.engine import Exit
from fogbank.cloud.machines.replica import PING_EVERY_S, PING_FAILURES
from fogbank.cloud.ports import NoAnswer
from fogbank.cloud.rules.endpoint import FAILURE_REASON_CHARS
from fogbank.cloud.rules.endpoint_fleet import START_ATTEMPTS, STARTUP_TIMEOUT_S


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[HostingSite]:
    hosting = HostingSite(tmp_path)
    await hosting.endpoints.start()
    yield hosting
    await hosting.endpoints.stop()
    await hosting.engine.stop()
    assert hosting.shares.num_leases == 0
    assert hosting.folders == []


@pytest.mark.docs
async def test_a_new_endpoint_comes_into_service(site: HostingSite) -> None:
    site.create(desired_count=2)
    endpoint = await site.becomes("InService")
    (variant,) = endpoint.variants
    assert (variant.current_count, variant.current_weight) == (2, 1.0)
    assert (endpoint.config_name, endpoint.pending_variants) == ("first", ())
    assert await site.invoke() == "old"
    addresses = {instance.spec.address for instance in site.engine.running}
    assert len(addresses) == len(site.engine.running) == 2


@pytest.mark.docs  # developer guide, "Custom Inference Code with Hosting Services"
async def test_what_a_container_gets(site: HostingSite) -> None:
    container = {
        "Image": "image",
        "ModelDataUrl": "s3://models/dogs.tar.gz",
        "Environment": {"SAGEMAKER_PROGRAM": "serve.py", "CODE": "/opt/ml/model/code"},
    }
    site.create(container=container)
    await site.becomes("InService")
    (instance,) = site.engine.running
    spec = instance.spec
    assert spec.argv[1:] == ("-m", "fogbank.images.inference")
    assert (spec.base / "model" / "weights").read_text() == "1 2 3"
    expected = {
        "SAGEMAKER_PROGRAM": "serve.py",
        "CODE": f"{spec.base}/model/code",
        "SAGEMAKER_BIND_TO_PORT": "8080",
        "FOGBANK_BIND_HOST": spec.address,
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:4566",
        "AWS_ACCESS_KEY_ID": "ASIATEST",
        "AWS_SESSION_TOKEN": "token",
    }
    assert expected.items() <= spec.env.items()
    assert spec.folder.parent == site.root


async def test_the_log_has_a_stream_for_each_container(site: HostingSite) -> None:
    site.create()
    await site.becomes("InService")
    (instance,) = site.engine.running
    instance.prints("loaded\n")
    await site.until(lambda: bool(site.logs.streams))
    ((group, stream),) = site.logs.streams
    assert group == "/aws/sagemaker/Endpoints/dogs"
    assert stream.startswith("AllTraffic/i-")
    assert site.logs.lines == ["loaded"]


@pytest.mark.observed  # the sentence about the ping health check
async def test_a_container_that_fails(site: HostingSite) -> None:
    site.engine.play = dies("Traceback ...\nImportError: no torch\n")
    site.create()
    endpoint = await site.becomes("Failed")
    assert endpoint.failure_reason == (
        "The primary container for production variant AllTraffic did not pass the ping health "
        "check. Please check CloudWatch logs for this endpoint. The container's last words: exit "
        "code 1: Traceback ...\nImportError: no torch"
    )
    assert len(site.engine.instances) == START_ATTEMPTS
    assert endpoint.variants == ()


async def test_the_end_of_long_last_words_counts(site: HostingSite) -> None:
    frames = "".join(f'  File "/code/module_{n}.py", line {n}, in load\n' for n in range(100))
    site.engine.play = dies(f"Traceback:\n{frames}ImportError: no torch\n")
    site.create(name="V" * 63)
    reason = (await site.becomes("Failed")).failure_reason or ""
    assert reason.endswith("ImportError: no torch")
    assert "exit code 1: " in reason
    assert len(reason) <= FAILURE_REASON_CHARS


@pytest.mark.parametrize(
    ("end", "words"),
    [
        (Exit(signal=9), "signal 9"),
        (Exit(signal=9, oom=True), "ran out of memory"),
        (Exit(code=0), "exit code 0"),
    ],
)
async def test_how_a_container_ended(site: HostingSite, end: Exit, words: str) -> None:
    site.engine.play = dies("", code=end.code, signal=end.signal, oom=end.oom)
    site.create()
    reason = (await site.becomes("Failed")).failure_reason or ""
    assert reason.endswith(f"The container's last words: {words}")


async def test_a_host_that_starts_nothing(site: HostingSite) -> None:
    site.engine.refusal = "cannot start python: no such file"
    site.create()
    reason = (await site.becomes("Failed")).failure_reason or ""
    assert reason.endswith("cannot start python: no such file")


async def test_model_data_that_can_never_work(site: HostingSite) -> None:
    site.objects.add("models", "dogs.tar.gz", b"this is no archive")
    site.create()
    reason = (await site.becomes("Failed")).failure_reason or ""
    assert reason.startswith("Could not use the model data at s3://models/dogs.tar.gz: ")
    assert site.engine.instances == []


async def test_a_role_that_was_deleted(site: HostingSite) -> None:
    role = "arn:aws:iam::123456789012:role/gone"
    site.create(execution_role_arn=role)
    reason = (await site.becomes("Failed")).failure_reason or ""
    assert reason.endswith(f"the role {role} of the model does not exist")


@pytest.mark.docs  # ContainerStartupHealthCheckTimeoutInSeconds
@pytest.mark.parametrize(
    ("settings", "limit_s"),
    [(None, STARTUP_TIMEOUT_S), ({"ContainerStartupHealthCheckTimeoutInSeconds": 60}, 60)],
)
async def test_a_container_that_is_never_healthy(
    site: HostingSite, settings: dict[str, int] | None, limit_s: int
) -> None:
    site.engine.play = Stage("loading", ping=503).play
    site.create(settings=settings)
    await site.until(lambda: bool(site.engine.running))
    await site.clock.advance(limit_s - 1)
    assert site.endpoint.status == "Creating"
    endpoint = await site.becomes("Failed")
    assert f"no good answer on /ping within {limit_s} s" in (endpoint.failure_reason or "")


async def test_an_update_moves_the_traffic_when_all_are_healthy(site: HostingSite) -> None:
    site.create()
    await site.becomes("InService")
    (old,) = site.engine.running
    slow = Stage("new", ping=503)
    plays = iter([Stage("new").play, slow.play])
    site.engine.play = lambda instance: next(plays)(instance)
    site.update(desired_count=2)
    await site.until(lambda: len(site.engine.running) == 3)
    await site.until(lambda: site.endpoint.pending_variants[0].current_count == 1)
    assert await site.invoke() == "old"
    assert site.endpoint.status == "Updating"
    slow.ping = 200
    endpoint = await site.becomes("InService")
    assert await site.invoke() == "new"
    assert (endpoint.config_name, endpoint.variants[0].current_count) == ("second", 2)
    await site.until(lambda: old.has_ended)
    assert len(site.engine.running) == 2


async def test_an_update_lets_requests_end(site: HostingSite) -> None:
    stage = Stage("old")
    site.engine.play = stage.play
    site.create()
    await site.becomes("InService")
    (old,) = site.engine.running
    stage.free.clear()
    running = asyncio.create_task(site.invoke())
    await site.until(lambda: stage.num_waiting == 1)
    site.engine.play = Stage("new").play
    site.update()
    await site.until(lambda: site.stage == "Deleting")
    assert await site.invoke() == "new"
    assert (site.endpoint.status, old.has_ended) == ("Updating", False)
    stage.free.set()
    assert await running == "old"
    await site.becomes("InService")
    assert old.has_ended


async def test_an_update_that_fails(site: HostingSite) -> None:
    site.create()
    await site.becomes("InService")
    site.engine.play = dies("ImportError: no torch")
    site.update()
    endpoint = await site.becomes("InService")
    assert endpoint.config_name == "first"
    assert "ImportError: no torch" in (endpoint.failure_reason or "")
    assert await site.invoke() == "old"
    assert len(site.engine.running) == 1


@pytest.mark.docs
async def test_counts_change_in_place(site: HostingSite) -> None:
    site.create()
    await site.becomes("InService")
    (kept,) = site.engine.running
    for count in (3, 1):
        (variant,) = site.endpoint.variants
        site.records.put(
            replace(
                site.endpoint,
                status="Updating",
                variants=(replace(variant, desired_count=count),),
                pending_since=site.clock.now(),
            )
        )
        await site.becomes("InService")
        await site.until(lambda count=count: len(site.engine.running) == count)  # type: ignore[misc]
        assert site.endpoint.variants[0].current_count == count
    assert site.engine.running == [kept]


async def test_delete(site: HostingSite) -> None:
    stage = Stage("old")
    site.engine.play = stage.play
    site.create()
    await site.becomes("InService")
    site.delete()
    await site.until(lambda: site.is_deleted)
    assert (site.engine.running, site.folders, site.shares.num_leases) == ([], [], 0)
    with pytest.raises(LookupError):
        await site.invoke()


async def test_a_failed_endpoint_can_be_deleted_and_created_again(site: HostingSite) -> None:
    site.engine.play = dies("no")
    site.create()
    await site.becomes("Failed")
    site.delete()
    await site.until(lambda: site.is_deleted)
    site.engine.play = Stage("second").play
    site.create()
    await site.becomes("InService")
    assert await site.invoke() == "second"


async def test_a_container_that_dies_in_service_is_replaced(site: HostingSite) -> None:
    site.create()
    await site.becomes("InService")
    (first,) = site.engine.running
    first.ends(Exit(signal=9))
    await site.until(lambda: site.endpoint.variants[0].current_count == 0)
    waiting = asyncio.create_task(site.invoke())
    await site.until(waiting.done)
    assert await waiting == "old"
    assert site.endpoint.status == "InService"
    (second,) = site.engine.running
    assert second is not first


@pytest.mark.docs  # a container has 2 s for a ping; one that does not answer is replaced
async def test_a_container_that_stops_answering_pings_is_replaced(site: HostingSite) -> None:
    stage = Stage("sick")
    site.engine.play = stage.play
    site.create()
    await site.becomes("InService")
    (sick,) = site.engine.running
    site.engine.play = Stage("well").play
    stage.ping = 500
    before_s = site.clock.monotonic_s()
    await site.until(lambda: sick.has_ended)
    assert site.clock.monotonic_s() - before_s >= (PING_FAILURES - 1) * PING_EVERY_S
    await site.until(lambda: site.endpoint.variants[0].current_count == 1)
    assert await site.invoke() == "well"


async def test_a_container_that_dies_again_and_again_is_started_more_and_more_seldom(
    site: HostingSite,
) -> None:
    site.create()
    await site.becomes("InService")
    site.engine.play = dies("cannot")
    (first,) = site.engine.running
    first.ends(Exit(code=1))
    starts: list[float] = []
    for number in range(2, 6):
        await site.until(lambda number=number: len(site.engine.instances) == number)  # type: ignore[misc]
        starts.append(site.clock.monotonic_s())
    pauses = [later - sooner for sooner, later in pairwise(starts)]
    # Files are handled in threads meanwhile, and the clock of the test goes on: a little more.
    for pause, least in zip(pauses, (2, 4, 8), strict=True):
        assert least <= round(pause, 1) < least * 1.75
    assert site.endpoint.status == "InService"


async def test_a_restart_of_the_cloud(site: HostingSite) -> None:
    site.create(desired_count=2)
    before = await site.becomes("InService")
    leftover = site.root / "of-a-run-that-was-killed"
    await site.endpoints.stop()
    assert site.engine.running == []
    assert site.endpoint.status == "InService"
    leftover.mkdir()
    site.begin()
    await site.endpoints.start()
    assert not leftover.exists()
    assert site.engine.swept == [site.root] * 2
    assert await _soon(site) == "old"
    await site.until(lambda: site.endpoint.variants[0].current_count == 2)
    assert replace(site.endpoint, modified=before.modified) == before


async def _soon(site: HostingSite) -> str:
    """What a client hears who asks while the replicas are starting."""
    asking = asyncio.create_task(site.invoke())
    await site.until(asking.done)
    return await asking


async def test_a_restart_in_the_middle_of_an_update(site: HostingSite) -> None:
    site.create()
    await site.becomes("InService")
    site.engine.play = Stage("new", ping=503).play
    site.update()
    await site.until(lambda: len(site.engine.running) == 2)
    await site.endpoints.stop()
    site.engine.play = Stage("new").play
    site.begin()
    await site.endpoints.start()
    endpoint = await site.becomes("InService")
    assert endpoint.config_name == "second"
    assert await site.invoke() == "new"
    await site.until(lambda: len(site.engine.running) == 1)


async def test_stopping_the_cloud_does_not_wait_for_slow_requests(site: HostingSite) -> None:
    stage = Stage("old")
    site.engine.play = stage.play
    site.create()
    await site.becomes("InService")
    stage.free.clear()
    running = asyncio.create_task(site.invoke())
    await site.until(lambda: stage.num_waiting == 1)
    site.engine.play = Stage("new").play
    site.update()
    await site.until(lambda: site.stage == "Deleting")
    async with asyncio.timeout(5):
        await site.endpoints.stop()
    assert site.engine.running == []
    with pytest.raises((NoAnswer, LookupError)):
        await running
