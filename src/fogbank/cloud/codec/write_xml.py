"""Results by the model's member names in, XML text out: for query, ec2 and rest-xml answers."""

from __future__ import annotations

import math
import re
from base64 import b64encode
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from botocore.model import ListShape, MapShape, Shape, StructureShape

from fogbank.cloud.codec import timestamps
from fogbank.cloud.codec.write_json import special_float

WriteElement = Callable[[list[str], str, Any], None]
"""Appends the element of that name and value to the pieces of a document."""

_ESCAPED = re.compile('[&<>"\\x00-\\x08\\x0b-\\x1f\\x7f\ufffe\uffff]')
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;"}
HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'


def escape(text: str) -> str:
    """Text for an element or attribute. Carriage returns survive only as references (as S3 does);
    other control characters become references too, which XML 1.0 cannot carry: that is why clients
    ask S3 for `encoding-type=url`.
    """
    if _ESCAPED.search(text) is None:
        return text
    return _ESCAPED.sub(lambda m: _ENTITIES.get(m[0]) or f"&#x{ord(m[0]):x};", text)


def element(pieces: list[str], name: str, text: str) -> None:
    """Appends a text element."""
    pieces.append(f"<{name}>{escape(text)}</{name}>")


class XmlWriter:
    """Writers for the shapes of one service; compiled lazily, kept by shape name.

    always_ms: whether moments carry `.000` (S3 does, the query services do not).
    """

    def __init__(self, *, always_ms: bool) -> None:
        self._always_ms = always_ms
        self._structures: dict[tuple[str, str], _Structure] = {}

    def writer(self, shape: Shape) -> WriteElement:
        """The function that writes an element of that shape."""
        if isinstance(shape, StructureShape):
            return self.structure(shape).write
        if isinstance(shape, ListShape):
            return self._list(shape)
        if isinstance(shape, MapShape):
            return self._map(shape)
        text = self.text(shape)

        def write(pieces: list[str], name: str, value: Any) -> None:
            pieces.append(f"<{name}>{text(value)}</{name}>")

        return write

    def structure(self, shape: StructureShape) -> _Structure:
        """The writer of a structure, which can also write its members alone."""
        namespace = _namespace(shape)
        key = (shape.name, namespace)
        if key not in self._structures:
            self._structures[key] = _Structure(shape, self, namespace)
        return self._structures[key]

    def text(self, shape: Shape) -> Callable[[Any], str]:
        """The function that turns a scalar into escaped text."""
        kind = shape.type_name
        if kind == "timestamp":
            form = str(shape.serialization.get("timestampFormat", "iso8601"))
            always_ms = self._always_ms
            return lambda moment: timestamps.write(moment, form, always_ms=always_ms)
        return _TEXT.get(kind, _string)

    def _list(self, shape: ListShape) -> WriteElement:
        inner: WriteElement | None = None
        flattened = bool(shape.serialization.get("flattened"))
        item_name = str(shape.member.serialization.get("name", "member"))

        def write(pieces: list[str], name: str, value: Any) -> None:
            nonlocal inner
            if inner is None:
                inner = self.writer(shape.member)
            if flattened:
                for item in value:
                    inner(pieces, name, item)
                return
            pieces.append(f"<{name}>")
            for item in value:
                inner(pieces, item_name, item)
            pieces.append(f"</{name}>")

        return write

    def _map(self, shape: MapShape) -> WriteElement:
        inner: WriteElement | None = None
        flattened = bool(shape.serialization.get("flattened"))
        key_name = str(shape.key.serialization.get("name", "key"))
        value_name = str(shape.value.serialization.get("name", "value"))

        def write(pieces: list[str], name: str, value: Mapping[str, Any]) -> None:
            nonlocal inner
            if inner is None:
                inner = self.writer(shape.value)
            entry = name if flattened else "entry"
            if not flattened:
                pieces.append(f"<{name}>")
            for key, item in value.items():
                pieces.append(f"<{entry}>")
                element(pieces, key_name, str(key))
                inner(pieces, value_name, item)
                pieces.append(f"</{entry}>")
            if not flattened:
                pieces.append(f"</{name}>")

        return write


class _Structure:
    """Writes one structure: as an element, or its members alone (below a root of its own name)."""

    def __init__(self, shape: StructureShape, writers: XmlWriter, namespace: str) -> None:
        self._shape = shape
        self._writers = writers
        self._namespace = namespace
        self._table: dict[str, tuple[str, WriteElement]] | None = None
        self._attributes: dict[str, str] = {}

    def write(self, pieces: list[str], name: str, value: Mapping[str, Any]) -> None:
        if self._table is None:
            self._table = self._compile()
        attributes = ""
        for member, wire in self._attributes.items():
            if value.get(member) is not None:
                attributes += f' {wire}="{escape(str(value[member]))}"'
        pieces.append(f"<{name}{self._namespace}{attributes}>")
        self.members(pieces, value)
        pieces.append(f"</{name}>")

    def members(self, pieces: list[str], value: Mapping[str, Any]) -> None:
        if self._table is None:
            self._table = self._compile()
        for key, item in value.items():
            if item is not None:
                entry = self._table.get(key)
                if entry is not None:
                    entry[1](pieces, entry[0], item)
                elif key not in self._shape.members:
                    raise RuntimeError(f"{self._shape.name} has no member {key}")

    def _compile(self) -> dict[str, tuple[str, WriteElement]]:
        table = {}
        for name, member in self._shape.members.items():
            traits = member.serialization
            if traits.get("location") is not None:
                continue  # a header or the status: written by the REST part
            wire = str(traits.get("name", name))
            if traits.get("xmlAttribute"):
                self._attributes[name] = wire
                continue
            if isinstance(member, ListShape) and traits.get("flattened"):
                wire = str(member.member.serialization.get("name", wire))
            table[name] = (wire, self._writers.writer(member))
        return table


@cache
def xml_writer(service: str) -> XmlWriter:
    """The writers of a service: shape names are unique in it."""
    return XmlWriter(always_ms=service == "s3")


def _namespace(shape: Shape) -> str:
    found = shape.serialization.get("xmlNamespace")
    # A default namespace stands on the root alone; only a prefix (xsi) is declared where it is used
    if isinstance(found, dict) and found.get("prefix"):
        return f' xmlns:{found["prefix"]}="{escape(found["uri"])}"'
    return ""


def _string(value: Any) -> str:
    return escape(value if isinstance(value, str) else str(value))


def _float(value: Any) -> str:
    number = float(value)
    return repr(number) if math.isfinite(number) else special_float(number)


def _boolean(value: Any) -> str:
    return "true" if value else "false"


def _base64(value: bytes) -> str:
    return b64encode(value).decode("ascii")


_TEXT: dict[str, Callable[[Any], str]] = {
    "boolean": _boolean,
    "blob": _base64,
    "float": _float,
    "double": _float,
}
