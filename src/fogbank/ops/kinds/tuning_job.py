"""The tuning job: training jobs that differ in some hyperparameters, to find the best ones. Its
name carries a hash of data, code, settings and ranges: equal input is searched once. As with
training jobs, a next attempt gets the next number behind its name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fogbank.aws import Aws
from fogbank.ops.container_log import TRAINING_JOBS
from fogbank.ops.kinds import training_job
from fogbank.ops.names import PROJECT_TAG, Names, attempt_of, next_attempt
from fogbank.ops.read_search import read_search
from fogbank.ops.search import Search, shown_number
from fogbank.ops.spec import Spec
from fogbank.ops.spec_tune import Tune
from fogbank.ops.step import Step
from fogbank.ops.survey import Survey
from fogbank.ops.tuning_request import tuning_fingerprint, tuning_request
from fogbank.ops.world import CloudFailure, World

POLL_S = 1.0

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
    found: dict[int, Found] = {}
    pages = aws.sagemaker.get_paginator("list_hyper_parameter_tuning_jobs").paginate(
        NameContains=base_name
    )
    for page in pages:
        for job in page["HyperParameterTuningJobSummaries"]:
            name = job["HyperParameterTuningJobName"]
            attempt = attempt_of(base_name, name)
            if attempt is not None:
                found[attempt] = read_search(aws, name)
    return [found[attempt] for attempt in sorted(found)]


def is_searched(found: Found) -> bool:
    """Whether it came to its end and found something."""
    return found.status == "Completed" and found.best is not None


def name_of(desired: Desired, found: Sequence[Found]) -> str:
    """The tuning job that holds, or will hold, the result for this input."""
    if not found:
        return desired.base_name
    latest = found[-1]
    if is_searched(latest) or latest.is_running:
        return latest.name
    return next_attempt(desired.base_name, latest.name)


def diff(desired: Desired, found: Sequence[Found]) -> list[Step]:
    name = name_of(desired, found)
    latest = found[-1] if found else None
    if latest is not None and is_searched(latest):
        return []
    wait = Step(
        kind="tuning-job",
        verb="wait",
        name=name,
        message=f"wait for the tuning job {name}",
        reason="its result is needed"
        if latest is None or latest.name != name
        else f"it is {latest.status}",
        if_interrupted=(
            f"the tuning job {name} goes on in the cloud (`fogbank tune --stop` ends it and keeps "
            "the best of what it has found)"
        ),
    )
    if latest is not None and latest.name == name:
        return [wait]
    config = desired.request["HyperParameterTuningJobConfig"]
    limits = config["ResourceLimits"]
    number = limits.get("MaxNumberOfTrainingJobs", "every combination of values in")
    create = Step(
        kind="tuning-job",
        verb="create",
        name=name,
        message=(
            f"start the tuning job {name}: {config['Strategy']} search, {number} training jobs, "
            f"{limits['MaxParallelTrainingJobs']} at a time"
        ),
        reason=_reason(latest),
        request={"HyperParameterTuningJobName": name, **desired.request},
    )
    return [create, wait]


def _reason(latest: Found | None) -> str:
    if latest is None:
        return "this data, code, settings and ranges have not been searched yet"
    if latest.status == "Completed":
        return f"{latest.name} has found nothing"
    if latest.status == "Stopped":
        return f"{latest.name} was stopped"
    return f"{latest.name} failed: {latest.reason.splitlines()[0] if latest.reason else 'unknown'}"


def remove(name: str) -> list[Step]:
    """It stays on record as training jobs do; one that runs is stopped, with its trials."""
    return [stop(name, f"it carries the tag {PROJECT_TAG} and runs")]


def stop(name: str, reason: str) -> Step:
    return Step(
        kind="tuning-job",
        verb="stop",
        name=name,
        message=f"stop the tuning job {name}",
        reason=reason,
        if_interrupted=f"the tuning job {name} is being stopped",
    )


def apply(world: World, step: Step) -> None:
    match step.verb:
        case "create":
            _create(world, step)
        case "wait":
            _wait(world, step.name)
        case "stop":
            _stop(world, step.name)
        case _:
            raise AssertionError(f"no way to {step.verb} a tuning job")


def _create(world: World, step: Step) -> None:
    from botocore.exceptions import ClientError

    from fogbank.aws import error_code

    try:
        world.aws.sagemaker.create_hyper_parameter_tuning_job(**step.request)
    except ClientError as error:
        # An answer that got lost, and the retry of the request.
        if error_code(error) != "ResourceInUse":
            raise


def _wait(world: World, name: str) -> None:
    """Returns when the job is Completed with a result. Raises CloudFailure when it ends
    otherwise."""
    found = _watched(world, name)
    if is_searched(found):
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
    from botocore.exceptions import ClientError

    from fogbank.aws import error_message

    try:
        world.aws.sagemaker.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
    except ClientError as error:
        if "status" not in error_message(error):  # it has ended in the meantime
            raise
    _watched(world, name)
