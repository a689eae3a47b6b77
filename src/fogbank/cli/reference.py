"""The reference of the command line, made from the commands themselves.

`python -m fogbank.cli.reference > docs/reference/cli.md`; a test holds the file to it.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from typing import Any

import typer

from fogbank.cli.exit_codes import MEANINGS
from fogbank.cli.main import app

_HEAD = """\
# The command line

This page is made from the commands themselves: `python -m fogbank.cli.reference`.

Results go to stdout, progress and messages to stderr. Where a command has `--json`, stdout holds
one JSON document and nothing else. Every command but `init` and `cloud` starts the local cloud
where it does not run.

## Exit codes

| code | meaning |
|---|---|
"""


def markdown() -> str:
    """The whole page."""
    codes = "".join(f"| {int(code)} | {meaning} |\n" for code, meaning in MEANINGS.items())
    sections = "\n".join(_section(path, command) for path, command in commands())
    return f"{_HEAD}{codes}\n{sections}"


def commands() -> Iterator[tuple[str, Any]]:
    """Every command: ("fogbank cloud start", its click object). Groups are not commands."""
    yield from _walk("fogbank", typer.main.get_command(app))


def _walk(path: str, command: Any) -> Iterator[tuple[str, Any]]:
    members = getattr(command, "commands", None)
    if members is None:
        yield path, command
        return
    for name, member in members.items():
        yield from _walk(f"{path} {name}", member)


def _section(path: str, command: Any) -> str:
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    options = [p for p in command.params if p.param_type_name == "option"]
    usage = " ".join([path, "[OPTIONS]" if options else "", *map(_usage, arguments)])
    rows = [f"| `{_shown(p)}` | {p.help} |" for p in arguments]
    rows += [f"| {', '.join(f'`{name}`' for name in p.opts)} | {_option(p)} |" for p in options]
    table = "\n".join(["| | |", "|---|---|", *rows])
    return f"## {path}\n\n    {usage}\n\n{inspect.cleandoc(command.help or '')}\n\n{table}\n"


def _shown(argument: Any) -> str:
    return str(argument.metavar or argument.name.upper())


def _usage(argument: Any) -> str:
    text = _shown(argument) + ("..." if argument.nargs == -1 else "")
    return text if argument.required else f"[{text}]"


def _option(option: Any) -> str:
    text = str(option.help).rstrip(".")
    if option.envvar:
        text += f"; also `{option.envvar}`"
    if option.default not in (None, False):
        text += f"; by default `{option.default}`"
    return text + "."


if __name__ == "__main__":
    sys.stdout.write(markdown())
