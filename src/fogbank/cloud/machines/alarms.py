"""Makes alarms true: reads the metrics, asks the rule, writes the state, tells who acts on it.

In: Alarm records and the metric store. Out: states, history, and each evaluation to `listeners`:
a policy that scales acts again and again while its alarm stands. Evaluation is due when a period
of the alarm has ended: every minute, or every 10 s for alarms with short periods.

time_scale: how many times faster than real time periods pass; see `metric_query.Span`.
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from fogbank.cloud.errors import ServiceError
from fogbank.cloud.ports import Records
from fogbank.cloud.records.alarm import Alarm
from fogbank.cloud.rules.alarm import (
    EXTRA_PERIODS,
    AlarmSettings,
    Datapoint,
    Evaluation,
    evaluate,
)
from fogbank.cloud.state import alarms
from fogbank.cloud.state.metric_query import MetricReader, Query, Span, read_queries, watched
from fogbank.cloud.state.metric_store import MetricStore
from fogbank.core.clock import Clock

log = logging.getLogger("fogbank.alarms")

STANDARD_S, SHORT_S = 60, 10
"""How often alarms are evaluated: those with periods of a minute and more, and the others."""

BREATH = 50
"""After so many alarms what has changed is written, and the event loop may look after requests."""

Listener = Callable[[Alarm, Evaluation], None]
"""Told after each evaluation, with the alarm as it is now. Must not raise."""


@dataclass(frozen=True, slots=True)
class _Watch:
    """An alarm's request, understood: what to read and how to judge it."""

    settings: AlarmSettings
    query: Query
    queries: tuple[Query, ...]

    @classmethod
    def of(cls, alarm: Alarm) -> _Watch:
        request = alarm.request
        if request.get("Metrics"):
            queries = read_queries(request["Metrics"])
        else:
            stat = request.get("Statistic") or request["ExtendedStatistic"]
            source = watched(request, stat, request.get("Unit"), f"alarm {alarm.name}")
            queries = [Query("m", request["MetricName"], request["Period"], source)]
        (query,) = (each for each in queries if each.returned)
        return cls(AlarmSettings.of(request), query, tuple(queries))


class AlarmEvaluation:
    """Evaluates every alarm when it is due, between `start` and `stop`."""

    def __init__(
        self,
        records: Records,
        store: MetricStore,
        clock: Clock,
        *,
        time_scale: float = 1.0,
    ) -> None:
        self.listeners: list[Listener] = []
        self._records = records
        self._reader = MetricReader(store)
        self._clock = clock
        self._time_scale = time_scale
        self._watches: dict[str, tuple[datetime, _Watch]] = {}
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="alarms")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _run(self) -> None:
        step_s = max(1.0, SHORT_S / self._time_scale)
        evaluated = 0
        while True:
            now_s = self._clock.now().timestamp()
            number = math.floor(now_s / step_s) + 1
            if number == evaluated:  # a timer may ring a moment early: not twice for one period
                number += 1
            evaluated = number
            await self._clock.sleep(number * step_s - now_s)
            now = max(self._clock.now(), datetime.fromtimestamp(number * step_s, UTC))
            try:
                await self.evaluate_due(now)
            except Exception:  # a full disk must not end the watching for good
                log.exception("alarms could not be evaluated")

    async def evaluate_due(self, now: datetime) -> None:
        """Evaluate the alarms of which a period has just ended."""
        due = [alarm.name for alarm in self._records.all(Alarm) if self._is_due(alarm, now)]
        for first in range(0, len(due), BREATH):
            # One synchronised commit for them all: a thousand that change at once took a thousand.
            with self._records.transaction():
                for name in due[first : first + BREATH]:
                    self.evaluate(name, now)
            await asyncio.sleep(0)

    def _is_due(self, alarm: Alarm, now: datetime) -> bool:
        watch = self._watch(alarm)
        every_s = SHORT_S if watch.query.period_s < STANDARD_S else STANDARD_S
        real_s = max(1, round(every_s / self._time_scale))
        step_s = max(1.0, SHORT_S / self._time_scale)
        return math.floor(now.timestamp()) % real_s < step_s

    def _watch(self, alarm: Alarm) -> _Watch:
        known = self._watches.get(alarm.name)
        if known is None or known[0] != alarm.configured:
            known = self._watches[alarm.name] = (alarm.configured, _Watch.of(alarm))
        return known[1]

    def evaluate(self, name: str, now: datetime) -> None:
        """Evaluate one alarm now, whether it is due or not; nothing where it has been deleted."""
        alarm = self._records.get(Alarm, name)
        if alarm is None:
            self._watches.pop(name, None)
            return
        watch = self._watch(alarm)
        try:
            points = self._points(watch, now)
        except ServiceError as error:
            log.warning("alarm %s cannot be evaluated: %s", name, error.message)
            return
        found = evaluate(watch.settings, points, alarm.state)
        if found.state != alarm.state:
            log.info("alarm %s: %s -> %s", name, alarm.state, found.state)
            data = _reason_data(alarm, watch, found, now)
            alarm = alarms.change_state(
                self._records, alarm, found.state, found.reason[:1023], data, now
            )
        for listener in self.listeners:
            listener(alarm, found)

    def _points(self, watch: _Watch, now: datetime) -> list[Datapoint | None]:
        """The evaluation range: whole periods, the last of which has just ended."""
        real_s = Span(0, 0, self._time_scale).real_s(watch.query.period_s)
        end_s = math.floor(now.timestamp()) // real_s * real_s
        start_s = end_s - (watch.settings.periods + EXTRA_PERIODS) * real_s
        series = self._reader.series(
            watch.query, watch.queries, Span(start_s, end_s, self._time_scale)
        )
        return [
            Datapoint(datetime.fromtimestamp(at, UTC), series[at]) if at in series else None
            for at in range(start_s, end_s, real_s)
        ]


def _reason_data(alarm: Alarm, watch: _Watch, found: Evaluation, now: datetime) -> str:
    """StateReasonData, as CloudWatch writes it."""
    request = alarm.request
    named = {
        "unit": request.get("Unit"),
        "statistic": request.get("Statistic") or request.get("ExtendedStatistic"),
    }
    started = {"startDate": _moment(found.used[0].at)} if found.used else {}
    return json.dumps(
        {
            "version": "1.0",
            "queryDate": _moment(now),
            **started,
            **{name: value for name, value in named.items() if value is not None},
            "period": watch.query.period_s,
            "recentDatapoints": [point.value for point in found.used],
            "threshold": watch.settings.threshold,
            "evaluatedDatapoints": [
                {"timestamp": _moment(point.at), "value": point.value}
                for point in reversed(found.used)
            ],
        }
    )


def _moment(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}+0000"
