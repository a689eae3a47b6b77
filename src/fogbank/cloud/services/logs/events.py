"""Reading lines: GetLogEvents pages through one stream, FilterLogEvents through a whole group.

Pages end at the limit, at 10,000 events or at 1 MB. Tokens say a place in the stream, so a page
never depends on what has come in since, and reading on never repeats or misses what is behind it.
"""

from __future__ import annotations

import heapq
import re
from collections.abc import Iterable, Iterator

from fogbank.cloud.context import Context, Params, Result
from fogbank.cloud.records.logs import LogGroup, LogStream
from fogbank.cloud.services.base import operation
from fogbank.cloud.services.logs.directory import (
    Directory,
    bad_token,
    expiry_ms,
    invalid,
)
from fogbank.cloud.services.logs.filter_pattern import parse_filter_pattern
from fogbank.cloud.services.paging import content_of, token
from fogbank.cloud.state.log_file import END, Place, StoredEvent
from fogbank.cloud.state.log_store import LogStore

MAX_PAGE_EVENTS = 10_000
MAX_PAGE_BYTES = 1_048_576
EVENT_OVERHEAD_BYTES = 26
MAX_SEARCHED_EVENTS = 50_000
"""So many events one FilterLogEvents call looks at; then it answers with a token, as AWS does,
even where it found nothing: one search must not hold up the whole cloud."""

_PLACE = re.compile(r"([fb])/(\d{36})(\d{20})/s")


class Events:
    def __init__(self, store: LogStore, directory: Directory) -> None:
        self._store = store
        self._directory = directory

    @operation("GetLogEvents")
    def get_log_events(self, context: Context, params: Params) -> Result:
        group = self._directory.group_of(params)
        stream = self._directory.stream(group, params["logStreamName"])
        lower, upper = _time_range(params, expiry_ms(group, context.received))
        backward = not params.get("startFromHead", False)
        given = params.get("nextToken")
        if given is not None:
            backward, place = _place_of(given)
            lower, upper = (lower, min(upper, place)) if backward else (max(lower, place), upper)
        else:
            place = lower
        file = self._store.file(stream)
        page = _cut(file.scan(lower, upper, backward=backward), params.get("limit"))
        if backward:
            page.reverse()
        if page:
            before, after = page[0].place, page[-1].after
        else:
            # Nothing there (yet): both tokens stay where reading stands.
            before = after = place
        return {
            "events": [_shape(event) for event in page],
            "nextForwardToken": _place_token("f", after),
            "nextBackwardToken": _place_token("b", before),
        }

    @operation("FilterLogEvents")
    def filter_log_events(self, context: Context, params: Params) -> Result:
        group = self._directory.group_of(params)
        streams = {stream.name: stream for stream in self._streams(group, params)}
        pattern = parse_filter_pattern(params.get("filterPattern", ""))
        lower, upper = _time_range(params, expiry_ms(group, context.received))
        backward = not params.get("startFromHead", True)
        behind = _search_place(params["nextToken"]) if "nextToken" in params else None
        limit = params.get("limit", MAX_PAGE_EVENTS)
        found: list[dict[str, object]] = []
        size = 0
        last: tuple[int, str, int] | None = None
        more = False
        merged = self._merged(streams, lower, upper, behind, backward=backward)
        for searched, (name, event) in enumerate(merged):
            size_with = size + len(event.message.encode()) + EVENT_OVERHEAD_BYTES
            if (
                len(found) >= limit
                or searched >= MAX_SEARCHED_EVENTS
                or (found and size_with > MAX_PAGE_BYTES)
            ):
                more = True
                break
            last = (event.timestamp_ms, name, (event.place if backward else event.after)[1])
            if pattern.matches(event.message):
                size = size_with
                found.append(
                    {
                        **_shape(event),
                        "logStreamName": name,
                        "eventId": _event_id(streams[name], event),
                    }
                )
        result: dict[str, object] = {"events": found, "searchedLogStreams": []}
        if more:
            result["nextToken"] = token(last)
        return result

    def _streams(self, group: LogGroup, params: Params) -> list[LogStream]:
        names, prefix = params.get("logStreamNames"), params.get("logStreamNamePrefix")
        if names is not None and prefix is not None:
            raise invalid("logStreamNames and logStreamNamePrefix are mutually exclusive.")
        if names is not None:
            return [self._directory.stream(group, name) for name in dict.fromkeys(names)]
        return self._store.streams(group.name, prefix or "")

    def _merged(
        self,
        streams: dict[str, LogStream],
        lower: Place,
        upper: Place,
        behind: tuple[int, str, int] | None,
        *,
        backward: bool,
    ) -> Iterator[tuple[str, StoredEvent]]:
        """Events of all streams by (time, stream name, offset), from `behind` on."""

        def one(name: str) -> Iterator[tuple[tuple[int, str, int], str, StoredEvent]]:
            low, high = lower, upper
            if behind is not None and backward:
                high = min(high, _edge(behind, name))
            elif behind is not None:
                low = max(low, _edge(behind, name))
            for event in self._store.file(streams[name]).scan(low, high, backward=backward):
                yield (event.timestamp_ms, name, event.place[1]), name, event

        merged = heapq.merge(*map(one, streams), key=lambda item: item[0], reverse=backward)
        return ((name, event) for _, name, event in merged)


def _edge(behind: tuple[int, str, int], name: str) -> Place:
    """Where reading of the stream `name` stands when the search stands at `behind`, in the order
    of (time, stream name, offset)."""
    timestamp_ms, last_name, offset = behind
    if name == last_name:
        return (timestamp_ms, offset)
    return (timestamp_ms + 1, 0) if name < last_name else (timestamp_ms, 0)


def _cut(events: Iterable[StoredEvent], limit: int | None) -> list[StoredEvent]:
    page: list[StoredEvent] = []
    size = 0
    for event in events:
        size += len(event.message.encode()) + EVENT_OVERHEAD_BYTES
        if page and size > MAX_PAGE_BYTES:
            break
        page.append(event)
        if len(page) == (limit or MAX_PAGE_EVENTS):
            break
    return page


def _time_range(params: Params, expired_before_ms: int) -> tuple[Place, Place]:
    """startTime is inclusive, endTime exclusive."""
    start_ms = max(params.get("startTime", 0), expired_before_ms)
    upper = (params["endTime"], 0) if "endTime" in params else END
    return (start_ms, 0), upper


def _shape(event: StoredEvent) -> dict[str, object]:
    return {
        "timestamp": event.timestamp_ms,
        "message": event.message,
        "ingestionTime": event.ingested_ms,
    }


def _event_id(stream: LogStream, event: StoredEvent) -> str:
    """56 digits, as AWS's: unique in the cloud, the same each time."""
    return f"{event.timestamp_ms:016d}{int(stream.file_id, 16) % 10**24:024d}{event.place[1]:016d}"


def _place_token(direction: str, place: Place) -> str:
    return f"{direction}/{place[0]:036d}{place[1]:020d}/s"


def _place_of(text: str) -> tuple[bool, Place]:
    """(backward, place) of a token that GetLogEvents gave."""
    match = _PLACE.fullmatch(text)
    if match is None:
        raise bad_token()
    return match[1] == "b", (int(match[2]), int(match[3]))


def _search_place(text: str) -> tuple[int, str, int]:
    match content_of(text):
        case [int(timestamp_ms), str(name), int(offset)]:
            return (timestamp_ms, name, offset)
    raise bad_token()
