"""Metrics that a training job's log shows: MetricDefinitions and log lines -> values.

Source: developer guide, "Monitor and Analyze Training Jobs Using Amazon CloudWatch Metrics".
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fogbank.cloud.errors import ValidationException

MAX_LINE_CHARS = 2000
"""Only the head of a longer line is searched: a regex such as `.*loss.*` takes time that grows
with the square of the line, and a progress bar may write a line of megabytes."""


@dataclass(frozen=True, slots=True)
class MetricDefinition:
    """A name and the regular expression whose first group is the value."""

    name: str
    regex: re.Pattern[str]


def compile_definitions(definitions: Sequence[Mapping[str, Any]]) -> tuple[MetricDefinition, ...]:
    """`AlgorithmSpecification.MetricDefinitions` -> what `values` takes.

    Raises ValidationException for a regex that does not compile and for a name given twice.
    """
    compiled: dict[str, MetricDefinition] = {}
    for definition in definitions:
        name, pattern = definition["Name"], definition["Regex"]
        if name in compiled:
            raise ValidationException(
                f"Metric definition names must be unique within a training job: {name} is repeated."
            )
        try:
            compiled[name] = MetricDefinition(name, re.compile(pattern))
        except (re.error, OverflowError, RecursionError) as error:
            raise ValidationException(
                f"Invalid regular expression for metric {name}: {pattern!r} ({error})."
            ) from error
    return tuple(compiled.values())


def values(definitions: Sequence[MetricDefinition], line: str) -> Iterator[tuple[str, float]]:
    """(metric name, value) of every match in one log line, in the order of the definitions.

    The value is the first group, or the whole match of a regex without groups. What is not a
    finite number is no value.
    """
    head = line[:MAX_LINE_CHARS]
    for definition in definitions:
        group = 1 if definition.regex.groups else 0
        for match in definition.regex.finditer(head):
            value = _number(match[group])
            if value is not None:
                yield definition.name, value


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) else None
