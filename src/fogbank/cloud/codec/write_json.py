"""Results by the model's member names in, JSON and CBOR values out.

A shape is compiled into one function on first use. A name that the model does not have is a bug
of the service that returned it and raises RuntimeError; members that are None are left out.
"""

from __future__ import annotations

import json
import math
from base64 import b64encode
from collections.abc import Callable
from functools import cache
from typing import Any

import cbor2
from botocore.model import ListShape, MapShape, Shape, StructureShape

from fogbank.cloud.codec import timestamps
from fogbank.cloud.codec.shape_compiler import ShapeCompiler

Write = Callable[[Any], Any]


class JsonWriter(ShapeCompiler[Write]):
    """Writers that turn a value into what `json.dumps` takes."""

    def _scalar(self, shape: Shape) -> Write:
        if shape.type_name == "timestamp":
            form = str(shape.serialization.get("timestampFormat", "unixTimestamp"))
            if form.lower() == "unixtimestamp":
                return timestamps.to_epoch
            return lambda moment: timestamps.write(moment, form)
        if shape.type_name == "blob":
            return _base64
        if shape.type_name in ("float", "double"):
            return json_float
        return _as_is

    def _structure(self, shape: StructureShape) -> Write:
        if shape.is_document_type:
            return _as_is
        table: dict[str, tuple[str, Write]] = {}
        pending = True

        def write(value: Any) -> dict[str, Any]:
            nonlocal pending
            if pending:  # not before the first use: shapes may contain themselves
                for name, member in shape.members.items():
                    table[name] = (member.serialization.get("name", name), self.of(member))
                pending = False
            found = {}
            for key, item in value.items():
                if item is not None:
                    entry = table.get(key)
                    if entry is None:
                        raise RuntimeError(f"{shape.name} has no member {key}")
                    found[entry[0]] = entry[1](item)
            return found

        return write

    def _list(self, shape: ListShape) -> Write:
        element: Write | None = None

        def write(value: Any) -> list[Any]:
            nonlocal element
            if element is None:
                element = self.of(shape.member)
            return [None if item is None else element(item) for item in value]

        return write

    def _map(self, shape: MapShape) -> Write:
        element: Write | None = None

        def write(value: Any) -> dict[str, Any]:
            nonlocal element
            if element is None:
                element = self.of(shape.value)
            return {str(k): None if item is None else element(item) for k, item in value.items()}

        return write


class CborWriter(JsonWriter):
    """As JSON, but blobs and moments have types of their own (a moment is tag 1)."""

    def _scalar(self, shape: Shape) -> Write:
        if shape.type_name == "timestamp":
            return lambda moment: cbor2.CBORTag(1, timestamps.to_epoch(moment))
        if shape.type_name in ("float", "double"):
            return float
        return _as_is


@cache
def json_writer(service: str) -> JsonWriter:
    """The writers of a service: shape names are unique in it."""
    return JsonWriter()


@cache
def cbor_writer(service: str) -> CborWriter:
    """As `json_writer`, for CBOR."""
    return CborWriter()


def dump_json(value: Any) -> bytes:
    """Compact JSON."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False).encode()


def dump_cbor(value: Any) -> bytes:
    """CBOR."""
    return cbor2.dumps(value)


def json_float(value: Any) -> float | int | str:
    """A number as JSON has it: the three values that it has not become strings."""
    number: float | int = value
    if isinstance(number, float) and not math.isfinite(number):
        return special_float(number)
    return number


def special_float(value: float) -> str:
    """NaN, Infinity or -Infinity as AWS writes them."""
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


def _base64(value: bytes) -> str:
    return b64encode(value).decode("ascii")


def _as_is(value: Any) -> Any:
    return value
