"""Valid values for any botocore shape: a minimal one and a full one."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from re import _constants, _parser  # type: ignore[attr-defined]  # the only regex parser there is
from typing import Any

from botocore.model import ListShape, MapShape, Shape, StructureShape

from fogbank.cloud.codec.patterns import compiled

# Whole seconds: headers carry no fraction.
MOMENT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
_MAX_DEPTH = 4
# Patterns that the generator cannot satisfy. The placement group's cannot be satisfied by any
# text (it has a `^` in its middle): EC2's patterns are not enforced here.
_BY_HAND = {
    "ClusterPrivatePrimaryIp": "10.0.0.1",
    "ClusterPrivateDnsHostname": "ip-10-0-0-1.ec2.internal",
    "PlacementGroupArn": "arn:aws:ec2:us-east-1:123456789012:placement-group/a",
}
_CHARS = "a1A-/._:s3=@ +*0{},"


def sample(shape: Shape, *, full: bool = False, depth: int = 0) -> Any:
    """A value that breaks no constraint of `shape`.

    full: every member, two elements a list or map; else only what is required. Members below
    depth 4 are left out where they are not required (shapes may contain themselves).
    """
    if isinstance(shape, StructureShape):
        return _structure(shape, full, depth)
    if isinstance(shape, ListShape):
        count = _count(shape, full)
        return [sample(shape.member, full=full, depth=depth + 1) for _ in range(count)]
    if isinstance(shape, MapShape):
        return _map(shape, full, depth)
    return _scalar(shape)


def _structure(shape: StructureShape, full: bool, depth: int) -> dict[str, Any]:
    names = list(shape.required_members)
    if full and depth <= _MAX_DEPTH:
        names = list(shape.members)
    if shape.is_tagged_union:
        names = list(shape.members)[:1]
    if not names and depth:
        # Forms and flattened lists have no way to say "an empty structure": give it something.
        scalars = [name for name, member in shape.members.items() if _is_scalar(member)]
        names = (scalars or list(shape.members))[:1]
    return {
        name: sample(shape.members[name], full=full, depth=depth + 1)
        for name in shape.members
        if name in names and not shape.members[name].serialization.get("eventstream")
    }


def _is_scalar(shape: Shape) -> bool:
    return not isinstance(shape, StructureShape | ListShape | MapShape)


def _count(shape: Shape, full: bool) -> int:
    low, high = shape.metadata.get("min", 0), shape.metadata.get("max")
    count = max(low, 2 if full else 1)
    return int(count if high is None else min(count, high))


def _map(shape: MapShape, full: bool, depth: int) -> dict[str, Any]:
    keys: list[str] = []
    enum = shape.key.metadata.get("enum")
    for index in range(_count(shape, full)):
        key = enum[index] if enum and index < len(enum) else _text(shape.key, extra=index)
        keys.append(key)
    return {key: sample(shape.value, full=full, depth=depth + 1) for key in dict.fromkeys(keys)}


def _scalar(shape: Shape) -> Any:
    kind = shape.type_name
    if kind == "timestamp":
        return MOMENT
    if kind == "boolean":
        return True
    if kind == "blob":
        return b"x" * max(1, shape.metadata.get("min", 1))
    if kind in ("integer", "long"):
        return int(_number(shape, 1))
    if kind in ("float", "double"):
        return float(_number(shape, 0.5))
    if shape.serialization.get("jsonvalue") and shape.serialization.get("location") == "header":
        return {"a": [1, "b"]}
    return _text(shape)


def _number(shape: Shape, usual: float) -> float:
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    value = usual if low is None else max(usual, low)
    return float(value if high is None else min(value, high))


def _text(shape: Shape, extra: int = 0) -> str:
    metadata = shape.metadata
    if metadata.get("enum"):
        return str(metadata["enum"][0])
    low, high = metadata.get("min", 0), metadata.get("max")
    pattern = metadata.get("pattern")
    if shape.name in _BY_HAND:
        return _BY_HAND[shape.name]
    if pattern is None:
        return "x" * int(max(low, 1 + extra))
    return _matching(pattern, low, high, extra)


@cache
def _matching(pattern: str, low: int, high: int | None, extra: int) -> str:
    """A text of `low` to `high` characters that the pattern matches, found by trying."""
    expression = compiled(pattern)
    tree = _parser.parse(expression.pattern, expression.flags)
    for repeats in range(extra, extra + max(low, 100) + 1):
        for branch in range(3):
            text = _generate(tree, repeats, branch)
            fits = low <= len(text) and (high is None or len(text) <= high)
            if text and fits and expression.fullmatch(text):
                return text
    raise LookupError(f"no text for {pattern!r} of {low} to {high} characters")


def _generate(tree: Any, repeats: int, branch: int) -> str:
    """A text that the parsed expression may match: look-arounds are hoped for, then checked."""
    out = ""
    for operation, argument in tree:
        if operation is _constants.LITERAL:
            out += chr(argument)
        elif operation is _constants.NOT_LITERAL:
            out += "a" if argument != ord("a") else "b"
        elif operation is _constants.ANY:
            out += "a"
        elif operation is _constants.IN:
            out += _one_of(argument)
        elif operation is _constants.BRANCH:
            choices = argument[1]
            out += _generate(choices[min(branch, len(choices) - 1)], repeats, branch)
        elif operation is _constants.SUBPATTERN:
            out += _generate(argument[3], repeats, branch)
        elif operation in (_constants.MAX_REPEAT, _constants.MIN_REPEAT):
            low, high, inner = argument
            times = min(low + repeats, high)
            out += "".join(
                _generate(inner, 0 if times > 1 else repeats, branch) for _ in range(times)
            )
    return out


def _one_of(members: Any) -> str:
    negated = bool(members) and members[0][0] is _constants.NEGATE
    accepted = [char for char in _CHARS if _in(char, members) != negated]
    if accepted:
        return accepted[0]
    operation, argument = members[0]
    return chr(argument if operation is _constants.LITERAL else argument[0])


def _in(char: str, members: Any) -> bool:
    code = ord(char)
    for operation, argument in members:
        if operation is _constants.LITERAL and code == argument:
            return True
        if operation is _constants.RANGE and argument[0] <= code <= argument[1]:
            return True
        if operation is _constants.CATEGORY and _in_category(char, argument):
            return True
    return False


def _in_category(char: str, category: Any) -> bool:
    name = str(category)
    kind = name.rpartition("_")[2]
    found = {
        "DIGIT": char.isdigit(),
        "SPACE": char.isspace(),
        "WORD": char.isalnum() or char == "_",
    }[kind]
    return found != ("NOT" in name)
