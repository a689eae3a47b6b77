from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.aws import NOW
from fogbank.cloud.ports import Datum
from fogbank.cloud.state.aggregate import MAX_DISTINCT, Aggregate
from fogbank.cloud.state.database import Database
from fogbank.cloud.state.metric_store import Metric, MetricStore

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LATENCY = Metric("Test", "Latency")


class SetClock:
    def __init__(self) -> None:
        self.time = NOW

    def now(self) -> datetime:
        return self.time

    def monotonic_s(self) -> float:
        return 0.0

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("nothing here sleeps")


@pytest.fixture
def database() -> Iterator[Database]:
    database = Database(":memory:", schema="telemetry")
    yield database
    database.close()


@pytest.fixture
def store(database: Database) -> MetricStore:
    return MetricStore(database, SetClock())


def at(second: float) -> datetime:
    return EPOCH + timedelta(seconds=second)


def put(store: MetricStore, *points: tuple[float, float], resolution_s: int = 60) -> None:
    store.record(
        "Test",
        [Datum("Latency", value, at(t), storage_resolution_s=resolution_s) for t, value in points],
    )


def sums(store: MetricStore, start_s: int, end_s: int, period_s: int) -> dict[int, float]:
    found = store.query(LATENCY, unit=None, start_s=start_s, end_s=end_s, period_s=period_s)
    return {begin: part.sum for begin, part in found.get("None", {}).items()}


@given(
    points=st.lists(st.tuples(st.integers(0, 7199), st.integers(-50, 50)), max_size=60),
    flushes=st.sets(st.integers(0, 60)),
    period_s=st.sampled_from([60, 120, 300, 3600]),
    resolution_s=st.sampled_from([1, 60]),
)
def test_periods_add_up_to_the_data_whatever_the_period_and_whenever_it_was_flushed(
    points: list[tuple[int, int]], flushes: set[int], period_s: int, resolution_s: int
) -> None:
    database = Database(":memory:", schema="telemetry")
    store = MetricStore(database, SetClock())
    for number, point in enumerate(points):
        put(store, point, resolution_s=resolution_s)
        if number in flushes:
            store.flush()
    found = store.query(LATENCY, unit=None, start_s=0, end_s=7200, period_s=period_s)
    periods = found.get("None", {})
    assert sum(part.sum for part in periods.values()) == sum(value for _, value in points)
    assert sum(part.count for part in periods.values()) == len(points)
    for begin, part in periods.items():
        inside = [value for t, value in points if begin <= t < begin + period_s]
        assert (part.minimum, part.maximum, part.sum) == (min(inside), max(inside), sum(inside))
    database.close()


def test_a_range_begins_inclusive_and_ends_exclusive(store: MetricStore) -> None:
    put(store, (0, 1), (60, 2), (120, 4), (180, 8))
    assert sums(store, 60, 180, 60) == {60: 2, 120: 4}
    assert sums(store, 60, 240, 120) == {60: 6, 180: 8}


def test_high_resolution_data_is_kept_by_the_second(store: MetricStore) -> None:
    put(store, (0.2, 1), (0.9, 2), (1.5, 4), resolution_s=1)
    assert sums(store, 0, 60, 1) == {0: 3, 1: 4}
    assert sums(store, 0, 60, 60) == {0: 7}


def test_metrics_that_differ_in_a_dimension_or_a_unit_are_apart(store: MetricStore) -> None:
    for dimensions, unit, value in (
        ({}, "None", 1.0),
        ({"a": "1"}, "None", 2.0),
        ({"a": "1", "b": "2"}, "None", 4.0),
        ({"a": "1"}, "Count", 8.0),
    ):
        store.record("Test", [Datum("Latency", value, at(0), unit, dimensions)])

    def query(dimensions: dict[str, str], unit: str | None = None) -> dict[str, float]:
        metric = Metric.of("Test", "Latency", dimensions)
        found = store.query(metric, unit=unit, start_s=0, end_s=60, period_s=60)
        return {name: periods[0].sum for name, periods in found.items()}

    assert query({}) == {"None": 1.0}
    assert query({"a": "1"}) == {"None": 2.0, "Count": 8.0}
    assert query({"a": "1"}, "Count") == {"Count": 8.0}
    assert query({"b": "2", "a": "1"}) == {"None": 4.0}
    assert query({"b": "2"}) == {}


def test_what_was_flushed_survives_and_goes_on_in_the_same_series(tmp_path: Path) -> None:
    for value in (1, 2):
        database = Database(tmp_path / "metrics.db", schema="telemetry", synchronous="NORMAL")
        store = MetricStore(database, SetClock())
        put(store, (0, value))
        store.flush()
        total = sums(store, 0, 60, 60)
        found = store.metrics(since=at(0))
        database.close()
    assert total == {0: 3}
    assert found == [LATENCY]


def test_only_metrics_with_recent_data_are_listed(store: MetricStore) -> None:
    put(store, (0, 1))
    store.flush()
    assert store.metrics(since=at(0)) == [LATENCY]
    assert store.metrics(since=at(61)) == []
    put(store, (120, 1))
    assert store.metrics(since=at(61)) == [LATENCY]


