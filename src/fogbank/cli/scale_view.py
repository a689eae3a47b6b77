"""What `fogbank scale` shows people: how it stands, what happened, what was measured or
simulated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.text import Text

from fogbank.cli.console import printable, results
from fogbank.cli.report import Facts
from fogbank.core.hosting_prices import HostingPrice
from fogbank.ops.capacity import Capacity
from fogbank.ops.instance_quota import InstanceQuota
from fogbank.ops.kinds.scaling import DEFAULT_COOLDOWN_S
from fogbank.ops.load.measure import Round
from fogbank.ops.scaling_history import Event
from fogbank.ops.scaling_review import SAFETY_FACTOR, meaning
from fogbank.ops.scaling_standing import Standing
from fogbank.ops.spec_scaling import AUTO, Scaling
from fogbank.planner.scaling_comparison import Row

_STATES = {"ALARM": "red", "OK": "green", "INSUFFICIENT_DATA": "yellow"}


def print_standing(
    standing: Standing,
    *,
    instance_type: str,
    price: HostingPrice | None,
    quota: InstanceQuota,
    capacity: Capacity | None,
    time_scale: float,
    to_do: Sequence[str],
    remarks: Sequence[str],
) -> None:
    facts, found = Facts(), standing.found
    facts.add("endpoint", f"{standing.endpoint} ({standing.status})")
    facts.add(
        "instances",
        f"{standing.serving} of {standing.desired} {_serve(standing.desired)} ({instance_type})",
    )
    if found is None:
        facts.add("scaling", "none: the number of instances stays as it is")
    else:
        facts.add("bounds", f"{found.minimum} to {found.maximum} instances")
        if found.target is None:
            facts.add("policy", "none: instances change by schedule only")
        else:
            facts.add(
                "target",
                meaning(found.metric, found.target, minimum=found.minimum, maximum=found.maximum),
            )
    for alarm in standing.alarms:
        above = "above" if alarm.side == "AlarmHigh" else "below"
        words = Text(f"{alarm.state}", style=_STATES.get(alarm.state, ""))
        words.append(
            f" since {_moment(alarm.since)}; {alarm.num_periods} periods of {alarm.period_s} s in "
            f"a row {above} {alarm.threshold:g}",
            style="default",
        )
        facts.add(alarm.side, words)
    if found is not None and found.config is not None:
        facts.add(
            "cooldowns",
            f"{found.config.get('ScaleOutCooldown', DEFAULT_COOLDOWN_S)} s after a scale-out, "
            f"{found.config.get('ScaleInCooldown', DEFAULT_COOLDOWN_S)} s after a scale-in",
        )
    for name, action in (found.schedule if found else {}).items():
        facts.add("schedule", f"{name}: {action['Schedule']} {_bounds(action)}")
    if found is not None and found.suspended:
        facts.add("suspended", Text(", ".join(found.suspended), style="yellow"))
    facts.add("cost", _cost(standing, price, instance_type))
    if quota.limit is not None:
        facts.add("quota", f"{quota.limit} {instance_type} for all endpoints of the account")
    if capacity is not None:
        facts.add("measured", _measured(capacity))
    if time_scale != 1:
        facts.add("time", f"alarms and cooldowns pass {time_scale:g} times faster than on AWS")
    console = results()
    facts.print(console)
    if to_do:
        console.print("\nfogbank.yaml says otherwise. `fogbank scale set` would:")
        for message in to_do:
            console.print(f"  {message}")
    _print_remarks(remarks)


def _serve(desired: int) -> str:
    return "instance serves" if desired == 1 else "instances serve"


def _bounds(action: Mapping[str, Any]) -> str:
    bounds = action.get("ScalableTargetAction", {})
    told = [
        f"{word} {bounds[name]}"
        for name, word in (("MinCapacity", "min"), ("MaxCapacity", "max"))
        if name in bounds
    ]
    return ", ".join(told)


def _cost(standing: Standing, price: HostingPrice | None, instance_type: str) -> str:
    if price is None:
        return f"unknown: there is no price of {instance_type} here"
    found = standing.found
    least, most = (found.minimum, found.maximum) if found else (standing.desired, standing.desired)
    each = price.usd_per_hour
    if least == most:
        return f"{each * least:.3f} USD an hour on AWS (an instance: {price})"
    return (
        f"{each * least:.3f} USD an hour on AWS with {least}, {each * most:.3f} with {most} "
        f"(an instance: {price})"
    )


def _measured(capacity: Capacity) -> str:
    return (
        f"one instance sustains {capacity.max_requests_per_s:.3g} requests a second (p90 "
        f"{capacity.p90_ms:.0f} ms, limit {capacity.latency_limit_ms:g} ms, "
        f"{capacity.instance_type})"
    )


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}"


def _print_remarks(remarks: Sequence[str]) -> None:
    console = results()
    if remarks:
        console.print()
    for remark in remarks:
        console.print(f"- {remark}")


def print_history(events: Sequence[Event], hours: float, time_scale: float) -> None:
    console = results()
    if not events:
        console.print(f"Nothing happened in the last {hours:g} hours.")
        return
    for event in events:
        line = Text(f"{_moment(event.at)}  ")
        line.append(printable(event.what), style="bold" if event.kind == "activity" else "default")
        if event.status:
            took = f", {event.seconds:.0f} s" if event.seconds is not None else ""
            line.append(f" {event.status}{took}")
        console.print(line)
        console.print(Text(f"{' ' * 21}{printable(event.detail)}", style="dim"))
    if time_scale != 1:
        console.print(f"\nAlarms and cooldowns pass {time_scale:g} times faster than on AWS.")


def round_line(found: Round) -> str:
    """4.00 a second: p50 210 ms, p90 290 ms"""
    line = f"{found.rate_per_s:8.2f} a second: "
    if found.p50_ms is not None:
        line += f"p50 {found.p50_ms:.0f} ms"
    if found.p90_ms is not None:
        line += f", p90 {found.p90_ms:.0f} ms"
    return line + (f"  {found.too_much}" if found.too_much else "")


def print_capacity(
    capacity: Capacity,
    rounds: Sequence[Round],
    num_instances: int,
    scaling: Scaling | None,
    path: Path,
) -> None:
    facts = Facts()
    facts.add("sustained", _measured(capacity))
    if num_instances > 1:
        facts.add("", f"a share of what {num_instances} instances did together")
    limit = next((each for each in reversed(rounds) if each.too_much), None)
    facts.add(
        "limit",
        f"at {limit.rate_per_s:.3g} a second: {limit.too_much}"
        if limit
        else "not reached: at least that (--max-rate asks for more)",
    )
    advised = capacity.max_requests_per_s * SAFETY_FACTOR * 60
    facts.add(
        "target",
        f"{advised:.4g} invocations a minute and instance: {capacity.max_requests_per_s:.3g} a "
        f"second x {SAFETY_FACTOR:g} x 60",
    )
    facts.add("kept in", str(path))
    console = results()
    facts.print(console)
    if scaling is None:
        console.print("\nNext: fogbank scale set --max 3 --target auto", style="dim")
    elif scaling.target == AUTO:
        console.print("\nNext: fogbank scale set", style="dim")


def _lines(rows: Sequence[Row]) -> list[str]:
    """A heading and a line a target. Plain text, so that a pipe gets all of it."""
    measured = any(row.minutes_overloaded is not None for row in rows)
    names = ["target", "activities", "instance-hours", "most instances", "minutes above target"]
    names += [*(["minutes overloaded"] if measured else []), "USD"]
    cells = [
        [
            f"{row.target:g}",
            f"{len(row.simulation.changes)}",
            f"{row.simulation.instance_hours:.1f}",
            f"{max(row.simulation.instances)}",
            f"{row.simulation.minutes_above_target}",
            *([f"{row.minutes_overloaded}"] if measured else []),
            "unknown" if row.usd is None else f"{row.usd:.2f}",
        ]
        for row in rows
    ]
    widths = [max(map(len, column)) for column in zip(names, *cells, strict=True)]
    return [
        "  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True))
        for line in (names, *cells)
    ]


def print_comparison(
    rows: Sequence[Row],
    instance_type: str,
    price: HostingPrice | None,
    remarks: Sequence[str],
    picture: Path | None,
) -> None:
    console = results()
    for number, line in enumerate(_lines(rows)):
        console.print(Text(line, style="default" if number else "bold"))
    facts = Facts()
    facts.add("instance", f"{instance_type}, {price or 'of an unknown price'}")
    if picture is not None:
        facts.add("picture", str(picture))
    console.print()
    facts.print(console)
    _print_remarks(remarks)
