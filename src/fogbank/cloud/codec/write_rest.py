"""Results of REST operations in, status, headers and body out. Compiled once an operation."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from botocore.model import ListShape, OperationModel, Shape, StructureShape

from fogbank.cloud.codec import timestamps
from fogbank.cloud.codec.model import operation_model
from fogbank.cloud.codec.write_json import dump_json, json_writer, special_float
from fogbank.cloud.codec.write_xml import HEAD, escape, xml_writer
from fogbank.cloud.context import BodyStream, Response

S3_XMLNS = "http://s3.amazonaws.com/doc/2006-03-01/"

# The model does not name S3's root elements, and strict clients look at them.
# Source: the response syntax of each operation in the Amazon S3 API Reference.
_ROOTS = {
    "CompleteMultipartUpload": "CompleteMultipartUploadResult",
    "CreateMultipartUpload": "InitiateMultipartUploadResult",
    "CreateSession": "CreateSessionResult",
    "DeleteObjects": "DeleteResult",
    "GetBucketAccelerateConfiguration": "AccelerateConfiguration",
    "GetBucketAcl": "AccessControlPolicy",
    "GetBucketCors": "CORSConfiguration",
    "GetBucketLifecycle": "LifecycleConfiguration",
    "GetBucketLifecycleConfiguration": "LifecycleConfiguration",
    "GetBucketLogging": "BucketLoggingStatus",
    "GetBucketNotification": "NotificationConfiguration",
    "GetBucketNotificationConfiguration": "NotificationConfiguration",
    "GetBucketRequestPayment": "RequestPaymentConfiguration",
    "GetBucketTagging": "Tagging",
    "GetBucketVersioning": "VersioningConfiguration",
    "GetBucketWebsite": "WebsiteConfiguration",
    "GetObjectAcl": "AccessControlPolicy",
    "GetObjectAttributes": "GetObjectAttributesResponse",
    "GetObjectTagging": "Tagging",
    "ListBucketAnalyticsConfigurations": "ListBucketAnalyticsConfigurationResult",
    "ListBucketInventoryConfigurations": "ListInventoryConfigurationsResult",
    "ListBucketMetricsConfigurations": "ListMetricsConfigurationsResult",
    "ListBuckets": "ListAllMyBucketsResult",
    "ListDirectoryBuckets": "ListAllMyDirectoryBucketsResult",
    "ListMultipartUploads": "ListMultipartUploadsResult",
    "ListObjectVersions": "ListVersionsResult",
    "ListObjects": "ListBucketResult",
    "ListObjectsV2": "ListBucketResult",
    "ListParts": "ListPartsResult",
}


@dataclass(frozen=True, slots=True)
class _Header:
    wire: str
    text: Callable[[Any], str]


class RestOutput:
    """Writes the output of one REST operation (or of one modelled error of it)."""

    def __init__(self, service: str, model: OperationModel) -> None:
        self._service = service
        self._operation = model.name
        self._xml = model.service_model.metadata["protocol"] == "rest-xml"
        self._status = int(model.http.get("responseCode", 200))
        self._head = model.http["method"] == "HEAD"
        shape = model.output_shape
        self._shape = shape if isinstance(shape, StructureShape) else None
        self._headers: dict[str, _Header] = {}
        self._prefixes: dict[str, str] = {}
        self._status_member: str | None = None
        self._in_body: frozenset[str] = frozenset()
        self._payload: str | None = None
        if self._shape is not None:
            self._payload = self._shape.serialization.get("payload")
            self._compile(self._shape)

    def _compile(self, shape: StructureShape) -> None:
        in_body = set()
        for name, member in shape.members.items():
            location = member.serialization.get("location")
            wire = str(member.serialization.get("name", name)).lower()
            if location == "header":
                self._headers[name] = _Header(wire, header_text(member))
            elif location == "headers":
                self._prefixes[name] = wire
            elif location == "statusCode":
                self._status_member = name
            else:
                in_body.add(name)
        self._in_body = frozenset(in_body)

    def write(self, result: Mapping[str, Any], headers: dict[str, str]) -> Response:
        """The response; `headers` are the ones it already has."""
        body_members: dict[str, Any] = {}
        status = self._status
        for name, value in result.items():
            if value is None:
                continue
            header = self._headers.get(name)
            if header is not None:
                headers[header.wire] = header.text(value)
            elif name in self._prefixes:
                for key, item in value.items():
                    headers[self._prefixes[name] + key.lower()] = str(item)
            elif name == self._status_member:
                status = int(value)
            elif name in self._in_body:
                body_members[name] = value
            else:
                raise RuntimeError(f"{self._operation} has no output member {name}")
        if status == 200 and "content-range" in headers and self._service == "s3":
            status = 206  # the model has no member for it
        body = self._body(body_members, headers)
        if isinstance(body, bytes):
            if self._head or status in (204, 304):
                body = b""
            else:
                headers["content-length"] = str(len(body))
            if not body:
                self._drop_type(headers)
        return Response(status, headers, body)

    def _drop_type(self, headers: dict[str, str]) -> None:
        # An empty body has no type of its own; an object's stays (HeadObject, an empty object).
        if "ContentType" not in self._headers:
            headers.pop("content-type", None)

    def _body(self, members: Mapping[str, Any], headers: dict[str, str]) -> bytes | BodyStream:
        if self._shape is None or not self._in_body:
            return b""
        if self._payload is not None:
            return self._payload_body(members.get(self._payload), headers)
        if self._xml:
            headers["content-type"] = "application/xml"
            return self._root(members)
        headers["content-type"] = "application/json"
        return dump_json(json_writer(self._service).of(self._shape)(members))

    def _payload_body(self, value: Any, headers: dict[str, str]) -> bytes | BodyStream:
        assert self._shape is not None
        assert self._payload is not None
        shape = self._shape.members[self._payload]
        if shape.type_name == "string":
            headers.setdefault("content-type", "application/json")
            return str(value or "").encode()
        if shape.type_name == "blob":
            if "ContentType" not in self._headers:
                headers["content-type"] = "application/octet-stream"
            stream: bytes | BodyStream = b"" if value is None else value
            return stream
        if value is None:
            return b""
        if not self._xml:
            headers["content-type"] = "application/json"
            return dump_json(json_writer(self._service).of(shape)(value))
        headers["content-type"] = "application/xml"
        pieces = [HEAD]
        name = str(shape.serialization.get("name", self._payload))
        xml_writer(self._service).writer(shape)(pieces, f"{name}", value)
        pieces[1] = pieces[1].replace(f"<{name}", f'<{name} xmlns="{S3_XMLNS}"', 1)
        return "".join(pieces).encode()

    def _root(self, members: Mapping[str, Any]) -> bytes:
        assert self._shape is not None
        pieces = [HEAD]
        if self._operation == "GetBucketLocation":
            # The member is the root element itself; us-east-1 is the empty one.
            text = escape(members.get("LocationConstraint") or "")
            pieces.append(f'<LocationConstraint xmlns="{S3_XMLNS}">{text}</LocationConstraint>')
            return "".join(pieces).encode()
        root = _ROOTS.get(self._operation, f"{self._operation}Result")
        pieces.append(f'<{root} xmlns="{S3_XMLNS}">')
        xml_writer(self._service).structure(self._shape).members(pieces, members)
        pieces.append(f"</{root}>")
        return "".join(pieces).encode()


@cache
def rest_output(service: str, operation: str) -> RestOutput:
    """The compiled output of an operation."""
    return RestOutput(service, operation_model(service, operation))


def header_text(shape: Shape) -> Callable[[Any], str]:
    """The function that writes a member as the text of a header."""
    if shape.serialization.get("jsonvalue"):
        return _json_value
    if isinstance(shape, ListShape):
        inner = header_text(shape.member)
        return lambda items: ",".join(_quoted(inner(item)) for item in items)
    kind = shape.type_name
    if kind == "timestamp":
        form = str(shape.serialization.get("timestampFormat", "rfc822"))
        # Text is what S3 was given as `Expires` and gives back unread.
        return lambda moment: (
            moment if isinstance(moment, str) else timestamps.write(moment, form, always_ms=True)
        )
    return _HEADER_TEXT.get(kind, str)


def _quoted(text: str) -> str:
    if "," in text or '"' in text:
        return '"' + text.replace('"', '\\"') + '"'
    return text


def _json_value(value: Any) -> str:
    return b64encode(json.dumps(value, separators=(",", ":")).encode()).decode("ascii")


def _float(value: Any) -> str:
    text = repr(float(value))
    return special_float(float(value)) if text in ("nan", "inf", "-inf") else text


_HEADER_TEXT: dict[str, Callable[[Any], str]] = {
    "boolean": lambda value: "true" if value else "false",
    "float": _float,
    "double": _float,
}
