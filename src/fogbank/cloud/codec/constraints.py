"""Shape and value in, violations of the model's constraints out, in AWS's words.

A shape is compiled into one function on first use. Structures report their members one by one
(`tags.1.member.key`); lists and maps of scalars report themselves with the element's constraints
in brackets: `Value '[a b]' at 'names' failed to satisfy constraint: Member must satisfy
constraint: [Member must satisfy regular expression pattern: [a-z]+]`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from weakref import WeakKeyDictionary

from botocore.model import ListShape, MapShape, Shape, StructureShape

from fogbank.cloud.codec.patterns import compiled
from fogbank.cloud.codec.shape_compiler import ShapeCompiler

_PATTERN_MAX_CHARS = 65_536  # longer values are not matched: Python's `re` backtracks


@dataclass(frozen=True, slots=True)
class Violation:
    """One broken constraint. kind: required, enum, length, range or pattern."""

    kind: str
    path: str
    sentence: str
    value: str = ""
    shape_name: str = ""


@dataclass(frozen=True, slots=True)
class _Rule:
    """One constraint of a scalar, list or map; `breaks` says whether a value breaks it."""

    kind: str
    wording: str
    breaks: Callable[[Any], bool]


Check = Callable[[Any, str, list[Violation]], None]

_CHECKS: WeakKeyDictionary[Shape, Check] = WeakKeyDictionary()


def violations(shape: Shape, value: Any) -> list[Violation]:
    """Every constraint that `value` breaks, in the order of the model's members."""
    check = _CHECKS.get(shape)
    if check is None:
        check = _CHECKS[shape] = _Checks().of(shape)
    found: list[Violation] = []
    check(value, "", found)
    return found


class _Checks(ShapeCompiler[Check]):
    """Checks of one input shape."""

    def _scalar(self, shape: Shape) -> Check:
        return _scalar(shape)

    def _structure(self, shape: StructureShape) -> Check:
        if shape.is_document_type:
            return _nothing
        table: list[tuple[str, str, bool, Check]] = []
        pending = True

        def check(value: Any, path: str, found: list[Violation]) -> None:
            nonlocal pending
            if pending:  # not before the first use: shapes may contain themselves
                required = set(shape.required_members)
                for name, member in shape.members.items():
                    inner = self.of(member)
                    if name in required or inner is not _nothing:
                        table.append((name, _camel(name), name in required, inner))
                pending = False
            for name, camel, needed, inner in table:
                item = value.get(name)
                if item is not None:
                    inner(item, f"{path}.{camel}" if path else camel, found)
                elif needed:
                    found.append(_missing(f"{path}.{camel}" if path else camel))

        return check

    def _list(self, shape: ListShape) -> Check:
        rules = _rules(shape)
        element = shape.member
        if isinstance(element, StructureShape | ListShape | MapShape):
            inner = self.of(element)

            def check_each(value: Any, path: str, found: list[Violation]) -> None:
                _apply(rules, shape, value, path, found)
                for index, item in enumerate(value, 1):
                    where = f"{path}.{index}.member"
                    if item is None:
                        found.append(_missing(where))
                    else:
                        inner(item, where, found)

            return check_each
        elements = _rules(element)
        wording = f"Member must satisfy constraint: [{_wordings(elements)}]"

        def check(value: Any, path: str, found: list[Violation]) -> None:
            _apply(rules, shape, value, path, found)
            for index, item in enumerate(value, 1):
                if item is None:
                    found.append(_missing(f"{path}.{index}.member"))
            _bracketed(elements, element, value, value, (wording, path), found)

        return check

    def _map(self, shape: MapShape) -> Check:
        rules = _rules(shape)
        keys = _rules(shape.key)
        key_wording = f"Map keys must satisfy constraint: [{_wordings(keys)}]"
        nested = isinstance(shape.value, StructureShape | ListShape | MapShape)
        values = () if nested else _rules(shape.value)
        value_wording = f"Map value must satisfy constraint: [{_wordings(values)}]"
        inner = self.of(shape.value) if nested else _nothing

        def check(value: Any, path: str, found: list[Violation]) -> None:
            _apply(rules, shape, value, path, found)
            _bracketed(keys, shape.key, value, value, (key_wording, path), found)
            items = value.values()
            _bracketed(values, shape.value, items, value, (value_wording, path), found)
            for key, item in value.items():
                if item is None:
                    found.append(_missing(f"{path}.{key}.member"))
                elif nested:
                    inner(item, f"{path}.{key}.member", found)

        return check


