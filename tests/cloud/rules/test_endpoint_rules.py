"""The life of an endpoint: stories, and laws for a simulated machine."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fogbank.cloud.records.hosting import Endpoint, TrafficShift, Variant
from fogbank.cloud.rules.endpoint import FAILURE_REASON_CHARS, Decision, next_step
from fogbank.cloud.rules.endpoint_fleet import (
    BACKOFF_MAX_S,
    NO_CAPACITY,
    PROVISION_TIMEOUT_S,
    START_ATTEMPTS,
    STARTUP_TIMEOUT_S,
    Observation,
    ReplicaSeen,
    ReplicaState,
    VariantSeen,
    backoff_s,
    ping_failure,
)

T0 = datetime(2026, 11, 21, 12, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def variant(
    name: str = "AllTraffic", *, count: int = 1, generation: int = 1, **more: Any
) -> Variant:
    return Variant(
        name=name,
        model_name="dogs",
        container={"Image": "pytorch-inference:2.6.0-cpu"},
        execution_role_arn="arn:aws:iam::123456789012:role/notebook",
        instance_type="ml.m5.large",
        desired_count=count,
        desired_weight=1.0,
        generation=generation,
        **more,
    )


def endpoint(**fields: Any) -> Endpoint:
    return Endpoint(
        name="dogs",
        arn="arn:aws:sagemaker:us-east-1:123456789012:endpoint/dogs",
        **{
            "config_name": "dogs-1",
            "created": T0,
            "modified": T0,
            "status": "InService",
            **fields,
        },
    )


def creating(*variants: Variant) -> Endpoint:
    return endpoint(
        status="Creating",
        pending_variants=variants or (variant(),),
        pending_config="dogs-1",
        pending_since=T0,
    )


def updating() -> Endpoint:
    """dogs-1 serves with one replica; dogs-2 shall replace it."""
    return endpoint(
        status="Updating",
        generation=2,
        variants=(variant(),),
        pending_variants=(variant(generation=2),),
        pending_config="dogs-2",
        pending_since=T0,
    )


def replica(
    id_: str, state: ReplicaState = "healthy", *, generation: int = 1, since: float = 0
) -> ReplicaSeen:
    return ReplicaSeen(
        id=id_, variant="AllTraffic", generation=generation, state=state, since=at(since)
    )


def seen(*replicas: ReplicaSeen, **trouble: Any) -> Observation:
    generation = trouble.pop("generation", 1)
    variants: tuple[VariantSeen, ...] = ()
    if trouble:
        variants = (VariantSeen(variant="AllTraffic", generation=generation, **trouble),)
    return Observation(replicas=replicas, variants=variants)


def settle(record: Endpoint, observation: Observation, now: datetime) -> Decision:
    """Ask until the record stays as it is, or something is to be stopped."""
    decision = next_step(record, observation, now)
    while decision.endpoint != record and not decision.stop:
        record = decision.endpoint
        decision = next_step(record, observation, now)
    return decision


def starts(decision: Decision) -> dict[tuple[str, int], int]:
    return {(s.variant.name, s.variant.generation): s.count for s in decision.start}


def stops(decision: Decision) -> list[str]:
    return [stop.replica_id for stop in decision.stop]


@pytest.mark.docs
def test_a_new_endpoint_is_in_service_when_every_replica_of_every_variant_is_healthy() -> None:
    record = creating(variant(count=2))
    first = next_step(record, seen(), at(0))
    assert starts(first) == {("AllTraffic", 1): 2}
    half = next_step(first.endpoint, seen(replica("a"), replica("b", "starting")), at(1))
    assert (half.endpoint.status, half.start, half.stop) == ("Creating", (), ())
    assert half.wait_until == at(STARTUP_TIMEOUT_S)
    done = next_step(half.endpoint, seen(replica("a"), replica("b")), at(2)).endpoint
    assert (done.status, done.pending_variants, done.pending_config) == ("InService", (), None)
    assert (done.variants[0].current_count, done.variants[0].current_weight) == (2, 1.0)
    assert done.modified == at(2)


@pytest.mark.observed
def test_a_container_that_keeps_dying_makes_the_endpoint_fail_with_its_last_words() -> None:
    once = seen(failures=1, last_failure=at(1), last_words="ImportError: no timm")
    again = next_step(creating(), once, at(2))
    assert starts(again) == {("AllTraffic", 1): 1}
    trouble = seen(failures=START_ATTEMPTS, last_failure=at(3), last_words="ImportError: no timm")
    failed = next_step(creating(), trouble, at(4)).endpoint
    assert failed.status == "Failed"
    assert failed.failure_reason == (
        "The primary container for production variant AllTraffic did not pass the ping health "
        "check. Please check CloudWatch logs for this endpoint. The container's last words: "
        "ImportError: no timm"
    )


@pytest.mark.model
def test_a_failure_reason_has_at_most_1024_characters() -> None:
    trouble = seen(failures=START_ATTEMPTS, last_failure=at(3), last_words="x" * 5000)
    failed = next_step(creating(), trouble, at(4)).endpoint
    assert failed.failure_reason is not None
    assert len(failed.failure_reason) == FAILURE_REASON_CHARS


@pytest.mark.docs
@pytest.mark.parametrize(
    ("settings", "limit_s"),
    [(None, STARTUP_TIMEOUT_S), ({"ContainerStartupHealthCheckTimeoutInSeconds": 90}, 90)],
)
def test_a_container_has_its_start_up_time_and_no_more(
    settings: dict[str, int] | None, limit_s: int
) -> None:
    record = creating(variant(settings=settings))
    slow = seen(replica("a", "starting"))
    assert next_step(record, slow, at(limit_s - 1)).endpoint.status == "Creating"
    decision = next_step(record, slow, at(limit_s))
    assert decision.endpoint.status == "Failed"
    assert f"within {limit_s} s" in str(decision.endpoint.failure_reason)
    assert stops(decision) == ["a"]


@pytest.mark.docs
def test_model_data_that_cannot_be_used_fails_at_once() -> None:
    decision = next_step(creating(), seen(refused="model.tar.gz is no gzip archive"), at(0))
    assert decision.endpoint.failure_reason == "model.tar.gz is no gzip archive"
    assert decision.start == ()


@pytest.mark.docs
def test_a_failed_endpoint_starts_nothing() -> None:
    decision = next_step(endpoint(status="Failed"), seen(replica("a")), at(0))
    assert (decision.start, stops(decision), decision.endpoint.status) == ((), ["a"], "Failed")


@pytest.mark.docs
def test_an_update_serves_the_old_fleet_until_the_new_one_is_healthy() -> None:
    first = next_step(updating(), seen(replica("old")), at(0))
    assert starts(first) == {("AllTraffic", 2): 1}
    assert first.stop == ()
    new = replica("new", "starting", generation=2)
    assert next_step(first.endpoint, seen(replica("old"), new), at(1)).stop == ()
    new = replace(new, state="healthy")
    moved = settle(first.endpoint, seen(replica("old"), new), at(2))
    assert (moved.endpoint.status, stops(moved)) == ("Updating", ["old"])
    assert moved.endpoint.shift == TrafficShift(stage="Deleting", since=at(2), share=1.0)
    leaving = replace(seen(new), leaving=frozenset({("AllTraffic", 1)}))
    assert next_step(moved.endpoint, leaving, at(3)).endpoint.status == "Updating"
    done = next_step(moved.endpoint, seen(new), at(4)).endpoint
    assert (done.status, done.config_name) == ("InService", "dogs-2")
    assert (done.variants[0].generation, done.pending_variants, done.shift) == (2, (), None)


@pytest.mark.observed
def test_a_failed_update_leaves_the_old_fleet_in_service_with_a_failure_reason() -> None:
    # terraform-provider-aws issue 39099: InService, old configuration, FailureReason set.
    observation = seen(
        replica("old"),
        replica("new", "starting", generation=2),
        generation=2,
        failures=START_ATTEMPTS,
        last_failure=at(1),
        last_words="boom",
    )
    decision = next_step(updating(), observation, at(2))
    assert (decision.endpoint.status, stops(decision)) == ("RollingBack", ["new"])
    record = next_step(decision.endpoint, seen(replica("old")), at(3)).endpoint
    assert (record.status, record.config_name) == ("InService", "dogs-1")
    assert record.failure_reason == ping_failure("AllTraffic", "boom")
    assert (record.pending_variants, record.pending_config) == ((), None)


@pytest.mark.docs
def test_during_an_update_an_old_replica_that_dies_is_replaced() -> None:
    decision = next_step(updating(), seen(replica("new", "starting", generation=2)), at(0))
    assert starts(decision) == {("AllTraffic", 1): 1}


@pytest.mark.docs
def test_a_replica_that_dies_in_service_is_replaced_after_a_growing_pause() -> None:
    record = endpoint(variants=(variant(current_count=1),))
    first = next_step(record, seen(failures=1, last_failure=at(10)), at(10))
    assert first.start == ()
    assert first.wait_until == at(11)
    assert first.endpoint.variants[0].current_count == 0
    assert first.endpoint.status == "InService"
    assert starts(next_step(record, seen(failures=1, last_failure=at(10)), at(11)))
    later = seen(failures=9, last_failure=at(10))
    assert next_step(record, later, at(10)).wait_until == at(10 + BACKOFF_MAX_S)


@pytest.mark.docs
@pytest.mark.parametrize(
    "sick", [replica("a", "unhealthy"), replica("a", "starting", since=-STARTUP_TIMEOUT_S)]
)
def test_a_sick_replica_in_service_is_ended_and_counts_as_a_failure(sick: ReplicaSeen) -> None:
    record = endpoint(variants=(variant(),))
    decision = next_step(record, seen(sick), at(0))
    assert [(stop.replica_id, stop.failed) for stop in decision.stop] == [("a", True)]
    assert starts(decision) == {("AllTraffic", 1): 1}


def test_after_a_host_restart_an_endpoint_in_service_gets_its_replicas_again() -> None:
    decision = next_step(endpoint(variants=(variant(count=3),)), seen(), at(0))
    assert starts(decision) == {("AllTraffic", 1): 3}
    assert decision.endpoint.status == "InService"


@pytest.mark.docs
def test_scaling_out_and_in() -> None:
    out = endpoint(status="Updating", variants=(variant(count=2),), pending_since=T0)
    first = next_step(out, seen(replica("a")), at(0))
    assert (starts(first), first.endpoint.status) == ({("AllTraffic", 1): 1}, "Updating")
    done = next_step(first.endpoint, seen(replica("a"), replica("b", since=1)), at(2))
    assert done.endpoint.status == "InService"
    back = replace(done.endpoint, status="Updating", variants=(variant(count=1),))
    fewer = next_step(back, seen(replica("a"), replica("b", since=1)), at(3))
    assert (stops(fewer), fewer.endpoint.status) == (["b"], "Updating")
    assert next_step(fewer.endpoint, seen(replica("a")), at(4)).endpoint.status == "InService"


@pytest.mark.docs
def test_scaling_in_ends_what_has_not_started_yet_first() -> None:
    record = endpoint(status="Updating", variants=(variant(count=1),), pending_since=T0)
    decision = next_step(record, seen(replica("new", "starting"), replica("a", since=5)), at(6))
    assert stops(decision) == ["new"]


@pytest.mark.docs
def test_scaling_that_fails_rolls_back_to_what_runs() -> None:
    record = endpoint(status="Updating", variants=(variant(count=3),), pending_since=at(5))
    stale = seen(replica("a"), failures=START_ATTEMPTS, last_failure=at(1))
    assert next_step(record, stale, at(6)).endpoint.status == "Updating", "an old failure"
    trouble = seen(
        replica("a"),
        replica("b", "starting", since=6),
        failures=START_ATTEMPTS,
        last_failure=at(7),
        last_words="no memory",
    )
    decision = next_step(record, trouble, at(8))
    assert (decision.endpoint.status, stops(decision)) == ("RollingBack", ["b"])
    assert decision.endpoint.variants[0].desired_count == 1
    end = next_step(decision.endpoint, seen(replica("a")), at(9)).endpoint
    assert end.status == "InService"
    assert "no memory" in str(end.failure_reason)


@pytest.mark.observed
def test_scaling_that_gets_no_instances_gives_up_without_a_reason() -> None:
    record = endpoint(status="Updating", variants=(variant(count=3),), pending_since=at(0))
    waiting = next_step(record, seen(replica("a"), short_s=PROVISION_TIMEOUT_S - 1), at(9))
    assert (waiting.endpoint.status, starts(waiting)) == ("Updating", {("AllTraffic", 1): 2})
    end = next_step(record, seen(replica("a"), short_s=PROVISION_TIMEOUT_S), at(10)).endpoint
    assert (end.status, end.failure_reason) == ("InService", None)
    assert end.variants[0].desired_count == 1


@pytest.mark.observed
def test_a_deployment_that_gets_no_instances_fails() -> None:
    own = variant(settings={"VariantInstanceProvisionTimeoutInSeconds": 300})
    waiting = next_step(creating(own), seen(short_s=299), at(299))
    assert waiting.endpoint.status == "Creating"
    failed = next_step(creating(own), seen(short_s=300), at(300)).endpoint
    assert (failed.status, failed.failure_reason) == ("Failed", NO_CAPACITY)


@pytest.mark.docs
def test_an_instance_that_is_still_coming_has_no_time_limit_of_its_own() -> None:
    """The container's start-up limit begins when it starts."""
    late = seen(replica("a", "provisioning", since=-2 * STARTUP_TIMEOUT_S))
    decision = next_step(creating(variant()), late, at(0))
    assert (decision.endpoint.status, stops(decision), starts(decision)) == ("Creating", [], {})


