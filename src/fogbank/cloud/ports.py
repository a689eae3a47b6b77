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


class MetricSink(Protocol):
    """CloudWatch metrics as the machines see it: counted in memory, flushed each second."""

    def record(self, namespace: str, data: Sequence[Datum]) -> None: ...


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
