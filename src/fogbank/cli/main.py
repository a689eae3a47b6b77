"""The command line, assembled. Commands import what they need when they run: `--help` is quick."""

from __future__ import annotations

from typing import Annotated

import typer

from fogbank.cli import (
    cloud,
    data,
    deploy,
    down,
    env,
    function,
    init,
    invoke,
    load,
    run,
    scale,
    status,
    train,
    tune,
    up,
    weights,
)
from fogbank.cli.failures import GuardedGroup

app = typer.Typer(
    cls=GuardedGroup,
    name="fogbank",
    no_args_is_help=True,
    # Lines of a docstring are joined to paragraphs as wide as the window.
    rich_markup_mode="markdown",
    # Variables of a traceback may hold credentials.
    pretty_exceptions_show_locals=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

PROJECT, CLOUD = "Project", "Cloud"

app.command("init", rich_help_panel=PROJECT)(init.init)
app.command("up", rich_help_panel=PROJECT)(up.up)
app.command("data", rich_help_panel=PROJECT)(data.data)
app.command("tune", rich_help_panel=PROJECT)(tune.tune)
app.command("train", rich_help_panel=PROJECT)(train.train)
app.command("deploy", rich_help_panel=PROJECT)(deploy.deploy)
app.add_typer(function.app, name="function", rich_help_panel=PROJECT)
app.command("invoke", rich_help_panel=PROJECT)(invoke.invoke)
app.command("load", rich_help_panel=PROJECT)(load.load)
app.add_typer(scale.app, name="scale", rich_help_panel=PROJECT)
app.command("status", rich_help_panel=PROJECT)(status.status)
app.command("down", rich_help_panel=PROJECT)(down.down)
app.add_typer(cloud.app, name="cloud", rich_help_panel=CLOUD)
app.add_typer(weights.app, name="weights", rich_help_panel=CLOUD)
app.command("env", rich_help_panel=CLOUD)(env.env)
app.command("run", rich_help_panel=CLOUD, context_settings=run.CONTEXT)(run.run)


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"fogbank {version('fogbank')}")
        raise typer.Exit


@app.callback()
def fogbank(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """Take an image classifier from training code to production on AWS, and rehearse every step
    on a local cloud first.

    Begin with: fogbank init digits --sample digits, then, in that folder, fogbank up.
    """


def main() -> None:
    """The entry point of the `fogbank` script."""
    app()
