"""The tuning job: training jobs that differ in some hyperparameters, to find the best ones. Its
name carries a hash of data, code, settings and ranges: equal input is searched once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fogbank.aws import Aws
from fogbank.ops import attempts
from fogbank.ops.container_log import TRAINING_JOBS
from fogbank.ops.kinds import training_job
from fogbank.ops.names import Names
from fogbank.ops.read_search import read_search
from fogbank.ops.search import Search, shown_number
from fogbank.ops.spec import Spec
from fogbank.ops.spec_tune import Tune
from fogbank.ops.step import Step
from fogbank.ops.survey import Survey
from fogbank.ops.tuning_request import tuning_fingerprint, tuning_request
from fogbank.ops.world import CloudFailure, World

POLL_S = 1.0

_WORDS = attempts.Words(
    kind="tuning-job",
    result="result",
    not_tried="this data, code, settings and ranges have not been searched yet",
    lost="{name} has found nothing",
    going_on=(
        "the tuning job {name} goes on in the cloud (`fogbank tune --stop` ends it and keeps the "
        "best of what it has found)"
    ),
)

Found = Search


@dataclass(frozen=True, kw_only=True)
class Desired:
    base_name: str
    """Of the first attempt."""
    request: Mapping[str, Any]
    """CreateHyperParameterTuningJob's parameters but for the name."""


def desired(
    spec: Spec, tune: Tune, survey: Survey, names: Names, training: training_job.Desired
) -> Desired:
    """training: the training job with fogbank.yaml's own hyperparameters."""
    return Desired(
        base_name=names.tuning_job(tuning_fingerprint(spec, tune, survey)),
        request=tuning_request(tune, training.request),
    )


def observe(aws: Aws, base_name: str) -> list[Found]:
    """All attempts, the first one first."""
    pages = aws.sagemaker.get_paginator("list_hyper_parameter_tuning_jobs").paginate(
        NameContains=base_name
    )
    names = (
        job["HyperParameterTuningJobName"]
        for page in pages
        for job in page["HyperParameterTuningJobSummaries"]
    )
    return [read_search(aws, name) for name in attempts.in_order(base_name, names)]


def diff(desired: Desired, found: Sequence[Found]) -> list[Step]:
    def start(name: str, reason: str) -> Step:
        config = desired.request["HyperParameterTuningJobConfig"]
        limits = config["ResourceLimits"]
        number = limits.get("MaxNumberOfTrainingJobs", "every combination of values in")
        return Step(
            kind="tuning-job",
            verb="create",
            name=name,
            message=(
                f"start the tuning job {name}: {config['Strategy']} search, {number} training "
                f"jobs, {limits['MaxParallelTrainingJobs']} at a time"
            ),
            reason=reason,
            request={"HyperParameterTuningJobName": name, **desired.request},
        )

    return attempts.diff(_WORDS, desired.base_name, found, start)


def remove(name: str) -> list[Step]:
    """Its trials are stopped with it."""
    return [attempts.stop(_WORDS, name)]


def stop(name: str) -> list[Step]:
    """End it early; what it has found stays."""
    return [attempts.stop(_WORDS, name, "asked for with --stop")]


def apply(world: World, step: Step) -> None:
    match step.verb:
        case "create":
            create = world.aws.sagemaker.create_hyper_parameter_tuning_job
            attempts.create(create, step.request)
        case "wait":
            _wait(world, step.name)
        case "stop":
            _stop(world, step.name)
        case _:
            raise AssertionError(f"no way to {step.verb} a tuning job")


def _wait(world: World, name: str) -> None:
    """Returns when the job is Completed with a result. Raises CloudFailure when it ends
    otherwise."""
    found = _watched(world, name)
    if found.has_result:
        return
    if found.status == "Stopped":
        raise CloudFailure(
            f"the tuning job {name} was stopped after {len(found.trials)} training jobs. "
            "`fogbank tune --stop` keeps the best of what it had found; `fogbank tune` searches "
            "again."
        )
    raise CloudFailure(failure(found))


def _watched(world: World, name: str) -> Found:
    """The job when it has ended; progress is told how it stands until then."""
    while True:
        found = read_search(world.aws, name)
        world.progress.search(found)
        if not found.is_running:
            return found
        world.pause(POLL_S)


def failure(found: Found) -> str:
    """What a search that found nothing died of: its reason, and each trial's."""
    why = found.reason.strip().splitlines()
    if found.status == "Completed":
        why = [f"it ended without a single value of {found.metric}"]
    text = [f"the tuning job {found.name} failed: {why[0] if why else 'unknown'}"]
    for trial in found.trials:
        values = ", ".join(f"{name} {value}" for name, value in trial.hyperparameters.items())
        said = trial.short_reason
        if trial.status == "Completed":
            said = f"its log has no value of {found.metric}"
        text += [
            "",
            f"  trial {trial.number}, {trial.name} ({trial.status}; {values})",
            *([f"    {said}"] if said else []),
        ]
    text += [
        "",
        f"Whole logs are in {TRAINING_JOBS}, streams NAME/*. Correct what they say "
        "and give the command again.",
    ]
    return "\n".join(text)


def describe(found: Found) -> str:
    """One line: how many trials, and the best objective."""
    ended = sum(trial.has_ended for trial in found.trials)
    of = f" of {found.max_trials}" if found.max_trials is not None and found.is_running else ""
    best = found.best
    shown = (
        f", best {found.metric} {shown_number(best.objective)}"
        if best is not None and best.objective is not None
        else ""
    )
    return f"{ended}{of} trials{shown}"


def _stop(world: World, name: str) -> None:
    stop_job = world.aws.sagemaker.stop_hyper_parameter_tuning_job
    attempts.ask_to_stop(stop_job, HyperParameterTuningJobName=name)
    _watched(world, name)
