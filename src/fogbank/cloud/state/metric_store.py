"""`MetricSink`, and what the cloudwatch service reads: measurements by series and minute.

In: measurements, counted in memory. Out: aggregates by period, what is still in memory included.
`flush`, called each second, writes what has gathered; a crash loses at most that. Standard metrics
are kept by the minute, high-resolution ones by the second; old ones coarser and coarser, as on AWS.

A series is (namespace, name, dimensions, unit): metrics whose dimensions differ in anything are
different metrics, as on AWS.
"""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from fogbank.cloud.ports import Datum
from fogbank.cloud.state.aggregate import Aggregate
from fogbank.cloud.state.database import Database
from fogbank.core.clock import Clock

RETENTION = (
    (timedelta(hours=3), 60),
    (timedelta(days=15), 300),
    (timedelta(days=63), 3600),
)
"""(age, step in seconds): data older than that is gathered in steps of that length (CloudWatch User
Guide, "Metrics retention")."""

KEPT = timedelta(days=455)

STANDARD_STEP_S = 60
"""Standard metrics are kept by the minute, high-resolution ones by the second."""

AGING_INTERVAL = timedelta(hours=1)
"""How often every series is looked through for data that has grown old: one series at each flush,
so that no flush takes long."""


@dataclass(frozen=True, slots=True)
class Metric:
    """dimensions: (name, value) pairs, sorted by name."""

    namespace: str
    name: str
    dimensions: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, namespace: str, name: str, dimensions: Mapping[str, str]) -> Metric:
        return cls(namespace, name, tuple(sorted(dimensions.items())))


Series = tuple[Metric, str]
"""A metric and a unit."""


def standard_step_s(time_scale: float) -> int:
    """How finely standard metrics are kept where periods pass `time_scale` times faster: a minute
    of them has to be a minute of the rules' clock."""
    return max(1, int(STANDARD_STEP_S / time_scale))


class StoredSeries:
    """Implements `ports.MetricSeries`: finds the place of a measurement by two comparisons, as
    long as they come within one period and between two flushes."""

    __slots__ = ("_aggregate", "_at_s", "_metric", "_step_s", "_store", "_unit", "_waiting")

    def __init__(self, store: MetricStore, metric: Metric, unit: str, step_s: int) -> None:
        self._store = store
        self._metric = metric
        self._unit = unit
        self._step_s = step_s
        self._at_s = -1
        self._waiting: object = None
        self._aggregate = Aggregate()

    def add(self, value: float, at_s: int) -> None:
        at_s -= at_s % self._step_s
        if at_s != self._at_s or self._waiting is not self._store.waiting:
            self._aggregate = self._store.slot(self._metric, self._unit, at_s)
            self._at_s, self._waiting = at_s, self._store.waiting
        self._aggregate.add(value)


