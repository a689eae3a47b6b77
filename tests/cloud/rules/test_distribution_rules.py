"""Whether several instances work together, and whose failure is the job's."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from fogbank.cloud.records.training_job import TrainingJob
from fogbank.cloud.rules.distribution import (
    LOST_PEER_PATIENCE_S,
    MIN_LOOKS,
    SETTINGS,
    Evidence,
    copies,
    is_lost_peer,
    notice_at_start,
    setting_of,
)
from fogbank.cloud.rules.instance_exit import InstanceExit
from fogbank.cloud.rules.training_job import Observation, first_transition, next_step, stop

T0 = datetime(2026, 11, 21, 12, tzinfo=UTC)


def job(count: int = 2, **request: Any) -> TrainingJob:
    return TrainingJob(
        name="dogs",
        arn="arn:aws:sagemaker:us-east-1:123456789012:training-job/dogs",
        request={
            "ResourceConfig": {"InstanceType": "ml.m5.2xlarge", "InstanceCount": count},
            **request,
        },
        status="InProgress",
        secondary_status="Starting",
        transitions=first_transition(T0),
        created=T0,
        modified=T0,
        model_artifacts="s3://out/dogs/output/model.tar.gz",
    )


def asked(name: str, value: str = "true") -> dict[str, Any]:
    return {"HyperParameters": {name: value}}


def sharded() -> dict[str, Any]:
    source = {"S3DataDistributionType": "ShardedByS3Key", "S3Uri": "s3://in/"}
    return {"InputDataConfig": [{"ChannelName": "train", "DataSource": {"S3DataSource": source}}]}


def seen(*models: str | None, connected: bool = False, num_looks: int = MIN_LOOKS) -> Evidence:
    return Evidence(connected=connected, num_looks=num_looks, models=models)


def kept(*checkpoints: str | None, connected: bool = False) -> Evidence:
    """No instance has left a model."""
    nothing = (None,) * len(checkpoints)
    return replace(seen(*nothing, connected=connected), checkpoints=checkpoints)


@pytest.mark.observed
@pytest.mark.parametrize(("key", "name"), SETTINGS.items())
def test_every_setting_of_the_sdks_is_known(key: str, name: str) -> None:
    assert setting_of(job(**asked(key))) == name
    assert setting_of(job(**asked(key, "false"))) is None
    assert setting_of(job()) is None


TORCH = asked("sagemaker_torch_distributed_enabled")
OWN: dict[str, Any] = {"AlgorithmSpecification": {"ContainerEntrypoint": ["/bin/sh"]}}


@pytest.mark.parametrize(
    ("work", "warned"),
    [(job(), True), (job(1), False), (job(**TORCH), False), (job(**OWN), False)],
)
def test_the_notice_before_copies_are_paid_for(work: TrainingJob, warned: bool) -> None:
    notice = notice_at_start(work)
    assert (notice is not None) is warned
    if notice is not None:
        assert "sagemaker_torch_distributed_enabled" in notice


@pytest.mark.parametrize(
    ("work", "evidence", "words"),
    [
        (job(), seen("a", "a"), "2 of 2 instances trained identical models"),
        (job(7), seen(*"aaaaaaa"), "7 of 7 instances trained identical models"),
        (job(), seen("a", "b"), "2 instances trained a model each"),
        (job(), seen("a", None), "only one of 2 instances left a model"),
        (job(**TORCH), seen("a", "a"), "torch_distributed started the script everywhere"),
        (job(**sharded()), seen("a", "a"), "identical"),
        (job(3), kept("a", "a", None), "2 of 3 instances left no model and identical checkpoints"),
        # Nothing is said where they worked together, or did different work, or nobody can know.
        (job(), seen("a", "a", connected=True), None),
        (job(**TORCH), seen("a", "a", connected=True), None),
        (job(**sharded()), seen("a", "b"), None),
        (job(**TORCH), seen("a", None), None),
        (job(), seen("a", "a", num_looks=MIN_LOOKS - 1), None),
        (job(), seen(None, None), None),
        (job(), kept("a", "a", connected=True), None),
        (job(), kept("a", "b"), None),
        (job(), kept("a", None), None),
        (job(1), seen("a"), None),
    ],
)
def test_what_is_said_of_copies(work: TrainingJob, evidence: Evidence, words: str | None) -> None:
    said = copies(work, evidence, 100)
    if words is None:
        assert said is None
    else:
        assert said is not None
        assert words in said


@pytest.mark.parametrize(
    ("count", "waste"),
    [
        (2, "1800 instance-seconds (0.50 h) of ml.m5.2xlarge bought nothing: about 0.2305 USD on"),
        (7, "10800 instance-seconds (3.00 h) of ml.m5.2xlarge bought nothing: about 1.38 USD on"),
    ],
)
def test_the_waste_is_all_but_one(count: int, waste: str) -> None:
    said = copies(job(count), seen(*["a"] * count), 1800)
    assert said is not None
    assert waste in said


def test_a_waste_of_unknown_price_is_said_in_time() -> None:
    resources = {"InstanceType": "ml.trn9.metal", "InstanceCount": 2}
    said = copies(job(ResourceConfig=resources), seen("a", "a"), 1800)
    assert said is not None
    assert "1800 instance-seconds (0.50 h) of ml.trn9.metal bought nothing: an unknown" in said


def test_a_warning_is_part_of_the_last_status_message_and_no_failure() -> None:
    now = Observation(prepared=True)
    work = next_step(job(), now, T0).job
    work = next_step(work, replace(now, downloaded=True), T0).job
    done = replace(
        now,
        downloaded=True,
        exits=(InstanceExit(instance="algo-1", code=0), InstanceExit(instance="algo-2", code=0)),
        has_model=True,
    )
    work = next_step(work, done, T0).job
    work = next_step(work, replace(done, uploaded=True, warning="all alike"), T0).job
    assert work.status == "Completed"
    assert work.transitions[-1].message == "Training job completed. Warning: all alike"


def test_a_job_that_is_stopped_is_told_too() -> None:
    now = Observation(prepared=True, downloaded=True)
    work = next_step(job(), Observation(prepared=True), T0).job
    work = next_step(work, now, T0).job
    work = next_step(stop(work, T0), replace(now, running=2), T0).job
    ends = (InstanceExit(instance="algo-1", code=-15), InstanceExit(instance="algo-2", code=-15))
    work = next_step(work, replace(now, exits=ends, terminated=T0), T0).job
    work = next_step(work, replace(now, uploaded=True, warning="all alike"), T0).job
    assert work.status == "Stopped"
    assert work.transitions[-1].message.endswith(". Warning: all alike")


GLOO = "RuntimeError: [/pytorch/third_party/gloo/pair.cc:561] Connection closed by peer [127.0.0.1]"
OWN_REASON = "ValueError: no pictures of the breed kuvasz"


@pytest.mark.parametrize(
    "words",
    [
        GLOO,
        "torch.distributed.DistNetworkError: The client socket has failed to connect",
        "torch.distributed.DistStoreError: Timed out after 61 seconds waiting for clients",
        "NCCL error: remote process exited or there was a network error",
        "recvValue failed on SocketImpl(fd=3): failed to recv, got 0 bytes",
    ],
)
def test_words_of_an_instance_that_was_left(words: str) -> None:
    assert is_lost_peer(words)
    assert not is_lost_peer(OWN_REASON)


def training() -> TrainingJob:
    work = next_step(job(), Observation(prepared=True), T0).job
    return next_step(work, Observation(prepared=True, downloaded=True), T0).job


def failed(host: str, words: str, after_s: float = 0) -> InstanceExit:
    at = T0 + timedelta(seconds=after_s)
    return InstanceExit(instance=host, code=1, failure=words, at=at)


def observed(*exits: InstanceExit, running: int = 0) -> Observation:
    return Observation(prepared=True, downloaded=True, exits=exits, running=running)


def test_a_lost_peer_waits_for_the_one_that_broke() -> None:
    left = failed("algo-1", GLOO)
    waiting = next_step(training(), observed(left, running=1), T0)
    assert (waiting.action, waiting.wait_until) == (
        "wait",
        T0 + timedelta(seconds=LOST_PEER_PATIENCE_S),
    )
    broke = next_step(waiting.job, observed(left, failed("algo-2", OWN_REASON, 1)), T0)
    assert broke.action == "upload"
    assert OWN_REASON in (broke.job.failure_reason or "")


@pytest.mark.parametrize(
    ("seen_now", "after_s"),
    [
        (observed(failed("algo-1", GLOO), running=1), LOST_PEER_PATIENCE_S),
        (observed(failed("algo-1", GLOO), failed("algo-2", GLOO)), 0),
        (observed(failed("algo-1", GLOO), InstanceExit(instance="algo-2", code=0)), 0),
    ],
)
def test_where_nobody_says_more_the_first_words_count(seen_now: Observation, after_s: int) -> None:
    decision = next_step(training(), seen_now, T0 + timedelta(seconds=after_s))
    assert decision.action == "upload"
    assert "Connection closed by peer" in (decision.job.failure_reason or "")


def test_a_reason_of_its_own_is_not_waited_for() -> None:
    decision = next_step(training(), observed(failed("algo-2", OWN_REASON), running=1), T0)
    assert decision.action == "upload"
    assert OWN_REASON in (decision.job.failure_reason or "")
