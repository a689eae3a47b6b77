"""The life of a training job: (job, what the machine sees, now) -> what to do, and the new record.

    Starting -> Downloading -> Training -> Uploading -> Completed | Failed | Stopped
                                                                  | MaxRuntimeExceeded

`next_step` is level-triggered: its action says what should be true now, so a machine may ask as
often as it likes, and asks again after a restart with what it finds then. The note
docs/design/training-job.md draws the states. Sources: SageMaker API reference, DescribeTrainingJob
and SecondaryStatusTransition; developer guide, "How Amazon SageMaker Processes Training Output".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal

from fogbank.cloud.records.training_job import TrainingJob, TrainingJobStatus, Transition
from fogbank.cloud.rules.distribution import LOST_PEER_PATIENCE_S
from fogbank.cloud.rules.instance_exit import (
    FAILURE_REASON_CHARS,
    InstanceExit,
    failure_reason,
    has_lost_peer,
    root_cause,
)

GRACE_S = 120
"""From SIGTERM to SIGKILL (API reference, StoppingCondition)."""

DEFAULT_MAX_RUNTIME_S = 86_400
"""MaxRuntimeInSeconds where the request has none (API reference, StoppingCondition)."""

Action = Literal[
    "prepare", "download", "run", "wait", "terminate", "kill", "upload", "restart", "release"
]
"""prepare:   get the instances (cores, memory, folders); then `prepared` is true.
download:     put the input channels in place; then `downloaded` is true.
run:          the container should be running on every instance: start it where it was not yet.
wait:         nothing to do before `wait_until`, or until something changes.
terminate:    send SIGTERM to all that runs, once; then `terminated` has the time.
kill:         send SIGKILL to all that runs.
upload:       end what still runs, then upload `/opt/ml/output/data`, and `/opt/ml/model` where
              `with_model`; then `uploaded` is true.
restart:      end what still runs and throw away the attempt's folders, but not the checkpoints;
              start again with an empty observation.
