"""Log streams, and putting lines into them (CloudWatch Logs API Reference)."""

from __future__ import annotations

import secrets
from datetime import timedelta
from itertools import pairwise

from fogbank.cloud.context import Context, Params, Result
from fogbank.cloud.ports import Records
from fogbank.cloud.records.logs import LogStream, stream_key
from fogbank.cloud.services.base import operation
from fogbank.cloud.services.logs.directory import (
    Directory,
    already_exists,
    bad_token,
    expiry_ms,
    invalid,
)
from fogbank.cloud.services.paging import content_of, token
from fogbank.cloud.state.log_store import LogStore
from fogbank.core.clock import epoch_ms

DEFAULT_PAGE_SIZE = 50
MAX_BATCH_BYTES = 1_048_576
MAX_EVENT_BYTES = 1_048_576
EVENT_OVERHEAD_BYTES = 26
"""What AWS adds to each message when it measures a batch."""
OLDEST = timedelta(days=14)
NEWEST = timedelta(hours=2)
LONGEST_SPAN_MS = 24 * 3600 * 1000


class Streams:
    def __init__(self, records: Records, store: LogStore, directory: Directory) -> None:
        self._records = records
        self._store = store
        self._directory = directory

    @operation("CreateLogStream")
    def create_log_stream(self, context: Context, params: Params) -> Result:
        group = self._directory.group(params["logGroupName"])
        name = params["logStreamName"]
        if self._records.get(LogStream, stream_key(group.name, name)) is not None:
            raise already_exists("log stream")
        self._store.create_stream(group.name, name)
        return {}

    @operation("DeleteLogStream")
    def delete_log_stream(self, context: Context, params: Params) -> Result:
        group = self._directory.group(params["logGroupName"])
        self._store.delete_stream(self._directory.stream(group, params["logStreamName"]))
        return {}

    @operation("DescribeLogStreams")
    def describe_log_streams(self, context: Context, params: Params) -> Result:
        """A nextToken only if more streams remain: the SageMaker SDK asks again while it gets
        one, without ever passing it on."""
        group = self._directory.group_of(params)
        prefix = params.get("logStreamNamePrefix", "")
        by_time = params.get("orderBy", "LogStreamName") == "LastEventTime"
        if by_time and prefix:
            raise invalid("Cannot order by LastEventTime with a logStreamNamePrefix.")
        descending = params.get("descending", False)
        ranked = sorted(
            (
                (self._rank(stream, by_time), stream)
                for stream in self._store.streams(group.name, prefix)
            ),
            key=lambda pair: pair[0],
            reverse=descending,
        )
        if "nextToken" in params:
            behind = _rank_of(params["nextToken"])
            ranked = [
                pair for pair in ranked if (pair[0] < behind if descending else pair[0] > behind)
            ]
        shown = ranked[: params.get("limit", DEFAULT_PAGE_SIZE)]
        result: dict[str, object] = {"logStreams": [self._shape(stream) for _, stream in shown]}
        if len(shown) < len(ranked):
            result["nextToken"] = token(shown[-1][0])
        return result

    def _rank(self, stream: LogStream, by_time: bool) -> tuple[int, str]:
        last_ms = self._store.file(stream).last_ms if by_time else None
        return (last_ms or 0, stream.name)

    def _shape(self, stream: LogStream) -> dict[str, object]:
        file = self._store.file(stream)
        shape: dict[str, object] = {
            "logStreamName": stream.name,
            "creationTime": epoch_ms(stream.created),
            "arn": stream.arn,
            "storedBytes": 0,  # AWS has reported 0 for every stream since June 2019
        }
        if file.first_ms is not None:
            shape |= {
                "firstEventTimestamp": file.first_ms,
                "lastEventTimestamp": file.last_ms,
                "lastIngestionTime": file.ingested_ms,
                "uploadSequenceToken": _sequence_token(),
            }
        return shape

    @operation("PutLogEvents")
    def put_log_events(self, context: Context, params: Params) -> Result:
        """Events too old or too new are left out and told about; the others are stored."""
        group = self._directory.group(params["logGroupName"])
        stream = self._directory.stream(group, params["logStreamName"])
        events = [(event["timestamp"], event["message"]) for event in params["logEvents"]]
        _check_batch(events)
        now = context.received
        expired_before = expiry_ms(group, now)
        too_old_before = epoch_ms(now - OLDEST)
        too_new_from = epoch_ms(now + NEWEST) + 1
        # The events are in order, so each kind of rejected ones is one end of the batch.
        expired = sum(timestamp < expired_before for timestamp, _ in events)
        too_old = sum(timestamp < too_old_before for timestamp, _ in events)
        too_new = sum(timestamp >= too_new_from for timestamp, _ in events)
        accepted = events[max(expired, too_old) : len(events) - too_new]
        if accepted and accepted[-1][0] - accepted[0][0] > LONGEST_SPAN_MS:
            raise invalid(
                "The batch of log events in a single PutLogEvents request cannot span more than "
                "24 hours."
            )
        self._store.ingest(stream, accepted)
        rejected: dict[str, int] = {}
        if too_new:
            rejected["tooNewLogEventStartIndex"] = len(events) - too_new
        if too_old:
            rejected["tooOldLogEventEndIndex"] = too_old
        if expired > too_old:
            rejected["expiredLogEventEndIndex"] = expired
        result: dict[str, object] = {"nextSequenceToken": _sequence_token()}
        if rejected:
            result["rejectedLogEventsInfo"] = rejected
        return result


def _check_batch(events: list[tuple[int, str]]) -> None:
    if any(later[0] < earlier[0] for earlier, later in pairwise(events)):
        raise invalid("Log events in a single PutLogEvents request must be in chronological order.")
    sizes = [len(message.encode()) + EVENT_OVERHEAD_BYTES for _, message in events]
    for size in sizes:
        if size > MAX_EVENT_BYTES:
            raise invalid(f"Log event too large: {size} bytes exceeds limit of {MAX_EVENT_BYTES}")
    if sum(sizes) > MAX_BATCH_BYTES:
        raise invalid(f"Upload too large: {sum(sizes)} bytes exceeds limit of {MAX_BATCH_BYTES}")


def _sequence_token() -> str:
    """AWS ignores sequence tokens since 2023 and goes on giving them: 56 digits."""
    return f"49{secrets.randbelow(10**54):054d}"


def _rank_of(text: str) -> tuple[int, str]:
    content = content_of(text)
    match content:
        case [int(last_ms), str(name)]:
            return (last_ms, name)
    raise bad_token()
