from __future__ import annotations

from datetime import timedelta

import pytest

from cloud.aws import refused
from cloud.services.logs.conftest import NOW_MS, Logs

MISSING = ("ResourceNotFoundException", 400)


@pytest.mark.model
def test_a_group_is_described_as_it_was_made(logs: Logs) -> None:
    logs.call("CreateLogGroup", logGroupName="/app/a", tags={"team": "vision"}, kmsKeyId="key-1")
    (group,) = logs.call("DescribeLogGroups")["logGroups"]
    arn = "arn:aws:logs:us-east-1:123456789012:log-group:/app/a"
    assert group["arn"] == f"{arn}:*"
    assert group["logGroupArn"] == arn
    assert group["creationTime"] == NOW_MS
    assert (group["kmsKeyId"], group["logGroupClass"]) == ("key-1", "STANDARD")
    assert "retentionInDays" not in group
    for resource in (arn, f"{arn}:*"):
        assert logs.call("ListTagsForResource", resourceArn=resource)["tags"] == {"team": "vision"}


@pytest.mark.model
def test_names_that_are_taken_or_missing_are_refused(logs: Logs) -> None:
    logs.call("CreateLogGroup", logGroupName="g")
    logs.call("CreateLogStream", logGroupName="g", logStreamName="s")
    with refused("ResourceAlreadyExistsException", 400, "The specified log group already exists"):
        logs.call("CreateLogGroup", logGroupName="g")
    with refused("ResourceAlreadyExistsException", 400, "The specified log stream already exists"):
        logs.call("CreateLogStream", logGroupName="g", logStreamName="s")
    with refused(*MISSING, "The specified log group does not exist."):
        logs.call("CreateLogStream", logGroupName="x", logStreamName="s")
    with refused(*MISSING, "The specified log group does not exist."):
        logs.call("DescribeLogStreams", logGroupName="x")
    for operation in ("GetLogEvents", "DeleteLogStream"):
        with refused(*MISSING, "The specified log group does not exist."):
            logs.call(operation, logGroupName="x", logStreamName="s")
        with refused(*MISSING, "The specified log stream does not exist."):
            logs.call(operation, logGroupName="g", logStreamName="x")
    with refused(*MISSING):
        logs.call("ListTagsForResource", resourceArn="arn:aws:s3:::bucket")


@pytest.mark.docs
def test_groups_are_paged_and_filtered(logs: Logs) -> None:
    for name in ("/a/1", "/a/2", "/a/3", "/B/1"):
        logs.call("CreateLogGroup", logGroupName=name)

    def names(**params: object) -> list[str]:
        return [g["logGroupName"] for g in logs.call("DescribeLogGroups", **params)["logGroups"]]

    assert names(logGroupNamePrefix="/a") == ["/a/1", "/a/2", "/a/3"]
    assert names(logGroupNamePattern="b") == ["/B/1"]
    first = logs.call("DescribeLogGroups", limit=3)
    assert names(limit=3, nextToken=first["nextToken"]) == ["/a/3"]
    assert "nextToken" not in logs.call("DescribeLogGroups", limit=4)
    with refused("InvalidParameterException", 400, "nextToken"):
        names(nextToken="!")
    with refused("InvalidParameterException", 400, "mutually exclusive"):
        names(logGroupNamePrefix="/a", logGroupNamePattern="b")


@pytest.mark.docs
def test_next_token_comes_only_while_streams_remain(logs: Logs) -> None:
    """The SageMaker SDK asks again as long as it gets a token, and never passes it on."""
    for host in (1, 2):
        logs.put("jobs", f"dogs/algo-{host}-17", (1, "hello"))
    logs.put("jobs", "other/algo-1-17", (1, "hello"))
    answer = logs.call(
        "DescribeLogStreams",
        logGroupName="jobs",
        limit=2,
        orderBy="LogStreamName",
        logStreamNamePrefix="dogs/",
    )
    assert [s["logStreamName"] for s in answer["logStreams"]] == [
        "dogs/algo-1-17",
        "dogs/algo-2-17",
    ]
    assert "nextToken" not in answer


@pytest.mark.docs
@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("order", ["LogStreamName", "LastEventTime"])
def test_streams_come_in_order_page_by_page(logs: Logs, order: str, descending: bool) -> None:
    for name, at in (("a", 30), ("b", 10), ("c", 20), ("d", 20)):
        logs.put("g", name, (at, "x"))
    logs.call("CreateLogStream", logGroupName="g", logStreamName="empty")
    expected = {
        "LogStreamName": ["a", "b", "c", "d", "empty"],
        "LastEventTime": ["empty", "b", "c", "d", "a"],
    }[order]
    seen: list[str] = []
    token: dict[str, str] = {}
    while True:
        answer = logs.call(
            "DescribeLogStreams",
            logGroupName="g",
            orderBy=order,
            descending=descending,
            limit=2,
            **token,
        )
        seen += [stream["logStreamName"] for stream in answer["logStreams"]]
        if "nextToken" not in answer:
            break
        token = {"nextToken": answer["nextToken"]}
    assert seen == (expected[::-1] if descending else expected)


