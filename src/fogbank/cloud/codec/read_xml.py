"""XML bodies of REST-XML requests in, Python values by the model's member names out."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any
from xml.etree.ElementTree import Element, ParseError, TreeBuilder, XMLParser

from botocore.model import ListShape, MapShape, Shape, StructureShape

from fogbank.cloud.codec import malformed
from fogbank.cloud.codec.read_query import text_reader
from fogbank.cloud.codec.shape_compiler import ShapeCompiler

ReadElement = Callable[[Element], Any]


def load_xml(body: bytes) -> Element:
    """The root element. Raises MalformedXML; document types (entity bombs) are refused outright."""
    try:
        # UTF-8 alone: expat goes by a byte order mark, and a document type in UTF-16 would not be
        # seen here.
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        raise malformed.xml() from None
    if "<!DOCTYPE" in text or "\0" in text:
        raise malformed.xml()
    parser = XMLParser(target=TreeBuilder(), encoding="utf-8")  # noqa: S314 - refused above
    try:
        parser.feed(text)
        root: Element = parser.close()
    except ParseError:
        raise malformed.xml() from None
    return root


def local_name(tag: str) -> str:
    """A tag without its namespace."""
    return tag.rpartition("}")[2]


class XmlReader(ShapeCompiler[ReadElement]):
    """Readers of XML elements. They raise MalformedXML."""

    def _scalar(self, shape: Shape) -> ReadElement:
        return _scalar(shape)

    def _structure(self, shape: StructureShape) -> ReadElement:
        table: dict[str, tuple[str, ReadElement, bool]] = {}
        attributes: dict[str, str] = {}
        pending = True

        def build() -> None:
            for name, member in shape.members.items():
                traits = member.serialization
                if "location" in traits:
                    continue
                wire = str(traits.get("name", name))
                if traits.get("xmlAttribute"):
                    attributes[wire.rpartition(":")[2]] = name
                elif traits.get("flattened") and isinstance(member, ListShape):
                    entry = (name, self.of(member.member), True)
                    table[wire] = entry
                    table[member.member.serialization.get("name", wire)] = entry
                elif traits.get("flattened") and isinstance(member, MapShape):
                    table[wire] = (name, self._pair(member), True)
                else:
                    table[wire] = (name, self.of(member), False)

        def read(node: Element) -> dict[str, Any]:
            nonlocal pending
            if pending:
                build()
                pending = False
            found: dict[str, Any] = {}
            for child in node:
                entry = table.get(local_name(child.tag))
                if entry is None:
                    continue
                name, element, repeated = entry
                if not repeated:
                    found[name] = element(child)
                elif isinstance(item := element(child), _Pair):
                    found.setdefault(name, {})[item.key] = item.value
                else:
                    found.setdefault(name, []).append(item)
            for wire, name in attributes.items():
                for key, value in node.attrib.items():
                    if local_name(key) == wire:
                        found[name] = value
            return found

        return read

    def _list(self, shape: ListShape) -> ReadElement:
        element: ReadElement | None = None

        def read(node: Element) -> list[Any]:
            nonlocal element
            if element is None:
                element = self.of(shape.member)
            return [element(child) for child in node]

        return read

    def _map(self, shape: MapShape) -> ReadElement:
        pair = self._pair(shape)

        def read(node: Element) -> dict[str, Any]:
            pairs = [pair(child) for child in node]
            return {each.key: each.value for each in pairs}

        return read

    def _pair(self, shape: MapShape) -> Callable[[Element], _Pair]:
        key_name = shape.key.serialization.get("name", "key")
        value_name = shape.value.serialization.get("name", "value")

        def read(node: Element) -> _Pair:
            parts = {local_name(child.tag): child for child in node}
            if key_name not in parts or value_name not in parts:
                raise malformed.xml()
            return _Pair(parts[key_name].text or "", self.of(shape.value)(parts[value_name]))

        return read


class _Pair:
    """One entry of a map on its way into it."""

    __slots__ = ("key", "value")

    def __init__(self, key: str, value: Any) -> None:
        self.key = key
        self.value = value


@cache
def xml_reader(service: str) -> XmlReader:
    """The readers of a service: shape names are unique in it."""
    return XmlReader()


def _scalar(shape: Shape) -> ReadElement:
    convert = text_reader(shape, "iso8601")

    def read(node: Element) -> Any:
        try:
            return convert(node.text or "")
        except ValueError:
            raise malformed.xml() from None

    return read
