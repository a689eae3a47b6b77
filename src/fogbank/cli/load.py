"""`fogbank load`: what the endpoint does under load."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fogbank.cli.options import HOME, PORT, PROJECT_DIR, Home, Json, Port, ProjectDir
from fogbank.core.errors import InputError

if TYPE_CHECKING:
    from fogbank.cli.session import Project
    from fogbank.ops.load.profile import Profile
    from fogbank.ops.load.record import LoadRecord, Policy

MAX_REQUESTS = 100_000
MAX_DURATION_S = 6 * 3600


def load(
    profile: Annotated[
        str,
        typer.Option(help="constant, ramp, step, spike, day, hourly, or a file of recorded times."),
    ] = "constant",
    rate: Annotated[float, typer.Option(help="Requests a second, at the quiet times.")] = 2.0,
    peak: Annotated[
        float | None, typer.Option(help="Requests a second at the peak. [default: 5 x the rate]")
    ] = None,
    duration: Annotated[float, typer.Option(help="Seconds.", max=MAX_DURATION_S)] = 60.0,
    through: Annotated[
        str, typer.Option(help="What is asked: the endpoint, or the function in front of it.")
    ] = "endpoint",
    pictures: Annotated[
        Path | None,
        typer.Option(help="A picture or a folder of them. [default: the project's test pictures]"),
    ] = None,
    evenly: Annotated[
        bool, typer.Option("--evenly", help="At even distances instead of at random ones.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Of the random times.")] = 0,
    max_requests: Annotated[
        int, typer.Option(help="No more than so many requests.", min=1, max=10_000_000)
    ] = MAX_REQUESTS,
    project_dir: ProjectDir = PROJECT_DIR,
    json: Json = False,
    home: Home = HOME,
    port: Port = PORT,
) -> None:
    """Ask the project's endpoint again and again, and show how it holds up.

    Requests leave when they are due, whatever becomes of those before (an open loop), as those of
    many people would; latency counts from then. Instances, alarms and scaling activities are
    looked at meanwhile. The record and a picture of it go to the folder `report`. Ctrl-C ends the
    load early and keeps what there is.

    `FOGBANK_TIME_SCALE=60 fogbank cloud start` lets alarms and cooldowns pass 60 times faster, so
    that a scaling policy can be watched in minutes.
    """
    from fogbank.cli.console import events, print_json, results
    from fogbank.cli.report import Facts
    from fogbank.ops.load.profile import read_profile

    if through not in ("endpoint", "function"):
        raise InputError(f"--through {through}: it is `endpoint` or `function`")
    chosen = read_profile(profile, rate, peak, duration)
    if chosen.duration_s > MAX_DURATION_S:
        raise InputError(f"{profile} takes {chosen.duration_s:.0f} s: {MAX_DURATION_S} at most")
    settings = {
        "profile": profile,
        "rate_per_s": rate,
        "peak_per_s": chosen.peak_per_s,
        "duration_s": chosen.duration_s,
        "evenly": evenly,
        "seed": seed,
        "max_requests": max_requests,
    }
    record = _run(chosen, settings, through, pictures, project_dir, home, port)
    files = _write(record, project_dir / "report")
    if json:
        print_json({**record.to_json(), "files": [str(file) for file in files]})
        return
    latency, facts = record.latency, Facts()
    facts.add(
        "asked", f"{record.what}, {len(record.samples)} requests in {record.duration_s:.0f} s"
    )
    if latency.p50_ms is not None:
        facts.add(
            "latency",
            f"p50 {latency.p50_ms:.1f} ms, p90 {latency.p90_ms:.1f} ms, p99 "
            f"{latency.p99_ms:.1f} ms, max {latency.max_ms:.1f} ms",
        )
    shown = ", ".join(f"{number} {code}" for code, number in record.errors.items())
    facts.add("errors", shown or "none")
    facts.add("instances", _instances(record))
    for activity in record.activities:
        facts.add(f"after {activity.started_s:.0f} s", f"{activity.description} {activity.status}")
    if record.time_scale != 1:
        facts.add(
            "time", f"alarms and cooldowns passed {record.time_scale:g} times faster than on AWS"
        )
    facts.add("kept in", ", ".join(str(file) for file in files))
    facts.print(results())
    if len(record.samples) == max_requests:
        events().print(f"It ended with the {max_requests} requests that --max-requests allows.")
    if record.num_not_sent:
        events().print(
            f"{record.num_not_sent} requests were not sent: too many waited for an answer. Lower "
            "the rate, or give the endpoint more instances."
        )
    for why in record.unseen:
        events().print(f"The load went on, but {why}", style="yellow")


def _instances(record: LoadRecord) -> str:
    if record.instances is None:
        return "unknown"
    fewest, most = record.instances
    return f"{fewest}" if fewest == most else f"{fewest} to {most}"


def _run(
    profile: Profile,
    settings: dict[str, Any],
    through: str,
    pictures: Path | None,
    project_dir: Path,
    home: Path,
    port: int,
) -> LoadRecord:
    import asyncio
    from itertools import islice

    from fogbank.cli.load_view import LoadView
    from fogbank.cli.session import open_project
    from fogbank.core.clock import SystemClock
    from fogbank.core.errors import WorldError
    from fogbank.ops.load.generator import Sample, generate
    from fogbank.ops.load.profile import arrivals
    from fogbank.ops.load.record import LoadRecord
    from fogbank.ops.load.sender import EndpointSender, FunctionSender, Sender
    from fogbank.ops.load.targets import local_only, sample_pictures
    from fogbank.ops.load.watch import Activity, AlarmChange, Watch

    project = open_project(project_dir, home, port)
    local_only(project.cloud.url)
    names, clock = project.blueprint.names, SystemClock()
    chosen = sample_pictures(pictures or project_dir / project.blueprint.spec.data.path)
    sender: Sender = (
        EndpointSender(project.aws, names.endpoint, chosen)
        if through == "endpoint"
        else FunctionSender(project.aws, names.function, chosen)
    )
    watch = Watch(project.aws, names.endpoint, clock)
    if watch.look() is None:
        raise InputError(f"there is no endpoint {names.endpoint}: `fogbank up` deploys it")
    if through == "function" and not _answers(project):
        raise InputError(
            f"there is no function {names.function}: `fogbank function deploy` makes it"
        )
    policy = _policy(project)
    samples: list[Sample] = []
    times = islice(
        arrivals(profile, seed=settings["seed"], evenly=settings["evenly"]),
        settings["max_requests"],
    )

    async def both(view: LoadView) -> None:
        looking = asyncio.create_task(watch.run(view.saw))

        def done(sample: Sample) -> None:
            samples.append(sample)
            view.answered(sample)

        try:
            await generate(times, sender.send, clock, done=done)
        finally:
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)
            await sender.close()

    begin_s = clock.monotonic_s()
    view = LoadView(sender.what, profile.duration_s, clock, time_scale=project.cloud.time_scale)
    with contextlib.suppress(KeyboardInterrupt), view:  # what has been measured is kept
        asyncio.run(both(view))
    duration_s = clock.monotonic_s() - begin_s
    activities: list[Activity] = []
    changes: list[AlarmChange] = []
    unseen = list(dict.fromkeys(watch.failures))
    try:
        activities, changes = watch.activities(), watch.alarm_changes()
    except WorldError as error:  # it would be a pity about the rest
        unseen.append(str(error))
    return LoadRecord(
        what=sender.what,
        settings=settings,
        started=watch.started.isoformat(timespec="seconds"),
        duration_s=duration_s,
        time_scale=project.cloud.time_scale,
        samples=samples,
        looks=watch.looks,
        activities=activities,
        alarm_changes=changes,
        policy=policy,
        unseen=unseen,
    )


def _answers(project: Project) -> bool:
    """Whether there is a function to ask."""
    from fogbank.aws import existing

    function = project.blueprint.names.function
    return existing(project.aws.lambda_.get_function, FunctionName=function) is not None


def _policy(project: Project) -> Policy | None:
    """What the endpoint is scaled by."""
    from fogbank.ops.kinds import scaling
    from fogbank.ops.load.record import Policy

    found = scaling.observe(project.aws, project.blueprint.names.endpoint)
    if found is None or found.config is None:
        return None
    return Policy(
        minimum=found.minimum,
        maximum=found.maximum,
        target=found.config["TargetValue"],
        metric=found.metric or "",
        out_cooldown_s=found.config.get("ScaleOutCooldown", scaling.DEFAULT_COOLDOWN_S),
        in_cooldown_s=found.config.get("ScaleInCooldown", scaling.DEFAULT_COOLDOWN_S),
    )


def _write(record: LoadRecord, folder: Path) -> list[Path]:
    """The record, and the picture where Matplotlib is installed."""
    from importlib.util import find_spec

    from fogbank.cli.console import events

    stamp = record.started.replace(":", "").replace("-", "").partition("+")[0]
    path = folder / f"load-{stamp}.json"
    record.write(path)
    if find_spec("matplotlib") is None:
        events().print("pip install 'fogbank[plots]' draws a picture of it, too.", style="dim")
        return [path]
    from fogbank.ops.load.plot import draw

    picture = path.with_suffix(".png")
    picture.write_bytes(draw(record))
    return [path, picture]
