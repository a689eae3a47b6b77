"""`fogbank cloud start|stop|status|logs`: the local cloud itself."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import Annotated, Any

import typer

from fogbank.cli.options import HOME, PORT, Home, Json, Port

app = typer.Typer(
    help="The local cloud itself: start, stop, status, logs.",
    no_args_is_help=True,
)


@app.command()
def start(
    home: Home = HOME,
    port: Port = PORT,
    account: Annotated[
        str | None,
        typer.Option(help="Account that the cloud stands for.", metavar="ID", show_default=False),
    ] = None,
    region: Annotated[
        str | None,
        typer.Option(help="Region that it stands for.", metavar="REGION", show_default=False),
    ] = None,
) -> None:
    """Start the cloud; returns when it answers. One that runs already is left alone.

    Account and region are 123456789012 and us-east-1 unless told otherwise, also with
    FOGBANK_ACCOUNT and FOGBANK_REGION.
    """
    from fogbank.cli.console import results
    from fogbank.cli.session import cloud_settings, local_cloud

    running, started = local_cloud(home).start(cloud_settings(port, account, region))
    word = "started" if started else "already running"
    results().print(
        f"{word}: {running.url} (pid {running.pid}, engine {running.engine}, folder {running.home})"
    )


@app.command()
def stop(
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    home: Home = HOME,
) -> None:
    """Stop the cloud and everything that runs in it. Its state stays in its folder.

    Endpoints serve again after the next start. Training jobs that run are ended: on a terminal it
    asks first.
    """
    from fogbank.cli.console import events, results
    from fogbank.cli.session import local_cloud
    from fogbank.ops.activity import observe_activity

    cloud = local_cloud(home)
    running = cloud.find()
    activity = observe_activity(cloud.aws(running)) if running else None
    if activity is not None and (activity.running_jobs or activity.running_tunings):
        if activity.running_tunings:
            events().print(
                f"Tuning jobs run: {', '.join(activity.running_tunings)}. They go on after the "
                "next start; those of their training jobs that run now begin again."
            )
        if activity.running_jobs:
            events().print(
                f"Training jobs run: {', '.join(activity.running_jobs)}. After the next start "
                "those with a CheckpointConfig go on from their checkpoints, the others are Failed."
            )
        if not yes and sys.stdin.isatty() and not typer.confirm("Stop the cloud?", err=True):
            raise typer.Exit
    stopped = cloud.stop()
    results().print(
        f"not running (folder {cloud.home})"
        if stopped is None
        else f"stopped: {stopped.url} (pid {stopped.pid}, folder {stopped.home})"
    )


@app.command()
def status(json: Json = False, home: Home = HOME) -> None:
    """Show whether the cloud runs, where it is, and what runs in it. Exit code 4: it does not."""
    from fogbank.cli.console import print_json, results
    from fogbank.cli.exit_codes import ExitCode
    from fogbank.cli.report import Facts
    from fogbank.cli.session import local_cloud
    from fogbank.ops.activity import observe_activity

    cloud = local_cloud(home)
    running = cloud.find()
    if running is None:
        if json:
            print_json({"running": False, "home": str(cloud.home)})
        else:
            results().print(f"not running (folder {cloud.home}); `fogbank cloud start` starts it")
        raise typer.Exit(ExitCode.NOT_RUNNING)
    activity = observe_activity(cloud.aws(running))
    facts: dict[str, Any] = {
        "running": True,
        **asdict(running),
        "home": str(running.home),
        "uptime_s": round(_uptime_s(running.started)),
        "endpoints": activity.endpoints,
        "running_jobs": list(activity.running_jobs),
        "running_tuning_jobs": list(activity.running_tunings),
    }
    if json:
        print_json(facts)
        return
    shown = Facts()
    for name in ("url", "pid", "home", "account", "region", "version", "started"):
        shown.add(name, str(facts[name]))
    shown.add("uptime", f"{facts['uptime_s']} s")
    shown.add("engine", f"{running.engine} ({running.engine_reason})")
    if running.time_scale != 1:
        shown.add(
            "time", f"alarms, cooldowns and metric periods pass {running.time_scale:g} times faster"
        )
    shown.add(
        "endpoints",
        ", ".join(f"{name} ({state})" for name, state in activity.endpoints.items()) or "none",
    )
    shown.add("training jobs", ", ".join(activity.running_jobs) or "none running")
    if activity.running_tunings:
        shown.add("tuning jobs", ", ".join(activity.running_tunings))
    shown.print(results())


def _uptime_s(started: str) -> float:
    from datetime import datetime

    from fogbank.core.clock import SystemClock

    return (SystemClock().now() - datetime.fromisoformat(started)).total_seconds()


@app.command()
def logs(
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on showing what is written.")
    ] = False,
    lines: Annotated[
        int, typer.Option("--lines", "-n", min=0, help="How many to begin with.")
    ] = 50,
    home: Home = HOME,
) -> None:
    """Show the end of the cloud's own log. (Logs of jobs and endpoints are in CloudWatch Logs.)"""
    from fogbank.cli.session import local_cloud
    from fogbank.cli.tail import tail
    from fogbank.core.clock import wait

    for line in tail(local_cloud(home).log_path, lines, follow=follow, pause=wait):
        typer.echo(line)
