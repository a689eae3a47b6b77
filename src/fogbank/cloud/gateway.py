"""The request path, as one visible list.

Every AWS request goes down `Gateway.STEPS` in order; each step fills its part of the Context or
raises ServiceError. Whatever happens, `serialize` makes the bytes and `record` writes the trail.
Put a breakpoint on a line of the list and you know what has and has not happened yet.
"""

from __future__ import annotations

import inspect
import logging
import random
from collections.abc import Callable, Mapping

from fogbank.cloud.authentication import Authenticator, family, json_status
from fogbank.cloud.codec import parse, serialize, validate
from fogbank.cloud.codec.identify import Identifier
from fogbank.cloud.context import Context, Principal, Request, Response
from fogbank.cloud.errors import AccessDenied, InternalFailure, ServiceError
from fogbank.cloud.rules.authorization import Authorization
from fogbank.cloud.services.base import Handler
from fogbank.cloud.state.trail import Trail, TrailEntry
from fogbank.core.clock import Clock

log = logging.getLogger("fogbank.gateway")

MAX_BODY_BYTES = 70 * 1024 * 1024
"""The largest whole body: CreateFunction's 50 MB zip in base64. Streamed bodies have no limit."""

_random = random.Random()  # noqa: S311 - an id is no secret, and saves each request a system call

Authorizer = Callable[[Principal, str, str], Authorization]


def new_request_id() -> str:
    """A random UUID-shaped id: 36 characters, as AWS has them."""
    digits = f"{_random.getrandbits(128):032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


class Gateway:
    """Turns a Request into a Response.

    services:      service name -> operation name -> handler.
    authenticator: who signed.
    authorizer:    the rule that says who may call what.
    """

    STEPS = ("read", "identify", "authenticate", "parse", "validate", "authorize", "dispatch")

    def __init__(
        self,
        *,
        services: Mapping[str, Mapping[str, Handler]],
        authenticator: Authenticator,
        authorizer: Authorizer,
        trail: Trail,
        clock: Clock,
    ) -> None:
        self._services = services
        self._identifier = Identifier(tuple(services))
        self._authenticator = authenticator
        self._authorizer = authorizer
        self._trail = trail
        self._clock = clock
        steps = [getattr(self, f"_{name}") for name in self.STEPS]
        self._steps = [(step, inspect.iscoroutinefunction(step)) for step in steps]

    @property
    def operations(self) -> dict[str, list[str]]:
        """What is implemented: service -> names of operations, in order."""
        return {service: sorted(table) for service, table in sorted(self._services.items())}

    async def handle(self, request: Request) -> Response:
        """Never raises: what goes wrong becomes an error answer."""
        started_s = self._clock.monotonic_s()
        context = Context(request, new_request_id(), self._clock.now())
        try:
            for step, waits in self._steps:
                if waits:
                    await step(context)
                else:
                    step(context)
            response = self._serialize(context)
        except ServiceError as error:
            response = self._refuse(context, error)
        except Exception:
            log.exception("request %s failed", context.request_id)
            response = self._refuse(context, InternalFailure(context.request_id))
        self._record(context, response.status, started_s)
        return response

    async def _read(self, context: Context) -> None:
        """Bring the whole body in, where the operation does not take it as a stream."""
        request = context.request
        context.target, streams = self._identifier.from_head(request)
        if streams:
            return
        announced = request.headers.get("content-length")
        if announced.isdigit() and int(announced) > MAX_BODY_BYTES:
            raise _too_large()
        pieces: list[bytes] = []
        size_bytes = 0
        async for piece in request.receive():
            size_bytes += len(piece)
            if size_bytes > MAX_BODY_BYTES:
                raise _too_large()
            pieces.append(piece)
        request.body = b"".join(pieces)

    def _identify(self, context: Context) -> None:
        if context.target is None:  # not told by the head alone, as `read` has asked
            context.target = self._identifier.identify(context.request)

    def _authenticate(self, context: Context) -> None:
        caller = self._authenticator.authenticate(
            context.request, context.operation, context.received
        )
        context.principal = caller.principal
        context.access_key_id = caller.access_key_id
        context.body = caller.body

    def _parse(self, context: Context) -> None:
        context.params = parse.parse(context.operation, context.request, context.body)

    def _validate(self, context: Context) -> None:
        validate.validate_input(context.operation, context.params)

    def _authorize(self, context: Context) -> None:
        target = context.operation
        decision = self._authorizer(context.caller, target.service, target.operation)
        if not decision.allowed:
            if family(target) == "json":
                raise AccessDenied(decision.reason, status=json_status(target))
            raise AccessDenied(decision.reason, code="AccessDenied", status=403)

    async def _dispatch(self, context: Context) -> None:
        target = context.operation
        handler = self._services[target.service].get(target.operation)
        if handler is None:
            raise ServiceError(
                "NotImplemented",
                f"Fogbank does not implement {target.service}:{target.operation} yet. "
                "Nothing was changed.",
                status=501,
            )
        result = handler(context, context.params)
        context.result = result if isinstance(result, Mapping) else await result

    def _serialize(self, context: Context) -> Response:
        assert context.result is not None, "dispatch has not run"
        response = serialize.serialize(context.operation, context.result, context.request_id)
        if context.status is not None:
            response.status = context.status
        return response

    def _refuse(self, context: Context, error: ServiceError) -> Response:
        context.error = error
        return serialize.serialize_error(context.target, error, context.request_id, context.request)

    def _record(self, context: Context, status: int, started_s: float) -> None:
        duration_us = round((self._clock.monotonic_s() - started_s) * 1e6)
        error = context.error
        entry = TrailEntry(
            context.received,
            context.request_id,
            context.target.service if context.target else "",
            context.target.operation if context.target else "",
            context.principal.arn if context.principal else "",
            context.access_key_id,
            status,
            error.code if error else "",
            duration_us,
        )
        self._trail.record(entry)
        log.log(
            logging.INFO if error else logging.DEBUG,
            "%s %s:%s %d %s",
            context.request_id,
            entry.service or context.request.method,
            entry.operation or context.request.raw_path,
            status,
            # Not its message: that may quote what was sent, such as a session token or a variable.
            error.code if error else "ok",
            extra={"entry": entry},
        )


def _too_large() -> ServiceError:
    return ServiceError(
        "RequestEntityTooLarge",
        f"The request is larger than {MAX_BODY_BYTES} bytes, the most that a body may have.",
        status=413,
    )
