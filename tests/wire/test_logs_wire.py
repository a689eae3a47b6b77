"""logs over the wire: botocore's own client and paginators against a running cloud."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from fogbank.core.clock import SystemClock, epoch_ms
from fogbank.testing.cloud import RunningCloud

GROUP = "/wire/logs"


@pytest.fixture
def logs(cloud: RunningCloud) -> Iterator[Any]:
    client = cloud.client("logs")
    client.create_log_group(logGroupName=GROUP, tags={"team": "vision"})
    yield client
    client.delete_log_group(logGroupName=GROUP)


def put(logs: Any, stream: str, *messages: str) -> int:
    """All at the same millisecond, which is returned."""
    now_ms = epoch_ms(SystemClock().now())
    logs.put_log_events(
        logGroupName=GROUP,
        logStreamName=stream,
        logEvents=[{"timestamp": now_ms, "message": message} for message in messages],
    )
    return now_ms


@pytest.mark.model
def test_lines_go_in_and_come_out_by_pages(logs: Any) -> None:
    logs.create_log_stream(logGroupName=GROUP, logStreamName="a/1")
    lines = [f"line {number} – ü" for number in range(7)]
    put(logs, "a/1", *lines)
    seen: list[str] = []
    token: dict[str, str] = {}
    while True:
        page = logs.get_log_events(
            logGroupName=GROUP, logStreamName="a/1", startFromHead=True, limit=3, **token
        )
        if page["nextForwardToken"] == token.get("nextToken"):
            break
        seen += [event["message"] for event in page["events"]]
        token = {"nextToken": page["nextForwardToken"]}
    assert seen == lines


@pytest.mark.model
def test_paginators_see_everything_once(logs: Any) -> None:
    for name in ("a", "b", "c"):
        logs.create_log_stream(logGroupName=GROUP, logStreamName=name)
        put(logs, name, f"ERROR in {name}", "fine")
    pages = logs.get_paginator("describe_log_streams").paginate(
        logGroupName=GROUP, PaginationConfig={"PageSize": 2}
    )
    assert [s["logStreamName"] for page in pages for s in page["logStreams"]] == ["a", "b", "c"]
    found = logs.get_paginator("filter_log_events").paginate(
        logGroupName=GROUP, filterPattern="ERROR", PaginationConfig={"PageSize": 1}
    )
    messages = [event["message"] for page in found for event in page["events"]]
    assert messages == ["ERROR in a", "ERROR in b", "ERROR in c"]
    groups = logs.get_paginator("describe_log_groups").paginate(logGroupNamePrefix="/wire/")
    assert [group["logGroupName"] for page in groups for group in page["logGroups"]] == [GROUP]


@pytest.mark.model
def test_errors_are_the_modelled_ones(logs: Any) -> None:
    with pytest.raises(logs.exceptions.ResourceNotFoundException, match="log stream"):
        logs.get_log_events(logGroupName=GROUP, logStreamName="nothing")
    with pytest.raises(logs.exceptions.ResourceAlreadyExistsException):
        logs.create_log_group(logGroupName=GROUP)


@pytest.mark.model
def test_tags_and_retention(logs: Any) -> None:
    logs.put_retention_policy(logGroupName=GROUP, retentionInDays=7)
    (group,) = logs.describe_log_groups(logGroupNamePrefix=GROUP)["logGroups"]
    assert group["retentionInDays"] == 7
    assert logs.list_tags_for_resource(resourceArn=group["logGroupArn"])["tags"] == {
        "team": "vision"
    }
