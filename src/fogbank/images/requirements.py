"""Read a requirements.txt far enough to know that nothing needs to be installed. Pure: in: text and
the versions that are installed; out: a decision.

pip takes half a second to find out that all is well, and most requirements files name what the
image has anyway. Only plain lines (`name`, `name>=1.2,<2`) are judged here; whatever else a
requirements file may say is pip's to judge.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

_PLAIN = re.compile(
    r"(?P<name>[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)\s*"
    r"(?P<clauses>(?:(?:==|>=|<=|!=|>|<|~=)\s*[0-9]+(?:\.[0-9]+)*\s*"
    r"(?:,\s*(?:==|>=|<=|!=|>|<|~=)\s*[0-9]+(?:\.[0-9]+)*\s*)*)?)$"
)
_CLAUSE = re.compile(r"(==|>=|<=|!=|>|<|~=)\s*([0-9.]+)")
_FINAL = re.compile(r"(?P<release>[0-9]+(?:\.[0-9]+)*)(?P<local>\+[A-Za-z0-9.]+)?$")


def lines(text: str) -> Iterator[str]:
    """The lines that mean something: continuations joined, comments and blank lines dropped."""
    for line in re.sub(r"\\\r?\n", "", text).splitlines():
        stripped = re.sub(r"(^|\s)#.*$", "", line).strip()
        if stripped:
            yield stripped


def is_satisfied(text: str, installed: Callable[[str], str | None]) -> bool:
    """Whether every line is plain and what `installed` answers (a version, or None) fulfils it.

    False means "ask pip", not "something is missing". The version rules are PEP 440's for final
    releases; a local label such as `+cpu` counts as its release.
    """
    return all(_line_is_satisfied(line, installed) for line in lines(text))


def _line_is_satisfied(line: str, installed: Callable[[str], str | None]) -> bool:
    plain = _PLAIN.match(line)
    if plain is None:
        return False
    version = installed(plain["name"])
    final = _FINAL.match(version) if version is not None else None
    if final is None:
        return False
    release = _release(final["release"])
    return all(_holds(release, op, bound) for op, bound in _CLAUSE.findall(plain["clauses"]))


def _holds(release: tuple[int, ...], op: str, bound_text: str) -> bool:
    bound = _release(bound_text)
    match op:
        case "==":
            return release == bound
        case "!=":
            return release != bound
        case ">=":
            return release >= bound
        case "<=":
            return release <= bound
        case ">":
            return release > bound
        case "<":
            return release < bound
        case "~=":  # ~=1.4.2 is >=1.4.2 and ==1.4.*; ~=1 is not allowed: pip shall say so
            width = bound_text.count(".")
            written = [int(part) for part in bound_text.split(".")][:width]
            padded = [*release, *[0] * width][:width]
            return width > 0 and release >= bound and padded == written
    raise AssertionError(op)


def _release(text: str) -> tuple[int, ...]:
    """Comparable: 1.0 and 1 are the same release."""
    parts = [int(part) for part in text.split(".")]
    while len(parts) > 1 and parts[-1] == 0:
        parts.pop()
    return tuple(parts)
