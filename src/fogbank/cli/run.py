"""`fogbank run`: a command whose calls to AWS all reach the local cloud."""

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
    network: Annotated[
        bool, typer.Option("--network", help="Let it reach hosts outside AWS, too.")
    ] = False,
    home: Home = HOME,
    port: Port = PORT,
) -> None:
    """Run a command with the cloud in AWS's place: fogbank run -- python hpo.py

    Also calls to a host of AWS that a program names itself reach the local cloud, as those of the
    SageMaker SDKs to STS, and the SDKs report nothing to AWS: a proxy answers for these hosts while
    the command runs. Other hosts are out of reach without --network. Profiles and endpoints of
    single services that are set are taken out of its environment. The exit code is the command's
    own.
    """
    from fogbank.cli.session import running_cloud
    from fogbank.ops.client_environment import command_environment, start_proxy

    cloud, running = running_cloud(home, port)
    proxy = start_proxy(running, os.getpid(), network=network)
    found = command_environment(os.environ, running, cloud.credentials(), proxy, network=network)
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        # In place of this process: signals, terminal and exit code are the command's own.
        os.execvpe(command[0], command, found)  # noqa: S606 - no shell, as asked for
    except OSError as error:
        raise CommandNotFound(f"{command[0]} cannot be run: {error.strerror}") from error
