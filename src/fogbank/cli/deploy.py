"""`fogbank deploy`: the trained model, behind the project's endpoint."""

from __future__ import annotations

from typing import Annotated

import typer

from fogbank.cli.options import HOME, PORT, PROJECT_DIR, Home, Json, Port, ProjectDir


def deploy(
    job: Annotated[
        str | None,
        typer.Option(
            help="Serve the model of this training job instead of the project's latest input's.",
            metavar="NAME",
        ),
    ] = None,
    project_dir: ProjectDir = PROJECT_DIR,
    json: Json = False,
    home: Home = HOME,
    port: Port = PORT,
) -> None:
    """Serve the model of a completed training job.

    The endpoint is created, or updated while the old model goes on serving.
    """
    from fogbank.cli.report import deploy_job

    deploy_job(job, project_dir, home, port, json=json)
