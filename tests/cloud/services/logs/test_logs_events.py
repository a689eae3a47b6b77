from __future__ import annotations

import json
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cloud.aws import refused
from cloud.services.logs.conftest import NOW_MS, Logs
from fogbank.cloud.services.logs.events import MAX_PAGE_EVENTS, MAX_SEARCHED_EVENTS
from fogbank.cloud.services.logs.filter_pattern import parse_filter_pattern

PATTERNS = json.loads(
    (Path(__file__).parents[3] / "cases" / "logs" / "filter_patterns.json").read_text()
)
DAY_MS = 24 * 3600 * 1000
law = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
batches = st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=9), max_size=6)


def put(logs: Logs, *events: tuple[int, str], **params: Any) -> Any:
    return logs.call(
        "PutLogEvents",
        logGroupName="g",
        logStreamName="s",
        logEvents=[{"timestamp": at, "message": message} for at, message in events],
        **params,
    )


def get(logs: Logs, stream: str = "s", **params: Any) -> Any:
    return logs.call("GetLogEvents", logGroupName="g", logStreamName=stream, **params)


def messages(answer: Any) -> list[str]:
    return [event["message"] for event in answer["events"]]


@pytest.fixture
def stream(logs: Logs) -> Logs:
    logs.call("CreateLogGroup", logGroupName="g")
    logs.call("CreateLogStream", logGroupName="g", logStreamName="s")
    return logs


