"""The Protocols on which services, machines and state meet.

Every method that is not `async` returns at once and runs on the event loop's thread; the order of
two calls is the order of their effects, so a service may read, decide and write without a lock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Protocol, TypeVar

from fogbank.cloud.context import Principal
from fogbank.cloud.records.base import Record

R = TypeVar("R", bound=Record)


class Records(Protocol):
    """What exists. A write is durable (fully synchronised) when the call returns, or when the
    outermost `transaction` ends. Records are immutable: `dataclasses.replace` and `put`."""

    def get(self, kind: type[R], key: str) -> R | None: ...

    def put(self, *records: Record) -> None:
        """Insert or replace; several are written in one transaction."""
        ...

    def delete(self, kind: type[R], key: str) -> R | None:
        """Remove and return it; None where there was none."""
        ...

    def all(self, kind: type[R], *, prefix: str = "") -> list[R]:
        """Every record of the kind whose key starts with `prefix`, in key order."""
        ...

    def last(self, kind: type[R]) -> R | None:
        """The record of the kind whose key comes last; None where there is none."""
        ...

    def transaction(self) -> AbstractContextManager[object]:
        """All writes inside become visible and durable together, or not at all on an exception."""
        ...

    def subscribe(self, kind: type[R], wake: Callable[[str], None]) -> None:
        """`wake(key)` is called after each committed put or delete of that kind."""
        ...


@dataclass(frozen=True, slots=True)
class SessionCredentials:
    """Temporary credentials, in the form that AWS clients take."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str = field(repr=False)
    expires: datetime
    principal: Principal


@dataclass(frozen=True, slots=True)
class SigningKey:
    """What is needed to check a signature made with an access key."""

    secret_access_key: str = field(repr=False)
    session_token: str | None = field(repr=False)
    expires: datetime | None
    principal: Principal


class Keyring(Protocol):
    """Access keys and sessions."""

    def note_use(self, access_key_id: str, service: str, now: datetime) -> None:
        """Remember when the key, or the role behind the session, was last used."""
        ...

    def find(self, access_key_id: str) -> SigningKey | None:
        """None for an unknown or inactive key. Expiry is for the caller to judge."""
        ...

    def issue_role_session(
        self, role_arn: str, session_name: str, *, duration_s: int, now: datetime
    ) -> SessionCredentials:
        """Credentials of a role. Does not ask whether anybody may assume it. LookupError where the
        role does not exist."""
        ...


@dataclass(frozen=True, slots=True)
class StoredObject:
    """The current version of an S3 object. `path` is its file: read it, never write or link it
    where somebody else can write through the link."""

    bucket: str
    key: str
    size_bytes: int
    etag: str
    modified: datetime
    path: Path


class Objects(Protocol):
    """S3 as the machines see it: no signatures, no wire. A missing bucket raises LookupError."""

    def stat(self, bucket: str, key: str) -> StoredObject | None: ...

    def list(self, bucket: str, prefix: str) -> Iterator[StoredObject]:
        """Current versions whose keys start with `prefix`, in UTF-8 key order."""
        ...

    async def put_file(
        self, bucket: str, key: str, source: Path, *, content_type: str = "binary/octet-stream"
    ) -> StoredObject:
        """Copy a file in; durable when it returns."""
        ...

    async def read(self, bucket: str, key: str) -> bytes:
        """A whole small object. LookupError where it does not exist."""
        ...


@dataclass(frozen=True, slots=True)
class LogEvent:
    """One line. `timestamp_ms` is milliseconds since the epoch."""

    timestamp_ms: int
    message: str


class LogSink(Protocol):
    """CloudWatch Logs as the machines see it. Groups and streams are made as needed."""

    def append(self, group: str, stream: str, events: Sequence[LogEvent]) -> None:
        """Readable at once. Timestamps in a stream should not go backwards."""
        ...


@dataclass(frozen=True, slots=True)
class Datum:
    """One measurement of one metric, or a set of equal ones when `count` > 1."""

    name: str
    value: float
    at: datetime
    unit: str = "None"
    dimensions: Mapping[str, str] = field(default_factory=dict)
    count: int = 1
    storage_resolution_s: int = 60


