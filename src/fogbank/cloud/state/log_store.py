"""`LogSink`, and what the logs service reads: groups and streams in Records, lines in files.

In: lines of jobs, endpoints, functions and PutLogEvents. Out: pages of events in time order.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

from fogbank.cloud.ports import LogEvent, Records
from fogbank.cloud.records.logs import LogGroup, LogStream, stream_key
from fogbank.cloud.state.log_file import LogFile
from fogbank.core.arn import Scope
from fogbank.core.clock import Clock, epoch_ms

OPEN_FILES = 2048
"""So many streams keep their index in memory: some hundred bytes for each 64 KiB of lines."""


class LogStore:
    """folder: where the files of lines are; made when needed.

    Files that no stream names (of a stream whose deletion a crash cut short) are removed here.
    """

    def __init__(self, folder: Path, records: Records, scope: Scope, clock: Clock) -> None:
        self._folder = folder
        self._records = records
        self._scope = scope
        self._clock = clock
        self._files: OrderedDict[str, LogFile] = OrderedDict()
        self._sweep()

    def _sweep(self) -> None:
        named = {stream.file_id for stream in self._records.all(LogStream)}
        for path in self._folder.glob("??/*.jsonl"):
            if path.stem not in named:
                LogFile(path).remove()

    def append(self, group: str, stream: str, events: Sequence[LogEvent]) -> None:
        """See `ports.LogSink`. Lines whose timestamps go backwards are sorted in on reading."""
        found = self._records.get(LogStream, stream_key(group, stream))
        if found is None:
            found = self.create_stream(group, stream)
        self.ingest(found, [(event.timestamp_ms, event.message) for event in events])

    def ingest(self, stream: LogStream, events: Sequence[tuple[int, str]]) -> None:
        """Append (timestamp_ms, message) pairs to a stream that exists."""
        self.file(stream).append(events, epoch_ms(self._clock.now()))

    def create_group(self, name: str) -> LogGroup:
        """A group that did not exist, with the defaults."""
        group = LogGroup(
            name=name,
            arn=self._scope.arn("logs", f"log-group:{name}"),
            created=self._clock.now(),
        )
        self._records.put(group)
        return group

    def create_stream(self, group: str, name: str) -> LogStream:
        """A stream that did not exist; its group is made as well where there is none."""
        with self._records.transaction():
            owner = self._records.get(LogGroup, group) or self.create_group(group)
            stream = LogStream(
                group=group,
                name=name,
                arn=f"{owner.arn}:log-stream:{name}",
                created=self._clock.now(),
                file_id=secrets.token_hex(16),
            )
            self._records.put(stream)
        return stream

    def delete_stream(self, stream: LogStream) -> None:
        """The record first: from then on the lines belong to nobody."""
        self._records.delete(LogStream, stream.key)
        self.file(stream).remove()
        self._files.pop(stream.file_id, None)

    def delete_group(self, group: LogGroup) -> None:
        streams = self.streams(group.name)
        with self._records.transaction():
            for stream in streams:
                self._records.delete(LogStream, stream.key)
            self._records.delete(LogGroup, group.key)
        for stream in streams:
            self.file(stream).remove()
            self._files.pop(stream.file_id, None)

    def streams(self, group: str, prefix: str = "") -> list[LogStream]:
        """Streams of a group whose names start with `prefix`, in name order."""
        return self._records.all(LogStream, prefix=stream_key(group, prefix))

    def file(self, stream: LogStream) -> LogFile:
        """The lines of a stream; opened when first asked for."""
        file = self._files.get(stream.file_id)
        if file is None:
            path = self._folder / stream.file_id[:2] / f"{stream.file_id}.jsonl"
            file = self._files[stream.file_id] = LogFile(path)
            if len(self._files) > OPEN_FILES:
                self._files.popitem(last=False)
        else:
            self._files.move_to_end(stream.file_id)
        return file
