"""Concurrency with real processes: who runs, who is throttled, who is cold.

The handlers wait for a file, so that nothing depends on time.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cloud.machines.functions.function_site import FunctionSite, until
from fogbank.cloud.ports import FunctionResult, FunctionThrottled
from fogbank.cloud.records.function import Alias, ProvisionedConcurrency

WAITS = """
import os, time
folder = os.environ.get("TMPDIR", "/tmp")
def handler(event, context):
    print("takes", event)
    while not os.path.exists(folder + "/go"):
        time.sleep(0.005)
    return os.environ["AWS_LAMBDA_INITIALIZATION_TYPE"], context.function_version
"""
ENOUGH: dict[str, Any] = {"timeout_s": 60}


def go(site: FunctionSite) -> None:
    """Let every handler that waits go on, and those that come."""
    for folder in site.folders:
        (folder / "base" / "tmp" / "go").touch()


def num_at_work(site: FunctionSite) -> int:
    return sum(line.startswith("takes") for line in site.logs.lines)


async def ready(site: FunctionSite, qualifier: str = "live") -> ProvisionedConcurrency:
    def probe() -> ProvisionedConcurrency | None:
        found = site.provisioned("f", qualifier)
        return found if found.status == "READY" else None

    found: ProvisionedConcurrency = await until(probe, "provisioned concurrency")
    return found


def says(result: FunctionResult | BaseException) -> str:
    """Where a call ran, or why it did not."""
    if isinstance(result, FunctionThrottled):
        return result.reason
    assert isinstance(result, FunctionResult), result
    assert result.error is None, result.payload
    where: str = json.loads(result.payload)[0]
    return where


@pytest.mark.docs
async def test_provisioned_3_reserved_5_20_callers(functions: FunctionSite) -> None:
    functions.create("f", WAITS, version="1", reserved=5, **ENOUGH)
    functions.alias("f", "live", "1")
    functions.provision("f", "live", 3)
    await ready(functions)
    assert len(functions.folders) == 3

    calls = [
        asyncio.create_task(functions.invoke("f", n, version="1", qualifier="live"))
        for n in range(20)
    ]
    await until(lambda: num_at_work(functions) == 5, "five at work")
    await until(lambda: sum(call.done() for call in calls) == 15, "fifteen throttled")
    assert functions.functions.concurrent_executions("f") == 5
    assert len(functions.folders) == 5
    go(functions)
    results = await asyncio.gather(*calls, return_exceptions=True)

    throttled = "ReservedFunctionConcurrentInvocationLimitExceeded"
    assert Counter(map(says, results)) == {
        "provisioned-concurrency": 3,
        "on-demand": 2,
        throttled: 15,
    }
    assert [says(result) for result in results[:3]] == ["provisioned-concurrency"] * 3
    for result in results[:3]:
        assert isinstance(result, FunctionResult)
        assert b"Init Duration" not in result.log_tail, "none of the first three is cold"
    for result in results[3:5]:
        assert isinstance(result, FunctionResult)
        assert b"Init Duration" in result.log_tail
    invocations = functions.metric("Invocations", FunctionName="f")
    throttles = functions.metric("Throttles", FunctionName="f")
    assert (sum(invocations), sum(throttles)) == (5, 15)
    assert max(functions.metric("ConcurrentExecutions", FunctionName="f")) == 5
    live = {"FunctionName": "f", "Resource": "f:live"}
    assert sum(functions.metric("ProvisionedConcurrencyInvocations", **live)) == 3
    assert sum(functions.metric("ProvisionedConcurrencySpilloverInvocations", **live)) == 2
    assert max(functions.metric("ProvisionedConcurrencyUtilization", **live)) == 1
    assert functions.metric("UnreservedConcurrentExecutions") == []


@pytest.mark.docs
async def test_one_event_at_a_time_each_in_an_environment(functions: FunctionSite) -> None:
    functions.create("f", WAITS, **ENOUGH)
    calls = [asyncio.create_task(functions.answer("f", n)) for n in range(4)]
    await until(lambda: num_at_work(functions) == 4, "four at work")
    assert len(functions.folders) == 4
    go(functions)
    await asyncio.gather(*calls)
    await functions.answer("f")
    assert len(functions.folders) == 4, "those of before are used"
    assert max(functions.metric("UnreservedConcurrentExecutions")) == 4


@pytest.mark.docs
async def test_the_accounts_limit(functions: FunctionSite, tmp_path: Path) -> None:
    site = FunctionSite(
        tmp_path / "small", functions.clock, functions.engine, account_limit=3, network=68 << 8
    )
    await site.start()
    site.create("mine", WAITS, reserved=1, **ENOUGH)
    site.create("f", WAITS, **ENOUGH)
    calls = [asyncio.create_task(site.invoke("f", n)) for n in range(3)]
    await until(lambda: num_at_work(site) == 2, "two at work")
    with pytest.raises(FunctionThrottled, match=r"^ConcurrentInvocationLimitExceeded$"):
        await calls[2]
    own = asyncio.create_task(site.invoke("mine", 1))
    await until(lambda: num_at_work(site) == 3, "the guaranteed one")
    go(site)
    await asyncio.gather(own, *calls[:2])
    site.reserve("mine", 3)  # from now on there is nothing left for the others
    with pytest.raises(FunctionThrottled, match=r"^ConcurrentInvocationLimitExceeded$"):
        await site.invoke("f")
    await site.functions.stop()


@pytest.mark.docs
async def test_reserved_zero_is_off(functions: FunctionSite) -> None:
    functions.create("f", WAITS, reserved=0)
    with pytest.raises(FunctionThrottled, match="ReservedFunctionConcurrent"):
        await functions.invoke("f")
    assert functions.folders == []
    functions.reserve("f", None)
    functions.create("f", "def handler(e, c): return 1")
    assert await functions.answer("f") == 1


@pytest.mark.docs
async def test_provisioned_follows_its_alias_and_serves_only_it(functions: FunctionSite) -> None:
    code = "import os\ndef handler(e, c): return os.environ['AWS_LAMBDA_INITIALIZATION_TYPE']"
    functions.create("f", code, version="1")
    functions.create("f", code, version="2")
    functions.alias("f", "live", "1")
    functions.provision("f", "live", 2)
    assert (await ready(functions)).available == 2
    call = {"version": "1", "qualifier": "live"}
    assert await functions.answer("f", **call) == "provisioned-concurrency"
    assert await functions.answer("f", version="1", qualifier="1") == "on-demand"
    assert await functions.answer("f", version="1") == "on-demand"

    alias = functions.records.get(Alias, "f:live")
    assert alias is not None
    before = set(functions.folders)
    functions.records.put(replace(alias, version="2"))
    await until(lambda: functions.provisioned("f", "live").status == "IN_PROGRESS", "a move")
    await ready(functions)
    call["version"] = "2"
    result = await functions.invoke("f", None, **call)
    assert json.loads(result.payload) == "provisioned-concurrency"
    assert b"Init Duration" not in result.log_tail
    gone = {folder for folder in before if not folder.exists()}
    assert len(gone) == 2, "those of version 1 went"

    # Another service changes the count: Application Auto Scaling does.
    functions.records.put(replace(functions.provisioned("f", "live"), requested=1))
    await until(lambda: functions.provisioned("f", "live").allocated == 1, "one")
    functions.records.delete(ProvisionedConcurrency, "f:live")
    assert await functions.answer("f", **call) == "on-demand"


@pytest.mark.docs
async def test_provisioned_that_cannot_be_initialised(functions: FunctionSite) -> None:
    functions.create("f", "import numpy", version="1")
    functions.provision("f", "1", 2)
    await until(lambda: functions.provisioned("f", "1").status == "FAILED", "the failure")
    found = functions.provisioned("f", "1")
    assert (found.available, found.status_reason) == (0, "FUNCTION_ERROR_INIT_FAILURE")
    # A new request is a new try.
    functions.create("f", "def handler(e, c): return 1", version="2")
    functions.provision("f", "2", 1)
    await ready(functions, "2")


async def test_provisioned_is_there_again_after_a_restart(functions: FunctionSite) -> None:
    functions.create("f", WAITS, version="1")
    functions.provision("f", "1", 2)
    await ready(functions, "1")
    await functions.functions.stop()
    assert functions.provisioned("f", "1").status == "READY", "the record stays"
    again = functions.restarted()
    await again.start()
    await until(lambda: len(functions.folders) == 2, "environments")
    await ready(functions, "1")
    await again.stop()


async def test_a_provisioned_environment_that_dies_is_replaced(functions: FunctionSite) -> None:
    functions.create("f", "import os\ndef handler(e, c): os.kill(os.getpid(), 9)", version="1")
    functions.provision("f", "1", 1)
    await ready(functions, "1")
    (before,) = functions.folders
    await functions.failure("f", version="1", qualifier="1")
    await until(lambda: before not in functions.folders and functions.folders, "another")
    await ready(functions, "1")
