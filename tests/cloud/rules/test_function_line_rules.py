"""Log lines, bills, failures, states and metrics of functions."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from fogbank.cloud.records.function import FunctionVersion
from fogbank.cloud.rules import function_failures as failures
from fogbank.cloud.rules import function_lines as lines
from fogbank.cloud.rules import function_metrics as metrics
from fogbank.cloud.rules.function_state import Obstacle, needs_preparation, prepared

NOW = datetime(2026, 11, 21, 12, 0, 0, 123456, tzinfo=UTC)


@pytest.mark.observed
def test_report_of_a_cold_start() -> None:
    """The reference project's line, with today's bill: INIT is billed since August 2025."""
    measured = lines.Report(
        request_id="id",
        duration_ms=960.45,
        memory_mb=128,
        max_rss_bytes=69 << 20,
        init_ms=326.33,
    )
    assert lines.report(measured) == (
        "REPORT RequestId: id\tDuration: 960.45 ms\tBilled Duration: 1287 ms\t"
        "Memory Size: 128 MB\tMax Memory Used: 69 MB\tInit Duration: 326.33 ms\t"
    )


@pytest.mark.observed
@pytest.mark.parametrize(
    ("changes", "end"),
    [
        ({}, "Max Memory Used: 70 MB\t"),
        ({"timed_out": True}, "Max Memory Used: 70 MB\tStatus: timeout\t"),
        (
            {"error_type": "Runtime.ExitError", "max_rss_bytes": 300 << 20},
            "Max Memory Used: 128 MB\tStatus: error\tError Type: Runtime.ExitError\t",
        ),
    ],
)
def test_report_of_a_warm_call(changes: dict[str, object], end: str) -> None:
    settings = {"max_rss_bytes": (69 << 20) + 1, **changes}
    measured = lines.Report(
        request_id="id",
        duration_ms=1.0,
        memory_mb=128,
        **settings,  # type: ignore[arg-type]
    )
    text = lines.report(measured)
    assert text.endswith(end)
    assert "\tBilled Duration: 1 ms\t" in text
    assert "Init" not in text


@pytest.mark.observed
def test_the_other_lines() -> None:
    assert lines.start("id", "3") == "START RequestId: id Version: 3"
    assert lines.end("id") == "END RequestId: id"
    assert lines.timed_out("id", 3, NOW) == (
        "2026-11-21T12:00:00.123Z id Task timed out after 3.00 seconds"
    )
    assert lines.init_report(10000.09, "init", "timeout") == (
        "INIT_REPORT Init Duration: 10000.09 ms\tPhase: init\tStatus: timeout"
    )
    assert lines.init_report(229.04, "invoke", "error", "Runtime.ImportModuleError") == (
        "INIT_REPORT Init Duration: 229.04 ms\tPhase: invoke\tStatus: error\t"
        "Error Type: Runtime.ImportModuleError"
    )
    assert lines.stream_name("$LATEST", "ab" * 16, NOW) == f"2026/11/21/[$LATEST]{'ab' * 16}"


@pytest.mark.observed
@pytest.mark.parametrize(
    ("how", "kind", "words"),
    [
        ({"code": 7}, "Runtime.ExitError", "Runtime exited with error: exit status 7"),
        ({"code": 0}, "Runtime.ExitError", "Runtime exited without providing a reason"),
        ({"signal_number": 9}, "Runtime.ExitError", "Runtime exited with error: signal: killed"),
        (
            {"signal_number": 9, "oom": True},
            "Runtime.OutOfMemory",
            "Runtime exited with error: signal: killed",
        ),
    ],
)
def test_a_runtime_that_exits(how: dict[str, int], kind: str, words: str) -> None:
    found = failures.exited(
        "id",
        **{"code": None, "signal_number": None, "oom": False, **how},  # type: ignore[arg-type]
    )
    message = f"RequestId: id Error: {words}"
    assert json.loads(found.payload) == {"errorType": kind, "errorMessage": message}
    assert found.words == (message, kind)


@pytest.mark.observed
def test_a_time_out_and_a_large_response() -> None:
    assert json.loads(failures.timed_out("id", 3).payload) == {
        "errorType": "Sandbox.Timedout",
        "errorMessage": "RequestId: id Error: Task timed out after 3.00 seconds",
    }
    assert json.loads(failures.response_too_large().payload) == {
        "errorType": "Function.ResponseSizeTooLarge",
        "errorMessage": (
            "Response payload size exceeded maximum allowed payload size (6291556 bytes)."
        ),
    }


VERSION = FunctionVersion(
    function="f",
    version="$LATEST",
    arn="arn",
    runtime="python3.11",
    handler="app.handler",
    role_arn="role",
    code_sha256="sha",
    code_size_bytes=1,
    timeout_s=3,
    memory_mb=128,
    ephemeral_storage_mb=512,
    modified=NOW,
    revision_id="r1",
    state_reason="The function is being created.",
    state_reason_code="Creating",
)
OBSTACLE = Obstacle("InvalidConfiguration", "The role does not exist.")


@pytest.mark.docs
def test_a_new_version_becomes_active_or_failed() -> None:
    assert needs_preparation(VERSION)
    active = prepared(VERSION, None, "r2", NOW)
    assert (active.state, active.state_reason, active.revision_id) == ("Active", None, "r2")
    assert not needs_preparation(active)
    failed = prepared(VERSION, OBSTACLE, "r2", NOW)
    assert (failed.state, failed.state_reason_code) == ("Failed", "InvalidConfiguration")
    assert not needs_preparation(failed)


@pytest.mark.docs
def test_an_update_that_fails_leaves_the_function_active() -> None:
    updating = replace(VERSION, state="Active", update_status="InProgress")
    assert prepared(updating, None, "r2", NOW).update_status == "Successful"
    failed = prepared(updating, OBSTACLE, "r2", NOW)
    assert (failed.state, failed.update_status) == ("Active", "Failed")
    assert failed.update_reason == "The role does not exist."


@pytest.mark.docs
def test_dimensions_of_metrics() -> None:
    everywhere: dict[str, str] = {}
    function = {"FunctionName": "f"}
    assert metrics.Subject("f", "", "$LATEST").dimensions() == (
        everywhere,
        function,
        {**function, "Resource": "f"},
    )
    assert metrics.Subject("f", "3", "3").dimensions() == (
        everywhere,
        function,
        {**function, "Resource": "f:3"},
    )
    alias = {**function, "Resource": "f:live"}
    subject = metrics.Subject("f", "live", "3")
    assert subject.dimensions() == (
        everywhere,
        function,
        alias,
        {**alias, "ExecutedVersion": "3"},
    )
    assert subject.provisioned_dimensions() == (alias, {**alias, "ExecutedVersion": "3"})


@pytest.mark.docs
def test_utilization_is_a_part_of_what_is_allocated() -> None:
    data = metrics.provisioned_state("f", "live", busy=2, allocated=4, now=NOW)
    assert [(one.name, one.value) for one in data] == [
        ("ProvisionedConcurrentExecutions", 2),
        ("ProvisionedConcurrencyUtilization", 0.5),
    ]
    (_, none) = metrics.provisioned_state("f", "live", busy=0, allocated=0, now=NOW)
    assert none.value == 0
