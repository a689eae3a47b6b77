"""REST requests in, Python values out: labels, query, headers and body of one operation.

Compiled once an operation: where each member stands and what turns its text into a value.
"""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import unquote_plus

from botocore.model import ListShape, MapShape, OperationModel, Shape, StructureShape

from fogbank.cloud.codec import malformed
from fogbank.cloud.codec.model import operation_model
from fogbank.cloud.codec.read_json import json_reader, load_json
from fogbank.cloud.codec.read_query import text_reader
from fogbank.cloud.codec.read_xml import load_xml, xml_reader
from fogbank.cloud.context import BodyStream, Headers, Request
from fogbank.cloud.errors import ServiceError

_WANTED = {"integer": "an integer", "long": "an integer", "timestamp": "a timestamp"}
_QUERY_LIST = "list"
_QUERY_MAP = "map"
_QUERY_ONE = "one"


@dataclass(frozen=True, slots=True)
class _Member:
    name: str
    wire: str
    convert: Callable[[str], Any]
    kind: str
    wanted: str


class RestInput:
    """Reads the input of one REST operation."""

    def __init__(self, service: str, model: OperationModel) -> None:
        self._service = service
        self._xml = model.service_model.metadata["protocol"] == "rest-xml"
        self._labels: list[_Member] = []
        self._query: list[_Member] = []
        self._headers: list[_Member] = []
        self._prefixes: list[tuple[str, str]] = []
        self._payload: str | None = None
        self._payload_kind = ""
        self._payload_always = False  # an empty body is a value, not an absent one
        self._body: Callable[[bytes], Any] | None = None
        shape = model.input_shape
        if isinstance(shape, StructureShape):
            self._compile(shape)

    def _compile(self, shape: StructureShape) -> None:
        in_body = False
        for name, member in shape.members.items():
            location = member.serialization.get("location")
            wire = str(member.serialization.get("name", name))
            if location == "uri":
                self._labels.append(_member(name, wire, member, "iso8601"))
            elif location == "querystring":
                self._query.append(_member(name, wire, member, "iso8601"))
            elif location == "header":
                self._headers.append(_member(name, wire.lower(), member, "rfc822"))
            elif location == "headers":
                self._prefixes.append((name, wire.lower()))
            else:
                in_body = True
        self._payload = shape.serialization.get("payload")
        if self._payload is not None:
            payload = shape.members[self._payload]
            self._payload_kind = payload.type_name
            self._payload_always = (
                self._payload in shape.required_members or "streaming" in payload.serialization
            )
            if payload.type_name not in ("blob", "string"):
                self._body = self._document(payload)
        elif in_body:
            self._body = self._document(shape)

    def _document(self, shape: Shape) -> Callable[[bytes], Any]:
        if self._xml:
            element = xml_reader(self._service).of(shape)
            return lambda body: element(load_xml(body))
        value = json_reader(self._service).of(shape)
        return lambda body: value(load_json(body))

    def read(
        self, labels: Mapping[str, str], request: Request, body: BodyStream | None
    ) -> dict[str, Any]:
        """The operation's input. Raises ServiceError for what does not have the model's types."""
        found: dict[str, Any] = {}
        for member in self._labels:
            if member.wire in labels:
                found[member.name] = self._convert(member, labels[member.wire])
        if self._query and request.raw_query:
            self._read_query(request.raw_query, found)
        if self._headers or self._prefixes:
            self._read_headers(request.headers, found)
        self._read_body(request, body, found)
        return found

    def _convert(self, member: _Member, text: str) -> Any:
        try:
            return member.convert(text)
        except ValueError:
            raise self._malformed(member, text) from None

    def _malformed(self, member: _Member, text: str) -> ServiceError:
        if self._xml:
            return malformed.s3_argument(member.wire, text, member.wanted)
        return malformed.serialization(f"{member.wire}: '{text}' is not {member.wanted}")

    def _read_query(self, raw_query: str, found: dict[str, Any]) -> None:
        values: dict[str, list[str]] = {}
        for pair in raw_query.split("&"):
            key, _, value = pair.partition("=")
            values.setdefault(unquote_plus(key), []).append(unquote_plus(value))
        named = {member.wire for member in self._query if member.kind != _QUERY_MAP}
        for member in self._query:
            if member.kind == _QUERY_MAP:
                found[member.name] = {k: v[0] for k, v in values.items() if k not in named}
            elif member.wire in values:
                if member.kind == _QUERY_LIST:
                    found[member.name] = [self._convert(member, v) for v in values[member.wire]]
                else:
                    found[member.name] = self._convert(member, values[member.wire][0])

    def _read_headers(self, headers: Headers, found: dict[str, Any]) -> None:
        for member in self._headers:
            if member.wire not in headers:
                continue
            text = headers.get(member.wire)
            if member.kind == _QUERY_LIST:
                found[member.name] = [self._convert(member, part) for part in _split(text)]
            elif member.wanted == "a timestamp":
                self._read_moment(member, text, found)
            else:
                found[member.name] = self._convert(member, text)
        for name, prefix in self._prefixes:
            named = [key for key, _ in headers.items if key.startswith(prefix)]
            values = {key[len(prefix) :]: headers.get(key) for key in named}
            if values:
                found[name] = values

    def _read_moment(self, member: _Member, text: str, found: dict[str, Any]) -> None:
        try:
            found[member.name] = member.convert(text)
        except ValueError:
            # RFC 9110: a conditional header with an invalid date is ignored. `Expires` is S3's
            # own exception: it keeps and gives back whatever text it was given.
            if member.wire == "expires":
                found[member.name] = text

    def _read_body(self, request: Request, body: BodyStream | None, found: dict[str, Any]) -> None:
        content = request.body or b""
        if self._payload is None:
            if self._body is not None and (content or not self._xml):
                found.update(self._body(content))
        elif self._payload_kind == "blob":
            if body is not None or content or self._payload_always:
                found[self._payload] = body if body is not None else content
        elif self._payload_kind == "string":
            if content:
                found[self._payload] = content.decode("utf-8", "replace")
        elif content.strip() and self._body is not None:
            found[self._payload] = self._body(content)


@cache
def rest_input(service: str, operation: str) -> RestInput:
    """The compiled input of an operation."""
    return RestInput(service, operation_model(service, operation))


def _member(name: str, wire: str, shape: Shape, timestamp_form: str) -> _Member:
    kind, scalar = _QUERY_ONE, shape
    if isinstance(shape, ListShape):
        kind, scalar = _QUERY_LIST, shape.member
    elif isinstance(shape, MapShape):
        kind, scalar = _QUERY_MAP, shape.value
    convert = text_reader(scalar, timestamp_form)
    if shape.serialization.get("jsonvalue"):
        convert = _json_value
    return _Member(name, wire, convert, kind, _WANTED.get(scalar.type_name, "a valid value"))


def _json_value(text: str) -> Any:
    return json.loads(b64decode(text, validate=True))


def _split(text: str) -> list[str]:
    """A header's comma-separated list; parts in double quotes may hold commas and `\\"`."""
    parts, part, quoted, escaped = [], "", False, False
    for char in text:
        if escaped:
            part, escaped = part + char, False
        elif quoted and char == "\\":
            escaped = True
        elif char == '"':
            quoted = not quoted
        elif char == "," and not quoted:
            parts.append(part.strip())
            part = ""
        else:
            part += char
    parts.append(part.strip())
    return [each for each in parts if each]
