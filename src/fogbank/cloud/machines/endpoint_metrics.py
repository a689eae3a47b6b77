"""What is measured of endpoints, by AWS's names, units and dimensions.

`VariantMeter` counts the invocations of one variant; `EndpointMetrics` adds, once a second, what
nobody's request tells: requests in flight, the processors' and the memory's use, and zeros for
variants under auto scaling, without which a quiet one would never scale in. Sources: SageMaker
developer guide, "Monitor SageMaker AI with Amazon CloudWatch"; Application Auto Scaling.

time_scale: see `metric_query.Span`; what is emitted by the minute comes that much more often.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from fogbank.cloud.machines.engine import Share, Usage
from fogbank.cloud.ports import Datum, MetricSink, Records
from fogbank.cloud.records.scaling import ScalableTarget, target_key
from fogbank.cloud.rules.scalable import SAGEMAKER_VARIANT
from fogbank.core.clock import Clock

log = logging.getLogger("fogbank.hosting")

NAMESPACE, INSTANCE_NAMESPACE = "AWS/SageMaker", "/aws/sagemaker/Endpoints"

EVERY_S = 1.0
_LEAD_S = 0.05
INSTANCE_EVERY_S = 60.0
"""How often the use of processors and memory is emitted (developer guide: 1-minute frequency)."""


class VariantMeter:
    """The invocation metrics of one variant. last_invoked: when the last answer came."""

    def __init__(self, sink: MetricSink, endpoint: str, variant: str) -> None:
        dimensions = {"EndpointName": endpoint, "VariantName": variant}

        def series(name: str, unit: str = "Count") -> Callable[[float, int], None]:
            return sink.series(NAMESPACE, name, unit, dimensions).add

        self.last_invoked: datetime | None = None
        self._invocations = series("Invocations")
        self._per_instance = series("InvocationsPerInstance")
        self._errors_4xx = series("Invocation4XXErrors")
        self._errors_5xx = series("Invocation5XXErrors")
        self._model_errors = series("InvocationModelErrors")
        self._model_latency = series("ModelLatency", "Microseconds")
        self._overhead_latency = series("OverheadLatency", "Microseconds")

    def invoked(
        self, now: datetime, *, num_instances: int, status: int, model_s: float, overhead_s: float
    ) -> None:
        """One invocation has been answered. status: of the container; 500 where it gave none."""
        self.last_invoked = now
        at_s = math.floor(now.timestamp())
        self._invocations(1.0, at_s)
        self._per_instance(1.0 / max(1, num_instances), at_s)
        self._errors_4xx(float(400 <= status < 500), at_s)
        self._errors_5xx(float(status >= 500), at_s)
        self._model_errors(float(not 200 <= status < 300), at_s)
        self._model_latency(model_s * 1e6, at_s)
        self._overhead_latency(overhead_s * 1e6, at_s)

    def idle(self, now: datetime) -> None:
        """A period without an invocation: that is zero, not unknown."""
        at_s = math.floor(now.timestamp())
        self._invocations(0.0, at_s)
        self._per_instance(0.0, at_s)


@dataclass(frozen=True, slots=True)
class Gauge:
    """One replica now. usage: asked once a minute; None while its program has not started."""

    id: str
    outstanding: int
    usage: Callable[[], Usage | None]
    share: Share | None


Fleet = Mapping[tuple[str, str], Iterable[Gauge]]
"""(endpoint, variant) -> the replicas that serve it now."""


class EndpointMetrics:
    """fleet: asked once a second. meter: of a variant, by (endpoint, variant)."""

    def __init__(
        self,
        records: Records,
        sink: MetricSink,
        fleet: Callable[[], Fleet],
        meter: Callable[[str, str], VariantMeter],
        clock: Clock,
        *,
        time_scale: float = 1.0,
    ) -> None:
        self._records = records
        self._sink = sink
        self._fleet = fleet
        self._meter = meter
        self._clock = clock
        self._minute_s = max(1, round(INSTANCE_EVERY_S / time_scale))
        self._cpu: dict[str, tuple[float, float]] = {}
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="endpoint metrics")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _run(self) -> None:
        measured = 0
        while True:
            now_s = self._clock.now().timestamp()
            # Just before the second ends: a zero belongs to the period that is about to.
            number = math.floor((now_s + _LEAD_S) / EVERY_S) + 1
            if number == measured:  # a timer may ring a moment early: not twice for one second
                number += 1
            measured = number
            await self._clock.sleep(number * EVERY_S - _LEAD_S - now_s)
            try:
                self.measure(self._clock.now())
            except Exception:  # one bad reading must not end the measuring
                log.exception("endpoints could not be measured")

    def measure(self, now: datetime) -> None:
        """Take every gauge once."""
        fleet = self._fleet()
        is_last_of_minute = (math.floor(now.timestamp()) + 1) % self._minute_s == 0
        seen: set[str] = set()
        for (endpoint, variant), replicas in fleet.items():
            dimensions = {"EndpointName": endpoint, "VariantName": variant}
            gauges = list(replicas)
            seen.update(gauge.id for gauge in gauges)
            self._sink.record(
                NAMESPACE,
                [
                    Datum(
                        "ConcurrentRequestsPerModel",
                        gauge.outstanding,
                        now,
                        "Count",
                        dimensions,
                        storage_resolution_s=1,
                    )
                    for gauge in gauges
                ],
            )
            if is_last_of_minute:
                self._measure_instances(gauges, dimensions, now)
                if self._is_scaled(endpoint, variant):
                    self._note_idleness(endpoint, variant, now)
        for gone in self._cpu.keys() - seen:
            del self._cpu[gone]

    def _measure_instances(
        self, gauges: Iterable[Gauge], dimensions: Mapping[str, str], now: datetime
    ) -> None:
        """CPUUtilization is 0 to 100 for each CPU: two busy ones are 200. MemoryUtilization is a
        share of what the instance may use."""
        now_s = self._clock.monotonic_s()
        data: list[Datum] = []
        for gauge in gauges:
            usage = gauge.usage()
            if usage is None or gauge.share is None:
                continue
            cpu_s = usage.cpu_s
            before = self._cpu.get(gauge.id)
            self._cpu[gauge.id] = (now_s, cpu_s)
            if before is not None and now_s > before[0]:
                percent = 100 * max(0.0, cpu_s - before[1]) / (now_s - before[0])
                data.append(Datum("CPUUtilization", percent, now, "Percent", dimensions))
            memory = 100 * usage.rss_bytes / gauge.share.memory_bytes
            data.append(Datum("MemoryUtilization", memory, now, "Percent", dimensions))
        self._sink.record(INSTANCE_NAMESPACE, data)

    def _is_scaled(self, endpoint: str, variant: str) -> bool:
        namespace, dimension = SAGEMAKER_VARIANT
        key = target_key(namespace, f"endpoint/{endpoint}/variant/{variant}", dimension)
        return self._records.get(ScalableTarget, key) is not None

    def _note_idleness(self, endpoint: str, variant: str, now: datetime) -> None:
        meter = self._meter(endpoint, variant)
        begin_s = math.floor(now.timestamp()) // self._minute_s * self._minute_s
        if meter.last_invoked is None or meter.last_invoked.timestamp() < begin_s:
            meter.idle(now)
