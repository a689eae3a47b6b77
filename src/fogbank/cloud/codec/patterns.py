"""The models' `pattern`s in, Python regular expressions out.

The patterns are Java's: `\\p{L}` classes, `\\z`, ASCII `\\w` and `\\d`, surrogate pairs, a literal
`[` inside a class. Source: java.util.regex.Pattern. AWS matches the whole value.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache

# Planes 4 to 13 hold no character; of plane 14 only tags and variation selectors are assigned.
_ASSIGNED = (range(0x40000), range(0xE0000, 0xE01F0))

_POSIX = {
    "ASCII": "\\x00-\\x7f",
    "Alnum": "0-9A-Za-z",
    "Alpha": "A-Za-z",
    "Digit": "0-9",
    "Lower": "a-z",
    "Upper": "A-Z",
    "Print": "\\x20-\\x7e",
    "Graph": "\\x21-\\x7e",
    "Punct": "!-/:-@\\[-`{-~",
    "Space": " \\t\\n\\x0b\\f\\r",
    "XDigit": "0-9A-Fa-f",
}
_SUPPLEMENTARY = "\\uD800\\uDC00-\\uDBFF\\uDFFF"  # all surrogate pairs, as Java writes the range
_PROPERTY = re.compile(r"\\p\{(?:Is)?(\w+)\}")
_QUANTIFIER = re.compile(r"[*+?]|\{\d+(?:,\d*)?\}")
_CLASS_ESCAPES = "wWdDsS"


@cache
def compiled(pattern: str) -> re.Pattern[str]:
    """The expression to `fullmatch` a value with. Raises re.error for what even Java would not
    take, and ValueError for a character property that is not known here.
    """
    return re.compile(_translate(pattern), re.ASCII)


def _translate(pattern: str) -> str:
    text = pattern.replace(_SUPPLEMENTARY, "\\U00010000-\\U0010ffff")
    out: list[str] = []
    at, in_class, class_start = 0, False, 0
    while at < len(text):
        char = text[at]
        if char == "\\":
            piece, at = _escape(text, at, in_class)
            out.append(piece)
            if in_class and piece[-1:] in _CLASS_ESCAPES and text[at : at + 1] == "-":
                out.append("\\-")  # [\w-_]: no range can start with a class
                at += 1
            continue
        at += 1
        if in_class:
            if char == "]" and at - 1 > class_start:
                in_class = False
            elif char == "[" or (char in "-&|~" and text[at : at + 1] == char):
                char = "\\" + char  # Python warns of set operations that it may get one day
            out.append(char)
        elif char == "[":
            in_class = True
            class_start = at + (text[at : at + 1] == "^")
            out.append(char)
        elif char in "^$":
            out.append(char)
            quantifier = _QUANTIFIER.match(text, at)
            if quantifier:  # `${1,256}`: an anchor repeated is the anchor
                at = quantifier.end()
        elif text.startswith("(?<", at - 1) and text[at + 2 : at + 3] not in "=!":
            out.append("(?P<")
            at += 2
        else:
            out.append(char)
    return "".join(out)


def _escape(text: str, at: int, in_class: bool) -> tuple[str, int]:
    """The translated escape at `at`, and where it ends."""
    found = _PROPERTY.match(text, at)
    if found:
        ranges = _ranges(found[1])
        return (ranges if in_class else f"[{ranges}]"), found.end()
    if text.startswith("\\z", at):
        return "\\Z", at + 2
    return text[at : at + 2], at + 2


def _ranges(name: str) -> str:
    if name in _POSIX:
        return _POSIX[name]
    wanted = [ranges for category, ranges in _categories().items() if category.startswith(name)]
    if not wanted:
        raise ValueError(f"\\p{{{name}}} is not a character property that is known here")
    return "".join(wanted)


@cache
def _categories() -> dict[str, str]:
    """Unicode general category (`Lu`) -> its ranges, as the inside of a character class."""
    runs: dict[str, list[tuple[int, int]]] = {}
    for block in _ASSIGNED:
        start, current = block.start, unicodedata.category(chr(block.start))
        for code in block:
            category = unicodedata.category(chr(code))
            if category != current:
                runs.setdefault(current, []).append((start, code - 1))
                start, current = code, category
        runs.setdefault(current, []).append((start, block.stop - 1))
    return {
        category: "".join(f"\\U{first:08x}-\\U{last:08x}" for first, last in spans)
        for category, spans in runs.items()
    }
