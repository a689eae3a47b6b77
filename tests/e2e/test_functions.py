"""Functions under load and under `kill -9`, through the wire.

Handlers wait for a file in their /tmp, so that nothing here depends on time.
"""

from __future__ import annotations

import base64
import io
import json
import zipfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest
from botocore.exceptions import BotoCoreError, ClientError

from e2e.account import Account
from e2e.waiting import until
from fogbank.core.clock import SystemClock
from fogbank.testing.cloud import RunningCloud

pytestmark = pytest.mark.slow

TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Service": "lambda.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
    ],
}

WAITS = """
import os, time
folder = os.environ.get("TMPDIR", "/tmp")
def handler(event, context):
    print("takes", event)
    while not os.path.exists(folder + "/go"):
        time.sleep(0.005)
    return os.environ["AWS_LAMBDA_INITIALIZATION_TYPE"]
"""


class Functions:
    """Functions of one account."""

    def __init__(self, account: Account) -> None:
        self.account = account
        self.client = account.client("lambda")
        role = account.client("iam").create_role(
            RoleName="waits", AssumeRolePolicyDocument=json.dumps(TRUST)
        )
        self.role = role["Role"]["Arn"]

    def create(self, name: str, code: str, **settings: Any) -> None:
        """Returns when it is Active."""
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w") as archive:
            archive.writestr("app.py", code)
        self.client.create_function(
            FunctionName=name,
            Runtime="python3.11",
            Role=self.role,
            Handler="app.handler",
            Code={"ZipFile": content.getvalue()},
            **{"Timeout": 60, **settings},
        )
        until(lambda: self._state(name) == "Active", f"function {name}")

    def _state(self, name: str) -> str:
        found: str = self.client.get_function_configuration(FunctionName=name)["State"]
        return found

    def provision(self, name: str, qualifier: str, count: int) -> None:
        """Returns when they are initialised."""
        self.client.put_provisioned_concurrency_config(
            FunctionName=name, Qualifier=qualifier, ProvisionedConcurrentExecutions=count
        )
        self.provisioned(name, qualifier)

    def provisioned(self, name: str, qualifier: str) -> dict[str, Any]:
        def probe() -> dict[str, Any] | None:
            found: dict[str, Any] = self.client.get_provisioned_concurrency_config(
                FunctionName=name, Qualifier=qualifier
            )
            there = len(self.folders) >= found["RequestedProvisionedConcurrentExecutions"]
            return found if found["Status"] == "READY" and there else None

        return until(probe, "provisioned concurrency")

    def call(self, name: str, event: Any = None, **how: Any) -> dict[str, Any]:
        found: dict[str, Any] = self.client.invoke(
            FunctionName=name, Payload=json.dumps(event), LogType="Tail", **how
        )
        return found

    @property
    def folders(self) -> list[Path]:
        """Of execution environments."""
        return list((self.account.cloud.home / "instances" / "functions").iterdir())

    def go(self) -> None:
        """Let every handler that waits go on."""
        for folder in self.folders:
            (folder / "base" / "tmp" / "go").touch()

    def lines(self, name: str, start: str) -> list[str]:
        """Lines of the function's log that start so."""
        try:
            pages = self.account.logs.get_paginator("filter_log_events").paginate(
                logGroupName=f"/aws/lambda/{name}"
            )
            messages = [event["message"] for page in pages for event in page["events"]]
        except self.account.logs.exceptions.ResourceNotFoundException:
            return []
        return [message for message in messages if message.startswith(start)]

    def total(self, metric: str, name: str) -> float:
        """The sum of a metric of the last hour."""
        now = SystemClock().now()
        answer = self.account.client("cloudwatch").get_metric_statistics(
            Namespace="AWS/Lambda",
            MetricName=metric,
            Dimensions=[{"Name": "FunctionName", "Value": name}],
            StartTime=now - timedelta(hours=1),
            EndTime=now + timedelta(minutes=1),
            Period=60,
            Statistics=["Sum"],
        )
        return float(sum(point["Sum"] for point in answer["Datapoints"]))

    @property
    def processes(self) -> list[psutil.Process]:
        """Runtimes of this cloud, wherever they are in the tree."""
        found = []
        for process in psutil.process_iter():
            try:
                mark = process.environ().get("FOGBANK_INSTANCE", "")
            except psutil.Error:
                continue  # it has ended meanwhile, or is none of ours
            if mark.startswith(f"{self.account.cloud.home}/instances/functions/"):
                found.append(process)
        return found


@pytest.fixture(scope="module")
def functions(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Functions]:
    """On a cloud of their own, that tests may kill."""
    cloud = RunningCloud(tmp_path_factory.mktemp("functions") / "home").start()
    try:
        yield Functions(Account(cloud, "functions"))
    finally:
        assert cloud.stop() == 0