@pytest.mark.docs
@pytest.mark.parametrize(
    ("age", "step_s"),
    [
        (timedelta(minutes=30), 1),
        (timedelta(hours=4), 60),
        (timedelta(days=16), 300),
        (timedelta(days=64), 3600),
    ],
)
def test_old_data_grows_coarser_and_loses_nothing(
    database: Database, age: timedelta, step_s: int
) -> None:
    clock = SetClock()
    store = MetricStore(database, clock)
    begin = NOW.replace(minute=0)
    for second in range(0, 7200, 37):
        store.record("Test", [_datum(begin + timedelta(seconds=second), second)])
    store.flush()
    clock.time = begin + timedelta(hours=2) + age
    store.flush()
    times = [at_s for (at_s,) in database.connection.execute("SELECT at_s FROM aggregates")]
    assert {at_s % step_s for at_s in times} == {0}
    assert len(times) == min(len(range(0, 7200, 37)), 7200 // step_s)
    start_s = int(begin.timestamp())
    total = store.query(LATENCY, unit=None, start_s=start_s, end_s=start_s + 7200, period_s=3600)[
        "None"
    ]
    assert [part.sum for part in total.values()] == [
        sum(range(0, 3600, 37)),
        sum(second for second in range(0, 7200, 37) if second >= 3600),
    ]


@pytest.mark.docs
def test_a_week_of_data_by_the_second_does_not_pile_up(database: Database) -> None:
    """A gauge every twenty seconds: beyond three hours (and the hour until it is looked through)
    three of them are one row, so a day adds 1,440 rows and not 4,320."""
    clock = SetClock()
    store = MetricStore(database, clock)
    rows: list[int] = []
    for _ in range(7):
        for minute in range(24 * 60):
            clock.time += timedelta(minutes=1)
            for second in range(0, 60, 20):
                datum = Datum(
                    "InFlight",
                    float(minute % 7),
                    clock.time - timedelta(seconds=second),
                    storage_resolution_s=1,
                )
                store.record("Test", [datum])
            store.flush()
        (num,) = database.connection.execute("SELECT count(*) FROM aggregates").fetchone()
        rows.append(num)
    assert rows[0] < 24 * 60 + 4 * 60 * 3
    grown = [after - before for before, after in pairwise(rows)]
    assert all(abs(each - 24 * 60) <= 60 * 3 for each in grown), grown
    begin_s, end_s = (round(one.timestamp()) for one in (NOW, clock.time))
    found = store.query(
        Metric("Test", "InFlight"), unit=None, start_s=begin_s, end_s=end_s + 60, period_s=86_400
    )
    kept = sum(part.count for periods in found.values() for part in periods.values())
    assert kept == 7 * 24 * 60 * 3, "nothing is lost"


@pytest.mark.docs
def test_data_is_forgotten_after_455_days(database: Database) -> None:
    clock = SetClock()
    store = MetricStore(database, clock)
    store.record("Test", [_datum(NOW, 1)])
    store.flush()
    for days, kept in ((455, 1), (456, 0)):
        clock.time = NOW + timedelta(days=days)
        store.flush()
        (rows,) = database.connection.execute("SELECT count(*) FROM aggregates").fetchone()
        assert rows == kept


def test_each_flush_looks_through_one_series_only(database: Database) -> None:
    clock = SetClock()
    store = MetricStore(database, clock)
    for name in ("a", "b"):
        store.record("Test", [Datum(name, 1.0, NOW)])
    store.flush()
    clock.time = NOW + timedelta(days=456)
    left = []
    for _ in range(3):
        store.flush()
        left.append(database.connection.execute("SELECT count(*) FROM aggregates").fetchone()[0])
    assert left == [1, 0, 0]


def _datum(when: datetime, value: float) -> Datum:
    return Datum("Latency", value, when, storage_resolution_s=1)


@given(st.lists(st.tuples(st.integers(0, 100), st.integers(1, 9)), min_size=1, max_size=50))
def test_a_percentile_is_a_value_that_so_many_do_not_exceed(values: list[tuple[int, int]]) -> None:
    aggregate = Aggregate()
    for value, count in values:
        aggregate.add(value, count)
    flat = sorted(value for value, count in values for _ in range(count))
    for percent in (0, 1, 25, 50, 90, 99, 100):
        rank = max(math.ceil(len(flat) * percent / 100), 1)
        assert aggregate.percentile(percent) == flat[rank - 1]


def test_many_different_values_keep_percentiles_within_a_percent() -> None:
    aggregate = Aggregate()
    for value in range(1, 10_001):
        aggregate.add(value / 7)
    assert len(aggregate.distribution) <= MAX_DISTINCT + 1000
    for percent in (1, 50, 90, 99, 99.9):
        exact = percent * 100 / 7
        assert aggregate.percentile(percent) == pytest.approx(exact, rel=0.011)
    assert aggregate.percentile(100) == aggregate.maximum


@pytest.mark.docs
def test_statistic_sets_and_negative_values_have_no_percentiles() -> None:
    aggregate = Aggregate()
    aggregate.add_set(3, 6, 1, 3)
    assert aggregate.percentile(50) is None
    negative = Aggregate()
    negative.add(-1)
    assert negative.percentile(50) is None
    assert Aggregate().percentile(50) is None


@given(st.dictionaries(st.floats(allow_nan=False, allow_infinity=False), st.floats(1, 9)))
def test_a_packed_distribution_comes_back(distribution: dict[float, float]) -> None:
    packed = Aggregate(distribution=distribution).packed_distribution()
    assert Aggregate.unpacked(1, 1, 1, 1, packed).distribution == distribution