class MetricStore:
    """database: of the `telemetry` schema; synchronous=NORMAL is enough.
    standard_step_s: how finely metrics of standard resolution are kept."""

    def __init__(
        self, database: Database, clock: Clock, *, standard_step_s: int = STANDARD_STEP_S
    ) -> None:
        self._standard_step_s = standard_step_s
        self._database = database
        self._clock = clock
        self.waiting: dict[Series, dict[int, Aggregate]] = {}
        self._ids: dict[Series, int] = {}
        self._by_metric: dict[Metric, list[Series]] = {}
        self._aging: list[int] = []
        self._aged = clock.now()
        rows = database.connection.execute(
            "SELECT id, namespace, name, dimensions, unit FROM series"
        )
        for series_id, namespace, name, dimensions, unit in rows:
            pairs = tuple((key, value) for key, value in json.loads(dimensions))
            self._know((Metric(namespace, name, pairs), unit), series_id)

    def _know(self, series: Series, series_id: int) -> None:
        self._ids[series] = series_id
        self._by_metric.setdefault(series[0], []).append(series)

    def record(self, namespace: str, data: Sequence[Datum]) -> None:
        """See `ports.MetricSink`."""
        for datum in data:
            metric = Metric.of(namespace, datum.name, datum.dimensions)
            self.slot_at(metric, datum.unit, datum.at, datum.storage_resolution_s).add(
                datum.value, datum.count
            )

    def series(
        self,
        namespace: str,
        name: str,
        unit: str,
        dimensions: Mapping[str, str],
        *,
        storage_resolution_s: int = STANDARD_STEP_S,
    ) -> StoredSeries:
        """See `ports.MetricSink`."""
        metric = Metric.of(namespace, name, dimensions)
        return StoredSeries(self, metric, unit, self._step_s(storage_resolution_s))

    def _step_s(self, resolution_s: int) -> int:
        return 1 if resolution_s < STANDARD_STEP_S else self._standard_step_s

    def slot_at(self, metric: Metric, unit: str, at: datetime, resolution_s: int) -> Aggregate:
        """The slot of a moment."""
        second = math.floor(at.timestamp())
        return self.slot(metric, unit, second - second % self._step_s(resolution_s))

    def slot(self, metric: Metric, unit: str, at_s: int) -> Aggregate:
        """Where measurements of that second or minute are gathered until the next flush."""
        series = (metric, unit)
        times = self.waiting.get(series)
        if times is None:
            times = self.waiting[series] = {}
            if series not in self._ids:
                self._know(series, self._new_id(series))
        found = times.get(at_s)
        if found is None:
            found = times[at_s] = Aggregate()
        return found

    def _new_id(self, series: Series) -> int:
        metric, unit = series
        with self._database.transaction() as connection:
            (series_id,) = connection.execute(
                "INSERT INTO series (namespace, name, dimensions, unit) VALUES (?, ?, ?, ?) "
                "RETURNING id",
                (metric.namespace, metric.name, json.dumps(metric.dimensions), unit),
            ).fetchone()
        return int(series_id)

    def flush(self) -> None:
        """Write what has gathered. What could not be written stays and is tried again."""
        if self.waiting:
            self._write()
        self._age()

    def _write(self) -> None:
        with self._database.transaction() as connection:
            for series, times in self.waiting.items():
                series_id = self._ids[series]
                for at_s, fresh in times.items():
                    self._merge(connection, series_id, at_s, fresh)
        self.waiting = {}

    def _merge(
        self, connection: sqlite3.Connection, series_id: int, at_s: int, fresh: Aggregate
    ) -> None:
        merged = self._stored(series_id, at_s)
        merged.merge(fresh)
        connection.execute(
            "INSERT OR REPLACE INTO aggregates "
            "(series, at_s, count, sum, minimum, maximum, distribution) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                series_id,
                at_s,
                merged.count,
                merged.sum,
                merged.minimum,
                merged.maximum,
                merged.packed_distribution(),
            ),
        )

    def _stored(self, series_id: int, at_s: int) -> Aggregate:
        row = self._database.connection.execute(
            "SELECT count, sum, minimum, maximum, distribution FROM aggregates "
            "WHERE series = ? AND at_s = ?",
            (series_id, at_s),
        ).fetchone()
        return Aggregate() if row is None else Aggregate.unpacked(*row)

    def _age(self) -> None:
        """Make the old data of one series coarser, and forget the oldest."""
        now = self._clock.now()
        if not self._aging and now - self._aged >= AGING_INTERVAL:
            self._aged = now
            self._aging = list(self._ids.values())
        if not self._aging:
            return
        series_id = self._aging.pop()
        with self._database.transaction() as connection:
            connection.execute(
                "DELETE FROM aggregates WHERE series = ? AND at_s < ?",
                (series_id, math.floor((now - KEPT).timestamp())),
            )
            for age, step_s in RETENTION:
                before_s = math.floor((now - age).timestamp())
                fine = connection.execute(
                    "SELECT at_s, count, sum, minimum, maximum, distribution FROM aggregates "
                    "WHERE series = ? AND at_s < ? AND at_s % ? <> 0",
                    (series_id, before_s - before_s % step_s, step_s),
                ).fetchall()
                for at_s, *numbers in fine:
                    connection.execute(
                        "DELETE FROM aggregates WHERE series = ? AND at_s = ?", (series_id, at_s)
                    )
                    self._merge(
                        connection, series_id, at_s - at_s % step_s, Aggregate.unpacked(*numbers)
                    )

    def query(
        self, metric: Metric, *, unit: str | None, start_s: int, end_s: int, period_s: int
    ) -> dict[str, dict[int, Aggregate]]:
        """unit -> start of period -> aggregate, for every period with data. Periods begin at
        `start_s`; the last one is cut at `end_s` (exclusive). `unit` None: every unit."""
        found: dict[str, dict[int, Aggregate]] = {}
        for series in self._by_metric.get(metric, ()):
            if unit is not None and series[1] != unit:
                continue
            periods: dict[int, Aggregate] = {}
            for at_s, part in self._parts(series, start_s, end_s):
                begin_s = start_s + (at_s - start_s) // period_s * period_s
                periods.setdefault(begin_s, Aggregate()).merge(part)
            if periods:
                found[series[1]] = dict(sorted(periods.items()))
        return found

    def _parts(self, series: Series, start_s: int, end_s: int) -> list[tuple[int, Aggregate]]:
        rows = self._database.connection.execute(
            "SELECT at_s, count, sum, minimum, maximum, distribution FROM aggregates "
            "WHERE series = ? AND at_s >= ? AND at_s < ?",
            (self._ids[series], start_s, end_s),
        )
        parts = [(at_s, Aggregate.unpacked(*rest)) for at_s, *rest in rows]
        waiting = self.waiting.get(series, {})
        return parts + [(at_s, part) for at_s, part in waiting.items() if start_s <= at_s < end_s]

    def metrics(self, *, since: datetime) -> list[Metric]:
        """Metrics with data since then, sorted by namespace, name and dimensions."""
        since_s = math.floor(since.timestamp())
        stored = {
            series_id
            for (series_id,) in self._database.connection.execute(
                "SELECT id FROM series WHERE EXISTS "
                "(SELECT 1 FROM aggregates WHERE series = series.id AND at_s >= ?)",
                (since_s,),
            )
        }
        active = {series[0] for series, series_id in self._ids.items() if series_id in stored}
        for series, times in self.waiting.items():
            if max(times) >= since_s:
                active.add(series[0])
        return sorted(active, key=lambda metric: (metric.namespace, metric.name, metric.dimensions))