def _scalar(shape: Shape) -> Check:
    rules = _rules(shape)

    def check(value: Any, path: str, found: list[Violation]) -> None:
        for rule in rules:
            if rule.breaks(value):
                found.append(_violation(rule, shape, value, path))

    return check if rules else _nothing


def _nothing(value: Any, path: str, found: list[Violation]) -> None:
    """No constraint."""


def _violation(rule: _Rule, shape: Shape, value: Any, path: str) -> Violation:
    # AWS does not repeat what the model calls sensitive.
    shown = "" if shape.metadata.get("sensitive") else f" '{printed(value)}'"
    sentence = f"Value{shown} at '{path}' failed to satisfy constraint: {rule.wording}"
    return Violation(rule.kind, path, sentence, shown.strip(" '"), shape.name)


def _missing(path: str) -> Violation:
    sentence = f"Value null at '{path}' failed to satisfy constraint: Member must not be null"
    return Violation("required", path, sentence)


def _apply(
    rules: tuple[_Rule, ...], shape: Shape, value: Any, path: str, found: list[Violation]
) -> None:
    for rule in rules:
        if rule.breaks(value):
            found.append(_violation(rule, shape, value, path))


def _bracketed(
    rules: tuple[_Rule, ...],
    shape: Shape,
    items: Any,
    container: Any,
    where: tuple[str, str],
    found: list[Violation],
) -> None:
    """At most one violation for a whole container of scalars."""
    wording, path = where
    for rule in rules:
        for item in items:
            if item is not None and rule.breaks(item):
                found.append(_violation(_Rule(rule.kind, wording, _never), shape, container, path))
                return


def _never(value: Any) -> bool:
    return False


def _wordings(rules: tuple[_Rule, ...]) -> str:
    return ", ".join(rule.wording for rule in rules)


def _rules(shape: Shape) -> tuple[_Rule, ...]:
    """The constraints of one shape itself, elements aside."""
    metadata, kind = shape.metadata, shape.type_name
    found: list[_Rule] = []
    if kind in ("string", "list", "map", "blob"):
        found += _bounds(metadata, "length", "length", _length)
    elif kind in ("integer", "long", "float", "double"):
        found += _bounds(metadata, "range", "value", lambda value: value)
    if kind == "string":
        found += _text_rules(metadata)
    return tuple(found)


def _bounds(
    metadata: Mapping[str, Any], kind: str, noun: str, measure: Callable[[Any], Any]
) -> list[_Rule]:
    low, high = metadata.get("min"), metadata.get("max")
    found = []
    if high is not None:

        def above(value: Any) -> bool:
            size = measure(value)
            return size is not None and bool(size > high)

        wording = f"Member must have {noun} less than or equal to {high}"
        found.append(_Rule(kind, wording, above))
    if low is not None and not (kind == "length" and low == 0):

        def below(value: Any) -> bool:
            size = measure(value)
            return size is not None and bool(size < low)

        wording = f"Member must have {noun} greater than or equal to {low}"
        found.append(_Rule(kind, wording, below))
    return found


def _length(value: Any) -> int | None:
    # A streaming blob has no length yet: its service counts it.
    return len(value) if hasattr(value, "__len__") else None


def _text_rules(metadata: Mapping[str, Any]) -> list[_Rule]:
    found = []
    if "pattern" in metadata:
        pattern = metadata["pattern"]
        longest = min(metadata.get("max", _PATTERN_MAX_CHARS), _PATTERN_MAX_CHARS)

        def mismatches(value: Any) -> bool:
            # Over-long values break their length constraint, and are not worth backtracking over.
            return len(value) <= longest and compiled(pattern).fullmatch(value) is None

        wording = f"Member must satisfy regular expression pattern: {pattern}"
        found.append(_Rule("pattern", wording, mismatches))
    if "enum" in metadata:
        allowed = frozenset(metadata["enum"])
        wording = f"Member must satisfy enum value set: [{', '.join(metadata['enum'])}]"
        found.append(_Rule("enum", wording, lambda value: value not in allowed))
    return found


def _camel(name: str) -> str:
    return name[:1].lower() + name[1:]


def printed(value: Any) -> str:
    """A value as AWS's Java prints it: `[a, b]`, `{k=v}`, `true`."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{k}={printed(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(printed(item) for item in value) + "]"
    if isinstance(value, bytes):
        return f"({len(value)} bytes)"
    return value.isoformat() if isinstance(value, datetime) else str(value)
