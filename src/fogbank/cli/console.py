"""Where text goes: results to stdout, what goes on to stderr."""

from __future__ import annotations

import json
import re
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console, RenderableType


_COMMANDS = re.compile(
    r"\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?"  # titles, links, the clipboard
    r"|\x1b\[[0-?]*[ -/]*[@-~]"  # colours, the cursor
    r"|\x1b.?"
    r"|[\x00-\x08\x0b-\x1f\x7f-\x9f]"
)

_BOUNDLESS = 1_000_000
"""Columns; more than any table has."""


def printable(text: str) -> str:
    """`text` without what would command the terminal. What a container wrote is not trusted."""
    return _COMMANDS.sub("", text)


def results() -> Console:
    """For what the command was asked for."""
    from rich.console import Console

    return Console(highlight=False, markup=False, soft_wrap=True)


def print_table(table: RenderableType) -> None:
    """A result in columns: on a terminal no wider than it, elsewhere as wide as it is. A pipe has
    no width, and what reads it wants whole lines."""
    console = results()
    if not console.is_terminal:
        boundless = console.options.update(max_width=_BOUNDLESS)
        console.width = console.measure(table, options=boundless).maximum
    console.print(table)


def events() -> Console:
    """For progress and remarks; a pipe or `$(...)` does not see them."""
    from rich.console import Console

    return Console(stderr=True, highlight=False, markup=False, soft_wrap=True)


def print_json(value: Any) -> None:
    """One indented document on stdout."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False, default=str) + "\n")