release:      the job is over: end what still runs, give everything back.
"""

Phase = Literal["Starting", "Downloading", "Training", "Uploading"]
_PHASES: tuple[Phase, ...] = ("Starting", "Downloading", "Training", "Uploading")

MESSAGES: Mapping[str, str] = {
    "Starting": "Starting the training job",
    "Preparing": "Preparing the instances for training",
    "Downloading": "Downloading input data",
    "Training": "Training image download completed. Training in progress.",
    "Uploading": "Uploading generated training model",
    "Completed": "Training job completed",
    "Failed": "Training job failed",
    "Stopping": "Stopping the training job",
    "Stopped": "Training job stopped",
    "MaxRuntimeExceeded": "Training job runtime exceeded MaxRuntimeInSeconds provided",
}
"""StatusMessage of each stage. They differ from each other: the SageMaker SDK prints a stage only
when its message is new."""

FINAL_STATUS: Mapping[str, TrainingJobStatus] = {
    "Completed": "Completed",
    "Failed": "Failed",
    "Stopped": "Stopped",
    "MaxRuntimeExceeded": "Stopped",
}
"""Secondary statuses that end a job, and the TrainingJobStatus that each stands for."""


@dataclass(frozen=True, kw_only=True)
class Observation:
    """What the machine sees of the job's current attempt.

    waiting_for:    why the instances are not there yet (cores taken by other jobs, ...).
    prepared:       instances and folders are there.
    downloaded:     the input channels are in place.
    running:        instances whose container runs.
    exits:          containers that ended, in the order in which they did.
    terminated:     when SIGTERM was sent; None where it was not.
    has_model:      /opt/ml/model has something in it (asked once nothing runs any more).
    uploaded:       the output is in S3.
    warning:        what the caller should know of a job that has not failed (`rules.distribution`).
    client_error:   something that the caller has to mend: no objects under a channel's prefix, the
                    output bucket is gone. Becomes `ClientError: ...`.
    internal_error: something broke in the machine itself. Becomes `InternalServerError: ...`.
    host_restarted: the job's container had been started, and it went down with the host or cloud.
    """

    waiting_for: str = ""
    prepared: bool = False
    downloaded: bool = False
    running: int = 0
    exits: tuple[InstanceExit, ...] = ()
    terminated: datetime | None = None
    has_model: bool = False
    uploaded: bool = False
    warning: str = ""
    client_error: str | None = None
    internal_error: str | None = None
    host_restarted: bool = False


@dataclass(frozen=True, kw_only=True)
class Decision:
    """action:  see `Action`.
    reason:     why, for the log.
    job:        the record as it should be now: write it when it differs from the one you gave.
    wait_until: ask again then at the latest; None: only a change needs an answer.
    with_model: for `upload`: whether model.tar.gz is made.
    """

    action: Action
    reason: str
    job: TrainingJob
    wait_until: datetime | None = None
    with_model: bool = False


def first_transition(now: datetime) -> tuple[Transition, ...]:
    """The history of a job that was created now."""
    return (Transition(status="Starting", started=now, message=MESSAGES["Starting"]),)


def new_training_job(
    arn: str, request: Mapping[str, Any], now: datetime, *, tuning_job: str | None = None
) -> TrainingJob:
    """What a checked CreateTrainingJob request becomes. tuning_job: ARN of the one that made it."""
    name: str = request["TrainingJobName"]
    output: str = request["OutputDataConfig"]["S3OutputPath"].rstrip("/")
    return TrainingJob(
        name=name,
        arn=arn,
        request=dict(request),
        status="InProgress",
        secondary_status="Starting",
        transitions=first_transition(now),
        created=now,
        modified=now,
        model_artifacts=f"{output}/{name}/output/model.tar.gz",
        tuning_job_arn=tuning_job,
    )


def transition(job: TrainingJob, status: str, message: str, now: datetime) -> TrainingJob:
    """The job in secondary status `status` (one of the model's SecondaryStatus).

    A new status closes the open entry of the history and appends one; the same status only gets
    the new message, as on AWS ("Starting the training job", then "Preparing the instances ...").
    Closed entries never change. TrainingJobStatus follows; a final one sets the end of training.
    Raises RuntimeError when the job is final: that is a bug of the caller.
    """
    if job.is_final:
        raise RuntimeError(f"training job {job.name} is {job.status} for ever, not {status}")
    final = status in FINAL_STATUS
    *closed, last = job.transitions
    if status == last.status:
        if message == last.message:
            return job
        history = (*closed, replace(last, message=message))
    else:
        entry = Transition(
            status=status, started=now, ended=now if final else None, message=message
        )
        history = (*closed, replace(last, ended=now), entry)
    return replace(
        job,
        status=FINAL_STATUS.get(status, "Stopping" if status == "Stopping" else job.status),
        secondary_status=status,
        transitions=history,
        modified=now,
        training_started=now
        if status == "Downloading" and job.training_started is None
        else job.training_started,
        training_ended=now if final and job.training_started is not None else None,
    )


def phase(job: TrainingJob) -> Phase:
    """How far the job's current attempt is: the last of the four phases in its history."""
    return _phase_entry(job)[0]


def _phase_entry(job: TrainingJob) -> tuple[Phase, datetime]:
    for entry in reversed(job.transitions):
        for known in _PHASES:
            if entry.status == known:
                return known, entry.started
    raise RuntimeError(f"the history of training job {job.name} has no Starting")


def deadline(job: TrainingJob) -> datetime | None:
    """When MaxRuntimeInSeconds ends; None while the clock does not run.

    It runs from Downloading, as billing does. Each attempt has the whole time: what passed while
    the host was down is unknown.
    """
    started = None
    for entry in job.transitions:
        if entry.status == "Starting":
            started = None
        elif entry.status == "Downloading" and started is None:
            started = entry.started
    return None if started is None else started + timedelta(seconds=max_runtime_s(job))


def max_runtime_s(job: TrainingJob) -> int:
    """MaxRuntimeInSeconds of the request, or the default."""
    condition = job.request.get("StoppingCondition", {})
    return int(condition.get("MaxRuntimeInSeconds", DEFAULT_MAX_RUNTIME_S))


def stop(job: TrainingJob, now: datetime) -> TrainingJob:
    """The job after StopTrainingJob. Asking again changes nothing. RuntimeError when final."""
    if job.stop_requested is not None:
        return job
    stopping = transition(job, "Stopping", MESSAGES["Stopping"], now)
    return replace(stopping, stop_requested=now, modified=now)


def next_step(job: TrainingJob, seen: Observation, now: datetime) -> Decision:
    """What to do now. See `Action`, and docs/design/training-job.md for the table."""
    if job.is_final:
        return Decision(action="release", reason=f"the job is {job.status}", job=job)
    if seen.internal_error is not None:
        return _after_internal_error(job, seen.internal_error, now)
    if seen.client_error is not None:
        # What the container itself said is better news than that its output had no bucket.
        return _fail(job, job.failure_reason or f"ClientError: {seen.client_error}", now)
    match phase(job):
        case "Starting":
            return _starting(job, seen, now)
        case "Downloading":
            return _downloading(job, seen, now)
        case "Training":
            return _training(job, seen, now)
        case "Uploading":
            return _uploading(job, seen, now)


def _starting(job: TrainingJob, seen: Observation, now: datetime) -> Decision:
    if job.status == "Stopping":
        return _end_without_container(job, now)
    if seen.prepared:
        downloading = transition(job, "Downloading", MESSAGES["Downloading"], now)
        return Decision(action="download", reason="the instances are ready", job=downloading)
    message = MESSAGES["Preparing"]
    if seen.waiting_for:
        message = f"Launching requested ML instances ({seen.waiting_for})"
    preparing = transition(job, "Starting", message, now)
    return Decision(
        action="prepare", reason=seen.waiting_for or "the instances are wanted", job=preparing
    )


def _downloading(job: TrainingJob, seen: Observation, now: datetime) -> Decision:
    end = deadline(job)
    assert end is not None, "Downloading has started the clock"
    if job.status != "Stopping" and now >= end:
        job = _exceeded(job, now)
    if job.status == "Stopping":
        return _end_without_container(job, now)
    if not seen.prepared:
        return Decision(
            action="prepare", reason="the instances are gone: the host restarted", job=job
        )
    if not seen.downloaded:
        return Decision(action="download", reason="input is on its way", job=job, wait_until=end)
    training = transition(job, "Training", MESSAGES["Training"], now)
    return Decision(action="run", reason="the input is there", job=training, wait_until=end)


def _training(job: TrainingJob, seen: Observation, now: datetime) -> Decision:
    end = deadline(job)
    assert end is not None, "Training comes after Downloading"
    failed = root_cause(seen.exits)
    stopping = job.status == "Stopping"
    if seen.host_restarted:
        if stopping:
            return _upload(job, seen, now, "the job was being stopped when the host restarted")
        return _after_host_restart(job, now)
    if failed is not None and not stopping:
        patience_ends = _patience_ends(failed, seen)
        if patience_ends is not None and now < patience_ends:
            return Decision(
                action="wait",
                reason=f"{failed.instance} lost another instance, whose reason is the job's",
                job=job,
                wait_until=patience_ends,
            )
        return _upload(
            replace(job, failure_reason=failure_reason(failed)),
            seen,
            now,
            f"the container on {failed.instance} failed",
        )
    if seen.exits and not seen.running:
        return _upload(job, seen, now, "every container has ended")
    if not stopping and now >= end:
        job, stopping = _exceeded(job, now), True
    if stopping:
        return _end_containers(job, seen, now)
    return Decision(action="run", reason="training is in progress", job=job, wait_until=end)


def _patience_ends(failed: InstanceExit, seen: Observation) -> datetime | None:
    """How long to wait for the reason of another instance; None where there is none to come."""
    if failed.at is None or not seen.running or not has_lost_peer(failed):
        return None
    return failed.at + timedelta(seconds=LOST_PEER_PATIENCE_S)


def _end_containers(job: TrainingJob, seen: Observation, now: datetime) -> Decision:
    """SIGTERM, GRACE_S, SIGKILL."""
    if seen.terminated is None:
        if not seen.running:  # asked between Downloading and the start of the container
            return _end_without_container(job, now)
        return Decision(
            action="terminate",
            reason="the job is to stop",
            job=job,
            wait_until=now + timedelta(seconds=GRACE_S),
        )
    patience_ends = seen.terminated + timedelta(seconds=GRACE_S)
    if now < patience_ends:
        return Decision(action="wait", reason="SIGTERM was sent", job=job, wait_until=patience_ends)
    return Decision(action="kill", reason=f"{GRACE_S} s have passed since SIGTERM", job=job)


def _upload(job: TrainingJob, seen: Observation, now: datetime, reason: str) -> Decision:
    uploading = transition(job, "Uploading", MESSAGES["Uploading"], now)
    return replace(_uploading(uploading, replace(seen, uploaded=False), now), reason=reason)


def _uploading(job: TrainingJob, seen: Observation, now: datetime) -> Decision:
    if not seen.uploaded:
        # A failed job leaves its output data, but no model that somebody might deploy.
        return Decision(
            action="upload",
            reason="output is on its way",
            job=job,
            with_model=seen.has_model and job.failure_reason is None,
        )
    if job.failure_reason is not None:
        return _fail(job, job.failure_reason, now)
    if job.status == "Stopping":
        return _stopped(job, now, seen.warning)
    message = MESSAGES["Completed"]
    if not seen.has_model:
        message += " (nothing was left in /opt/ml/model: there is no model.tar.gz)"
    message += _warned(seen.warning)
    completed = transition(job, "Completed", message, now)
    return Decision(action="release", reason=message, job=completed)


def _exceeded(job: TrainingJob, now: datetime) -> TrainingJob:
    message = f"{MESSAGES['Stopping']}: MaxRuntimeInSeconds ({max_runtime_s(job)}) has passed"
    return transition(job, "Stopping", message, now)


def _end_without_container(job: TrainingJob, now: datetime) -> Decision:
    """No container has run, so there is nothing to upload."""
    return _stopped(job, now)


def _stopped(job: TrainingJob, now: datetime, warning: str | None = None) -> Decision:
    """`stop_requested` tells a stop from a time limit: both are Stopping until here."""
    status = "MaxRuntimeExceeded" if job.stop_requested is None else "Stopped"
    message = MESSAGES[status] + _warned(warning)
    stopped = transition(job, status, message, now)
    return Decision(action="release", reason=message, job=stopped)


def _warned(warning: str | None) -> str:
    """What a status message ends with."""
    return f". Warning: {warning}" if warning else ""


def _fail(job: TrainingJob, reason: str, now: datetime) -> Decision:
    reason = reason[:FAILURE_REASON_CHARS]
    failed = transition(job, "Failed", MESSAGES["Failed"], now)
    return Decision(action="release", reason=reason, job=replace(failed, failure_reason=reason))


def _after_internal_error(job: TrainingJob, error: str, now: datetime) -> Decision:
    """RetryStrategy is for these alone (API reference, RetryStrategy)."""
    if job.status == "Stopping":
        return _stopped(job, now)
    if job.failure_reason is not None:  # the container had failed already: that is the news
        return _fail(job, job.failure_reason, now)
    if _retries_left(job):
        return _restart(job, "Restarting", f"Restarting the training job: {error}", now)
    return _fail(
        job,
        f"InternalServerError: We encountered an internal error. Please try again. ({error})",
        now,
    )


def _after_host_restart(job: TrainingJob, now: datetime) -> Decision:
    if "CheckpointConfig" in job.request:
        return _restart(
            job, "Interrupted", "The host restarted: going on from the checkpoints", now
        )
    if _retries_left(job) or job.tuning_job_arn is not None:
        # A lost host is an internal error; and nobody would create a trial again.
        return _restart(job, "Restarting", "Restarting the training job: the host restarted", now)
    return _fail(
        job,
        "InternalServerError: the host restarted while the job was training, and the job has "
        "no CheckpointConfig to go on from. Create it again.",
        now,
    )


def _retries_left(job: TrainingJob) -> bool:
    strategy = job.request.get("RetryStrategy", {})
    return job.attempt <= int(strategy.get("MaximumRetryAttempts", 0))


def _restart(job: TrainingJob, status: str, message: str, now: datetime) -> Decision:
    between = transition(job, status, message, now)
    attempt = job.attempt + 1
    again = transition(between, "Starting", f"{MESSAGES['Starting']}: attempt {attempt}", now)
    return Decision(action="restart", reason=message, job=replace(again, attempt=attempt))
