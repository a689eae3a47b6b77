"""Exceptions to messages and exit codes, in one place: the group that every command runs under."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperGroup

from fogbank.cli.console import printable
from fogbank.cli.exit_codes import ExitCode
from fogbank.core.errors import FogbankError, InputError


class CommandNotFound(InputError):
    """`fogbank run` was given a command that does not exist."""


class GuardedGroup(TyperGroup):
    """Shows what Fogbank raises on purpose as a message. Anything else is a bug and keeps its
    traceback."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except FogbankError as error:
            _say(str(error))
            raise typer.Exit(exit_code(error)) from error
        except KeyboardInterrupt:
            _say("interrupted. What runs in the cloud goes on; `fogbank status` shows it.")
            raise typer.Exit(ExitCode.INTERRUPTED) from None


def exit_code(error: FogbankError) -> ExitCode:
    """The exit code that says what kind of failure it is."""
    from fogbank.ops.local_cloud import NotRunning
    from fogbank.ops.world import CloudFailure, Interrupted

    match error:
        case CommandNotFound():
            return ExitCode.COMMAND_NOT_FOUND
        case InputError():
            return ExitCode.USAGE
        case Interrupted():
            return ExitCode.INTERRUPTED
        case CloudFailure():
            return ExitCode.CLOUD_FAILURE
        case NotRunning():
            return ExitCode.NOT_RUNNING
        case _:
            return ExitCode.FAILED


def _say(message: str) -> None:
    label = typer.style("error:", fg=typer.colors.RED, bold=True)
    typer.echo(f"{label} {printable(message)}", err=True)
