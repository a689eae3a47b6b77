"""`fogbank invoke`: what is in this picture?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fogbank.cli.options import HOME, PORT, PROJECT_DIR, Home, Json, Port, ProjectDir
from fogbank.core.errors import InputError

if TYPE_CHECKING:
    from fogbank.aws import Aws
    from fogbank.ops.invoke import Answer
    from fogbank.ops.names import Names
    from fogbank.ops.spec import Spec


def invoke(
    picture: Annotated[
        str, typer.Argument(help="A picture file (JPEG, PNG, ...), or https:// or s3:// of one.")
    ],
    top: Annotated[
        int, typer.Option(help="Labels to show, the most probable first.", min=1, max=5)
    ] = 3,
    project_dir: ProjectDir = PROJECT_DIR,
    json: Json = False,
    home: Home = HOME,
    port: Port = PORT,
) -> None:
    """Ask what is in a picture, as a client of the project would, and show the answer.

    The question goes through the function's alias `live`, where the project has a function, else to
    the endpoint itself. Addresses are fetched by the function, from where function.allowed_hosts
    and function.s3_prefixes in fogbank.yaml say.
    """
    from fogbank.cli.console import print_json, results
    from fogbank.cli.report import Facts
    from fogbank.cli.session import name_project

    project = name_project(project_dir, home, port)
    answer = ask(project.aws, project.spec, project.names, picture, top)
    if json:
        print_json(
            {
                "endpoint": answer.endpoint,
                "function": answer.function or None,
                "picture": str(answer.picture),
                "labels": [
                    {"label": item.label, "probability": item.probability} for item in answer.labels
                ],
                "answer": answer.content,
                "report": answer.report or None,
                "milliseconds": round(answer.seconds * 1000, 3),
            }
        )
        return
    if not answer.labels:
        # Not the form of Fogbank's serving code: the project has its own.
        print_json(answer.content)
    else:
        facts = Facts()
        for item in answer.labels:
            facts.add(item.label, f"{item.probability:.1%}")
        facts.print(results())
    if answer.report:
        results().print(answer.report, style="dim")


def ask(aws: Aws, spec: Spec, names: Names, picture: Path | str, top: int) -> Answer:
    """Through the function where the project has one and it is there, else the endpoint itself."""
    from fogbank.cli.console import events
    from fogbank.core.clock import SystemClock
    from fogbank.ops import function_call
    from fogbank.ops.invoke import invoke as ask_endpoint

    clock = SystemClock()
    source = picture if _is_address(picture) else Path(picture)
    if spec.function is not None:
        try:
            return function_call.ask(
                aws, names.function, names.endpoint, source, top=top, clock=clock
            )
        except function_call.NoFunction as error:
            if isinstance(source, str):
                raise
            events().print(f"{error} The endpoint is asked itself.", style="dim")
    if isinstance(source, str):
        raise InputError(
            "an address is fetched by the function in front of the endpoint, and fogbank.yaml has "
            "none: add `function: {}`, or download the picture and give its file."
        )
    return ask_endpoint(aws, names.endpoint, source, top=top, clock=clock)


def _is_address(picture: Path | str) -> bool:
    return isinstance(picture, str) and "://" in picture
