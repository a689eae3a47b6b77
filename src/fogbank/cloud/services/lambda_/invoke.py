"""Invoke: an event to a function, and its answer back. InvokeAsync: the older way to queue one.

Sources: API reference, Invoke; Lambda Developer Guide, "Lambda function states"; the texts are
those that public records of real accounts show.
"""

from __future__ import annotations

import binascii
import json
from base64 import b64decode, b64encode
from collections.abc import Callable
from datetime import datetime
from typing import NoReturn

from fogbank.cloud.context import Context, Params, Result
from fogbank.cloud.errors import ServiceError
from fogbank.cloud.ports import (
    FunctionCall,
    FunctionInvoker,
    FunctionResult,
    FunctionThrottled,
    FunctionUnavailable,
    Records,
)
from fogbank.cloud.records.function import LATEST, Alias, FunctionVersion, QueuedEvent
from fogbank.cloud.rules.function_routing import version_of_alias
from fogbank.cloud.services.base import operation
from fogbank.cloud.services.lambda_.directory import Directory
from fogbank.cloud.services.lambda_.names import FunctionName, is_version, named
from fogbank.cloud.services.lambda_.refusals import conflict, function_not_found, invalid

MAX_PAYLOAD_BYTES = 6_291_456
MAX_EVENT_BYTES = 1_048_576
MAX_CONTEXT_CHARS = 3583
"""The longest ClientContext, in base64 (API reference, Invoke)."""

Draw = Callable[[], float]
"""A random number in [0, 1): which version of a weighted alias takes a call."""


class Caller:
    """Finds the version that a call goes to, and gives it the event. Invoke and function URLs
    share it."""

    def __init__(
        self, directory: Directory, records: Records, invoker: FunctionInvoker, draw: Draw
    ) -> None:
        self._directory = directory
        self._records = records
        self._invoker = invoker
        self._draw = draw

    def route(self, target: FunctionName) -> FunctionVersion:
        """Raises ResourceNotFoundException; ResourceConflictException for a version that cannot
        run: it is being made, or that failed."""
        number = target.qualifier or LATEST
        if not is_version(number):
            alias = self._records.get(Alias, f"{target.name}:{number}")
            if alias is None:
                raise function_not_found(self._directory.arn(target.name, number))
            number = version_of_alias(alias, self._draw())
        version = self._records.get(FunctionVersion, f"{target.name}:{number}")
        if version is None:
            raise function_not_found(self._directory.arn(target.name, target.qualifier))
        if version.state != "Active":
            raise conflict(
                "The operation cannot be performed at this time. The function is currently in the "
                f"following state: {version.state}"
            )
        return version

    async def call(
        self,
        target: FunctionName,
        version: FunctionVersion,
        payload: bytes,
        request_id: str,
        client_context: str | None = None,
    ) -> FunctionResult:
        """Raises TooManyRequestsException where no environment may take it,
        ResourceNotFoundException where the version went away just now, ServiceException where the
        cloud cannot run it."""
        call = FunctionCall(
            function=target.name,
            version=version.version,
            qualifier=target.qualifier,
            payload=payload,
            request_id=request_id,
            client_context=client_context,
        )
        try:
            return await self._invoker.call(call)
        except FunctionThrottled as error:
            raise _throttled(error) from error
        except FunctionUnavailable as error:
            raise ServiceError("ServiceException", str(error), status=500) from error
        except LookupError as error:
            raise function_not_found(self._directory.arn(target.name, target.qualifier)) from error


class Invocations:
    """The operations that give events to functions."""

    def __init__(self, *, records: Records, directory: Directory, caller: Caller) -> None:
        self._records = records
        self._directory = directory
        self._caller = caller

    @operation("Invoke")
    async def invoke(self, context: Context, params: Params) -> Result:
        """RequestResponse waits for the answer; Event keeps the event and answers 202; DryRun
        answers 204 where the call would have been made."""
        kind: str = params.get("InvocationType", "RequestResponse")
        _refuse_unsupported(params)
        target = named(params, self._directory.scope)
        payload: bytes = params.get("Payload") or b""
        version = self._caller.route(target)
        if kind == "DryRun":
            return {"StatusCode": 204}
        limit = MAX_EVENT_BYTES if kind == "Event" else MAX_PAYLOAD_BYTES
        if len(payload) > limit:
            raise _too_large(len(payload), kind, limit)
        payload = checked_event(payload)
        if kind == "Event":
            self._queue(target, payload, context.request_id, context.received)
            return {"StatusCode": 202}
        client_context = _client_context(params.get("ClientContext"))
        result = await self._caller.call(
            target, version, payload, context.request_id, client_context
        )
        answer = {
            "StatusCode": 200,
            "ExecutedVersion": version.version,
            "Payload": result.payload,
        }
        if result.error is not None:
            answer["FunctionError"] = result.error
        if params.get("LogType") == "Tail":
            answer["LogResult"] = b64encode(result.log_tail).decode("ascii")
        return answer

    @operation("InvokeAsync")
    def invoke_async(self, context: Context, params: Params) -> Result:
        target = named(params, self._directory.scope)
        payload: bytes = params["InvokeArgs"]
        self._caller.route(target)
        if len(payload) > MAX_EVENT_BYTES:
            raise _too_large(len(payload), "Event", MAX_EVENT_BYTES)
        self._queue(target, checked_event(payload), context.request_id, context.received)
        return {"Status": 202}

    def _queue(self, target: FunctionName, payload: bytes, request_id: str, now: datetime) -> None:
        self._records.put(
            QueuedEvent(
                request_id=request_id,
                function=target.name,
                qualifier=target.qualifier,
                payload=payload.decode("utf-8"),
                accepted=now,
                due=now,
            )
        )


def _throttled(error: FunctionThrottled) -> ServiceError:
    """TooManyRequestsException with its Reason and Retry-After."""
    return ServiceError(
        "TooManyRequestsException",
        "Rate Exceeded.",
        status=429,
        fields={"Reason": error.reason, "retryAfterSeconds": str(error.retry_after_s)},
    )


def checked_event(payload: bytes) -> bytes:
    """The event; an empty one is `{}`. Raises InvalidRequestContentException for no JSON."""
    if not payload.strip():
        return b"{}"
    try:
        json.loads(payload.decode("utf-8"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise ServiceError(
            "InvalidRequestContentException",
            f"Could not parse request body into json: Could not parse payload into json: {error}",
        ) from error
    return payload


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"Non-standard token '{name}'")


def _client_context(text: str | None) -> str | None:
    """The JSON text of a ClientContext. Raises InvalidRequestContentException."""
    if not text:
        return None
    try:
        if len(text) > MAX_CONTEXT_CHARS:
            raise ValueError(f"longer than {MAX_CONTEXT_CHARS} characters")
        decoded = b64decode(text, validate=True).decode("utf-8")
        if not isinstance(json.loads(decoded), dict):
            raise ValueError("not an object")
    except (binascii.Error, ValueError, RecursionError) as error:
        raise ServiceError(
            "InvalidRequestContentException",
            f"Client context must be a valid Base64-encoded JSON object. ({error})",
        ) from error
    return decoded


def _refuse_unsupported(params: Params) -> None:
    for name in ("DurableExecutionName", "TenantId"):
        if params.get(name):
            raise invalid(f"Fogbank does not support {name} in Invoke.")


def _too_large(size_bytes: int, kind: str, limit: int) -> ServiceError:
    return ServiceError(
        "RequestTooLargeException",
        f"{size_bytes} byte payload is too large for the {kind} invocation type "
        f"(limit {limit} bytes)",
        status=413,
    )
