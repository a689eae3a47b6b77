"""Several targets side by side, under one load: what each would do, cost and miss. Pure.

In: the plan of a policy, its targets, a load. Out: one row a target, and what is worth a remark.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from fogbank.ops.load.profile import Profile, Trace
from fogbank.planner.scaling_simulation import (
    MINUTE_S,
    LoadPerS,
    ScalingPlan,
    Simulation,
    simulate,
)


@dataclass(frozen=True, kw_only=True)
class Row:
    """One target. usd: None where the price of an instance is unknown. minutes_overloaded: in which
    instances got more than one was measured to sustain; None where that was not measured."""

    simulation: Simulation
    usd: float | None
    minutes_overloaded: int | None

    @property
    def target(self) -> float:
        return self.simulation.plan.target

    def to_json(self) -> dict[str, Any]:
        found = self.simulation
        return {
            "target": self.target,
            "activities": [
                {"at_s": change.at_s, "from": change.before, "to": change.after}
                for change in found.changes
            ],
            "instance_hours": round(found.instance_hours, 4),
            "most_instances": max(found.instances),
            "minutes_above_target": found.minutes_above_target,
            "minutes_overloaded": self.minutes_overloaded,
            "usd": None if self.usd is None else round(self.usd, 4),
            "instances": list(found.instances),
        }


def compare(
    plan: ScalingPlan,
    targets: Sequence[float],
    load_per_s: LoadPerS,
    *,
    minutes: int,
    usd_per_hour: float | None = None,
    sustained_per_s: float | None = None,
) -> list[Row]:
    """A row for each target, in order.

    sustained_per_s: the highest rate that one instance can do, where it was measured.
    """
    return [
        _row(
            simulate(replace(plan, target=target), load_per_s, minutes=minutes),
            usd_per_hour,
            sustained_per_s,
        )
        for target in targets
    ]


def _row(found: Simulation, usd_per_hour: float | None, sustained_per_s: float | None) -> Row:
    return Row(
        simulation=found,
        usd=None if usd_per_hour is None else found.instance_hours * usd_per_hour,
        minutes_overloaded=None
        if sustained_per_s is None
        else found.minutes_above(sustained_per_s * MINUTE_S),
    )


def load_of(profile: Profile) -> LoadPerS:
    """What `simulate` asks once a minute: the rate of a shape then, or how many of the requests of
    a trace are in that minute."""
    if not isinstance(profile, Trace):
        return profile.rate_per_s
    trace = profile

    def of_trace(at_s: float) -> float:
        begin_s = math.floor(at_s / MINUTE_S) * MINUTE_S
        return trace.num_between(begin_s, begin_s + MINUTE_S) / MINUTE_S

    return of_trace


def remarks(rows: Sequence[Row], peak_per_s: float) -> list[str]:
    """What the figures mean, where they mean something to act upon."""
    found = []
    for row in rows:
        plan = row.simulation.plan
        most_per_s = plan.maximum * plan.target / MINUTE_S
        if most_per_s < peak_per_s:
            found.append(
                f"target {plan.target:g}: with at most {plan.maximum} instances it is kept up to "
                f"{most_per_s:.3g} requests a second, and the peak is {peak_per_s:.3g}."
            )
        if row.minutes_overloaded:
            found.append(
                f"target {plan.target:g}: in {row.minutes_overloaded} minutes an instance would "
                f"get more than it can do. Instances come {plan.start_s:.0f} s after they are "
                "asked for, and the alarm takes 3 minutes to ask: raise min, or schedule it "
                "before the load comes."
            )
    still = next((row for row in rows if not row.simulation.changes), None)
    busy = [row for row in rows if row.simulation.changes]
    if still is not None and busy and not still.minutes_overloaded:
        most = max(busy, key=lambda row: row.simulation.instance_hours)
        more = most.simulation.instance_hours / still.simulation.instance_hours - 1
        if more >= 0.1:
            found.append(
                f"target {most.target:g} needs {more:.0%} more instance-hours than "
                f"{still.target:g}, which never adds an instance"
                + (
                    " and is never overloaded."
                    if still.minutes_overloaded == 0
                    else ". Whether one instance can do that, `fogbank scale measure` finds out."
                )
            )
    return found
