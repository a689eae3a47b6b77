"""The log of a training job -> its metrics.

In: lines, as `LogCapture.on_line` gives them. Out: data points in CloudWatch, and the last value of
each metric for FinalMetricDataList. Source: developer guide, "Monitor and Analyze Training Jobs
Using Amazon CloudWatch Metrics".
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from fogbank.cloud.ports import Datum, MetricSink
from fogbank.cloud.records.training_job import OBJECTIVE_VALUES, FinalMetric
from fogbank.cloud.rules.metric_definitions import MetricDefinition, values

NAMESPACE = "/aws/sagemaker/TrainingJobs"


class MetricCapture:
    """Metrics of one job; the logs of all its instances go through the same one.

    objective: name of the metric of which every value is kept (up to `OBJECTIVE_VALUES`).
    """

    def __init__(
        self,
        definitions: Sequence[MetricDefinition],
        sink: MetricSink,
        job_name: str,
        *,
        objective: str | None = None,
    ) -> None:
        self._definitions = definitions
        self._sink = sink
        self._dimensions = {"TrainingJobName": job_name}
        self._final: dict[str, FinalMetric] = {}
        self._objective = objective
        self._objective_values: list[float] = []

    def on_line(self, line: str, timestamp_ms: int) -> None:
        """Look for values in one line of the log."""
        if not self._definitions:
            return
        at = datetime.fromtimestamp(timestamp_ms / 1000, UTC)
        data: list[Datum] = []
        for name, value in values(self._definitions, line):
            data.append(Datum(name, value, at, dimensions=self._dimensions))
            self._final[name] = FinalMetric(name=name, value=value, at=at)
            if name == self._objective and len(self._objective_values) < OBJECTIVE_VALUES:
                self._objective_values.append(value)
        if data:
            self._sink.record(NAMESPACE, data)

    @property
    def objective_values(self) -> tuple[float, ...]:
        """The objective, report by report."""
        return tuple(self._objective_values)

    @property
    def final(self) -> tuple[FinalMetric, ...]:
        """The last value of each metric that has one, in the order of the definitions."""
        return tuple(
            self._final[definition.name]
            for definition in self._definitions
            if definition.name in self._final
        )
