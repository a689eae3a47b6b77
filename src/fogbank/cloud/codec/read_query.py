"""Web forms of the query and ec2 protocols in, Python values by the model's member names out.

`Tags.member.1.Key=a` (query) or `Tag.1.Key=a` (ec2) first becomes a tree of its dotted names; the
shape's compiled reader then walks the tree.
"""

from __future__ import annotations

import binascii
from base64 import b64decode
from collections.abc import Callable
from datetime import datetime
from functools import cache
from typing import Any
from urllib.parse import parse_qsl

from botocore.model import ListShape, MapShape, Shape, StructureShape

from fogbank.cloud.codec import timestamps
from fogbank.cloud.codec.malformed import ec2_value, form_value
from fogbank.cloud.codec.shape_compiler import ShapeCompiler
from fogbank.cloud.errors import ServiceError

Tree = dict[str, Any]
"""Name -> subtree. A node's own value stands under the empty name."""

ReadTree = Callable[[Tree, str], Any]

_BOOLEANS = {"true": True, "false": False, "1": True, "0": False}


def form_tree(body: bytes, raw_query: str) -> Tree:
    """The tree of a form; parameters of the query string count as well."""
    root: Tree = {}
    for text in (raw_query, body.decode("utf-8", "replace")):
        for key, value in parse_qsl(text, keep_blank_values=True):
            parts = key.split(".")
            if "" in parts:
                continue
            node = root
            for part in parts:
                node = node.setdefault(part, {})
            node[""] = value
    return root


class QueryReader(ShapeCompiler[ReadTree]):
    """Readers of subtrees of a form; each takes its dotted name too, for error messages."""

    def name_of(self, name: str, member: Shape) -> str:
        """What a structure's member is called in a form."""
        if isinstance(member, ListShape) and member.serialization.get("flattened"):
            name = member.member.serialization.get("name", name)
        return str(member.serialization.get("name", name))

    def malformed(self, name: str, value: str) -> ServiceError:
        return form_value(name, value)

    def list_node(self, shape: ListShape, node: Tree) -> Tree:
        """The node under which a list's numbered elements stand."""
        if shape.serialization.get("flattened"):
            return node
        found: Tree = node.get(shape.member.serialization.get("name", "member"), {})
        return found

    def _structure(self, shape: StructureShape) -> ReadTree:
        table: dict[str, tuple[str, ReadTree]] = {}
        pending = True

        def read(node: Tree, path: str) -> dict[str, Any]:
            nonlocal pending
            if pending:
                for name, member in shape.members.items():
                    table[self.name_of(name, member)] = (name, self.of(member))
                pending = False
            found = {}
            for key, child in node.items():
                entry = table.get(key)
                if entry is not None:
                    found[entry[0]] = entry[1](child, f"{path}.{key}" if path else key)
            return found

        return read

    def _list(self, shape: ListShape) -> ReadTree:
        element: ReadTree | None = None

        def read(node: Tree, path: str) -> list[Any]:
            nonlocal element
            if element is None:
                element = self.of(shape.member)
            numbered = self.list_node(shape, node)
            keys = sorted((key for key in numbered if _is_index(key)), key=int)
            return [element(numbered[key], f"{path}.{key}") for key in keys]

        return read

    def _map(self, shape: MapShape) -> ReadTree:
        flattened = shape.serialization.get("flattened")
        key_name = shape.key.serialization.get("name", "key")
        value_name = shape.value.serialization.get("name", "value")
        element: ReadTree | None = None

        def read(node: Tree, path: str) -> dict[str, Any]:
            nonlocal element
            if element is None:
                element = self.of(shape.value)
            entries: Tree = node if flattened else node.get("entry", {})
            found = {}
            for index in sorted((key for key in entries if _is_index(key)), key=int):
                entry = entries[index]
                key = entry.get(key_name, {}).get("", "")
                found[key] = element(entry.get(value_name, {}), f"{path}.{index}.{value_name}")
            return found

        return read

    def _scalar(self, shape: Shape) -> ReadTree:
        convert = text_reader(shape, "iso8601")

        def read(node: Tree, path: str) -> Any:
            text = node.get("", "")
            try:
                return convert(text)
            except ValueError:
                raise self.malformed(path, text) from None

        return read


class Ec2Reader(QueryReader):
    """EC2's dialect: every list is flattened, names start with a capital."""

    def name_of(self, name: str, member: Shape) -> str:
        traits = member.serialization
        if "queryName" in traits:
            return str(traits["queryName"])
        wire = str(traits.get("name", name))
        return wire[0].upper() + wire[1:] if "name" in traits else wire

    def malformed(self, name: str, value: str) -> ServiceError:
        return ec2_value(name, value)

    def list_node(self, shape: ListShape, node: Tree) -> Tree:
        return node


@cache
def query_reader(service: str) -> QueryReader:
    """The readers of a service in the query protocol."""
    return QueryReader()


@cache
def ec2_reader(service: str) -> Ec2Reader:
    """The readers of a service in the ec2 protocol."""
    return Ec2Reader()


def _is_index(key: str) -> bool:
    # Nine digits: an index that int() could take minutes over is no index.
    return key.isascii() and key.isdigit() and len(key) < 10


def text_reader(shape: Shape, timestamp_form: str) -> Callable[[str], Any]:
    """The function that reads a scalar from text (form, XML, header, label). Raises ValueError."""
    kind = shape.type_name
    if kind == "timestamp":
        form = str(shape.serialization.get("timestampFormat", timestamp_form))

        def read_moment(text: str) -> datetime:
            return timestamps.read(text, form)

        return read_moment
    return _TEXT[kind]


def _integer(text: str) -> int:
    if len(text) > 20:  # 64 bits have 19 digits
        raise ValueError("too long for an integer")
    return int(text)


def _boolean(text: str) -> bool:
    found = _BOOLEANS.get(text.strip().lower())
    if found is None:
        raise ValueError(f"not a boolean: {text}")
    return found


def _base64(text: str) -> bytes:
    try:
        return b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError(str(error)) from None


_TEXT: dict[str, Callable[[str], Any]] = {
    "string": str,
    "character": str,
    "integer": _integer,
    "long": _integer,
    "float": float,
    "double": float,
    "boolean": _boolean,
    "blob": _base64,
}
