"""Reading a log onwards, page by page, and its end."""

from __future__ import annotations

from fogbank.ops.container_log import ContainerLog
from ops.fake_aws import FakeAws


def test_each_line_is_read_once() -> None:
    aws = FakeAws()
    lines = [f"line {n}" for n in range(8)]  # pages have three
    streams = {"job/algo-1-17": lines, "job-2/algo-1-17": ["another job's"]}
    aws.fake_logs.groups["g"] = streams
    log = ContainerLog(aws, "g", "job/")
    assert list(log.new_lines()) == lines
    assert list(log.new_lines()) == []
    lines.append("more")
    assert list(log.new_lines()) == ["more"]


def test_several_hosts_are_told_apart() -> None:
    aws = FakeAws()
    aws.fake_logs.groups["g"] = {"job/algo-1-17": ["a"], "job/algo-2-17": ["b"]}
    assert list(ContainerLog(aws, "g", "job/").new_lines()) == ["algo-1: a", "algo-2: b"]


def test_the_last_lines_are_of_the_stream_written_last() -> None:
    aws = FakeAws()
    aws.fake_logs.groups["g"] = {"AllTraffic/i-1": ["a"], "AllTraffic/i-2": ["b", "c", "d"]}
    assert ContainerLog(aws, "g").last_lines(2) == ["c", "d"]


def test_a_group_that_does_not_exist_yet_is_empty() -> None:
    log = ContainerLog(FakeAws(), "g", "job/")
    assert list(log.new_lines()) == []
    assert log.last_lines(3) == []
