"""`fogbank invoke`: what is in this picture?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fogbank.cli.options import HOME, PORT, PROJECT_DIR, Home, Json, Port, ProjectDir


def invoke(
    picture: Annotated[Path, typer.Argument(help="A picture file: JPEG, PNG, ...")],
    top: Annotated[
        int, typer.Option(help="Labels to show, the most probable first.", min=1, max=5)
    ] = 3,
    project_dir: ProjectDir = PROJECT_DIR,
    json: Json = False,
    home: Home = HOME,
    port: Port = PORT,
) -> None:
    """Send a picture to the project's endpoint and show what it answers."""
    from fogbank.cli.console import print_json, results
    from fogbank.cli.report import Facts
    from fogbank.cli.session import running_cloud
    from fogbank.core.arn import Scope
    from fogbank.core.clock import SystemClock
    from fogbank.ops.invoke import invoke as ask
    from fogbank.ops.names import Names
    from fogbank.ops.spec_file import FILE_NAME, read_spec

    spec = read_spec(project_dir / FILE_NAME)
    cloud, running = running_cloud(home, port)
    names = Names(spec.project, Scope(running.account, running.region))
    answer = ask(cloud.aws(running), names.endpoint, picture, top=top, clock=SystemClock())
    if json:
        print_json(
            {
                "endpoint": answer.endpoint,
                "picture": str(answer.picture),
                "labels": [
                    {"label": item.label, "probability": item.probability} for item in answer.labels
                ],
                "answer": answer.content,
                "milliseconds": round(answer.seconds * 1000, 3),
            }
        )
        return
    if not answer.labels:
        # Not the form of Fogbank's serving code: the project has its own.
        print_json(answer.content)
        return
    facts = Facts()
    for item in answer.labels:
        facts.add(item.label, f"{item.probability:.1%}")
    facts.print(results())
