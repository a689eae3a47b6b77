"""`fogbank down`: take the project's resources away."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from fogbank.cli.options import HOME, PORT, PROJECT_DIR, Home, Port, ProjectDir
from fogbank.core.errors import InputError


def down(
    delete_data: Annotated[
        bool,
        typer.Option("--delete-data", help="Delete the bucket too: pictures, code and models."),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    project_dir: ProjectDir = PROJECT_DIR,
    home: Home = HOME,
    port: Port = PORT,
) -> None:
    """Remove everything that carries the project's tag.

    The function with its log, the endpoint, its configurations, models and roles go; training and
    tuning jobs that run are stopped. The bucket stays unless --delete-data is given, so that
    `fogbank up` need not train again.
    """
    from fogbank.cli.console import events, results
    from fogbank.cli.session import name_project, shown_world
    from fogbank.ops.apply import apply
    from fogbank.ops.observe import observe_tagged
    from fogbank.ops.plan import plan_removal
    from fogbank.ops.project_lock import project_lock

    project = name_project(project_dir, home, port)
    names = project.names
    with project_lock(project.cloud.home, names.project):
        tagged = observe_tagged(project.aws, names)
        steps = plan_removal(tagged, delete_data=delete_data)
        if not steps:
            events().print(f"nothing of {names.project} is left to remove", style="dim")
        else:
            if not yes:
                _ask([step.message for step in steps])
            with shown_world(project.aws) as world:
                apply(world, steps)
    if tagged.bucket is not None and not delete_data:
        results().print(
            f"The bucket s3://{names.bucket} stays, with pictures and models "
            "(--delete-data removes it)."
        )


def _ask(messages: list[str]) -> None:
    """Raises InputError where nobody can be asked; ends the command where the answer is no."""
    if not sys.stdin.isatty():
        raise InputError("nobody can be asked here whether to go on: give --yes.")
    typer.echo("This will:", err=True)
    for message in messages:
        typer.echo(f"  {message}", err=True)
    if not typer.confirm("Go on?", err=True):
        raise typer.Exit
