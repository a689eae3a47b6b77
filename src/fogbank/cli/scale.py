"""`fogbank scale show|set|history|measure|simulate`: how many instances serve, and why."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fogbank.cli import scale_measure, scale_simulate
from fogbank.cli.options import HOME, PORT, PROJECT_DIR, Home, Json, Port, ProjectDir
from fogbank.core.errors import InputError

if TYPE_CHECKING:
    from fogbank.ops.capacity import Capacity
    from fogbank.ops.names import Names
    from fogbank.ops.spec import Spec

app = typer.Typer(
    help="How many instances serve, and why: show, set, history, measure, simulate.",
    no_args_is_help=True,
)


@app.command()
def show(
    project_dir: ProjectDir = PROJECT_DIR, json: Json = False, home: Home = HOME, port: Port = PORT
) -> None:
    """Show how the endpoint scales now, and what its target means.

    Application Auto Scaling keeps a metric of each instance near the target. Above it for 3 minutes
    in a row (AlarmHigh), instances are added, as many as bring it back; below 90 % of it for 15
    minutes in a row (AlarmLow), they are taken away again, one at a time. The usual metric is
    invocations a minute and instance: neither requests a second nor requests at a time.

    What is likely to go wrong is said at the end, and where fogbank.yaml says otherwise.
    """
    from fogbank.cli.console import print_json
    from fogbank.cli.scale_view import print_standing
    from fogbank.cli.session import name_project
    from fogbank.core.hosting_prices import hosting_price
    from fogbank.ops.capacity import read_capacity
    from fogbank.ops.instance_quota import read_instance_quota
    from fogbank.ops.scaling_review import remarks
    from fogbank.ops.scaling_standing import observe_standing

    capacity = read_capacity(project_dir)  # a mistake in it is said before a cloud is started
    project = name_project(project_dir, home, port)
    spec, names, aws = project.spec, project.names, project.aws
    standing = observe_standing(aws, names)
    if standing is None:
        raise InputError(f"there is no endpoint {names.endpoint}: `fogbank up` deploys it.")
    price = hosting_price(spec.endpoint.instance_type)
    to_do = _to_do(spec, capacity, names, standing.found)
    quota = read_instance_quota(aws, spec.endpoint.instance_type)
    said = remarks(spec.endpoint, capacity, found=standing.found, quota=quota)
    if json:
        print_json(
            {
                **standing.to_json(),
                "instance_type": spec.endpoint.instance_type,
                "usd_per_hour_and_instance": price.usd_per_hour if price else None,
                "quota": quota.limit,
                "measured": capacity.model_dump() if capacity else None,
                "time_scale": project.cloud.time_scale,
                "to_do": to_do,
                "remarks": list(said),
            }
        )
        return
    print_standing(
        standing,
        instance_type=spec.endpoint.instance_type,
        price=price,
        quota=quota,
        capacity=capacity,
        time_scale=project.cloud.time_scale,
        to_do=to_do,
        remarks=said,
    )


def _to_do(spec: Spec, capacity: Capacity | None, names: Names, found: Any) -> list[str]:
    """What `fogbank scale set` would do."""
    from fogbank.ops.plan import scaling_steps

    steps = scaling_steps(spec.endpoint.scaling, capacity, names, found)
    return [step.message for step in steps]


@app.command("set")
def set_(
    min_: Annotated[
        int | None, typer.Option("--min", help="Never fewer instances.", min=1, max=100)
    ] = None,
    max_: Annotated[
        int | None, typer.Option("--max", help="Never more instances.", min=1, max=100)
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(help="What each instance should have of the metric: a number, or auto."),
    ] = None,
    metric: Annotated[
        str | None,
        typer.Option(
            help="invocations (a minute), concurrency (requests at a time) or cpu (percent)."
        ),
    ] = None,
    scale_in_cooldown: Annotated[
        int | None,
        typer.Option(help="Seconds after a change in which nothing is taken away.", min=0),
    ] = None,
    scale_out_cooldown: Annotated[
        int | None,
        typer.Option(help="Seconds after a scale-out in which only a larger one comes.", min=0),
    ] = None,
    project_dir: ProjectDir = PROJECT_DIR,
    json: Json = False,
    home: Home = HOME,
    port: Port = PORT,
) -> None:
    """Change the scaling: in fogbank.yaml, and then of the endpoint.

    fogbank.yaml says what the project is, so that is where it is changed; its comments stay. With
    no option, what fogbank.yaml says already is applied, as after `fogbank scale measure`. Nothing
    but the scaling is touched; `fogbank up` would do the same and all else.
    """
    from fogbank.cli.console import events
    from fogbank.cli.report import do
    from fogbank.cli.report import show as show_outcome
    from fogbank.cli.session import changing_project
    from fogbank.ops.instance_quota import read_instance_quota
    from fogbank.ops.observe import observe
    from fogbank.ops.outcome import outcome
    from fogbank.ops.plan import plan_scaling
    from fogbank.ops.spec_file import FILE_NAME, read_spec

    path = project_dir / FILE_NAME
    given = {
        "min": min_,
        "max": max_,
        "target": None if target is None else _number_or_auto(target),
        "metric": metric,
        "scale_in_cooldown_s": scale_in_cooldown,
        "scale_out_cooldown_s": scale_out_cooldown,
    }
    values = {name: value for name, value in given.items() if value is not None}
    if values:
        _write(path, values)
        events().print(f"wrote {', '.join(values)} into {path}", style="dim")
    elif read_spec(path).endpoint.scaling is None:
        raise InputError(
            f"{path} has no endpoint.scaling to apply. `fogbank scale set --max 3 --target auto` "
            "writes one."
        )
    with changing_project(project_dir, home, port) as project:
        observed = observe(project.aws, project.blueprint)
        if observed.endpoint is None and values:
            events().print("there is no endpoint yet: `fogbank up` deploys it so", style="dim")
            type_ = project.blueprint.spec.endpoint.instance_type
            quota = read_instance_quota(project.aws, type_)
            show_outcome(outcome(project.blueprint, observed, quota=quota), [], json=json)
            return
        steps = plan_scaling(project.blueprint, observed)
        show_outcome(do(project, steps, observed), steps, json=json)


def _number_or_auto(text: str) -> float | int | str:
    from fogbank.ops.spec_scaling import AUTO

    if text == AUTO:
        return text
    try:
        number = float(text)
    except ValueError:
        raise InputError(f"--target {text}: it is a number or `auto`") from None
    return int(number) if number.is_integer() else number


def _write(path: Path, values: dict[str, Any]) -> None:
    """Into the file, unless that would make it wrong: then nothing is written."""
    from fogbank.ops.spec import Spec
    from fogbank.ops.spec_edit import with_values
    from fogbank.ops.spec_file import parse_yaml, read_spec, read_text

    spec = read_spec(path)
    if spec.endpoint.scaling is None and "target" not in values:
        values = {**values, "target": "auto"}
    text = with_values(read_text(path), ("endpoint", "scaling"), values)
    parse_yaml(text, path, Spec)
    written = path.with_name(f".{path.name}.new")
    written.write_text(text, "utf-8")
    written.replace(path)


@app.command()
def history(
    hours: Annotated[float, typer.Option(help="How far to look back.", min=0.01)] = 24.0,
    not_scaled: Annotated[
        bool,
        typer.Option("--not-scaled", help="Also when a policy acted and nothing could change."),
    ] = False,
    project_dir: ProjectDir = PROJECT_DIR,
    json: Json = False,
    home: Home = HOME,
    port: Port = PORT,
) -> None:
    """Show what the scaling did and why, the oldest first.

    Changes of the two alarms, and the activities that followed with their causes, in one table.
    With --not-scaled also the times when nothing could be done, with AWS's reason: for example
    AlreadyAtMaxCapacity, or a cooldown that runs.
    """
    from datetime import timedelta

    from fogbank.cli.console import print_json
    from fogbank.cli.scale_view import print_history
    from fogbank.cli.session import name_project
    from fogbank.core.clock import SystemClock
    from fogbank.ops.scaling_history import read_history

    project = name_project(project_dir, home, port)
    since = SystemClock().now() - timedelta(hours=hours)
    found = read_history(project.aws, project.names, since, not_scaled=not_scaled)
    if json:
        print_json(
            {
                "endpoint": project.names.endpoint,
                "time_scale": project.cloud.time_scale,
                "events": [event.to_json() for event in found],
            }
        )
        return
    print_history(found, hours, project.cloud.time_scale)


app.command("measure")(scale_measure.measure)
app.command("simulate")(scale_simulate.simulate)
