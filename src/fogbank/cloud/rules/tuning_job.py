"""The life of a tuning job: (job, its children, now) -> what to do, and the new record.

    InProgress ──all trials ended──> Completed | Failed
        │  └──time limit, completion criteria, nothing succeeds: running trials are stopped first
        └──StopHyperParameterTuningJob──> Stopping ──all trials ended──> Stopped

`next_step` is level-triggered: a machine asks whenever something has changed. The note
docs/design/tuning-job.md has the table. Source: API reference, CreateHyperParameterTuningJob and
DescribeHyperParameterTuningJob; developer guide, "Track and set completion criteria".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Literal

from fogbank.cloud.records.tuning_job import TuningJob
from fogbank.cloud.rules.early_stopping import below_the_median, falls_behind
from fogbank.cloud.rules.search import History, Seen
from fogbank.cloud.rules.tuning_settings import Settings
from fogbank.cloud.rules.tuning_trial import Child, best, is_better, num_not_improving

MAX_FUTILE_TRIALS = 5
"""When so many trials have ended and none has an objective, the job has failed: "No training job
succeeded after 5 attempts" (observed: amazon-sagemaker-examples #2437)."""

LOOK_EVERY_S = 1.0
"""How often the values of running trials are looked at where they decide something."""


@dataclass(frozen=True, kw_only=True)
class Decision:
    """job:        the record as it should be now: write it when it differs from the one you gave.
    reason:     why, for the log.
    num_starts: how many trials to launch.
    stops:      training jobs to stop, and why.
    wait_until: ask again then at the latest; None: only a change needs an answer.
    """

    job: TuningJob
    reason: str
    num_starts: int = 0
    stops: Mapping[str, str] = field(default_factory=dict)
    wait_until: datetime | None = None


def stop(job: TuningJob, now: datetime) -> TuningJob:
    """The job after StopHyperParameterTuningJob. Asking again changes nothing. RuntimeError when
    final: that is a bug of the caller."""
    if job.is_final:
        raise RuntimeError(f"tuning job {job.name} is {job.status} for ever")
    if job.stop_requested is not None:
        return job
    return replace(
        job,
        status="Stopping",
        stop_requested=now,
        modified=now,
        outcome="Stopped",
        reason="StopHyperParameterTuningJob was called",
    )


def fail(job: TuningJob, reason: str, now: datetime) -> TuningJob:
    """The job after something that nobody foresaw: its running trials are stopped next. Where even
    that goes wrong, it has ended."""
    if job.outcome is not None:
        return replace(job, status="Failed", reason=reason, ended=now, modified=now)
    return replace(job, outcome="Failed", reason=reason, modified=now)


def next_step(
    job: TuningJob, settings: Settings, children: Sequence[Child], now: datetime
) -> Decision:
    """What to do now. children: one for each of the job's trials, in their order."""
    if job.is_final:
        return Decision(job=job, reason=job.reason)
    if job.outcome is None:
        job = _judged(job, settings, children, now)
    running = [child for child in children if not child.job.is_final]
    if job.outcome is not None:
        return _ending(job, running, now)
    stops = _early_stops(settings, children)
    num_starts = max(
        0, min(settings.max_parallel - len(running), settings.max_trials - len(job.trials))
    )
    return Decision(
        job=job,
        reason=f"{len(running)} trials run, {len(job.trials)} of {settings.max_trials} launched",
        num_starts=num_starts,
        stops=stops,
        wait_until=_wait_until(job, settings, running, now),
    )


def _judged(
    job: TuningJob, settings: Settings, children: Sequence[Child], now: datetime
) -> TuningJob:
    """The job with an outcome where there is one by now."""
    found = _outcome(job, settings, children, now)
    if found is None:
        return job
    outcome, reason = found
    return replace(job, outcome=outcome, reason=reason, modified=now)


def _outcome(
    job: TuningJob, settings: Settings, children: Sequence[Child], now: datetime
) -> tuple[Literal["Completed", "Failed"], str] | None:
    ended = [child for child in children if child.job.is_final]
    top = best(children, maximize=settings.maximize)
    launched_all = len(job.trials) >= settings.max_trials
    if top is None and ended:
        if len(ended) >= MAX_FUTILE_TRIALS or (launched_all and len(ended) == len(children)):
            return "Failed", _futile(ended)
    elif launched_all and len(ended) == len(children):
        return "Completed", f"all {len(children)} trials have ended"
    end = deadline(job, settings)
    if end is not None and now >= end:
        return "Completed", f"MaxRuntimeInSeconds ({settings.max_runtime_s}) has passed"
    if top is None or top.objective is None:
        return None
    if settings.target is not None and not is_better(
        settings.target, top.objective, maximize=settings.maximize
    ):
        return "Completed", f"{top.job.name} has reached TargetObjectiveMetricValue"
    limit = settings.max_not_improving
    if limit is not None and num_not_improving(children, maximize=settings.maximize) >= limit:
        return "Completed", f"the last {limit} objectives have not improved by 1 %"
    return None


