"""What is known of one request. The gateway's steps fill it from left to right."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from fogbank.cloud.errors import ServiceError

Params = Mapping[str, Any]
"""The parsed input of an operation: the members of its botocore input shape, by their names."""

Result = Mapping[str, Any]
"""The output of an operation: the members of its botocore output shape, by their names."""

BodyStream = AsyncIterator[bytes]
"""A body in pieces, in constant memory."""


@dataclass(frozen=True, slots=True)
class Headers:
    """HTTP headers: names lower-case, order and repetitions kept in `items`."""

    items: tuple[tuple[str, str], ...] = ()
    _by_name: dict[str, str] = field(init=False, repr=False, compare=False)
    """Looked up a dozen times a request; several of one name are joined with a comma."""

    def __post_init__(self) -> None:
        by_name: dict[str, str] = {}
        for name, value in self.items:
            by_name[name] = f"{by_name[name]},{value}" if name in by_name else value
        object.__setattr__(self, "_by_name", by_name)

    def get(self, name: str, default: str = "") -> str:
        """The value of `name` (lower-case); several are joined with a comma as RFC 9110 says."""
        return self._by_name.get(name, default)

    def __contains__(self, name: object) -> bool:
        return name in self._by_name


@dataclass(slots=True)
class Request:
    """An HTTP request as it came off the wire.

    raw_path:  the path, still percent-encoded, without the query.
    raw_query: the query string, still percent-encoded, without the question mark.
    body:      the whole body once the gateway has read it; None while it is still a stream.
    receive:   gives the body in pieces (as sent: aws-chunked framing included).
    source_ip: the client's address; empty where there is no connection.
    """

    method: str
    raw_path: str
    raw_query: str
    headers: Headers
    receive: Callable[[], BodyStream]
    body: bytes | None = None
    source_ip: str = ""


@dataclass(frozen=True, slots=True)
class Target:
    """Where a request goes: one operation of one service, in one wire protocol.

    path_params: the labels of a REST URI, decoded (`{"Bucket": "dogs", "Key": "a/b.jpg"}`).
    """

    service: str
    operation: str
    protocol: str
    path_params: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Principal:
    """Who calls.

    arn:      `arn:aws:iam::ACCOUNT:root`, `.../user/NAME` or
              `arn:aws:sts::ACCOUNT:assumed-role/ROLE/SESSION`.
    user_id:  as GetCallerIdentity's UserId (`AROA...:session`, `AIDA...`, the account for root).
    role_arn: the IAM role behind a role session, with its path.
    """

    arn: str
    account: str
    user_id: str
    kind: str  # "root" | "user" | "role-session"
    role_arn: str | None = None


@dataclass(slots=True)
class Response:
    """What goes back. `body` is bytes, or a stream for large objects (then set content-length);
    each of `cookies` becomes a Set-Cookie header of its own."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | BodyStream = b""
    cookies: tuple[str, ...] = ()


@dataclass(slots=True)
class Context:
    """One request on its way. A step may rely on everything that an earlier step has filled."""

    request: Request
    request_id: str
    received: datetime
    # identify
    target: Target | None = None
    # authenticate
    principal: Principal | None = None
    access_key_id: str = ""
    body: BodyStream | None = None
    """The verified body in pieces, where the operation takes it as a stream."""
    # parse
    params: Params = field(default_factory=dict)
    # dispatch
    result: Result | None = None
    error: ServiceError | None = None
    status: int | None = None
    """A handler sets this where the HTTP status is not the model's (206 of a ranged GET, 304)."""

    @property
    def operation(self) -> Target:
        """The identified operation; asking before `identify` is a bug."""
        assert self.target is not None, "identify has not run"
        return self.target

    @property
    def caller(self) -> Principal:
        """The authenticated principal; asking before `authenticate` is a bug."""
        assert self.principal is not None, "authenticate has not run"
        return self.principal
