"""Request in, Target out: which service, which operation, spoken in which protocol.

Evidence in this order: the CBOR path, the target header, the form's Action, and for REST the
credential scope, the Host header, the path. `sagemaker` and `sagemaker-runtime` share a signing
name; target and path tell them apart.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from urllib.parse import unquote_plus

from botocore.model import OperationNotFoundError

from fogbank.cloud.codec import hints, refusals
from fogbank.cloud.codec.model import (
    operation_model,
    protocols,
    service_metadata,
    service_model,
    signing_name,
)
from fogbank.cloud.codec.routes import Match, Routes, query_map
from fogbank.cloud.context import Request, Target
from fogbank.cloud.errors import ServiceError

_CBOR_PATH = re.compile(r"^/service/([^/]+)/operation/([^/]+)/?$")
_REST = ("rest-xml", "rest-json")
_FORMS = ("query", "ec2")


class Identifier:
    """Finds the target of a request among `services` (botocore's names)."""

    def __init__(self, services: Sequence[str], *, hosts: Sequence[str] = hints.HOSTS) -> None:
        self._services = tuple(services)
        self._hosts = tuple(hosts)
        self._routes: dict[str, Routes] = {}
        self._by_prefix: dict[str, str] = {}
        self._by_scope: dict[str, list[str]] = {}
        self._rest = [name for name in services if service_metadata(name)["protocol"] in _REST]
        for name in self._services:
            metadata = service_metadata(name)
            if "targetPrefix" in metadata:
                self._by_prefix[metadata["targetPrefix"]] = name
            self._by_scope.setdefault(signing_name(name), []).append(name)

    def identify(self, request: Request) -> Target:
        """The target of a request. Forms need `request.body`; `from_head` tells what does not.

        Raises ServiceError as AWS answers what it does not know: UnknownOperationException,
        InvalidAction, MissingAction, MethodNotAllowed.
        """
        cbor = _CBOR_PATH.match(request.raw_path) if _speaks_cbor(request) else None
        if cbor is not None:
            return self._by_target(request, cbor[1], cbor[2], "smithy-rpc-v2-cbor")
        target = request.headers.get("x-amz-target")
        if target:
            prefix, _, operation = target.rpartition(".")
            return self._by_target(request, prefix, operation, "json")
        form = self._form(request)
        if form is not None:
            return self._by_action(request, form)
        return self._by_path(request)

    def from_head(self, request: Request) -> tuple[Target | None, bool]:
        """The target where the head alone tells it, and whether its input is a stream.

        A stream (the body of S3's PutObject and UploadPart) goes to `parse` in pieces; every other
        body must be read whole. None: ask `identify` when that has been done. Never raises.
        """
        headers = request.headers
        if "x-amz-target" in headers or _speaks_cbor(request):
            return None, False
        if (request.method == "POST" and hints.is_form(request)) or _is_action_url(request):
            return None, False
        try:
            service, match = self._find(request)
        except ServiceError:
            return None, False
        if match is None:
            return None, False
        streams = match.route.streams and request.method in ("PUT", "POST")
        return _rest_target(service, match), streams

    def _by_target(self, request: Request, prefix: str, operation: str, protocol: str) -> Target:
        # Some SDKs send a qualified prefix ("com.amazonaws.sagemaker#SageMaker").
        service = self._by_prefix.get(prefix.rpartition("#")[2])
        if service is None or not _has(service, operation):
            raise ServiceError(
                "UnknownOperationException",
                f"The operation {prefix}.{operation} is not one that this cloud knows.",
            )
        if protocol not in protocols(service):
            raise ServiceError(
                "UnknownOperationException", f"{service} does not speak {protocol}.", status=404
            )
        # Forms and paths are looked up by the scope; a target has to agree with it. Otherwise a
        # URL presigned for S3 could be sent on with another service's target.
        if hints.scope_service(request) not in (None, signing_name(service)):
            raise refusals.wrong_service(request, signing_name(service))
        return Target(service, operation, protocol)

    def _form(self, request: Request) -> dict[str, str] | None:
        """Action and Version of a query request, None where it is not one."""
        if hints.is_form(request) and request.method == "POST":
            text = (request.body or b"").decode("latin-1")
            form = _action(text) | _action(request.raw_query)
            # REST operations take any content type: an Action, or the bare path, makes it a form.
            return form if form or request.raw_path == "/" else None
        return (_action(request.raw_query) or None) if _is_action_url(request) else None

    def _by_action(self, request: Request, form: Mapping[str, str]) -> Target:
        action, version = form.get("Action"), form.get("Version")
        if not action:
            raise ServiceError(
                "MissingAction",
                "The request is missing an action or a required parameter.",
            )
        scope = hints.scope_service(request)
        names = self._by_scope.get(scope, []) if scope else list(self._services)
        candidates = [name for name in names if _form_protocol(name) is not None]
        if version and not scope:
            candidates = [n for n in candidates if service_metadata(n)["apiVersion"] == version]
        for service in candidates:
            if _has(service, action):
                return Target(service, action, _form_protocol(service) or "query")
        known = service_metadata(candidates[0])["apiVersion"] if candidates else version
        raise ServiceError(
            "InvalidAction",
            f"Could not find operation {action} for version {version or known or 'NO_VERSION'}",
        )

    def _by_path(self, request: Request) -> Target:
        service, match = self._find(request)
        if match is not None:
            return _rest_target(service, match)
        if service == "s3":
            raise _method_not_allowed(request, self._s3_path(request))
        raise ServiceError(
            "UnknownOperationException",
            f"No operation answers {request.method} {request.raw_path}"
            + (f" of {service}." if service else " in this cloud."),
            status=404,
        )

    def _find(self, request: Request) -> tuple[str, Match | None]:
        """The service that a REST request is for ("" if none), and the operation if one fits."""
        query = query_map(request.raw_query)
        names = self._rest_candidates(request)
        for service in names:
            path = self._s3_path(request) if service == "s3" else request.raw_path
            try:
                match = self._routes_of(service).match(request.method, path, query, request.headers)
            except UnicodeDecodeError:
                raise ServiceError("InvalidURI", "Couldn't parse the specified URI.") from None
            if match is not None:
                return service, match
        return (names[-1] if names else ""), None

    def _rest_candidates(self, request: Request) -> list[str]:
        scope = hints.scope_service(request)
        rest = self._rest
        if scope is not None:
            return [name for name in self._by_scope.get(scope, ()) if name in rest]
        if "s3" in rest and hints.is_s3_host(request, self._hosts):
            return ["s3"]
        prefix = hints.host_prefix(request, self._hosts) or ""
        for name in rest:
            if prefix.startswith(service_metadata(name)["endpointPrefix"] + "."):
                return [name]
        # Unsigned, and the host says nothing: S3 takes any path, so it comes last.
        return sorted(rest, key=lambda name: name == "s3")

    def _s3_path(self, request: Request) -> str:
        bucket = hints.host_bucket(request, self._hosts)
        return request.raw_path if bucket is None else f"/{bucket}{request.raw_path}"

    def _routes_of(self, service: str) -> Routes:
        if service not in self._routes:
            self._routes[service] = Routes(service_model(service))
        return self._routes[service]


def _rest_target(service: str, match: Match) -> Target:
    protocol = str(service_metadata(service)["protocol"])
    return Target(service, match.route.operation, protocol, match.labels)


def _is_action_url(request: Request) -> bool:
    """A query request whose parameters stand in the URL."""
    return request.raw_path == "/" and "Action=" in request.raw_query


def _speaks_cbor(request: Request) -> bool:
    return request.headers.get("smithy-protocol") == "rpc-v2-cbor"


def _has(service: str, operation: str) -> bool:
    try:
        operation_model(service, operation)
    except OperationNotFoundError:
        return False
    return True


def _form_protocol(service: str) -> str | None:
    return next((name for name in protocols(service) if name in _FORMS), None)


def _action(form: str) -> dict[str, str]:
    found = {}
    for pair in form.split("&"):
        key, _, value = pair.partition("=")
        if key in ("Action", "Version"):
            found[key] = unquote_plus(value)
    return found


def _method_not_allowed(request: Request, path: str) -> ServiceError:
    depth = len([part for part in path.split("/", 2) if part])
    return ServiceError(
        "MethodNotAllowed",
        "The specified method is not allowed against this resource.",
        status=405,
        fields={"Method": request.method, "ResourceType": ("SERVICE", "BUCKET", "OBJECT")[depth]},
    )