def _futile(ended: Sequence[Child]) -> str:
    num = len(ended)
    if all(child.job.status == "Failed" for child in ended):
        first = ended[0].job
        return (
            f"No training job succeeded after {num} attempts. Please take a look at the training "
            f"job failures to get more details. ({first.name}: {first.failure_reason})"
        )
    return (
        f"No objective metrics found after running {num} training jobs. Please ensure that the "
        "custom algorithm is emitting the objective metric as defined by the regular expression "
        "provided."
    )


def _ending(job: TuningJob, running: Sequence[Child], now: datetime) -> Decision:
    if running:
        return Decision(
            job=job,
            reason=f"{job.reason}; {len(running)} trials have to end",
            stops={child.job.name: job.reason for child in running if _can_stop(child)},
        )
    assert job.outcome is not None, "asked only then"
    return Decision(
        job=replace(job, status=job.outcome, ended=now, modified=now), reason=job.reason
    )


def _can_stop(child: Child) -> bool:
    return child.job.stop_requested is None


def _early_stops(settings: Settings, children: Sequence[Child]) -> dict[str, str]:
    stops: dict[str, str] = {}
    for child in children:
        if child.job.is_final or not _can_stop(child):
            continue
        reason = _early_stop(child, settings, children)
        if reason is not None:
            stops[child.job.name] = reason
    return stops


def _early_stop(child: Child, settings: Settings, children: Sequence[Child]) -> str | None:
    """Trials are measured against those of the same definition: others have other objectives."""
    others = [
        other
        for other in children
        if other is not child and other.trial.definition == child.trial.definition
    ]
    if settings.hyperband is not None:
        curves = [other.values for other in others]
        return falls_behind(child.values, curves, settings.hyperband, maximize=settings.maximize)
    if settings.stops_early:
        finished = [other.values for other in others if other.job.is_final]
        return below_the_median(child.values, finished, maximize=settings.maximize)
    return None


def deadline(job: TuningJob, settings: Settings) -> datetime | None:
    """When MaxRuntimeInSeconds ends, counted from the creation; None where there is none."""
    if settings.max_runtime_s is None:
        return None
    return job.created + timedelta(seconds=settings.max_runtime_s)


def _wait_until(
    job: TuningJob, settings: Settings, running: Sequence[Child], now: datetime
) -> datetime | None:
    end = deadline(job, settings)
    watched = running and (settings.stops_early or settings.hyperband is not None)
    look = now + timedelta(seconds=LOOK_EVERY_S) if watched else None
    return min((moment for moment in (end, look) if moment is not None), default=None)


def next_definition(job: TuningJob, settings: Settings) -> int:
    """Index of the definition of the next trial: each in turn; a grid that is used up is left out.

    Raises LookupError when every grid is used up: `max_trials` is their size.
    """
    launched = [trial.definition for trial in job.trials]
    open_ = [
        index
        for index, definition in enumerate(settings.definitions)
        if settings.strategy != "Grid" or launched.count(index) < definition.space.num_combinations
    ]
    if not open_:
        raise LookupError(f"every combination of tuning job {job.name} has been launched")
    return min(open_, key=lambda index: (launched.count(index), index))


def history(
    job: TuningJob, settings: Settings, children: Sequence[Child], definition: int
) -> History:
    """What the search is told before the next trial of that definition.

    Trials that failed say nothing, but are not repeated. Parents' trials count where all their
    hyperparameters lie within this job's ranges.
    """
    space = settings.definitions[definition].space
    own = [child for child in children if child.trial.definition == definition]
    seen: list[Seen] = []
    for parent in job.inherited:
        point = space.point(parent.hyperparameters)
        if point is not None:
            seen.append(Seen(point, parent.value))
    for child in own:
        point = space.point(child.trial.hyperparameters)
        if point is None or child.objective_status == "Failed":
            continue
        stopped_at = len(child.values) if child.trial.stopped_early else None
        seen.append(Seen(point, child.objective, stopped_at))
    tried = [child.trial.hyperparameters for child in own]
    return History(number=len(own) + 1, seen=seen, tried=tried)
