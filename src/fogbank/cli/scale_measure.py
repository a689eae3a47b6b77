"""`fogbank scale measure`: what one instance sustains."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fogbank.cli.options import HOME, PORT, PROJECT_DIR, Home, Json, Port, ProjectDir
from fogbank.core.errors import InputError

if TYPE_CHECKING:
    from fogbank.cli.session import Project
    from fogbank.ops.load.measure import Round


def measure(
    latency_limit_ms: Annotated[
        float, typer.Option(help="Nine of ten answers have to come within it.", min=1)
    ] = 500.0,
    max_rate: Annotated[
        float, typer.Option(help="Ask for no more requests a second.", min=0.1, max=2000)
    ] = 500.0,
    pictures: Annotated[
        Path | None,
        typer.Option(help="A picture or a folder of them. [default: the project's test pictures]"),
    ] = None,
    project_dir: ProjectDir = PROJECT_DIR,
    json: Json = False,
    home: Home = HOME,
    port: Port = PORT,
) -> None:
    """Find out how many requests a second one instance sustains.

    Asks the endpoint for some seconds at each of rising rates, until answers come too late, fail or
    pile up; then between the last two. What was found goes to capacity.yaml, and with `target:
    auto` the target becomes what AWS advises: that x 0.5 x 60, invocations a minute. Scaling is
    suspended meanwhile. Where several instances serve, each is taken to do its share.

    What this machine sustains is not what AWS's instances do: measure there before you rely on it
    there. On a local cloud, all instances share this machine's processors.
    """
    from fogbank.cli.console import events, print_json
    from fogbank.cli.scale_view import print_capacity, round_line
    from fogbank.cli.session import changing_project
    from fogbank.core.errors import WorldError
    from fogbank.ops.capacity import Capacity, write_capacity
    from fogbank.ops.load.measure import best

    with changing_project(project_dir, home, port) as project:
        endpoint = project.blueprint.spec.endpoint
        num_instances, rounds = _measure(
            project,
            pictures,
            latency_limit_ms,
            max_rate,
            lambda each: events().print(round_line(each), style="dim"),
        )
        found = best(rounds)
        if found is None or found.p90_ms is None:
            why = f"{rounds[-1].too_much} at {rounds[-1].rate_per_s:.2g} a second" if rounds else ""
            raise WorldError(
                f"no rate was sustained ({why or 'single requests fail'}). "
                + (
                    "Allow more with --latency-limit-ms, or take a faster instance_type."
                    if rounds
                    else "`fogbank invoke` shows how they fail."
                )
            )
        capacity = Capacity(
            max_requests_per_s=round(found.rate_per_s / num_instances, 3),
            latency_limit_ms=latency_limit_ms,
            p90_ms=found.p90_ms,
            instance_type=endpoint.instance_type,
        )
        path = write_capacity(project.folder, capacity)
    if json:
        from dataclasses import asdict

        print_json(
            {
                **capacity.model_dump(),
                "instances": num_instances,
                "rounds": [asdict(each) for each in rounds],
                "is_lower_bound": not any(each.too_much for each in rounds),
                "file": str(path),
            }
        )
        return
    print_capacity(capacity, rounds, num_instances, endpoint.scaling, path)


def _measure(
    project: Project,
    pictures: Path | None,
    latency_limit_ms: float,
    max_rate: float,
    told: Callable[[Round], None],
) -> tuple[int, list[Round]]:
    """(how many instances served, the rounds)"""
    import asyncio

    from fogbank.cli.console import events
    from fogbank.core.clock import SystemClock
    from fogbank.ops.kinds import scaling
    from fogbank.ops.load.measure import measure
    from fogbank.ops.load.sender import EndpointSender
    from fogbank.ops.load.targets import local_only, sample_pictures
    from fogbank.ops.load.watch import Watch
    from fogbank.ops.scaling_pause import scaling_paused

    local_only(project.aws.url)
    names, clock = project.blueprint.names, SystemClock()
    chosen = sample_pictures(pictures or project.folder / project.blueprint.spec.data.path)
    watch = Watch(project.aws, names.endpoint, clock)

    async def rounds() -> list[Round]:
        sender = EndpointSender(project.aws, names.endpoint, chosen)
        try:
            return await measure(
                sender.send,
                clock,
                latency_limit_ms=latency_limit_ms,
                max_per_s=max_rate,
                done=told,
            )
        finally:
            await sender.close()

    scaled = scaling.observe(project.aws, names.endpoint)
    if scaled is not None and scaled.before_pause is not None:
        events().print(
            f"an earlier `fogbank scale measure` was killed: {names.endpoint} will scale again "
            "when this one has ended"
        )
    with scaling_paused(project.aws, scaled):
        before = watch.look()
        if before is None:
            raise InputError(f"there is no endpoint {names.endpoint}: `fogbank up` deploys it.")
        if before.serving != before.desired or before.serving == 0:
            raise InputError(
                f"{before.serving} of {before.desired} instances serve: measure when their number "
                "has settled (`fogbank scale show`)."
            )
        events().print(
            f"asking {names.endpoint} at rising rates; "
            + ("1 instance serves" if before.serving == 1 else f"{before.serving} instances serve"),
            style="dim",
        )
        found = asyncio.run(rounds())
        after = watch.look()
    if after is None or after.serving != before.serving:
        raise InputError(
            "the number of instances changed while they were measured: nothing was written. Give "
            "the same command again."
        )
    return before.serving, found
