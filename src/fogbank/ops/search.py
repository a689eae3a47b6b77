"""What a tuning job has tried and found: facts and what follows from them. Pure.

Comes in: what a tuning job's description and list of training jobs say. Goes out: the trials in
order, the best of them, and the axes on which they lie.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from fogbank.ops.attempts import RUNNING

LOGARITHMIC_FROM = 100.0
"""Of an axis whose scale is for AWS to choose, and of objectives: positive numbers so many times
apart are shown on a logarithmic scale."""


_ERROR_MESSAGE = re.compile(r'^ErrorMessage "(.*?)"$', re.MULTILINE | re.DOTALL)
"""In the reasons of SageMaker's training toolkit, between ExitCode and Command."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """One hyperparameter that is searched."""

    name: str
    values: tuple[str, ...] = ()
    """Of a categorical one."""
    low: float = 0.0
    high: float = 0.0
    scale: Literal["linear", "log", "reverse_log"] = "linear"
    is_whole: bool = False
    """Whether there are whole numbers alone on it."""

    def position(self, text: str) -> float | None:
        """Where a value lies: the number, or the index of the category; None for what is no value
        of this axis."""
        if self.values:
            return float(self.values.index(text)) if text in self.values else None
        try:
            value = float(text)
        except ValueError:
            return None
        return value if math.isfinite(value) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One training job of a tuning job."""

    number: int
    """1 for the first that was launched."""
    name: str
    status: str
    """InProgress, Completed, Failed, Stopping or Stopped."""
    hyperparameters: Mapping[str, str]
    """Those that are searched."""
    objective: float | None = None
    """Its final value. None while the job runs, and where it failed or never said one."""
    reason: str = ""
    """Why it failed."""
    seconds: float | None = None
    """How long it trained; None while it runs, and where it never began."""

    @property
    def has_ended(self) -> bool:
        return self.status not in RUNNING

    @property
    def short_reason(self) -> str:
        """One line of the reason: the last one of what the script said, where it is told (a
        traceback ends in its exception), else the first one."""
        told = _ERROR_MESSAGE.search(self.reason)
        said = told[1].strip().splitlines() if told else []
        return (said[-1:] or self.reason.strip().splitlines()[:1] or [""])[0].strip()


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """A tuning job."""

    name: str
    status: str
    """InProgress, Completed, Failed, Stopping or Stopped."""
    reason: str = ""
    """Why it failed."""
    metric: str
    goal: Literal["Maximize", "Minimize"]
    max_trials: int | None
    axes: tuple[Axis, ...]
    trials: tuple[Trial, ...] = ()
    """In the order in which they were launched."""

    @property
    def is_running(self) -> bool:
        return self.status in RUNNING

    @property
    def has_result(self) -> bool:
        """Whether it came to its end and found something."""
        return self.status == "Completed" and self.best is not None

    @property
    def best(self) -> Trial | None:
        """The trial with the best objective, the earlier one of equals. As AWS counts them, a
        trial that was stopped takes part with what it had reached."""
        return max(
            (trial for trial in self.trials if trial.objective is not None),
            key=lambda trial: self._merit(trial.objective),
            default=None,
        )

    def best_so_far(self) -> Iterator[float | None]:
        """For each trial the best objective among it and those before it."""
        best: float | None = None
        for trial in self.trials:
            if trial.objective is not None and (
                best is None or self._merit(trial.objective) > self._merit(best)
            ):
                best = trial.objective
            yield best

    def _merit(self, objective: float | None) -> float:
        assert objective is not None, "trials without one were taken out"
        return objective if self.goal == "Maximize" else -objective

    @property
    def is_logarithmic(self) -> bool:
        """Whether the objectives are best shown on a logarithmic scale."""
        found = [trial.objective for trial in self.trials if trial.objective is not None]
        return bool(found) and min(found) > 0 and max(found) / min(found) >= LOGARITHMIC_FROM

    def counters(self) -> dict[str, int]:
        """Number of trials by status; statuses that no trial has are left out."""
        statuses = [trial.status for trial in self.trials]
        return {status: statuses.count(status) for status in dict.fromkeys(statuses)}

    def to_json(self) -> dict[str, Any]:
        best = self.best
        return {
            "name": self.name,
            "status": self.status,
            "failure_reason": self.reason or None,
            "objective": {"metric": self.metric, "goal": self.goal},
            "best_trial": best.number if best else None,
            "counters": self.counters(),
            "trials": [
                {
                    "number": trial.number,
                    "training_job": trial.name,
                    "status": trial.status,
                    "hyperparameters": dict(trial.hyperparameters),
                    "objective": trial.objective,
                    "training_seconds": trial.seconds,
                    "failure_reason": trial.reason or None,
                }
                for trial in self.trials
            ],
        }


def shown_number(value: float) -> str:
    """Four significant digits, trailing zeros kept away: 0.9851, 1.2e-05."""
    return f"{value:.4g}"


def shown_value(text: str) -> str:
    """A hyperparameter's value for people: numbers that a search has drawn have up to 17 digits,
    of which four tell. Whole numbers and names stay as they are."""
    if text.lstrip("-").isdecimal():
        return text
    try:
        value = float(text)
    except ValueError:
        return text
    return shown_number(value) if math.isfinite(value) else text