@pytest.mark.docs
def test_a_stream_tells_its_first_last_and_ingestion_time(logs: Logs) -> None:
    logs.call("CreateLogGroup", logGroupName="g")
    logs.call("CreateLogStream", logGroupName="g", logStreamName="s")
    (stream,) = logs.call("DescribeLogStreams", logGroupName="g")["logStreams"]
    assert "firstEventTimestamp" not in stream
    logs.put("g", "s", (5, "b"), (9, "c"), (2, "a"))
    (stream,) = logs.call("DescribeLogStreams", logGroupIdentifier="g")["logStreams"]
    assert (stream["firstEventTimestamp"], stream["lastEventTimestamp"]) == (2, 9)
    assert stream["lastIngestionTime"] == NOW_MS
    assert stream["arn"].endswith(":log-group:g:log-stream:s")


@pytest.mark.docs
def test_deleting_takes_the_lines_along(logs: Logs) -> None:
    logs.put("g", "s", (1, "old"))
    logs.put("g", "t", (1, "old"))
    logs.call("DeleteLogStream", logGroupName="g", logStreamName="s")
    logs.put("g", "s", (2, "new"))
    assert logs.read("g", "s") == ["new"]
    logs.call("DeleteLogGroup", logGroupName="g")
    with refused(*MISSING):
        logs.read("g", "t")
    assert [path for path in (logs.folder / "logs").rglob("*") if path.is_file()] == []


@pytest.mark.docs
def test_a_protected_group_is_not_deleted(logs: Logs) -> None:
    logs.call("CreateLogGroup", logGroupName="g", deletionProtectionEnabled=True)
    with refused("ValidationException", 400):
        logs.call("DeleteLogGroup", logGroupName="g")


@pytest.mark.docs
def test_retention_hides_what_is_past_it(logs: Logs) -> None:
    old_ms = NOW_MS - int(timedelta(days=8).total_seconds() * 1000)
    logs.put("g", "s", (old_ms, "old"), (NOW_MS, "new"))
    logs.call("PutRetentionPolicy", logGroupName="g", retentionInDays=7)
    assert logs.call("DescribeLogGroups")["logGroups"][0]["retentionInDays"] == 7
    assert logs.read("g", "s") == ["new"]
    logs.call("DeleteRetentionPolicy", logGroupName="g")
    assert logs.read("g", "s") == ["old", "new"]
    with refused("InvalidParameterException", 400, "retentionInDays"):
        logs.call("PutRetentionPolicy", logGroupName="g", retentionInDays=8)


@pytest.mark.model
def test_tags_of_a_group_come_and_go(logs: Logs) -> None:
    logs.call("CreateLogGroup", logGroupName="g")
    arn = "arn:aws:logs:us-east-1:123456789012:log-group:g"
    logs.call("TagResource", resourceArn=arn, tags={"a": "1", "b": "2"})
    logs.call("TagResource", resourceArn=arn, tags={"b": "3"})
    logs.call("UntagResource", resourceArn=arn, tagKeys=["a", "nothing"])
    assert logs.call("ListTagsForResource", resourceArn=arn)["tags"] == {"b": "3"}
    with refused("TooManyTagsException", 400):
        logs.call("TagResource", resourceArn=arn, tags={str(n): "x" for n in range(50)})


def test_lines_survive_a_restart_and_orphaned_files_do_not(logs: Logs) -> None:
    logs.put("g", "s", (1, "a"))
    orphan = logs.folder / "logs" / "ab" / f"{'ab' * 16}.jsonl"
    orphan.parent.mkdir(exist_ok=True)
    orphan.write_text('[1,1,"x"]\n')
    logs.reopen()
    assert logs.read("g", "s") == ["a"]
    assert not orphan.exists()


def test_the_sink_makes_group_and_stream_as_needed(logs: Logs) -> None:
    logs.put("/aws/sagemaker/TrainingJobs", "dogs/algo-1-17", (NOW_MS, "epoch 1"))
    (group,) = logs.call("DescribeLogGroups")["logGroups"]
    assert group["logGroupName"] == "/aws/sagemaker/TrainingJobs"
    assert group["storedBytes"] > 0
