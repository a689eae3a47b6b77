"""Function URLs: HTTP in, the function's answer out.

A URL is found by its path on the cloud's own port, `/_lambda-url/ID/...`, or by the host name that
it would have on AWS, `ID.lambda-url.REGION.…`. Sources: Lambda Developer Guide, "Invoking Lambda
function URLs", "Control access to Lambda function URLs".
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable

from fogbank.cloud.authentication import Authenticator
from fogbank.cloud.codec import hints
from fogbank.cloud.context import Context, Principal, Request, Response, Target
from fogbank.cloud.errors import InternalFailure, ServiceError
from fogbank.cloud.ports import Records
from fogbank.cloud.records.function import FunctionPolicy, FunctionUrl
from fogbank.cloud.rules.authorization import Authorization
from fogbank.cloud.rules.function_policy import anybody_may_call_url
from fogbank.cloud.services.lambda_.invoke import MAX_PAYLOAD_BYTES, Caller
from fogbank.cloud.services.lambda_.names import FunctionName
from fogbank.cloud.services.lambda_.url_cors import (
    cors_headers,
    is_preflight,
    preflight_headers,
)
from fogbank.cloud.services.lambda_.url_event import BadAnswer, UrlCall, event, response
from fogbank.cloud.services.lambda_.urls import PATH
from fogbank.cloud.state.trail import Trail, TrailEntry
from fogbank.core.clock import Clock

log = logging.getLogger("fogbank.function_urls")

_HOST = re.compile(r"([a-z0-9]+)\.lambda-url\.[a-z0-9-]+(?:[.:]|$)")
_TARGET = Target("lambda", "InvokeFunctionUrl", "rest-json")

Authorizer = Callable[[Principal, str, str], Authorization]


class FunctionUrlDoor:
    """Answers requests to function URLs.

    caller:         gives events to functions.
    authenticator, authorizer: for URLs with AuthType AWS_IAM.
    new_request_id: makes the id that request, event and log share.
    """

    def __init__(
        self,
        *,
        records: Records,
        caller: Caller,
        authenticator: Authenticator,
        authorizer: Authorizer,
        trail: Trail,
        new_request_id: Callable[[], str],
        clock: Clock,
    ) -> None:
        self._records = records
        self._caller = caller
        self._authenticator = authenticator
        self._authorizer = authorizer
        self._trail = trail
        self._new_request_id = new_request_id
        self._clock = clock
        self._keys = {url.url_id: url.key for url in records.all(FunctionUrl)}
        records.subscribe(FunctionUrl, self._changed)

    def _changed(self, key: str) -> None:
        url = self._records.get(FunctionUrl, key)
        if url is not None:
            self._keys[url.url_id] = key

    def takes(self, request: Request) -> bool:
        if _host_id(request) is not None:
            return True
        # Below a bucket's own host name it is an object's key like any other.
        return request.raw_path.startswith(PATH) and hints.host_bucket(request) is None

    async def handle(self, request: Request) -> Response:
        started_s = self._clock.monotonic_s()
        context = Context(request, self._new_request_id(), self._clock.now(), target=_TARGET)
        url = self._url(request)
        try:
            answer = await self._answer(context, url)
        except ServiceError as error:
            context.error = error
            answer = _refusal(error)
        except Exception:
            log.exception("request %s to a function URL failed", context.request_id)
            context.error = InternalFailure(context.request_id)
            answer = _plain(502, "Internal Server Error")
        if url is not None and url.cors and not is_preflight(request.method, request.headers):
            answer.headers.update(cors_headers(url.cors, request.headers))
        answer.headers["x-amzn-requestid"] = context.request_id
        self._record(context, answer.status, started_s)
        return answer

    def _url(self, request: Request) -> FunctionUrl | None:
        url_id = _host_id(request) or request.raw_path.removeprefix(PATH).partition("/")[0]
        url = self._records.get(FunctionUrl, self._keys.get(url_id, ""))
        # What was deleted stays among the keys; its function may have another URL by now.
        return url if url is not None and url.url_id == url_id else None

    async def _answer(self, context: Context, url: FunctionUrl | None) -> Response:
        request = context.request
        body = await _read(request)
        if url is None:
            raise _forbidden()
        if url.cors and is_preflight(request.method, request.headers):
            return Response(200, preflight_headers(url.cors, request.headers))
        self._authorize(context, url)
        if len(body) > MAX_PAYLOAD_BYTES:
            raise _too_large()
        call = UrlCall(
            url_id=url.url_id,
            host=request.headers.get("host").partition(":")[0],
            path=_path(request),
            request=request,
            body=body,
            caller=context.principal,
            access_key_id=context.access_key_id,
            request_id=context.request_id,
            received=context.received,
        )
        return await self._call(url, call)

    def _authorize(self, context: Context, url: FunctionUrl) -> None:
        """Raises the 403 that a URL gives, whatever the reason; the log has it."""
        if url.auth_type == "NONE":
            policy = self._records.get(FunctionPolicy, url.key)
            decision = anybody_may_call_url(policy.statements.values() if policy else ())
            if not decision.allowed:
                log.info("%s: refused: %s", context.request_id, decision.reason)
                raise _forbidden()
            return
        if hints.scope_service(context.request) != "lambda":
            raise _forbidden()
        signer = self._authenticator.authenticate(context.request, _TARGET, context.received)
        context.principal, context.access_key_id = signer.principal, signer.access_key_id
        allowed = self._authorizer(signer.principal, _TARGET.service, _TARGET.operation)
        if not allowed.allowed:
            log.info("%s: refused: %s", context.request_id, allowed.reason)
            raise _forbidden()

    async def _call(self, url: FunctionUrl, call: UrlCall) -> Response:
        target = FunctionName(url.function, url.qualifier)
        payload = json.dumps(event(call), separators=(",", ":")).encode()
        if len(payload) > MAX_PAYLOAD_BYTES:
            raise _too_large()
        version = self._caller.route(target)
        result = await self._caller.call(target, version, payload, call.request_id)
        if result.error is not None:
            return _plain(502, "Internal Server Error")
        try:
            return response(result.payload)
        except BadAnswer as error:
            log.warning("%s: the answer of %s: %s", call.request_id, url.function, error)
            return _plain(502, "Internal Server Error")

    def _record(self, context: Context, status: int, started_s: float) -> None:
        duration_us = round((self._clock.monotonic_s() - started_s) * 1e6)
        self._trail.record(
            TrailEntry(
                context.received,
                context.request_id,
                _TARGET.service,
                _TARGET.operation,
                context.principal.arn if context.principal else "",
                context.access_key_id,
                status,
                context.error.code if context.error else "",
                duration_us,
            )
        )


def _host_id(request: Request) -> str | None:
    host = request.headers.get("host").lower()
    found = _HOST.match(host) if ".lambda-url." in host else None
    return found[1] if found else None


def _path(request: Request) -> str:
    """What comes after the URL's own address."""
    if _host_id(request) is not None:
        return request.raw_path
    return "/" + request.raw_path.removeprefix(PATH).partition("/")[2]


