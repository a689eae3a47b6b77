"""`fogbank scale simulate`: targets compared in virtual time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fogbank.cli.options import PROJECT_DIR, Json, ProjectDir
from fogbank.core.errors import InputError

if TYPE_CHECKING:
    from fogbank.ops.capacity import Capacity
    from fogbank.ops.spec import Endpoint
    from fogbank.planner.scaling_comparison import Row
    from fogbank.planner.scaling_simulation import LoadPerS

REPORT_FOLDER = "report"


def simulate(
    target: Annotated[
        list[float] | None,
        typer.Option(
            help="Invocations a minute and instance; give it several times to compare. [default: "
            "the project's own, and 10, 25 and 120]",
        ),
    ] = None,
    profile: Annotated[
        str,
        typer.Option(
            help="hourly (high for ten minutes of each hour), constant, ramp, step, spike, day, or "
            "a file of recorded times."
        ),
    ] = "hourly",
    rate: Annotated[float, typer.Option(help="Requests a second, at the quiet times.")] = 0.1,
    peak: Annotated[float, typer.Option(help="Requests a second at the peak.")] = 1.0,
    hours: Annotated[float, typer.Option(help="How long.", min=0.1, max=24 * 31)] = 6.0,
    min_: Annotated[
        int | None, typer.Option("--min", min=1, max=100, help="[default: the project's, or 1]")
    ] = None,
    max_: Annotated[
        int | None, typer.Option("--max", min=1, max=100, help="[default: the project's, or 3]")
    ] = None,
    scale_in_cooldown: Annotated[
        int | None, typer.Option(min=0, help="Seconds. [default: the project's, or 300]")
    ] = None,
    scale_out_cooldown: Annotated[
        int | None, typer.Option(min=0, help="Seconds. [default: the project's, or 300]")
    ] = None,
    start: Annotated[
        float,
        typer.Option(
            min=0,
            max=7200,
            help="Seconds from asking for an instance to its first request; on AWS 180 to 480.",
        ),
    ] = 300.0,
    project_dir: ProjectDir = PROJECT_DIR,
    json: Json = False,
) -> None:
    """Compare targets under a load, in no time and without a cloud.

    The rules are those that the local cloud scales by, run on a virtual clock: alarms, cooldowns
    and steps as on AWS, CloudWatch a minute late. It shows what each target would do: activities,
    instance-hours and what they cost, minutes above the target. Settings that are not given come
    from fogbank.yaml where there is one. A picture goes to the folder `report`.
    """
    from fogbank.cli.console import print_json
    from fogbank.cli.scale_view import print_comparison
    from fogbank.core.hosting_prices import hosting_price
    from fogbank.ops.capacity import read_capacity
    from fogbank.ops.load.profile import read_profile
    from fogbank.ops.spec_scaling import Scaling
    from fogbank.planner.scaling_comparison import compare, load_of, remarks
    from fogbank.planner.scaling_simulation import ScalingPlan

    endpoint, capacity = _endpoint(project_dir), read_capacity(project_dir)
    own = endpoint.scaling or Scaling()

    def chosen(given: int | None, otherwise: int) -> int:
        return otherwise if given is None else given

    targets = target or _targets(endpoint, capacity)
    if min(targets) <= 0:
        raise InputError(f"--target {min(targets):g}: it has to be greater than 0")
    plan = ScalingPlan(
        target=targets[0],
        minimum=chosen(min_, own.min),
        maximum=chosen(max_, own.max),
        in_cooldown_s=chosen(scale_in_cooldown, own.scale_in_cooldown_s),
        out_cooldown_s=chosen(scale_out_cooldown, own.scale_out_cooldown_s),
        start_s=start,
    )
    if plan.minimum > plan.maximum:
        raise InputError(f"min {plan.minimum} is more than max {plan.maximum}")
    shape = read_profile(profile, rate, peak, hours * 3600)
    load = load_of(shape)
    price = hosting_price(endpoint.instance_type)
    rows = compare(
        plan,
        targets,
        load,
        minutes=max(1, round(hours * 60)),
        usd_per_hour=price.usd_per_hour if price else None,
        sustained_per_s=capacity.max_requests_per_s if capacity else None,
    )
    said = remarks(rows, shape.peak_per_s)
    picture = _picture(rows, load, project_dir / REPORT_FOLDER)
    if json:
        print_json(
            {
                "profile": profile,
                "hours": hours,
                "min": plan.minimum,
                "max": plan.maximum,
                "scale_in_cooldown_s": plan.in_cooldown_s,
                "scale_out_cooldown_s": plan.out_cooldown_s,
                "start_s": plan.start_s,
                "instance_type": endpoint.instance_type,
                "usd_per_hour_and_instance": price.usd_per_hour if price else None,
                "targets": [row.to_json() for row in rows],
                "remarks": said,
                "picture": str(picture) if picture else None,
            }
        )
        return
    print_comparison(rows, endpoint.instance_type, price, said, picture)


def _endpoint(project_dir: Path) -> Endpoint:
    """Of the project, or all defaults where there is none."""
    from fogbank.ops.spec import Endpoint
    from fogbank.ops.spec_file import FILE_NAME, read_spec

    path = project_dir / FILE_NAME
    return read_spec(path).endpoint if path.exists() else Endpoint()


def _targets(endpoint: Endpoint, capacity: Capacity | None) -> list[float]:
    """The project's, where it counts invocations and is known, and some to compare it with."""
    from fogbank.ops.scaling_review import target_of

    scaling, found = endpoint.scaling, {10.0, 25.0, 120.0}
    if scaling is not None and scaling.metric == "invocations":
        own = target_of(scaling, capacity)
        found |= set() if own is None else {own}
    return sorted(found)


def _picture(rows: Sequence[Row], load: LoadPerS, folder: Path) -> Path | None:
    """None where Matplotlib is not installed."""
    from importlib.util import find_spec

    from fogbank.cli.console import events

    if find_spec("matplotlib") is None:
        events().print("pip install 'fogbank[plots]' draws a picture of it, too.", style="dim")
        return None
    from fogbank.planner.scaling_picture import draw

    path = folder / "scaling-simulation.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(draw(rows, load))
    return path
