"""Changes single values of a YAML text and leaves all else in it alone, comments too. Pure.

In: the text of `fogbank.yaml`, and keys with their values. Out: the new text. PyYAML says where in
the text a value stands; what is written again is only that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from fogbank.core.errors import InputError

INDENT = 2


def with_values(text: str, section: Sequence[str], values: Mapping[str, Any]) -> str:
    """`text` with those values in a section: ("endpoint", "scaling"), {"max": 5}. What the section
    has not yet becomes its first key; the section itself is made where there is none.

    Raises InputError, with the lines to write, where the text is put together in a way that this
    cannot change, such as with aliases.
    """
    wanted = _put(yaml.safe_load(text), section, values)
    changed = text
    for name in reversed(list(values)):
        changed = _with_value(changed, [*section, name], values[name])
    try:
        is_right = yaml.safe_load(changed) == wanted
    except yaml.YAMLError:
        is_right = False
    if not is_right:
        lines = "\n".join(_block([*section], values, 0)).rstrip()
        raise InputError(f"the file cannot be changed for you. Write into it:\n\n{lines}")
    return changed


def _put(document: Any, section: Sequence[str], values: Mapping[str, Any]) -> Any:
    """A copy with the values: what an alias shares is not changed for the others."""
    if not section:
        return {**document, **values}
    part, *rest = section
    return {**document, part: _put(document.get(part) or {}, rest, values)}


def _with_value(text: str, key: Sequence[str], value: Any) -> str:
    """Follows the key as far as the text has it, and writes there."""
    node = yaml.compose(text, Loader=yaml.SafeLoader)
    assert isinstance(node, yaml.MappingNode), "a spec is a section of keys"
    for depth, part in enumerate(key):
        found = next((inner for name, inner in node.value if name.value == part), None)
        if found is None:
            return _insert(text, node, key[depth:], value)
        if not isinstance(found, yaml.MappingNode):
            begin, end = found.start_mark.index, found.end_mark.index
            written = _flow(_nested(key[depth + 1 :], value))
            space = " " if begin == end else ""  # `scaling:` and nothing behind it
            return f"{text[:begin]}{space}{written}{text[end:]}"
        node = found
    raise AssertionError("a value is no section")


def _insert(text: str, node: yaml.MappingNode, key: Sequence[str], value: Any) -> str:
    """As the first key of a mapping: behind its last one may be comments that are of the next."""
    begin, column = node.start_mark.index, node.start_mark.column
    if node.flow_style:
        more = ", " if node.value else ""
        name, *rest = key
        written = f"{name}: {_flow(_nested(rest, value))}{more}"
        return f"{text[: begin + 1]}{written}{text[begin + 1 :]}"
    written = "\n".join(_block(key[:-1], {key[-1]: value}, column))
    if column == 0:
        # A new section of the whole file goes to its end: the project's name stays the first.
        return text.rstrip("\n") + f"\n\n{written}\n"
    return f"{text[:begin]}{written.lstrip()}\n{' ' * column}{text[begin:]}"


def _nested(key: Sequence[str], value: Any) -> Any:
    for part in reversed(key):
        value = {part: value}
    return value


def _block(section: Sequence[str], values: Mapping[str, Any], column: int) -> list[str]:
    lines = []
    for part in section:
        lines.append(f"{' ' * column}{part}:")
        column += INDENT
    return lines + [f"{' ' * column}{name}: {_flow(value)}" for name, value in values.items()]


def _flow(value: Any) -> str:
    """120, auto, {min: 1}: on one line."""
    written: str = yaml.safe_dump(value, default_flow_style=True, width=10_000)
    return written.removesuffix("...\n").strip()