@pytest.mark.docs
def test_provisioned_3_reserved_5_20_callers(functions: Functions) -> None:
    """Exactly five run at once, the others are throttled, the first three are not cold, and the
    metrics add up."""
    name = "loaded"
    functions.create(name, WAITS)
    functions.client.publish_version(FunctionName=name)
    functions.client.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=5)
    functions.client.create_alias(FunctionName=name, Name="live", FunctionVersion="1")
    active = functions.client.get_waiter("published_version_active")
    active.wait(FunctionName=name, Qualifier="1")
    functions.provision(name, "live", 3)

    def caller(number: int) -> dict[str, Any]:
        try:
            return functions.call(name, number, Qualifier="live")
        except ClientError as error:
            return dict(error.response)

    with ThreadPoolExecutor(20) as pool:
        calls = [pool.submit(caller, number) for number in range(20)]
        until(lambda: len(functions.lines(name, "takes")) == 5, "five at work")
        until(lambda: sum(call.done() for call in calls) == 15, "fifteen throttled")
        assert len(functions.lines(name, "takes")) == 5
        functions.go()
        results = [call.result() for call in calls]

    refused = [result for result in results if "Error" in result]
    answered = [result for result in results if "Error" not in result]
    assert len(refused) == 15
    for result in refused:
        assert result["Error"]["Code"] == "TooManyRequestsException"
        assert result["Reason"] == "ReservedFunctionConcurrentInvocationLimitExceeded"
        assert result["ResponseMetadata"]["HTTPStatusCode"] == 429
        assert int(result["ResponseMetadata"]["HTTPHeaders"]["retry-after"]) >= 1
    kinds = Counter(json.load(result["Payload"]) for result in answered)
    assert kinds == {"provisioned-concurrency": 3, "on-demand": 2}
    assert {result["ExecutedVersion"] for result in answered} == {"1"}
    cold = [b"Init Duration" in base64.b64decode(result["LogResult"]) for result in answered]
    assert sum(cold) == 2, "only those that spilled over"
    starts = until(lambda: _five(functions.lines(name, "REPORT")), "five reports")
    assert sum("Init Duration" in line for line in starts) == 2
    until(lambda: functions.total("Invocations", name) == 5, "five invocations counted")
    assert functions.total("Throttles", name) == 15
    assert functions.total("Errors", name) == 0
    functions.client.delete_function(FunctionName=name)
    until(lambda: not functions.folders, "the environments to go")


def _five(lines: list[str]) -> list[str] | None:
    return lines if len(lines) == 5 else None


@pytest.mark.docs
def test_ten_requests_a_second_for_each_execution(functions: Functions) -> None:
    """However short they are: one after the other they are throttled, with one execution free."""
    functions.create("short", "def handler(e, c): return e")
    functions.call("short")
    functions.client.put_function_concurrency(FunctionName="short", ReservedConcurrentExecutions=1)
    num_answered = 0
    with pytest.raises(ClientError) as caught:
        for number in range(1000):
            functions.call("short", number)
            num_answered += 1
    assert num_answered >= 10, "the bucket was full"
    refused: dict[str, Any] = dict(caught.value.response)
    assert refused["Reason"] == "ReservedFunctionInvocationRateLimitExceeded"
    assert refused["ResponseMetadata"]["HTTPStatusCode"] == 429
    functions.client.delete_function(FunctionName="short")
    until(lambda: not functions.folders, "the environment to go")


def test_kill_9_of_the_server_in_the_middle_of_calls(functions: Functions) -> None:
    """The caller's connection breaks; nothing is left running; what was queued goes on, and what
    was provisioned comes back."""
    name = "killed"
    functions.create(name, WAITS)
    functions.client.publish_version(FunctionName=name)
    functions.client.get_waiter("published_version_active").wait(FunctionName=name, Qualifier="1")
    functions.provision(name, "1", 1)
    functions.client.invoke(FunctionName=name, InvocationType="Event", Payload=b'"queued"')
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(functions.call, name, "called")
        until(lambda: len(functions.lines(name, "takes")) == 2, "both at work")
        before = functions.processes
        assert len({process.environ()["FOGBANK_INSTANCE"] for process in before}) == 3
        functions.account.cloud.kill()
        with pytest.raises(BotoCoreError):
            call.result()
    functions.account.cloud.start()
    assert not set(before) & set(functions.processes), "nothing is left running"
    functions.provisioned(name, "1")
    until(lambda: len(functions.lines(name, "takes")) == 3, "the queued one again")
    assert functions.lines(name, "takes")[-1] == "takes queued\n"
    functions.go()
    until(lambda: len(functions.lines(name, "REPORT")) == 1, "its end")
    functions.client.delete_function(FunctionName=name)
    until(lambda: not functions.processes, "no process")


@pytest.mark.docs
def test_new_code_takes_over(functions: Functions) -> None:
    functions.create("changed", "def handler(e, c): return 'old'")
    assert json.load(functions.call("changed")["Payload"]) == "old"
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("app.py", "def handler(e, c): return 'new'")
    functions.client.update_function_code(FunctionName="changed", ZipFile=content.getvalue())
    functions.client.get_waiter("function_updated_v2").wait(FunctionName="changed")
    assert json.load(functions.call("changed")["Payload"]) == "new"


@pytest.mark.docs
def test_1000_warm_calls_leak_nothing(functions: Functions) -> None:
    """Memory of the server and of the environment before and after."""
    functions.create("warm", "def handler(e, c): return e", MemorySize=256)
    server = psutil.Process(functions.account.cloud.pid)

    def calls(count: int) -> None:
        for number in range(count):
            functions.client.invoke(FunctionName="warm", Payload=b"%d" % number)["Payload"].read()

    calls(100)  # caches fill
    marks = {one: one.environ()["FOGBANK_INSTANCE"] for one in functions.processes}
    (runtime,) = [
        one
        for one, mark in marks.items()
        if "/warm-" in mark and one.cmdline()[1:3] == ["-m", "awslambdaric"]
    ]
    environment_bytes, server_bytes = runtime.memory_info().rss, server.memory_info().rss
    num_files = server.num_fds()
    calls(1000)
    assert runtime.memory_info().rss - environment_bytes < 1 << 20
    assert server.memory_info().rss - server_bytes < 8 << 20
    assert server.num_fds() <= num_files + 4
