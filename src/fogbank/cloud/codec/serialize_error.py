"""ServiceError in, Response out, in the error shape of the request's protocol.

The model's error shapes say more than the code: HTTP status, how the message member is spelt, and
for the query-compatible services the code's other name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from botocore.model import Shape, StructureShape

from fogbank.cloud.codec.hints import error_protocol
from fogbank.cloud.codec.model import service_metadata, service_model
from fogbank.cloud.codec.request_ids import host_id, id_headers
from fogbank.cloud.codec.write_json import cbor_writer, dump_cbor, dump_json, json_writer
from fogbank.cloud.codec.write_rest import header_text
from fogbank.cloud.codec.write_xml import HEAD, element, escape, xml_writer
from fogbank.cloud.context import Request, Response, Target
from fogbank.cloud.errors import ServiceError

_UNSPECIFIED = 400  # ServiceError's default status: the model's own goes before it
_BODILESS = (204, 304)


@dataclass(frozen=True, slots=True)
class _ErrorShape:
    """What the model says of one error."""

    shape: StructureShape
    name: str
    query_code: str
    status: int
    message_member: str

    @classmethod
    def of(cls, shape: Shape) -> _ErrorShape:
        assert isinstance(shape, StructureShape), f"error {shape.name} is not a structure"
        modelled = shape.metadata.get("error") or {}
        status = modelled.get("httpStatusCode", 500 if shape.metadata.get("fault") else 400)
        spelt = [name for name in shape.members if name.lower() == "message"]
        return cls(
            shape,
            shape.name,
            str(modelled.get("code", shape.name)),
            int(status),
            spelt[0] if spelt else "message",
        )


@cache
def _error_shapes(service: str) -> Mapping[str, _ErrorShape]:
    """Error shapes of a service by name and by code (a code of the model wins over a name)."""
    found = [_ErrorShape.of(shape) for shape in service_model(service).error_shapes]
    by_name = {error.name: error for error in found}
    return by_name | {error.query_code: error for error in found}


@dataclass(frozen=True, slots=True)
class _Refusal:
    """One error on its way out."""

    error: ServiceError
    service: str  # "" where the request was not identified
    modelled: _ErrorShape | None
    status: int
    request_id: str
    request: Request

    @property
    def kind(self) -> str:
        return "Sender" if self.status < 500 else "Receiver"


def serialize_error(
    target: Target | None, error: ServiceError, request_id: str, request: Request
) -> Response:
    """The answer that refuses a request.

    target: None where the request could not be identified; the protocol is then guessed from it.
    The status is the model's for the code, unless the error was raised with another one than 400.
    """
    service = target.service if target is not None else ""
    protocol = target.protocol if target is not None else error_protocol(request)
    modelled = _error_shapes(service).get(error.code) if service else None
    status = error.status
    if modelled is not None and status == _UNSPECIFIED:
        status = modelled.status
    refusal = _Refusal(error, service, modelled, status, request_id, request)
    s3 = protocol == "rest-xml"
    headers = id_headers("s3" if s3 else service, request_id)
    body = _WRITERS[protocol](refusal, headers)
    if request.method == "HEAD" or status in _BODILESS:
        # The id headers are all that such an answer can carry.
        body = b""
        headers.pop("content-type", None)
    else:
        headers["content-length"] = str(len(body))
    headers.update({name.lower(): value for name, value in error.headers.items()})
    return Response(status, headers, body)


def _code(refusal: _Refusal) -> str:
    """The error's name in the JSON protocols: the shape's, where there is one."""
    return refusal.modelled.name if refusal.modelled is not None else refusal.error.code


def _members(refusal: _Refusal, write: Callable[[Shape, Any], Any]) -> dict[str, Any]:
    """Message and fields, by their wire names."""
    modelled = refusal.modelled
    if modelled is None:
        fields = {name: str(value) for name, value in refusal.error.fields.items()}
        return {"message": refusal.error.message, **fields}
    found: dict[str, Any] = {modelled.message_member: refusal.error.message}
    members = modelled.shape.members
    if "Type" in members and "Type" not in refusal.error.fields:
        found["Type"] = "User" if refusal.status < 500 else "Service"  # Lambda's words
    for name, value in refusal.error.fields.items():
        if name not in members:
            found[name] = str(value)
        elif value is not None and members[name].serialization.get("location") != "header":
            wire = members[name].serialization.get("name", name)
            found[wire] = write(members[name], value)
    return found


def _query_error(refusal: _Refusal, headers: dict[str, str]) -> None:
    """The header by which clients of a service that once spoke query find its old codes."""
    if "awsQueryCompatible" in (service_metadata(refusal.service) if refusal.service else {}):
        modelled = refusal.modelled
        code = modelled.query_code if modelled is not None else refusal.error.code
        headers["x-amzn-query-error"] = f"{code};{refusal.kind}"


def _json(refusal: _Refusal, headers: dict[str, str]) -> bytes:
    version = service_metadata(refusal.service)["jsonVersion"] if refusal.service else "1.1"
    headers["content-type"] = f"application/x-amz-json-{version}"
    headers["x-amzn-errortype"] = _code(refusal)
    _query_error(refusal, headers)
    writer = json_writer(refusal.service).of
    members = _members(refusal, lambda shape, value: writer(shape)(value))
    return dump_json({"__type": _code(refusal), **members})


def _cbor(refusal: _Refusal, headers: dict[str, str]) -> bytes:
    headers["content-type"] = "application/cbor"
    headers["smithy-protocol"] = "rpc-v2-cbor"
    _query_error(refusal, headers)
    writer = cbor_writer(refusal.service).of
    members = _members(refusal, lambda shape, value: writer(shape)(value))
    return dump_cbor({"__type": _code(refusal), **members})


def _rest_json(refusal: _Refusal, headers: dict[str, str]) -> bytes:
    headers["content-type"] = "application/json"
    headers["x-amzn-errortype"] = _code(refusal)
    if refusal.modelled is not None:
        for name, value in refusal.error.fields.items():
            shape = refusal.modelled.shape.members.get(name)
            if shape is not None and shape.serialization.get("location") == "header":
                wire = str(shape.serialization.get("name", name)).lower()
                headers[wire] = header_text(shape)(value)
    writer = json_writer(refusal.service).of
    return dump_json(_members(refusal, lambda shape, value: writer(shape)(value)))


def _query(refusal: _Refusal, headers: dict[str, str]) -> bytes:
    headers["content-type"] = "text/xml"
    modelled, error = refusal.modelled, refusal.error
    metadata = service_metadata(refusal.service) if refusal.service else {}
    namespace = metadata.get("xmlNamespace", "http://webservices.amazon.com/AWSFault/2005-15-09")
    pieces = [f'<ErrorResponse xmlns="{escape(namespace)}"><Error>']
    element(pieces, "Type", refusal.kind)
    element(pieces, "Code", modelled.query_code if modelled is not None else error.code)
    element(pieces, "Message", error.message)
    _fields(pieces, refusal)
    pieces.append("</Error>")
    element(pieces, "RequestId", refusal.request_id)
    pieces.append("</ErrorResponse>")
    return "".join(pieces).encode()


def _ec2(refusal: _Refusal, headers: dict[str, str]) -> bytes:
    headers["content-type"] = "text/xml;charset=UTF-8"
    pieces = [HEAD, "<Response><Errors><Error>"]
    element(pieces, "Code", refusal.error.code)
    element(pieces, "Message", refusal.error.message)
    pieces.append("</Error></Errors>")
    element(pieces, "RequestID", refusal.request_id)
    pieces.append("</Response>")
    return "".join(pieces).encode()


def _rest_xml(refusal: _Refusal, headers: dict[str, str]) -> bytes:
    headers["content-type"] = "application/xml"
    pieces = [HEAD, "<Error>"]
    element(pieces, "Code", refusal.error.code)
    element(pieces, "Message", refusal.error.message)
    _fields(pieces, refusal)
    element(pieces, "RequestId", refusal.request_id)
    element(pieces, "HostId", host_id(refusal.request_id))
    pieces.append("</Error>")
    return "".join(pieces).encode()


def _fields(pieces: list[str], refusal: _Refusal) -> None:
    """Fields as XML: by their shape where the model has one, else as text (S3's `BucketName`)."""
    members = refusal.modelled.shape.members if refusal.modelled is not None else {}
    for name, value in refusal.error.fields.items():
        if value is None:
            continue
        if name in members:
            wire = str(members[name].serialization.get("name", name))
            xml_writer(refusal.service).writer(members[name])(pieces, wire, value)
        else:
            element(pieces, name, str(value))


_WRITERS: Mapping[str, Callable[[_Refusal, dict[str, str]], bytes]] = {
    "json": _json,
    "smithy-rpc-v2-cbor": _cbor,
    "rest-json": _rest_json,
    "query": _query,
    "ec2": _ec2,
    "rest-xml": _rest_xml,
}