class TestPut:
    @pytest.mark.docs
    def test_sequence_tokens_are_given_and_ignored(self, stream: Logs) -> None:
        answer = put(stream, (NOW_MS, "a"), sequenceToken="whatever")
        assert answer["nextSequenceToken"]
        assert "rejectedLogEventsInfo" not in answer
        (event,) = get(stream)["events"]
        assert event == {"timestamp": NOW_MS, "message": "a", "ingestionTime": NOW_MS}

    @pytest.mark.docs
    def test_too_old_and_too_new_events_are_left_out_and_told(self, stream: Logs) -> None:
        day = 14 * DAY_MS
        old = put(
            stream, (NOW_MS - day - 2, "x"), (NOW_MS - day - 1, "x"), (NOW_MS - day, "oldest")
        )
        assert old["rejectedLogEventsInfo"] == {"tooOldLogEventEndIndex": 2}
        hours = 2 * 3600 * 1000
        new = put(stream, (NOW_MS, "now"), (NOW_MS + hours, "newest"), (NOW_MS + hours + 1, "x"))
        assert new["rejectedLogEventsInfo"] == {"tooNewLogEventStartIndex": 2}
        assert messages(get(stream)) == ["oldest", "now", "newest"]

    @pytest.mark.docs
    def test_events_past_the_retention_are_expired(self, stream: Logs) -> None:
        stream.call("PutRetentionPolicy", logGroupName="g", retentionInDays=1)
        answer = put(stream, (NOW_MS - 2 * DAY_MS, "x"), (NOW_MS, "a"))
        assert answer["rejectedLogEventsInfo"] == {"expiredLogEventEndIndex": 1}

    @pytest.mark.docs
    def test_a_batch_is_in_order_within_a_day_and_not_too_big(self, stream: Logs) -> None:
        with refused("InvalidParameterException", 400, "must be in chronological order"):
            put(stream, (2, "b"), (1, "a"))
        with refused("InvalidParameterException", 400, "cannot span more than 24 hours"):
            put(stream, (NOW_MS - DAY_MS - 1, "a"), (NOW_MS, "b"))
        assert put(stream, (NOW_MS - DAY_MS, "a"), (NOW_MS, "b"))
        half = "é" * (1_048_576 // 4)
        with refused("InvalidParameterException", 400, "Upload too large: 1048628 bytes"):
            put(stream, (NOW_MS, half), (NOW_MS, half))
        with refused("InvalidParameterException", 400, "Log event too large"):
            put(stream, (NOW_MS, "x" * 1_048_551))
        assert put(stream, (NOW_MS, "x" * 1_048_550))


class TestGet:
    @pytest.mark.docs
    def test_the_newest_page_comes_first_unless_asked_from_the_head(self, logs: Logs) -> None:
        logs.put("g", "s", *((n, str(n)) for n in range(10)))
        assert messages(get(logs, limit=3)) == ["7", "8", "9"]
        assert messages(get(logs, limit=3, startFromHead=True)) == ["0", "1", "2"]

    @pytest.mark.docs
    def test_start_time_is_inclusive_and_end_time_exclusive(self, logs: Logs) -> None:
        logs.put("g", "s", *((n, str(n)) for n in range(6)))
        for head in (True, False):
            assert messages(get(logs, startTime=2, endTime=4, startFromHead=head)) == ["2", "3"]

    @pytest.mark.observed
    def test_polling_with_a_start_time_sees_all_events_of_that_millisecond(
        self, logs: Logs
    ) -> None:
        """SDK v2: a new poll starts without a token, from its last timestamp, and skips as many
        events as it has seen there."""
        seen: list[str] = []
        last_ms = count = 0
        for batch in ([(5, "a"), (5, "b")], [(5, "c"), (6, "d")], [], [(6, "e"), (6, "f")]):
            logs.put("g", "s", *batch)
            token: dict[str, str] = {}
            skip = count
            while True:
                answer = get(logs, startTime=last_ms, startFromHead=True, limit=2, **token)
                if not answer["events"]:
                    break
                for event in answer["events"]:
                    if skip:
                        skip -= 1
                        continue
                    seen.append(event["message"])
                    count = count + 1 if event["timestamp"] == last_ms else 1
                    last_ms = event["timestamp"]
                token = {"nextToken": answer["nextForwardToken"]}
        assert seen == ["a", "b", "c", "d", "e", "f"]

    @pytest.mark.observed
    def test_a_token_kept_across_polls_resumes_where_it_stood(self, stream: Logs) -> None:
        """SDK v3: no start time, the same token again while nothing is new."""
        token = get(stream, startFromHead=True)["nextForwardToken"]
        for batch in (["a", "b"], [], ["c"]):
            stream.put("g", "s", *((7, message) for message in batch))
            answer = get(stream, startFromHead=True, nextToken=token)
            assert messages(answer) == batch
            if not batch:
                assert answer["nextForwardToken"] == token
            token = answer["nextForwardToken"]

    @pytest.mark.docs
    def test_an_empty_page_gives_both_tokens_back_unchanged(self, logs: Logs) -> None:
        logs.put("g", "s", (1, "a"))
        whole = get(logs, startFromHead=True)
        end = get(logs, nextToken=whole["nextForwardToken"])
        assert (end["events"], end["nextForwardToken"]) == ([], whole["nextForwardToken"])
        begin = get(logs, nextToken=whole["nextBackwardToken"])
        assert (begin["events"], begin["nextBackwardToken"]) == ([], whole["nextBackwardToken"])
        assert messages(get(logs, nextToken=begin["nextForwardToken"])) == ["a"]
        assert messages(get(logs, nextToken=end["nextBackwardToken"])) == ["a"]

    @law
    @given(batches, st.integers(1, 4))
    def test_pages_put_together_are_the_stream_in_both_directions(
        self, tmp_path: Path, all_batches: list[list[int]], limit: int
    ) -> None:
        logs = Logs(Path(mkdtemp(dir=tmp_path)), database=":memory:")
        logs.store.create_stream("g", "s")
        number = 0
        for batch in all_batches:
            logs.put("g", "s", *((at, str(number + n)) for n, at in enumerate(batch)))
            number += len(batch)
        flat = [at for batch in all_batches for at in batch]
        expected = [str(n) for n in sorted(range(len(flat)), key=lambda n: flat[n])]

        forward: list[str] = []
        answer = get(logs, startFromHead=True, limit=limit)
        while answer["events"]:
            forward += messages(answer)
            answer = get(logs, limit=limit, nextToken=answer["nextForwardToken"])
        assert forward == expected

        backward: list[str] = []
        answer = get(logs, limit=limit)
        while answer["events"]:
            backward = messages(answer) + backward
            answer = get(logs, limit=limit, nextToken=answer["nextBackwardToken"])
        assert backward == expected
        logs.database.close()

    @pytest.mark.docs
    def test_a_page_ends_at_ten_thousand_events_or_a_megabyte(self, logs: Logs) -> None:
        logs.put("g", "s", *((n, "x") for n in range(MAX_PAGE_EVENTS + 5)))
        page = get(logs, startFromHead=True)
        assert len(page["events"]) == MAX_PAGE_EVENTS
        assert len(get(logs, nextToken=page["nextForwardToken"])["events"]) == 5
        logs.put("g", "big", *((n, "x" * 300_000) for n in range(5)))
        page = get(logs, "big", startFromHead=True)
        assert len(page["events"]) == 3
        logs.put("g", "huge", (1, "x" * 2_000_000), (2, "y"))
        assert len(get(logs, "huge", startFromHead=True)["events"]) == 1

    @pytest.mark.model
    @pytest.mark.parametrize("token", ["x", "f/1", "g/" + "0" * 56 + "/s"])
    def test_a_token_that_is_none_is_refused(self, stream: Logs, token: str) -> None:
        with refused("InvalidParameterException", 400, "nextToken is invalid"):
            get(stream, nextToken=token)

    @pytest.mark.model
    def test_a_group_is_named_or_identified_but_not_both(self, stream: Logs) -> None:
        arn = "arn:aws:logs:us-east-1:123456789012:log-group:g"
        answer = stream.call("GetLogEvents", logGroupIdentifier=arn, logStreamName="s")
        assert answer["events"] == []
        with refused("InvalidParameterException", 400):
            get(stream, logGroupIdentifier="g")
        with refused("InvalidParameterException", 400):
            stream.call("GetLogEvents", logStreamName="s")


def search(logs: Logs, **params: Any) -> list[str]:
    """Every page of FilterLogEvents."""
    found: list[str] = []
    token: dict[str, str] = {}
    while True:
        answer = logs.call("FilterLogEvents", logGroupName="g", **params, **token)
        found += messages(answer)
        if "nextToken" not in answer:
            return found
        token = {"nextToken": answer["nextToken"]}


class TestFilter:
    @pytest.mark.docs
    def test_streams_are_interleaved_by_time(self, logs: Logs) -> None:
        logs.put("g", "b", (1, "b1"), (3, "b3"), (3, "b3'"))
        logs.put("g", "a", (2, "a2"), (3, "a3"))
        assert search(logs) == ["b1", "a2", "a3", "b3", "b3'"]
        assert search(logs, startFromHead=False) == ["b3'", "b3", "a3", "a2", "b1"]
        assert search(logs, logStreamNames=["b"]) == ["b1", "b3", "b3'"]
        assert search(logs, logStreamNamePrefix="a") == ["a2", "a3"]
        assert search(logs, startTime=2, endTime=3) == ["a2"]
        with refused("ResourceNotFoundException", 400):
            search(logs, logStreamNames=["x"])
        with refused("InvalidParameterException", 400, "mutually exclusive"):
            search(logs, logStreamNames=["a"], logStreamNamePrefix="b")

    @law
    @given(
        st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 5)), max_size=30),
        st.integers(1, 4),
        st.booleans(),
    )
    def test_pages_put_together_are_all_events_by_time_and_stream(
        self, tmp_path: Path, events: list[tuple[str, int]], limit: int, head: bool
    ) -> None:
        logs = Logs(Path(mkdtemp(dir=tmp_path)), database=":memory:")
        logs.store.create_group("g")
        for number, (name, at) in enumerate(events):
            logs.put("g", name, (at, str(number)))
        expected = sorted(range(len(events)), key=lambda n: (events[n][1], events[n][0], n))
        found = search(logs, limit=limit, startFromHead=head)
        assert found == [str(n) for n in (expected if head else expected[::-1])]
        logs.database.close()

    @pytest.mark.docs
    def test_a_long_search_answers_in_pages_even_without_a_hit(self, logs: Logs) -> None:
        logs.put("g", "s", *((n, "x") for n in range(MAX_SEARCHED_EVENTS)), (10**6, "needle"))
        first = logs.call("FilterLogEvents", logGroupName="g", filterPattern="needle")
        assert first["events"] == []
        assert first["nextToken"]
        assert search(logs, filterPattern="needle") == ["needle"]

    @pytest.mark.docs
    def test_every_event_has_an_id_of_its_own_and_its_stream(self, logs: Logs) -> None:
        for name in ("a", "b"):
            logs.put("g", name, (1, "x"), (1, "x"))
        answer = logs.call("FilterLogEvents", logGroupName="g")
        assert len({event["eventId"] for event in answer["events"]}) == 4
        assert {len(event["eventId"]) for event in answer["events"]} == {56}
        assert [event["logStreamName"] for event in answer["events"]] == ["a", "a", "b", "b"]
        assert answer == logs.call("FilterLogEvents", logGroupName="g")

    @pytest.mark.docs
    @pytest.mark.parametrize("case", PATTERNS, ids=lambda case: case["pattern"])
    def test_patterns(self, case: dict[str, Any]) -> None:
        pattern = parse_filter_pattern(case["pattern"])
        assert [message for message in case["yes"] if not pattern.matches(message)] == []
        assert [message for message in case["no"] if pattern.matches(message)] == []

    @pytest.mark.parametrize("text", ["{ $.level = 1 }", "[ip, user]", '"open', "a;b"])
    def test_patterns_that_are_not_understood_are_refused(self, logs: Logs, text: str) -> None:
        logs.put("g", "s", (1, "x"))
        with refused("InvalidParameterException", 400):
            search(logs, filterPattern=text)

    @pytest.mark.model
    def test_a_token_that_is_none_is_refused(self, stream: Logs) -> None:
        with refused("InvalidParameterException", 400):
            stream.call("FilterLogEvents", logGroupName="g", nextToken="WzFd")
