"""What Lambda keeps: functions, their versions and aliases, and what is said about each of them.

A function is a name; what runs is a version of it. `$LATEST` is a version like any other, except
that it may change. Keys are `NAME:QUALIFIER`, so all that belongs to a function has the prefix
`NAME:`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, Literal

LATEST = "$LATEST"

State = Literal["Pending", "Active", "Inactive", "Failed"]
UpdateStatus = Literal["Successful", "Failed", "InProgress"]


@dataclass(frozen=True, kw_only=True)
class Function:
    """reserved_concurrency: executions that are this function's own and its ceiling; None: none.
    last_version:        the highest version number ever published; numbers are never used again.
    """

    kind: ClassVar[str] = "lambda.function"

    name: str
    arn: str
    created: datetime
    last_version: int = 0
    reserved_concurrency: int | None = None

    @property
    def key(self) -> str:
        return self.name


@dataclass(frozen=True, kw_only=True)
class FunctionVersion:
    """Code and configuration that run together. All but `$LATEST` never change.

    arn:         qualified, but for `$LATEST`: `arn:aws:lambda:REGION:ACCOUNT:function:NAME[:3]`.
    code_sha256: base64 of the zip's SHA-256, as AWS shows it; also where the code store has it.
    environment: the function's own variables.
    layers:      ARNs of layer versions in the order given; later ones win.
    timeout_s, memory_mb, ephemeral_storage_mb: the limits.
    settings:    members of the input that are kept and shown but change nothing here (Description,
                 TracingConfig, ...), by AWS's names.
    """

    kind: ClassVar[str] = "lambda.version"

    function: str
    version: str
    arn: str
    runtime: str
    handler: str
    role_arn: str
    code_sha256: str
    code_size_bytes: int
    timeout_s: int
    memory_mb: int
    ephemeral_storage_mb: int
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    layers: tuple[str, ...] = ()
    dead_letter_arn: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    modified: datetime
    revision_id: str
    state: State = "Pending"
    state_reason: str | None = None
    state_reason_code: str | None = None
    update_status: UpdateStatus = "Successful"
    update_reason: str | None = None
    update_reason_code: str | None = None

    @property
    def key(self) -> str:
        return f"{self.function}:{self.version}"


@dataclass(frozen=True, kw_only=True)
class Alias:
    """A name for a version, or for two: `weights` sends that fraction (0..1) of the calls to a
    second version, the rest goes to `version`."""

    kind: ClassVar[str] = "lambda.alias"

    function: str
    name: str
    arn: str
    version: str
    weights: Mapping[str, float] = field(default_factory=dict)
    description: str = ""
    revision_id: str

    @property
    def key(self) -> str:
        return f"{self.function}:{self.name}"


@dataclass(frozen=True, kw_only=True)
class ProvisionedConcurrency:
    """Environments that are kept initialised for a version or an alias.

    requested: how many are wanted (the service writes it).
    allocated, available, status, status_reason: what there is (the machine writes it).
    """

    kind: ClassVar[str] = "lambda.provisioned_concurrency"

    function: str
    qualifier: str
    requested: int
    allocated: int = 0
    available: int = 0
    status: Literal["IN_PROGRESS", "READY", "FAILED"] = "IN_PROGRESS"
    status_reason: str | None = None
    modified: datetime

    @property
    def key(self) -> str:
        return f"{self.function}:{self.qualifier}"


@dataclass(frozen=True, kw_only=True)
class EventInvokeConfig:
    """How asynchronous events of a qualifier (`$LATEST` where none is named) are treated."""

    kind: ClassVar[str] = "lambda.event_invoke_config"

    function: str
    qualifier: str
    arn: str
    max_event_age_s: int | None = None
    max_retries: int | None = None
    on_success_arn: str | None = None
    on_failure_arn: str | None = None
    modified: datetime

    @property
    def key(self) -> str:
        return f"{self.function}:{self.qualifier}"


@dataclass(frozen=True, kw_only=True)
class FunctionPolicy:
    """The resource-based policy of a function or of one qualifier of it ("" for none). Its revision
    is that of the function, version or alias.

    statements: policy statements by Sid, in the order they were added.
    """

    kind: ClassVar[str] = "lambda.policy"

    function: str
    qualifier: str
    statements: Mapping[str, Mapping[str, Any]]

    @property
    def key(self) -> str:
        return f"{self.function}:{self.qualifier}"


@dataclass(frozen=True, kw_only=True)
class FunctionUrl:
    """An HTTP address of a function or alias (`qualifier` is "" for the function itself).

    url_id: the label of the address's host name.
    """

    kind: ClassVar[str] = "lambda.url"

    function: str
    qualifier: str
    url_id: str
    auth_type: Literal["NONE", "AWS_IAM"]
    cors: Mapping[str, Any] | None = None
    invoke_mode: str = "BUFFERED"
    created: datetime
    modified: datetime

    @property
    def key(self) -> str:
        return f"{self.function}:{self.qualifier}"


@dataclass(frozen=True, kw_only=True)
class LayerVersion:
    """A zip that is laid over /opt. Deleting one leaves the functions that use it as they are."""

    kind: ClassVar[str] = "lambda.layer_version"

    layer: str
    version: int
    arn: str
    code_sha256: str
    code_size_bytes: int
    description: str = ""
    runtimes: tuple[str, ...] = ()
    architectures: tuple[str, ...] = ()
    license: str | None = None
    created: datetime
    deleted: bool = False

    @property
    def key(self) -> str:
        return f"{self.layer}:{self.version:08d}"


def layer_key(arn: str) -> str:
    """The key of the layer version `arn:...:layer:NAME:NUMBER`; "" for what is none. The record may
    be another region's or account's: compare its ARN."""
    layer, _, number = arn.rpartition(":")
    return f"{layer.rpartition(':')[2]}:{int(number):08d}" if number.isdecimal() else ""


@dataclass(frozen=True, kw_only=True)
class QueuedEvent:
    """An asynchronous event that was accepted (202) and has not been dealt with yet.

    payload:  the event's text.
    failures: function errors so far; throttles are counted apart, they are retried for hours.
    due:      not before that time.
    """

    kind: ClassVar[str] = "lambda.event"

    request_id: str
    function: str
    qualifier: str
    payload: str = field(repr=False)
    accepted: datetime
    due: datetime
    failures: int = 0
    throttles: int = 0

    @property
    def key(self) -> str:
        return f"{self.function}:{self.request_id}"