@pytest.mark.docs
def test_deleting_ends_everything_and_then_the_record() -> None:
    record = endpoint(status="Deleting", variants=(variant(),))
    first = next_step(record, seen(replica("a"), replica("b", "starting")), at(0))
    assert (stops(first), first.remove) == (["a", "b"], False)
    assert next_step(record, seen(), at(1)).remove


def test_creating_without_variants_is_a_bug_and_says_so() -> None:
    with pytest.raises(RuntimeError, match="without pending variants"):
        next_step(endpoint(status="Creating"), seen(), at(0))


@given(st.integers(0, 10_000))
def test_backoff_never_shrinks_and_is_bounded(failures: int) -> None:
    assert 0 <= backoff_s(failures) <= backoff_s(failures + 1) <= BACKOFF_MAX_S


@dataclass
class Machine:
    """Starts, ages and loses containers as the dice say; obeys decisions."""

    dice: Random
    dies: float
    now: datetime = T0
    next_id: int = 0
    replicas: dict[str, ReplicaSeen] = field(default_factory=dict)
    troubles: dict[tuple[str, int], VariantSeen] = field(default_factory=dict)

    def seen(self) -> Observation:
        return Observation(
            replicas=tuple(self.replicas.values()), variants=tuple(self.troubles.values())
        )

    def obey(self, decision: Decision) -> None:
        for stop in decision.stop:
            gone = self.replicas.pop(stop.replica_id)
            if stop.failed:
                self.fail(gone)
        for start in decision.start:
            for _ in range(start.count):
                self.next_id += 1
                self.replicas[str(self.next_id)] = ReplicaSeen(
                    id=str(self.next_id),
                    variant=start.variant.name,
                    generation=start.variant.generation,
                    state="starting",
                    since=self.now,
                )

    def fail(self, gone: ReplicaSeen) -> None:
        key = (gone.variant, gone.generation)
        old = self.troubles.get(key) or VariantSeen(variant=key[0], generation=key[1])
        self.troubles[key] = replace(old, failures=old.failures + 1, last_failure=self.now)

    def live(self) -> None:
        self.now += timedelta(seconds=self.dice.choice([1, 5, 70]))
        for replica_ in list(self.replicas.values()):
            if self.dice.random() < self.dies:
                self.fail(self.replicas.pop(replica_.id))
            elif replica_.state == "starting" and self.dice.random() < 0.7:
                self.replicas[replica_.id] = replace(replica_, state="healthy", since=self.now)
                self.troubles.pop((replica_.variant, replica_.generation), None)


