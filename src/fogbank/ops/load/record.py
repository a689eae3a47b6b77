"""What a load came to: samples and looks -> seconds, totals, and the JSON file that keeps them."""

from __future__ import annotations

import json
import platform
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from fogbank.ops.load.generator import NOT_SENT, OK, Sample
from fogbank.ops.load.watch import Activity, AlarmChange, Look


@dataclass(frozen=True, slots=True)
class Latency:
    """Percentiles of the answers without an error, in milliseconds; None without any."""

    p50_ms: float | None
    p90_ms: float | None
    p99_ms: float | None
    max_ms: float | None

    @classmethod
    def of(cls, samples: Iterable[Sample]) -> Latency:
        """Nearest rank."""
        values = sorted(sample.latency_s * 1000 for sample in samples if sample.error == OK)
        if not values:
            return cls(None, None, None, None)

        def rank(percent: int) -> float:
            return round(values[max(0, -(-len(values) * percent // 100) - 1)], 3)

        return cls(rank(50), rank(90), rank(99), round(values[-1], 3))


@dataclass(frozen=True, slots=True)
class Second:
    """The requests that were due in one second."""

    at_s: int
    due: int
    errors: int
    latency: Latency


def seconds(samples: Iterable[Sample]) -> list[Second]:
    """Second by second, those without a request left out."""
    by_second: defaultdict[int, list[Sample]] = defaultdict(list)
    for sample in samples:
        by_second[int(sample.due_s)].append(sample)
    return [
        Second(
            at_s=at_s,
            due=len(group),
            errors=sum(sample.error != OK for sample in group),
            latency=Latency.of(group),
        )
        for at_s, group in sorted(by_second.items())
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What the endpoint was scaled by. Cooldowns are seconds of its rules, before time_scale."""

    minimum: int
    maximum: int
    target: float
    metric: str
    out_cooldown_s: float
    in_cooldown_s: float


@dataclass(frozen=True, slots=True)
class Cooldown:
    """side: `out` after a scale-out. begin_s, end_s: since the start of the load."""

    side: Literal["out", "in"]
    begin_s: float
    end_s: float


@dataclass(frozen=True, kw_only=True)
class LoadRecord:
    """what: what was asked. settings: how, as the command had it. time_scale: of the cloud's
    rules; 1 is real time."""

    what: str
    settings: dict[str, Any]
    started: str
    duration_s: float
    time_scale: float
    samples: Sequence[Sample]
    looks: Sequence[Look]
    activities: Sequence[Activity]
    alarm_changes: Sequence[AlarmChange] = ()
    policy: Policy | None = None
    """None where the endpoint was not scaled."""
    unseen: Sequence[str] = ()
    """What could not be looked at meanwhile, and why: instances, alarms or activities may be
    missing."""

    @property
    def cooldowns(self) -> list[Cooldown]:
        """After each activity that succeeded, in seconds of this load."""
        if self.policy is None:
            return []
        found, before = [], self.looks[0].desired if self.looks else 0
        for activity in self.activities:
            if activity.count is None or activity.ended_s is None:
                continue
            if activity.status != "Successful":
                continue
            grew, before = activity.count > before, activity.count
            length_s = self.policy.out_cooldown_s if grew else self.policy.in_cooldown_s
            end_s = activity.ended_s + length_s / self.time_scale
            found.append(Cooldown("out" if grew else "in", activity.ended_s, end_s))
        return found

    @property
    def errors(self) -> dict[str, int]:
        """How many of each code."""
        counted = Counter(sample.error for sample in self.samples if sample.error != OK)
        return dict(counted.most_common())

    @property
    def latency(self) -> Latency:
        return Latency.of(self.samples)

    @property
    def num_not_sent(self) -> int:
        return self.errors.get(NOT_SENT, 0)

    @property
    def instances(self) -> tuple[int, int] | None:
        """(fewest, most) that served; None where nobody could look."""
        serving = [look.serving for look in self.looks]
        return (min(serving), max(serving)) if serving else None

    def to_json(self) -> dict[str, Any]:
        """Everything but the single requests: those are gathered by the second."""
        return {
            "what": self.what,
            "started": self.started,
            "settings": self.settings,
            "time_scale": self.time_scale,
            "duration_s": round(self.duration_s, 3),
            "requests": len(self.samples),
            "requests_per_s": round(len(self.samples) / self.duration_s, 3)
            if self.duration_s
            else 0.0,
            "errors": self.errors,
            "latency": asdict(self.latency),
            "instances": dict(zip(("fewest", "most"), self.instances, strict=True))
            if self.instances
            else None,
            "machine": {"platform": platform.platform(), "python": platform.python_version()},
            "fogbank": version("fogbank"),
            "seconds": [asdict(second) for second in seconds(self.samples)],
            "looks": [asdict(look) for look in self.looks],
            "activities": [asdict(activity) for activity in self.activities],
            "alarm_changes": [asdict(change) for change in self.alarm_changes],
            "policy": asdict(self.policy) if self.policy else None,
            "cooldowns": [asdict(cooldown) for cooldown in self.cooldowns],
            "unseen": list(self.unseen),
        }

    def write(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(self.to_json(), indent=1) + "\n")
