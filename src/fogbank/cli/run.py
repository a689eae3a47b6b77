"""`fogbank run`: a command in the environment of `fogbank env`."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from fogbank.cli.failures import CommandNotFound
from fogbank.cli.options import HOME, PORT, Home, Port

CONTEXT = {"allow_interspersed_args": False, "ignore_unknown_options": False}


def run(
    command: Annotated[
        list[str],
        typer.Argument(help="The command and its arguments, after --.", metavar="COMMAND"),
    ],
    home: Home = HOME,
    port: Port = PORT,
) -> None:
    """Run a command in that environment: fogbank run -- python hpo.py

    All its AWS clients talk to the local cloud. Profiles and endpoints of single services that
    are set are taken out of its environment. The exit code is the command's own.
    """
    from fogbank.cli.session import running_cloud
    from fogbank.ops.local_cloud import environment, variables

    cloud, running = running_cloud(home, port)
    found = environment(os.environ, variables(running, cloud.credentials()))
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        # In place of this process: signals, terminal and exit code are the command's own.
        os.execvpe(command[0], command, found)  # noqa: S606 - no shell, as asked for
    except OSError as error:
        raise CommandNotFound(f"{command[0]} cannot be run: {error.strerror}") from error