@given(st.randoms(use_true_random=False), st.sampled_from([0.0, 0.1, 0.6]), st.integers(1, 3))
def test_laws_of_a_machine_that_obeys(dice: Random, dies: float, count: int) -> None:
    """Never more containers than wanted, what serves never loses a healthy replica to an update,
    and what nobody kills comes into service."""
    machine = Machine(dice, dies)
    record = creating(variant(count=count), variant("B", count=1))
    for round_ in range(40):
        decision = next_step(record, machine.seen(), machine.now)
        if record.status == "Failed":
            assert decision.endpoint.status == "Failed"
        shift = decision.endpoint.shift
        has_moved = shift is not None and (shift.stage, shift.share) == ("Deleting", 1.0)
        staying = "pending_variants" if has_moved else "variants"
        serving = {(v.name, v.generation) for v in getattr(decision.endpoint, staying)}
        for stop in decision.stop:
            gone = machine.replicas[stop.replica_id]
            assert gone.state != "healthy" or (gone.variant, gone.generation) not in serving
        machine.obey(decision)
        record = decision.endpoint
        wanted = (*record.variants, *record.pending_variants)
        for variant_ in wanted:
            own = [
                r
                for r in machine.replicas.values()
                if (r.variant, r.generation) == (variant_.name, variant_.generation)
            ]
            assert len(own) <= variant_.desired_count
        assert len(machine.replicas) <= sum(v.desired_count for v in wanted)
        machine.live()
        if round_ == 20 and record.status == "InService":
            generation = record.generation + 1
            record = replace(
                record,
                status="Updating",
                generation=generation,
                pending_variants=(variant(count=count, generation=generation),),
                pending_config="dogs-2",
                pending_since=machine.now,
            )
    if dies == 0.0:
        assert (record.status, record.config_name) == ("InService", "dogs-2")
        assert record.variants[0].current_count == count
