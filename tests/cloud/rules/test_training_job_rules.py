"""The life of a training job: a table of ends, the stories behind it, and laws for any story."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fogbank.cloud.records.training_job import TrainingJob
from fogbank.cloud.rules.instance_exit import FAILURE_REASON_CHARS, InstanceExit, failure_reason
from fogbank.cloud.rules.training_job import (
    GRACE_S,
    MESSAGES,
    Decision,
    Observation,
    first_transition,
    next_step,
    phase,
    stop,
    transition,
)

T0 = datetime(2026, 11, 21, 12, tzinfo=UTC)
OK = InstanceExit(instance="algo-1", code=0)


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def new_job(**request: Any) -> TrainingJob:
    return TrainingJob(
        name="dogs",
        arn="arn:aws:sagemaker:us-east-1:123456789012:training-job/dogs",
        request={"StoppingCondition": {"MaxRuntimeInSeconds": 3600}, **request},
        status="InProgress",
        secondary_status="Starting",
        transitions=first_transition(T0),
        created=T0,
        modified=T0,
        model_artifacts="s3://out/dogs/output/model.tar.gz",
    )


def training(**request: Any) -> TrainingJob:
    """A job whose container was told to run at T0 + 2 s."""
    job = next_step(new_job(**request), Observation(prepared=True), at(1)).job
    job = next_step(job, Observation(prepared=True, downloaded=True), at(2)).job
    assert phase(job) == "Training"
    return job


def running(**more: Any) -> Observation:
    return Observation(prepared=True, downloaded=True, running=1, **more)


def ended(*exits: InstanceExit, **more: Any) -> Observation:
    return Observation(prepared=True, downloaded=True, exits=exits, **more)


def statuses(job: TrainingJob) -> list[str]:
    return [entry.status for entry in job.transitions]


def finish(decision: Decision, seen: Observation, now: datetime) -> TrainingJob:
    """Let the upload that the decision asks for succeed."""
    assert decision.action == "upload", decision
    return next_step(decision.job, replace(seen, uploaded=True), now).job


@pytest.mark.docs
def test_a_job_goes_through_the_documented_secondary_statuses() -> None:
    job = new_job()
    first = next_step(job, Observation(), at(0))
    assert (first.action, first.job.transitions[-1].message) == ("prepare", MESSAGES["Preparing"])
    second = next_step(first.job, Observation(prepared=True), at(1))
    assert (second.action, second.job.secondary_status) == ("download", "Downloading")
    third = next_step(second.job, Observation(prepared=True, downloaded=True), at(2))
    assert (third.action, third.job.secondary_status) == ("run", "Training")
    assert next_step(third.job, running(), at(3)).action == "run"
    seen = ended(OK, has_model=True)
    fourth = next_step(third.job, seen, at(4))
    assert (fourth.action, fourth.with_model) == ("upload", True)
    done = finish(fourth, seen, at(5))
    assert statuses(done) == ["Starting", "Downloading", "Training", "Uploading", "Completed"]
    assert (done.status, done.training_started, done.training_ended) == ("Completed", at(1), at(5))
    assert all(entry.ended is not None for entry in done.transitions)


@pytest.mark.observed
def test_waiting_for_capacity_is_said_in_the_status_message() -> None:
    decision = next_step(new_job(), Observation(waiting_for="2 of 2 cores are taken"), at(0))
    assert decision.action == "prepare"
    assert "2 of 2 cores are taken" in decision.job.transitions[-1].message


@pytest.mark.observed
def test_exit_without_a_model_completes_and_says_so() -> None:
    # sagemaker-python-sdk issue 3455: Completed, and no model.tar.gz in the bucket.
    seen = ended(OK, has_model=False)
    decision = next_step(training(), seen, at(4))
    assert not decision.with_model
    done = finish(decision, seen, at(5))
    assert done.status == "Completed"
    assert "no model.tar.gz" in done.transitions[-1].message


FAILURES = [
    (InstanceExit(instance="algo-1", code=3, failure="boom"), "AlgorithmError: boom, exit code: 3"),
    (InstanceExit(instance="algo-1", code=1), "AlgorithmError: , exit code: 1"),
    (
        InstanceExit(instance="algo-1", code=1, last_words="KeyError: 'lr'"),
        "AlgorithmError: the last lines of the log of algo-1: KeyError: 'lr', exit code: 1",
    ),
    (
        InstanceExit(instance="algo-2", code=None, signal=11),
        "AlgorithmError: killed by signal 11 (SIGSEGV), exit code: 139",
    ),
    (
        InstanceExit(
            instance="algo-1",
            code=None,
            signal=9,
            out_of_memory=True,
            memory_share_bytes=512 * 2**20,
        ),
        "ClientError: Please use an instance type with more memory, or reduce the size of training "
        "data processed on an instance. (algo-1 ran out of memory: it used more than its share of "
        "512 MiB), exit code: 137",
    ),
]


@pytest.mark.docs
@pytest.mark.parametrize(("how", "reason"), FAILURES)
def test_a_container_that_fails_makes_the_job_fail_with_its_reason(
    how: InstanceExit, reason: str
) -> None:
    seen = ended(how, has_model=True)
    decision = next_step(training(), seen, at(4))
    assert (decision.action, decision.with_model) == ("upload", False)
    assert decision.job.status == "InProgress"
    done = finish(decision, seen, at(5))
    assert (done.status, done.failure_reason) == ("Failed", reason)
    assert statuses(done)[-3:] == ["Training", "Uploading", "Failed"]


@pytest.mark.docs
@given(st.text(min_size=1), st.integers(1, 255))
def test_a_failure_reason_is_the_head_of_the_failure_file_and_at_most_1024_characters(
    text: str, code: int
) -> None:
    reason = failure_reason(InstanceExit(instance="algo-1", code=code, failure=text * 50))
    assert len(reason) <= FAILURE_REASON_CHARS
    assert reason.endswith(f", exit code: {code}")
    shown = reason.removeprefix("AlgorithmError: ").removesuffix(f", exit code: {code}")
    assert (text * 50).strip().startswith(shown)


@pytest.mark.docs
def test_one_failed_instance_ends_the_others() -> None:
    seen = Observation(
        prepared=True, downloaded=True, running=1, exits=(InstanceExit(instance="a", code=1),)
    )
    assert next_step(training(), seen, at(3)).action == "upload"


@pytest.mark.docs
def test_a_job_goes_on_until_its_last_instance_has_ended() -> None:
    seen = Observation(prepared=True, downloaded=True, running=1, exits=(OK,))
    assert next_step(training(), seen, at(3)).action == "run"


@pytest.mark.docs
def test_stop_is_sigterm_then_120_seconds_then_sigkill_and_still_uploads() -> None:
    job = stop(training(), at(10))
    assert (job.status, job.secondary_status) == ("Stopping", "Stopping")
    assert next_step(job, running(), at(10)).action == "terminate"
    waiting = next_step(job, running(terminated=at(11)), at(20))
    assert (waiting.action, waiting.wait_until) == ("wait", at(11 + GRACE_S))
    assert next_step(job, running(terminated=at(11)), at(11 + GRACE_S)).action == "kill"
    seen = ended(InstanceExit(instance="algo-1", code=None, signal=9), has_model=True)
    decision = next_step(job, seen, at(140))
    assert decision.with_model
    done = finish(decision, seen, at(141))
    assert (done.status, done.secondary_status, done.failure_reason) == ("Stopped", "Stopped", None)
    assert statuses(done)[-4:] == ["Training", "Stopping", "Uploading", "Stopped"]


@pytest.mark.docs
@pytest.mark.parametrize("seen", [Observation(), Observation(prepared=True)])
def test_stop_before_the_container_runs_ends_at_once(seen: Observation) -> None:
    job = new_job()
    if seen.prepared:
        job = next_step(job, seen, at(1)).job
    decision = next_step(stop(job, at(2)), seen, at(2))
    assert (decision.action, decision.job.status) == ("release", "Stopped")


@pytest.mark.docs
def test_stopping_twice_changes_nothing() -> None:
    job = stop(training(), at(10))
    assert stop(job, at(11)) is job


@pytest.mark.docs
def test_a_job_that_outlives_max_runtime_is_terminated_and_ends_stopped() -> None:
    job = training()
    calm = next_step(job, running(), at(3))
    assert calm.wait_until == at(1 + 3600)
    over = next_step(job, running(), at(1 + 3600))
    assert (over.action, over.job.secondary_status) == ("terminate", "Stopping")
    seen = ended(OK, has_model=True)
    done = finish(next_step(over.job, seen, at(3700)), seen, at(3701))
    assert (done.status, done.secondary_status) == ("Stopped", "MaxRuntimeExceeded")


@pytest.mark.docs
def test_max_runtime_counts_from_downloading() -> None:
    job = next_step(new_job(), Observation(prepared=True), at(100)).job
    slow = Observation(prepared=True)
    assert next_step(job, slow, at(3699)).action == "download"
    over = next_step(job, slow, at(3700))
    assert (over.action, over.job.secondary_status) == ("release", "MaxRuntimeExceeded")


@pytest.mark.docs
def test_max_runtime_is_a_day_where_the_request_does_not_say() -> None:
    job = replace(training(), request={})
    assert next_step(job, running(), at(86_400)).action == "run"
    assert next_step(job, running(), at(86_401)).action == "terminate"


@pytest.mark.docs
def test_internal_errors_are_retried_as_often_as_the_strategy_says() -> None:
    job = training(RetryStrategy={"MaximumRetryAttempts": 1})
    first = next_step(job, running(internal_error="disk full"), at(5))
    assert (first.action, first.job.attempt, first.job.status) == ("restart", 2, "InProgress")
    assert statuses(first.job)[-2:] == ["Restarting", "Starting"]
    second = next_step(first.job, Observation(internal_error="disk full"), at(6))
    assert second.job.status == "Failed"
    assert second.job.failure_reason is not None
    assert second.job.failure_reason.startswith("InternalServerError: ")
    assert "disk full" in second.job.failure_reason


@pytest.mark.docs
def test_a_failing_script_is_not_retried() -> None:
    job = training(RetryStrategy={"MaximumRetryAttempts": 30})
    seen = ended(InstanceExit(instance="algo-1", code=1))
    assert finish(next_step(job, seen, at(4)), seen, at(5)).status == "Failed"


@pytest.mark.docs
def test_a_client_error_fails_the_job_with_its_words() -> None:
    job = next_step(new_job(), Observation(prepared=True), at(1)).job
    decision = next_step(job, Observation(prepared=True, client_error="no objects"), at(2))
    assert (decision.job.status, decision.job.failure_reason) == (
        "Failed",
        "ClientError: no objects",
    )


def test_what_the_container_said_outlives_trouble_with_the_upload() -> None:
    seen = ended(InstanceExit(instance="algo-1", code=2, failure="bad labels"))
    job = next_step(training(), seen, at(4)).job
    for trouble in (
        replace(seen, client_error="no bucket"),
        replace(seen, internal_error="disk full"),
    ):
        end = next_step(job, trouble, at(5)).job
        assert end.failure_reason == "AlgorithmError: bad labels, exit code: 2"


def test_a_host_restart_goes_on_from_checkpoints_where_there_are_some() -> None:
    job = training(CheckpointConfig={"S3Uri": "s3://out/checkpoints"})
    decision = next_step(job, Observation(host_restarted=True), at(50))
    assert (decision.action, decision.job.attempt) == ("restart", 2)
    assert statuses(decision.job)[-3:] == ["Training", "Interrupted", "Starting"]
    again = next_step(decision.job, Observation(prepared=True), at(60)).job
    assert again.training_started == at(1), "billing began with the first attempt"
    again = next_step(again, Observation(prepared=True, downloaded=True), at(61)).job
    assert next_step(again, running(), at(61)).wait_until == at(60 + 3600)


def test_a_host_restart_without_checkpoints_fails_the_job_and_says_why() -> None:
    end = next_step(training(), Observation(host_restarted=True), at(50)).job
    assert end.status == "Failed"
    assert end.failure_reason is not None
    assert "the host restarted" in end.failure_reason


def test_a_host_restart_counts_as_an_internal_error_for_the_retry_strategy() -> None:
    job = training(RetryStrategy={"MaximumRetryAttempts": 1})
    assert next_step(job, Observation(host_restarted=True), at(50)).action == "restart"


@pytest.mark.parametrize("request_", [{}, {"CheckpointConfig": {"S3Uri": "s3://out/c"}}])
def test_a_host_restart_while_stopping_keeps_what_there_is(request_: dict[str, Any]) -> None:
    job = stop(training(**request_), at(10))
    seen = Observation(host_restarted=True, has_model=True)
    decision = next_step(job, seen, at(50))
    assert decision.with_model
    assert finish(decision, seen, at(51)).status == "Stopped"


def test_a_host_restart_before_the_container_ran_loses_nothing() -> None:
    job = next_step(new_job(), Observation(prepared=True), at(1)).job
    decision = next_step(job, Observation(), at(50))
    assert (decision.action, decision.job) == ("prepare", job)


@pytest.mark.observed
def test_stage_messages_differ_so_that_the_sdk_prints_every_stage() -> None:
    assert len(set(MESSAGES.values())) == len(MESSAGES)


def test_the_same_status_only_gets_the_new_message() -> None:
    job = transition(new_job(), "Starting", "Launching", at(1))
    assert [entry.message for entry in job.transitions] == ["Launching"]
    assert transition(job, "Starting", "Launching", at(2)) is job


@pytest.mark.parametrize("final", ["Completed", "Failed", "Stopped", "MaxRuntimeExceeded"])
def test_a_final_job_refuses_to_change(final: str) -> None:
    job = transition(training(), final, "over", at(9))
    assert job.is_final
    with pytest.raises(RuntimeError, match="for ever"):
        transition(job, "Training", "again", at(10))
    with pytest.raises(RuntimeError, match="for ever"):
        stop(job, at(10))
    assert next_step(job, running(), at(10)) == Decision(
        action="release", reason=f"the job is {job.status}", job=job
    )


exits = st.builds(
    InstanceExit,
    instance=st.just("algo-1"),
    code=st.one_of(st.none(), st.integers(0, 3)),
    signal=st.one_of(st.none(), st.just(9)),
    out_of_memory=st.booleans(),
    failure=st.text(max_size=5),
)
observations = st.builds(
    Observation,
    waiting_for=st.sampled_from(["", "cores"]),
    prepared=st.booleans(),
    downloaded=st.booleans(),
    running=st.integers(0, 2),
    exits=st.lists(exits, max_size=2).map(tuple),
    terminated=st.one_of(st.none(), st.integers(0, 4000).map(at)),
    has_model=st.booleans(),
    uploaded=st.booleans(),
    client_error=st.sampled_from([None, None, None, None, "yours"]),
    internal_error=st.sampled_from([None, None, None, None, "ours"]),
    host_restarted=st.sampled_from([False, False, False, True]),
)
requests = st.sampled_from(
    [
        {},
        {"RetryStrategy": {"MaximumRetryAttempts": 2}},
        {"CheckpointConfig": {"S3Uri": "s3://o/c"}},
    ]
)
steps = st.lists(
    st.tuples(observations, st.integers(0, 1500), st.sampled_from([False, False, False, True])),
    max_size=12,
)


@given(requests, steps)
def test_laws_of_any_story(
    request_: dict[str, Any], story: list[tuple[Observation, int, bool]]
) -> None:
    """Closed history never changes, time never goes back, an end is an end."""
    job, now = new_job(**request_), T0
    for seen, passed, stops in story:
        now += timedelta(seconds=passed)
        before = job
        if stops and not job.is_final:
            job = stop(job, now)
        decision = next_step(job, seen, now)
        job = decision.job
        closed = [entry for entry in before.transitions if entry.ended is not None]
        assert list(job.transitions[: len(closed)]) == closed
        assert len(job.transitions) >= len(before.transitions)
        assert all(entry.ended is not None for entry in job.transitions[:-1])
        assert (job.transitions[-1].ended is not None) == job.is_final
        assert job.transitions[-1].status == job.secondary_status
        started = [entry.started for entry in job.transitions]
        assert started == sorted(started)
        assert job.attempt >= before.attempt
        assert (decision.action == "release") == job.is_final
        assert (job.status == "Failed") <= (job.failure_reason is not None)
        if before.is_final:
            assert job is before
        if before.status == "Stopping":
            assert job.status in ("Stopping", "Stopped", "Failed")
        if decision.action in ("prepare", "wait", "terminate", "kill", "release"):
            again = next_step(job, seen, now)  # without news, nothing new
            assert (again.action, again.job) == (decision.action, job)
