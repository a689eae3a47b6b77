"""What SageMaker hosting keeps: models, endpoint configurations, endpoints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Literal


@dataclass(frozen=True, kw_only=True)
class Model:
    """request: the validated input of CreateModel, verbatim."""

    kind: ClassVar[str] = "sagemaker.model"

    name: str
    arn: str
    request: Mapping[str, Any]
    created: datetime

    @property
    def key(self) -> str:
        return self.name


@dataclass(frozen=True, kw_only=True)
class EndpointConfig:
    """request: the validated input of CreateEndpointConfig, verbatim."""

    kind: ClassVar[str] = "sagemaker.endpoint_config"

    name: str
    arn: str
    request: Mapping[str, Any]
    created: datetime

    @property
    def key(self) -> str:
        return self.name


EndpointStatus = Literal[
    "Creating", "InService", "Updating", "SystemUpdating", "RollingBack", "Deleting", "Failed"
]


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One production variant with everything that is needed to run it.

    The container is copied from Model when the endpoint is created or updated: AWS lets a person
    delete the model and the configuration while the endpoint serves.
    """

    name: str
    model_name: str
    container: Mapping[str, Any]
    execution_role_arn: str
    instance_type: str
    desired_count: int
    desired_weight: float
    current_count: int = 0
    current_weight: float = 0.0
    settings: Mapping[str, Any] | None = None
    """The rest of the ProductionVariant input: time-outs, RoutingConfig, ..."""
    generation: int = 1
    """The endpoint's generation that brought this variant: its replicas carry (name, generation),
    so those of an update and those that it replaces are told apart, after a rollback too."""


ShiftStage = Literal["ActivatingTraffic", "Baking", "TerminationWait", "Deleting"]
"""ActivatingTraffic: one more part of the new fleet begins to take requests.
Baking:            that part is watched for WaitIntervalInSeconds.
TerminationWait:   the new fleet takes all requests, the old one is kept for
                   TerminationWaitInSeconds.
Deleting:          the fleet that lost ends."""


@dataclass(frozen=True, kw_only=True)
class TrafficShift:
    """How far an update has moved the traffic. since: when the stage began. share: of the requests,
    what the new fleet takes, 0 to 1."""

    stage: ShiftStage
    since: datetime
    share: float


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """variants:        what served before the update under way, or serves now (empty until the
                        first deployment is in service).
    pending_variants:   what a create or an update brings; becomes `variants` at its end.
    pending_config:     the configuration that `pending_variants` came from.
    pending_since:      when that create or update was asked for.
    pending_deployment: the DeploymentConfig by which that update goes; None: all at once.
    shift:              how far that update has moved the traffic; None: its fleet still starts.
    last_deployment:    the last DeploymentConfig that anybody gave.
    generation:         goes up with every create or update: a machine can tell old work from new.
    """

    kind: ClassVar[str] = "sagemaker.endpoint"

    name: str
    arn: str
    config_name: str
    status: EndpointStatus
    created: datetime
    modified: datetime
    generation: int = 1
    variants: tuple[Variant, ...] = ()
    pending_variants: tuple[Variant, ...] = ()
    pending_config: str | None = None
    pending_since: datetime | None = None
    pending_deployment: Mapping[str, Any] | None = None
    shift: TrafficShift | None = None
    last_deployment: Mapping[str, Any] | None = None
    failure_reason: str | None = None

    @property
    def key(self) -> str:
        return self.name