async def _read(request: Request) -> bytes:
    """The whole body. Raises RequestEntityTooLarge as soon as it is more than an event may be."""
    pieces, size_bytes = [], 0
    async for piece in request.receive():
        size_bytes += len(piece)
        if size_bytes > MAX_PAYLOAD_BYTES:
            raise _too_large()
        pieces.append(piece)
    request.body = b"".join(pieces)
    return request.body


def _forbidden() -> ServiceError:
    return ServiceError("AccessDeniedException", "Forbidden", status=403)


def _too_large() -> ServiceError:
    return ServiceError("RequestEntityTooLargeException", "Request Entity Too Large", status=413)


def _refusal(error: ServiceError) -> Response:
    """What goes wrong before the function has answered. An unsigned or wrongly signed request is
    forbidden; a function that cannot run is a bad gateway; a throttle says when to come again."""
    if error.code == "TooManyRequestsException":
        body = {"Reason": error.fields["Reason"], "Type": "User", "message": error.message}
        answer = _json(429, body)
        answer.headers["retry-after"] = str(error.fields["retryAfterSeconds"])
        return answer
    not_ready = error.code in ("ResourceConflictException", "ResourceNotFoundException")
    if not_ready or error.status >= 500:
        return _plain(502, "Internal Server Error")
    status = 413 if error.status == 413 else 403
    return _json(status, {"Message": error.message})


def _json(status: int, body: dict[str, str]) -> Response:
    return Response(status, {"content-type": "application/json"}, json.dumps(body).encode())


def _plain(status: int, text: str) -> Response:
    return Response(status, {"content-type": "text/plain"}, text.encode())
