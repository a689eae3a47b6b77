"""JSON and CBOR values in, Python values by the model's member names out.

A shape is compiled into one function on first use: a request then costs one dictionary look-up a
member. Members that the model does not have and nulls are left out, as AWS does.
"""

from __future__ import annotations

import binascii
import json
from base64 import b64decode
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from typing import Any

import cbor2
from botocore.model import ListShape, MapShape, Shape, StructureShape

from fogbank.cloud.codec import timestamps
from fogbank.cloud.codec.malformed import serialization, wrong_type
from fogbank.cloud.codec.shape_compiler import ShapeCompiler

Read = Callable[[Any], Any]

_SPECIAL_FLOATS = {"NaN", "Infinity", "-Infinity"}


class JsonReader(ShapeCompiler[Read]):
    """Readers of JSON values. They raise SerializationException."""

    def _scalar(self, shape: Shape) -> Read:
        if shape.type_name == "timestamp":
            return self._timestamp(str(shape.serialization.get("timestampFormat", "unixTimestamp")))
        return self._scalars()[shape.type_name]

    def _scalars(self) -> dict[str, Read]:
        return _SCALARS

    def _timestamp(self, form: str) -> Read:
        def read(value: Any) -> datetime:
            try:
                if value.__class__ is int or value.__class__ is float:
                    return timestamps.from_epoch(value)
                if isinstance(value, str):
                    return timestamps.read(value, form)
            except ValueError:
                pass
            raise wrong_type(value, "Timestamp")

        return read

    def _structure(self, shape: StructureShape) -> Read:
        if shape.is_document_type:
            return _as_is
        table: dict[str, tuple[str, Read]] = {}
        pending = True

        def read(value: Any) -> dict[str, Any]:
            nonlocal pending
            if value.__class__ is not dict:
                raise wrong_type(value, "Structure")
            if pending:  # not before the first use: shapes may contain themselves
                for name, member in shape.members.items():
                    if "location" not in member.serialization:
                        wire = member.serialization.get("name", name)
                        table[wire] = (name, self.of(member))
                pending = False
            found = {}
            for key, item in value.items():
                if item is not None:
                    entry = table.get(key)
                    if entry is not None:
                        found[entry[0]] = entry[1](item)
            return found

        return read

    def _list(self, shape: ListShape) -> Read:
        element: Read | None = None

        def read(value: Any) -> list[Any]:
            nonlocal element
            if value.__class__ is not list:
                raise wrong_type(value, "List")
            if element is None:
                element = self.of(shape.member)
            return [None if item is None else element(item) for item in value]

        return read

    def _map(self, shape: MapShape) -> Read:
        element: Read | None = None

        def read(value: Any) -> dict[str, Any]:
            nonlocal element
            if value.__class__ is not dict:
                raise wrong_type(value, "Map")
            if element is None:
                element = self.of(shape.value)
            return {key: None if item is None else element(item) for key, item in value.items()}

        return read


class CborReader(JsonReader):
    """As JSON, but blobs and moments have types of their own."""

    def _scalars(self) -> dict[str, Read]:
        return _CBOR_SCALARS

    def _timestamp(self, form: str) -> Read:
        fallback = super()._timestamp(form)

        def read(value: Any) -> datetime:
            if isinstance(value, datetime):
                return value.astimezone(UTC)
            result: datetime = fallback(value)
            return result

        return read


@cache
def json_reader(service: str) -> JsonReader:
    """The readers of a service: shape names are unique in it."""
    return JsonReader()


@cache
def cbor_reader(service: str) -> CborReader:
    """As `json_reader`, for CBOR."""
    return CborReader()


def load_json(body: bytes) -> Any:
    """A JSON document; an empty body counts as `{}`. Raises SerializationException."""
    if not body.strip():
        return {}
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise serialization("The request body is not a JSON document that can be read.") from None


def load_cbor(body: bytes) -> Any:
    """A CBOR document; an empty body counts as an empty map. Raises SerializationException."""
    if not body:
        return {}
    try:
        return cbor2.loads(body)
    except (cbor2.CBORDecodeError, ValueError, OverflowError, RecursionError):
        raise serialization("The request body is not a CBOR document that can be read.") from None


def _as_is(value: Any) -> Any:
    return value


def _read_string(value: Any) -> str:
    if value.__class__ is str:
        text: str = value
        return text
    raise wrong_type(value, "String")


def _read_integer(value: Any) -> int:
    if value.__class__ is int:
        number: int = value
        return number
    if value.__class__ is float and value.is_integer():
        return int(value)
    raise wrong_type(value, "Integer")


def _read_float(value: Any) -> float:
    if value.__class__ is float or value.__class__ is int:
        try:
            return float(value)
        except OverflowError:
            raise wrong_type(value, "Double") from None
    if isinstance(value, str) and value in _SPECIAL_FLOATS:
        return float(value)
    raise wrong_type(value, "Double")


def _read_boolean(value: Any) -> bool:
    if value is True or value is False:
        return bool(value)
    raise wrong_type(value, "Boolean")


def _read_base64(value: Any) -> bytes:
    if isinstance(value, str):
        try:
            return b64decode(value, validate=True)
        except (binascii.Error, ValueError):
            pass
    raise wrong_type(value, "Blob")


def _read_bytes(value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    raise wrong_type(value, "Blob")


_SCALARS: dict[str, Read] = {
    "string": _read_string,
    "character": _read_string,
    "integer": _read_integer,
    "long": _read_integer,
    "float": _read_float,
    "double": _read_float,
    "boolean": _read_boolean,
    "blob": _read_base64,
}
_CBOR_SCALARS: dict[str, Read] = _SCALARS | {"blob": _read_bytes}
