"""`fogbank function deploy|invoke|logs|concurrency`: the Lambda function in front of the
endpoint."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fogbank.cli.options import HOME, PORT, PROJECT_DIR, Home, Json, Port, ProjectDir
from fogbank.core.errors import InputError

if TYPE_CHECKING:
    from fogbank.ops.function_concurrency import Concurrency

app = typer.Typer(
    help="The Lambda function in front of the endpoint: deploy, invoke, logs, concurrency.",
    no_args_is_help=True,
)


@app.command()
def deploy(
    project_dir: ProjectDir = PROJECT_DIR, json: Json = False, home: Home = HOME, port: Port = PORT
) -> None:
    """Make the function so as fogbank.yaml says.

    Its role may invoke the project's endpoint, write its own log, and nothing else. Changed code or
    settings are published as a new version, and the alias `live` goes on to it; what callers of the
    alias get never changes in between. With function.provisioned_concurrency, environments are
    started before anybody calls; with function.reserved_concurrency, so many calls are its own and
    never more; function.url gives it an HTTPS address.
    """
    from fogbank.cli.report import deploy_function

    deploy_function(project_dir, home, port, json=json)


@app.command()
def invoke(
    event: Annotated[
        str,
        typer.Argument(
            help='The event, JSON such as \'{"url": "https://..."}\'; @FILE reads it from a file.'
        ),
    ],
    project_dir: ProjectDir = PROJECT_DIR,
    json: Json = False,
    home: Home = HOME,
    port: Port = PORT,
) -> None:
    """Send an event to the function's alias `live` and show what it answers and logs.

    The function that `fogbank init` writes takes one of `{"url": "https://..."}`,
    `{"s3": "s3://bucket/key"}` and `{"image": "<base64>"}`. A function that fails ends in exit
    code 3.
    """
    from fogbank.cli.console import events, print_json, printable
    from fogbank.cli.failures import exit_code
    from fogbank.cli.session import name_project
    from fogbank.core.clock import SystemClock
    from fogbank.ops.function_call import call
    from fogbank.ops.world import CloudFailure

    content = _event(event)
    project = name_project(project_dir, home, port)
    called = call(project.aws, project.names.function, content, clock=SystemClock())
    if json:
        print_json(
            {
                "function": called.function,
                "version": called.version,
                "answer": called.answer,
                "error": called.error,
                "log": list(called.log),
                "milliseconds": round(called.seconds * 1000, 3),
            }
        )
    else:
        print_json(called.answer)
        for line in called.log:
            events().print(printable(line), style="dim")
    if called.error is not None:
        raise typer.Exit(exit_code(CloudFailure(called.error)))


def _event(text: str) -> Any:
    import json

    if text.startswith("@"):
        try:
            text = Path(text[1:]).read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"the event {text[1:]} cannot be read: {error}") from error
    try:
        return json.loads(text)
    except ValueError as error:
        raise InputError(
            f"the event is not JSON ({error}): give one such as "
            '\'{"url": "https://images.example.com/dog.jpg"}\', or @FILE.'
        ) from error


@app.command()
def logs(
    minutes: Annotated[
        int, typer.Option("--minutes", "-m", help="How far to look back.", min=1)
    ] = 60,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with what comes, until Ctrl-C.")
    ] = False,
    project_dir: ProjectDir = PROJECT_DIR,
    home: Home = HOME,
    port: Port = PORT,
) -> None:
    """Show what the function wrote, all its environments together.

    Lambda adds START and END around each call, and REPORT: how long it ran, how much memory it
    needed of what it has, and, where it was cold, how long it took to start.
    """
    from datetime import timedelta

    from fogbank.cli.console import printable, results
    from fogbank.cli.session import name_project
    from fogbank.core.clock import SystemClock, wait
    from fogbank.ops.function_log import FunctionLog

    project = name_project(project_dir, home, port)
    log = FunctionLog(project.aws, project.names.function_log_group, SystemClock())
    console = results()
    for line in log.since(timedelta(minutes=minutes)):
        console.print(printable(line))
    if follow:
        for line in log.follow(wait):
            console.print(printable(line))


@app.command()
def concurrency(
    project_dir: ProjectDir = PROJECT_DIR, json: Json = False, home: Home = HOME, port: Port = PORT
) -> None:
    """Show how many calls the function may take at once, and how many it takes.

    One environment handles one call at a time. Reserved executions are the function's own and its
    ceiling (0 switches it off). Provisioned environments are started before anybody calls, for
    callers of the alias `live` only. Beyond that, calls start cold, up to the account's limit;
    beyond that they are throttled (429).
    """
    from fogbank.cli.console import print_json
    from fogbank.cli.session import name_project
    from fogbank.core.clock import SystemClock
    from fogbank.ops.function_call import NoFunction
    from fogbank.ops.function_concurrency import observe_concurrency, remarks

    project = name_project(project_dir, home, port)
    found = observe_concurrency(project.aws, project.names, SystemClock().now())
    if found is None:
        raise NoFunction(
            f"there is no function {project.names.function}: `fogbank function deploy` makes it."
        )
    said = remarks(found, project.spec)
    if json:
        print_json({**found.to_json(), "remarks": said})
    else:
        _show(found, said)


def _show(found: Concurrency, remarks: list[str]) -> None:
    from fogbank.cli.console import results
    from fogbank.cli.report import Facts
    from fogbank.ops.names import ALIAS

    facts = Facts()
    account, provisioned = found.account, found.provisioned
    facts.add("function", found.function)
    facts.add(
        "account",
        f"{account.limit} at once, {account.unreserved} of them unreserved "
        f"({account.unreserved_minimum} have to stay so)",
    )
    facts.add("reserved", "none" if found.reserved is None else str(found.reserved))
    facts.add(
        "provisioned",
        f"{provisioned.allocated} of {provisioned.requested} for {ALIAS} ({provisioned.status})"
        if provisioned
        else "none",
    )
    facts.add("running", "no calls lately" if found.running is None else str(found.running))
    facts.add("throttled", f"{found.throttles} within the last hour")
    console = results()
    facts.print(console)
    if remarks:
        console.print()
    for remark in remarks:
        console.print(f"- {remark}")