class MetricSeries(Protocol):
    """One metric, looked up once: for what is measured with every request."""

    def add(self, value: float, at_s: int) -> None:
        """at_s: seconds since the epoch; several series are told of one moment, worked out once."""
        ...


class MetricSink(Protocol):
    """CloudWatch metrics as the machines see it: counted in memory, flushed each second."""

    def record(self, namespace: str, data: Sequence[Datum]) -> None: ...

    def series(
        self,
        namespace: str,
        name: str,
        unit: str,
        dimensions: Mapping[str, str],
        *,
        storage_resolution_s: int = 60,
    ) -> MetricSeries:
        """`record`, for one value after the other of one metric."""
        ...


@dataclass(frozen=True, slots=True)
class Invocation:
    """One InvokeEndpoint call on its way to a replica; `headers` are those that containers see
    (content-type, accept, x-amzn-sagemaker-custom-attributes, ...), names lower-case."""

    endpoint: str
    body: bytes
    headers: Mapping[str, str]
    target_variant: str | None = None


@dataclass(frozen=True, slots=True)
class InvocationResult:
    """What the container answered: any status; the runtime service turns it into AWS's answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    variant: str


class InvocationTimeout(Exception):
    """The container did not answer within the invocation time limit."""


class NoCapacity(Exception):
    """No healthy replica can take the request now."""


class NoAnswer(Exception):
    """The container took the request and broke off before it had answered: it died, for example."""


class Invoker(Protocol):
    """The data plane: routes to a replica over a kept-alive loopback connection."""

    async def invoke(self, invocation: Invocation) -> InvocationResult:
        """LookupError: no such endpoint or variant in service. InvocationTimeout, NoCapacity,
        NoAnswer."""
        ...


@dataclass(frozen=True, slots=True)
class FunctionCall:
    """One event on its way to an execution environment.

    version:   which version runs it, already chosen: `$LATEST`, `3`.
    qualifier: what the caller named ("" for nothing): an alias' provisioned environments serve
               only those who call the alias.
    """

    function: str
    version: str
    qualifier: str
    payload: bytes
    request_id: str
    client_context: str | None = None


@dataclass(frozen=True, slots=True)
class FunctionResult:
    """What a function answered. payload: JSON. error: `Handled` or `Unhandled` where it failed.
    log_tail: the last 4 KB that the call wrote to its log."""

    payload: bytes
    error: str | None = None
    log_tail: bytes = b""


class FunctionThrottled(Exception):
    """No environment may take the event now. reason: AWS's (`ConcurrentInvocationLimitExceeded`,
    `ReservedFunctionConcurrentInvocationLimitExceeded`, ...)."""

    def __init__(self, reason: str, retry_after_s: int = 1) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after_s = retry_after_s


class FunctionUnavailable(Exception):
    """No environment could be made for a reason that is not the function's: its role or code has
    gone, the host refuses a process. The text says why."""


class FunctionInvoker(Protocol):
    """Runs functions: finds or starts an execution environment and gives it the event."""

    async def call(self, call: FunctionCall) -> FunctionResult:
        """LookupError: no such version. FunctionThrottled, FunctionUnavailable."""
        ...

    def concurrent_executions(self, function: str) -> int:
        """How many events of a function run now."""
        ...


class FunctionCode(Protocol):
    """The zips of functions and layers, by the base64 of their SHA-256. Never changed."""

    async def put(self, archive: bytes | Path) -> tuple[str, int]:
        """Keep a zip, durably; its digest and size in bytes. ValueError where it is not a zip that
        may be unpacked (absolute paths, `..`, links, too large); the text says why."""
        ...

    def archive(self, code_sha256: str) -> Path:
        """The zip's file. LookupError where it is not known."""
        ...

    def unpacked_bytes(self, code_sha256: str) -> int:
        """How much the zip's files take unpacked. LookupError where it is not known."""
        ...

    async def folder(self, code_sha256: str) -> Path:
        """The unpacked zip, made when first asked for; read it, never write there. LookupError
        where it is not known."""
        ...
