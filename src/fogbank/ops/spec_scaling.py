"""The section `endpoint.scaling` of `fogbank.yaml`: how many instances serve, and when. Pure.

Source: SageMaker developer guide, "Automatic scaling of Amazon SageMaker AI models"; Application
Auto Scaling API reference, PutScalingPolicy, PutScheduledAction.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, StringConstraints, model_validator

from fogbank.ops.spec_section import Section, as_tuple, mistake

Metric = Literal["invocations", "concurrency", "cpu"]

METRICS: Mapping[str, str] = {
    "invocations": "invocations a minute and instance",
    "concurrency": "requests at a time and instance",
    "cpu": "percent of processor time; each CPU is 100",
}
"""What `target` counts."""

AUTO = "auto"


class Schedule(Section):
    """Other bounds at certain times."""

    name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]
    at: Annotated[str, StringConstraints(pattern=r"^(at|rate|cron)\(.+\)$")]
    """`cron(0 8 ? * MON-FRI *)`, `at(2026-12-24T18:00:00)` or `rate(1 day)`."""
    timezone: str = "UTC"
    min: Annotated[int, Field(ge=1, le=100)] | None = None
    max: Annotated[int, Field(ge=1, le=100)] | None = None

    @model_validator(mode="after")
    def _checked(self) -> Self:
        if self.min is None and self.max is None:
            raise ValueError("needs min, max or both")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise mistake(f"is more than max ({self.max})", "min")
        return self


class Scaling(Section):
    """Instances come and go with the load, between `min` and `max`."""

    min: Annotated[int, Field(ge=1, le=100)] = 1
    max: Annotated[int, Field(ge=1, le=100)] = 3
    target: Annotated[float, Field(gt=0, le=1e7, strict=False)] | Literal["auto"] = "auto"
    """What each instance should have of `metric`. `auto`: half of what `fogbank scale measure`
    found one instance to sustain, as AWS advises."""
    metric: Metric = "invocations"
    """`invocations` a minute, `concurrency` (requests at a time) or `cpu` (percent), all of one
    instance."""
    scale_in_cooldown_s: Annotated[int, Field(ge=0, le=86_400)] = 300
    """After a change nothing is taken away for so long."""
    scale_out_cooldown_s: Annotated[int, Field(ge=0, le=86_400)] = 300
    """After a scale-out only a larger one comes for so long."""
    schedule: Annotated[tuple[Schedule, ...], BeforeValidator(as_tuple)] = ()

    @model_validator(mode="after")
    def _checked(self) -> Self:
        if self.min > self.max:
            raise mistake(f"is more than max ({self.max})", "min")
        if self.target == AUTO and self.metric != "invocations":
            raise mistake(
                f"auto is measured in invocations; with the metric {self.metric} it has to be a "
                "number",
                "target",
            )
        names = [entry.name for entry in self.schedule]
        repeated = next((name for name in names if names.count(name) > 1), None)
        if repeated is not None:
            raise mistake(f"has more than one entry named {repeated}", "schedule")
        return self
