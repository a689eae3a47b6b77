"""What containers wrote, read from CloudWatch Logs: new lines since last time, or the last ones."""

from __future__ import annotations

from collections.abc import Iterator

from fogbank.aws import Aws, is_missing

TRAINING_JOBS = "/aws/sagemaker/TrainingJobs"


def endpoint_group(name: str) -> str:
    """The log group of an endpoint."""
    return f"/aws/sagemaker/Endpoints/{name}"


class ContainerLog:
    """The streams of one group whose names begin with `prefix`, read onwards.

    With several streams, each line is preceded by its stream's host ("algo-2: ...").
    """

    def __init__(self, aws: Aws, group: str, prefix: str = "") -> None:
        self._aws = aws
        self._group = group
        self._prefix = prefix
        self._tokens: dict[str, str] = {}

    def new_lines(self) -> Iterator[str]:
        """What came since the last call; nothing where no container has written yet."""
        streams = self._streams()
        for stream in streams:
            label = f"{self._host(stream)}: " if len(streams) > 1 else ""
            for line in self._read_on(stream):
                yield label + line

    def last_lines(self, count: int) -> list[str]:
        """The last `count` lines of the stream that was written to last."""
        streams = self._streams(newest_first=True)
        if not streams:
            return []
        answer = self._aws.logs.get_log_events(
            logGroupName=self._group, logStreamName=streams[0], limit=count, startFromHead=False
        )
        return [event["message"].rstrip("\n") for event in answer["events"]]

    def _streams(self, *, newest_first: bool = False) -> list[str]:
        """Names of the streams. CloudWatch orders by time only where no prefix is asked for."""
        from botocore.exceptions import ClientError

        paginator = self._aws.logs.get_paginator("describe_log_streams")
        pages = (
            paginator.paginate(logGroupName=self._group, logStreamNamePrefix=self._prefix)
            if self._prefix
            else paginator.paginate(logGroupName=self._group)
        )
        try:
            streams = [stream for page in pages for stream in page["logStreams"]]
        except ClientError as error:
            if is_missing(error):
                return []
            raise
        if newest_first:
            streams.sort(key=lambda stream: -stream.get("lastEventTimestamp", 0))
        return [stream["logStreamName"] for stream in streams]

    def _read_on(self, stream: str) -> Iterator[str]:
        while True:
            token = self._tokens.get(stream)
            answer = (
                self._aws.logs.get_log_events(
                    logGroupName=self._group, logStreamName=stream, nextToken=token
                )
                if token
                else self._aws.logs.get_log_events(
                    logGroupName=self._group, logStreamName=stream, startFromHead=True
                )
            )
            yield from (event["message"].rstrip("\n") for event in answer["events"])
            self._tokens[stream] = answer["nextForwardToken"]
            # AWS says "the end" with the token that was sent; an empty page may have more behind
            # it. (API reference, GetLogEvents)
            if answer["nextForwardToken"] == token or not answer["events"]:
                return

    def _host(self, stream: str) -> str:
        """algo-1 of dogs-1a2b/algo-1-1700000000."""
        return stream.removeprefix(self._prefix).strip("/").rpartition("-")[0] or stream
