"""The section `endpoint.update` of `fogbank.yaml`: how a new model takes over from the one that
serves, and what brings the old one back. Pure.

Source: SageMaker developer guide, "Deployment guardrails for updating models in production"; API
reference, BlueGreenUpdatePolicy, AutoRollbackConfig.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, StringConstraints, model_validator

from fogbank.ops.spec_section import Section, as_tuple, mistake

Traffic = Literal["all-at-once", "canary", "linear"]

_TYPES = {"all-at-once": "ALL_AT_ONCE", "canary": "CANARY", "linear": "LINEAR"}
_SIZES = {"canary": "CanarySize", "linear": "LinearStepSize"}
_LEAST_PERCENT = {"canary": 1, "linear": 10}
_DEFAULT_PERCENT = 10


class Update(Section):
    """A new fleet starts beside the old one; the traffic moves to it as this says."""

    traffic: Traffic = "canary"
    """`canary`: a part, then the rest. `linear`: part after part. `all-at-once`: all of it."""
    step_percent: Annotated[int, Field(ge=1, le=50)] | None = None
    """Of the traffic, how much moves first (canary) or each time (linear): 10 unless told."""
    bake_s: Annotated[int, Field(ge=0, le=3600)] = 300
    """After each step the alarms are watched for so long."""
    keep_old_s: Annotated[int, Field(ge=0, le=3600)] = 0
    """For so long the old fleet stays when all traffic has moved."""
    rollback_on: Annotated[
        tuple[Annotated[str, StringConstraints(min_length=1, max_length=255)], ...],
        BeforeValidator(as_tuple),
        Field(max_length=10),
    ] = ()
    """CloudWatch alarms that bring all traffic back to the old fleet."""

    @model_validator(mode="after")
    def _checked(self) -> Self:
        if self.step_percent is None:
            return self
        least = _LEAST_PERCENT.get(self.traffic)
        if least is None:
            raise mistake(f"has no meaning with traffic {self.traffic}", "step_percent")
        if self.step_percent < least:
            raise mistake(f"is at least {least} with traffic {self.traffic}", "step_percent")
        return self

    @property
    def deployment_config(self) -> dict[str, Any]:
        """UpdateEndpoint's DeploymentConfig."""
        traffic: dict[str, Any] = {
            "Type": _TYPES[self.traffic],
            "WaitIntervalInSeconds": self.bake_s,
        }
        if self.traffic in _SIZES:
            percent = self.step_percent or _DEFAULT_PERCENT
            traffic[_SIZES[self.traffic]] = {"Type": "CAPACITY_PERCENT", "Value": percent}
        config: dict[str, Any] = {
            "BlueGreenUpdatePolicy": {
                "TrafficRoutingConfiguration": traffic,
                "TerminationWaitInSeconds": self.keep_old_s,
            }
        }
        if self.rollback_on:
            alarms = [{"AlarmName": name} for name in self.rollback_on]
            config["AutoRollbackConfiguration"] = {"Alarms": alarms}
        return config
