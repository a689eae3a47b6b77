"""Auto scaling of a project: the section, the steps, what is advised against."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from rich.console import Console

from fogbank.cli.report import Facts, add_outcome
from fogbank.core.arn import Scope
from fogbank.ops.apply import apply
from fogbank.ops.capacity import Capacity, read_capacity, write_capacity
from fogbank.ops.instance_quota import InstanceQuota
from fogbank.ops.kinds import endpoint, scaling
from fogbank.ops.names import Names
from fogbank.ops.observe import Observed, Tagged
from fogbank.ops.outcome import outcome
from fogbank.ops.plan import Goal, plan, plan_removal, scaling_steps
from fogbank.ops.scalable_variant import resource_id
from fogbank.ops.scaling_pause import scaling_paused
from fogbank.ops.scaling_review import (
    meaning,
    quota_warnings,
    remarks,
    target_of,
    warnings,
)
from fogbank.ops.spec import Endpoint
from fogbank.ops.spec_scaling import Scaling
from fogbank.ops.world import World
from fogbank.testing.clock import ManualClock
from ops.conftest import ReadBlueprint
from ops.fake_aws import FakeAws, RecordedProgress, fake_world

NAMES = Names("dogs", Scope())
MORNING = {"name": "morning", "at": "cron(0 8 ? * MON-FRI *)", "min": 2}
MEASURED = Capacity(
    max_requests_per_s=4.0, latency_limit_ms=500, p90_ms=300, instance_type="ml.m5.large"
)


def world_of(aws: FakeAws) -> World:
    return fake_world(aws, RecordedProgress(), ManualClock())


def spec(**changes: Any) -> Scaling:
    return Scaling.model_validate({"target": 120, **changes})


def wanted(**changes: Any) -> scaling.Desired:
    section = spec(**changes)
    target = target_of(section, MEASURED)
    assert target is not None
    return scaling.desired(section, target, NAMES)


def test_the_defaults_are_one_to_three_and_a_measured_target() -> None:
    section = Scaling()
    assert (section.min, section.max, section.target) == (1, 3, "auto")
    assert (section.scale_in_cooldown_s, section.scale_out_cooldown_s) == (300, 300)


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ({"min": 4}, r"more than max \(3\)"),
        ({"target": 0}, "greater than 0"),
        ({"target": "lots"}, "auto"),
        ({"target": "auto", "metric": "cpu"}, "measured in invocations"),
        ({"metric": "gpu"}, "invocations"),
        ({"scale_in_cooldown_s": -1}, "greater than or equal to 0"),
        ({"schedule": [{**MORNING, "at": "8 o'clock"}]}, "at"),
        ({"schedule": [{"name": "a", "at": "rate(1 day)"}]}, "min, max or both"),
        ({"schedule": [{**MORNING, "max": 1}]}, "more than max"),
        ({"schedule": [MORNING, MORNING]}, "more than one entry named morning"),
    ],
)
def test_a_section_that_cannot_be_says_why(section: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        Scaling.model_validate(section)


def test_the_first_count_lies_between_the_bounds() -> None:
    with pytest.raises(ValidationError, match=re.escape("scaling.min (2)")):
        Endpoint.model_validate({"instance_count": 1, "scaling": {"min": 2, "target": 5}})


def test_the_policy_has_the_name_that_the_console_shows() -> None:
    aws = FakeAws()
    apply(world_of(aws), scaling.diff(wanted(schedule=[MORNING]), None))
    assert aws.fake_scaling.targets["endpoint/dogs/variant/AllTraffic"]["MaxCapacity"] == 3
    (policy,) = aws.fake_scaling.policies["endpoint/dogs/variant/AllTraffic"].values()
    assert policy["PolicyName"] == "SageMakerEndpointInvocationScalingPolicy"
    assert policy["TargetTrackingScalingPolicyConfiguration"] == {
        "TargetValue": 120.0,
        "PredefinedMetricSpecification": {
            "PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"
        },
        "ScaleInCooldown": 300,
        "ScaleOutCooldown": 300,
    }


@pytest.mark.parametrize(
    ("metric", "words"),
    [
        ("concurrency", "SageMakerVariantConcurrentRequestsPerModelHighResolution"),
        ("cpu", "CPUUtilization"),
    ],
)
def test_other_metrics(metric: str, words: str) -> None:
    assert words in str(wanted(metric=metric, target=50).config)


def test_a_second_run_does_nothing_and_a_change_does_only_that() -> None:
    aws, desired = FakeAws(), wanted(schedule=[MORNING])
    apply(world_of(aws), scaling.diff(desired, scaling.observe(aws, "dogs")))
    assert scaling.diff(desired, scaling.observe(aws, "dogs")) == []
    higher = wanted(target=200, schedule=[{**MORNING, "name": "noon"}])
    steps = scaling.diff(higher, scaling.observe(aws, "dogs"))
    assert [step.message for step in steps] == [
        "scale dogs to a target of 200",
        "schedule noon for dogs",
        "forget the schedule morning of dogs",
    ]
    apply(world_of(aws), steps)
    assert scaling.diff(higher, scaling.observe(aws, "dogs")) == []
    wider = replace(higher, maximum=5)
    assert [step.message for step in scaling.diff(wider, scaling.observe(aws, "dogs"))] == [
        "let dogs have 1 to 5 instances"
    ]


def test_without_the_section_the_endpoint_is_not_scaled_any_more() -> None:
    aws = FakeAws()
    assert scaling.diff(None, scaling.observe(aws, "dogs")) == []
    apply(world_of(aws), scaling.diff(wanted(), None))
    apply(world_of(aws), scaling.diff(None, scaling.observe(aws, "dogs")))
    assert scaling.observe(aws, "dogs") is None
    assert aws.fake_scaling.policies == {}


@pytest.mark.docs
def test_auto_is_half_of_what_one_instance_sustains_in_a_minute() -> None:
    assert target_of(Scaling(), MEASURED) == 120
    assert target_of(spec(target=77), None) == 77
    assert target_of(Scaling(), None) is None


@pytest.mark.parametrize(
    ("changes", "capacity", "words"),
    [
        ({"target": 10}, None, "not requests at a time"),
        ({"target": 10}, MEASURED, "4.0 a second, so 120"),
        ({"target": 300}, MEASURED, "more than the 240"),
        ({"scale_in_cooldown_s": 30}, MEASURED, "shorter than the 180 s"),
    ],
)
def test_what_is_likely_to_go_wrong_is_said(
    changes: dict[str, Any], capacity: Capacity | None, words: str
) -> None:
    (found,) = warnings(spec(**changes), capacity)
    assert words in found


@pytest.mark.docs
@pytest.mark.parametrize(
    ("section", "limit", "words"),
    [
        ({"scaling": {"max": 3}}, None, []),
        ({"scaling": {"max": 3}}, 6, []),
        ({"scaling": {"max": 3}}, 4, ["with more than 2 serving it fails"]),
        (
            {"scaling": {"max": 9}},
            4,
            ["max is 9, and the account may have 4 ml.m5.large for endpoints", "more than 2"],
        ),
        (
            {"scaling": {"max": 3, "schedule": [{**MORNING, "max": 8}]}},
            7,
            ["max is 8", "more than 3 serving"],
        ),
        ({"instance_count": 2}, 4, []),
        ({"instance_count": 3}, 4, ["twice the instances while both are there"]),
        ({"instance_count": 5}, 4, ["instance_count is 5"]),
        ({}, 0, ["the endpoint cannot be deployed (ResourceLimitExceeded)"]),
        ({}, 1, ["it fails with ResourceLimitExceeded. Ask AWS Service Quotas for more."]),
    ],
)
def test_what_the_quota_does_not_allow_is_said(
    section: dict[str, Any], limit: int | None, words: list[str]
) -> None:
    found = quota_warnings(
        Endpoint.model_validate(section), InstanceQuota(instance_type="ml.m5.large", limit=limit)
    )
    assert len(found) == len(words)
    for warning, expected in zip(found, words, strict=True):
        assert expected in warning
        assert "ResourceLimitExceeded" in warning


def test_a_quota_that_could_not_be_read_is_no_error_and_said() -> None:
    quota = InstanceQuota(instance_type="ml.m5.large", unreadable="could not read it: denied")
    (found,) = remarks(Endpoint(), None, quota=quota)
    assert found == (
        "whether the account may have so many ml.m5.large for endpoints is not known here: could "
        "not read it: denied"
    )


def test_a_sound_policy_needs_no_warning() -> None:
    assert warnings(spec(), MEASURED) == ()
    assert warnings(Scaling(), None) == ()
    assert warnings(spec(metric="cpu", target=50), None) == ()


@pytest.mark.parametrize(
    ("section", "capacity", "words"),
    [
        ({}, None, "`fogbank scale measure` finds"),
        ({"target": 120}, MEASURED, ""),
        ({"target": 10}, None, "not requests at a time"),
    ],
)
def test_what_is_said_of_the_section(
    section: dict[str, Any], capacity: Capacity | None, words: str
) -> None:
    scaled = Endpoint.model_validate({"scaling": section})
    assert words in " ".join(remarks(scaled, capacity))
    assert bool(words) == bool(remarks(scaled, capacity))
    assert remarks(Endpoint(), capacity) == ()


def test_a_measurement_on_other_instances_is_said() -> None:
    other = Endpoint.model_validate({"instance_type": "ml.c5.large", "scaling": {}})
    (found,) = remarks(other, MEASURED)
    assert "measured on ml.m5.large, and the endpoint has ml.c5.large" in found


@pytest.mark.parametrize(
    ("metric", "target", "words"),
    [
        ("invocations", 120, "120 invocations a minute and instance: 2 requests a second with 1"),
        ("concurrency", 4, "4 requests at a time and instance: 4 at a time with 1, 12 with 3"),
        ("cpu", 70, "70 percent of processor time"),
        ("GPUUtilization", 5, "5 of GPUUtilization"),
    ],
)
def test_a_target_in_words(metric: str, target: float, words: str) -> None:
    assert meaning(metric, target, minimum=1, maximum=3).startswith(words)


@pytest.mark.parametrize("metric", ["invocations", "concurrency", "cpu"])
def test_what_was_applied_is_read_in_the_words_of_the_file(metric: str) -> None:
    aws = FakeAws()
    apply(world_of(aws), scaling.diff(wanted(metric=metric, target=50), None))
    found = scaling.observe(aws, "dogs")
    assert found is not None
    assert (found.metric, found.target, found.suspended) == (metric, 50, ())


def suspended(aws: FakeAws) -> set[str]:
    found = scaling.observe(aws, "dogs")
    assert found is not None
    return set(found.suspended)


def test_a_pause_ends_as_it_began_whatever_happens() -> None:
    aws = FakeAws()
    apply(world_of(aws), scaling.diff(wanted(), None))
    aws.fake_scaling.register_scalable_target(
        ResourceId=resource_id("dogs"),
        SuspendedState={"ScheduledScalingSuspended": True},
    )
    before = aws.fake_scaling.targets["endpoint/dogs/variant/AllTraffic"]["MaxCapacity"]
    with pytest.raises(KeyboardInterrupt), scaling_paused(aws, scaling.observe(aws, "dogs")):
        assert len(suspended(aws)) == 3
        raise KeyboardInterrupt
    assert suspended(aws) == {"ScheduledScalingSuspended"}
    after = aws.fake_scaling.targets["endpoint/dogs/variant/AllTraffic"]["MaxCapacity"]
    assert (before, after) == (3, 3)


def test_what_is_not_scaled_needs_no_pause() -> None:
    aws = FakeAws()
    with scaling_paused(aws, None):
        assert aws.fake_scaling.targets == {}


def suspend(aws: FakeAws, *names: str) -> None:
    """As a person does."""
    aws.fake_scaling.register_scalable_target(
        ResourceId=resource_id("dogs"), SuspendedState=dict.fromkeys(names, True)
    )


def test_what_a_person_suspended_stays_so_and_is_said() -> None:
    aws = FakeAws()
    apply(world_of(aws), scaling.diff(wanted(), None))
    suspend(aws, "DynamicScalingOutSuspended")
    found = scaling.observe(aws, "dogs")
    assert scaling.diff(wanted(), found) == []
    (said,) = remarks(Endpoint(), None, found=found)
    assert "somebody has suspended the scaling (DynamicScalingOutSuspended)" in said
    assert "--resource-id endpoint/dogs/variant/AllTraffic" in said
    assert "--suspended-state DynamicScalingOutSuspended=false`" in said


@pytest.mark.parametrize("suspended_before", [(), ("ScheduledScalingSuspended",)])
def test_a_pause_that_was_killed_is_said_and_ended(suspended_before: tuple[str, ...]) -> None:
    aws = FakeAws()
    apply(world_of(aws), scaling.diff(wanted(), None))
    suspend(aws, *suspended_before)
    killed = scaling_paused(aws, scaling.observe(aws, "dogs"))
    killed.__enter__()
    found = scaling.observe(aws, "dogs")
    (said,) = remarks(Endpoint(), None, found=found)
    assert "`fogbank scale measure` suspended the scaling" in said
    steps = scaling.diff(wanted(), found)
    assert [(step.message, step.reason) for step in steps] == [
        ("let dogs scale again", "`fogbank scale measure` suspended its scaling and was killed")
    ]
    apply(world_of(aws), steps)
    assert suspended(aws) == set(suspended_before)
    assert scaling.diff(wanted(), scaling.observe(aws, "dogs")) == []


def test_a_pause_is_ended_though_the_target_is_to_be_measured_again() -> None:
    assert scaling_steps(Scaling(), None, NAMES, None) == []
    assert scaling_steps(Scaling(), None, NAMES, FOUND) == []
    paused = replace(FOUND, before_pause=(), target_arn="arn:x")
    assert [step.message for step in scaling_steps(Scaling(), None, NAMES, paused)] == [
        "let pets scale again"
    ]


def test_who_measures_after_one_that_was_killed_leaves_it_as_it_was_before_both() -> None:
    aws = FakeAws()
    apply(world_of(aws), scaling.diff(wanted(), None))
    suspend(aws, "ScheduledScalingSuspended")
    killed = scaling_paused(aws, scaling.observe(aws, "dogs"))
    killed.__enter__()
    assert len(suspended(aws)) == 3
    with scaling_paused(aws, scaling.observe(aws, "dogs")):
        assert len(suspended(aws)) == 3
    assert suspended(aws) == {"ScheduledScalingSuspended"}


@pytest.mark.parametrize("num_calls", range(1, 5))
def test_wherever_a_pause_is_killed_it_can_be_ended(num_calls: int) -> None:
    """Two calls begin it, two end it; after the last one there is nothing left to do."""
    aws = FakeAws()
    apply(world_of(aws), scaling.diff(wanted(), None))
    pause = scaling_paused(aws, scaling.observe(aws, "dogs"))
    aws.interrupt_after = aws.num_calls + num_calls
    with pytest.raises(KeyboardInterrupt), pause:
        pass
    aws.interrupt_after = None
    steps = scaling.diff(wanted(), scaling.observe(aws, "dogs"))
    assert len(steps) == (0 if num_calls == 4 else 1)
    apply(world_of(aws), steps)
    assert suspended(aws) == set()
    assert scaling.diff(wanted(), scaling.observe(aws, "dogs")) == []


def test_what_aws_tells_besides_is_no_other_policy() -> None:
    desired = wanted()
    found = replace(FOUND, config={**desired.config, "DisableScaleIn": False})
    assert scaling.diff(desired, found) == []
    never_in = replace(FOUND, config={**desired.config, "DisableScaleIn": True})
    assert [step.message for step in scaling.diff(desired, never_in)] == [
        "scale dogs to a target of 120"
    ]


FOUND = scaling.Found(
    endpoint="pets",
    minimum=1,
    maximum=3,
    config=None,
    schedule={},
    instance_type="ml.m5.large",
)


def steps_of(
    project: Path, read_blueprint: ReadBlueprint, section: str, status: str = "InService"
) -> list[tuple[str, str, dict[str, Any]]]:
    """For an endpoint that is scaled and serves another model."""
    (project / "fogbank.yaml").write_text(f"project: pets\nendpoint: {section}\n")
    observed = Observed(
        endpoint=endpoint.Found(name="pets", status=status, config_name="old"), scaling=FOUND
    )
    return [
        (step.kind, step.verb, dict(step.request))
        for step in plan(read_blueprint(), observed, Goal.DEPLOYED)
        if step.kind in ("endpoint", "scaling")
    ]


def test_a_new_model_keeps_the_instances_that_the_load_asked_for(
    project: Path, read_blueprint: ReadBlueprint
) -> None:
    scaled = steps_of(project, read_blueprint, "{scaling: {target: 120}}")
    assert [(kind, verb) for kind, verb, _ in scaled] == [
        ("endpoint", "update"),
        ("endpoint", "wait"),
        ("scaling", "update"),
    ]
    assert scaled[0][2]["RetainAllVariantProperties"] is True
    fixed = steps_of(project, read_blueprint, "{instance_count: 2}")
    assert "RetainAllVariantProperties" not in fixed[0][2]


@pytest.mark.docs
def test_another_instance_type_is_no_scalable_target_meanwhile(
    project: Path, read_blueprint: ReadBlueprint
) -> None:
    found = steps_of(
        project, read_blueprint, "{instance_type: ml.c5.large, scaling: {target: 120}}"
    )
    assert [(kind, request.get("operation", verb)) for kind, verb, request in found] == [
        ("scaling", "deregister_scalable_target"),
        ("endpoint", "update"),
        ("endpoint", "wait"),
        ("scaling", "register_scalable_target"),
        ("scaling", "put_scaling_policy"),
    ]


def test_a_failed_endpoint_takes_its_scaling_with_it(
    project: Path, read_blueprint: ReadBlueprint
) -> None:
    found = steps_of(project, read_blueprint, "{scaling: {target: 120}}", status="Failed")
    assert [(kind, request.get("operation", verb)) for kind, verb, request in found] == [
        ("endpoint", "delete"),
        ("endpoint", "create"),
        ("endpoint", "wait"),
        ("scaling", "register_scalable_target"),
        ("scaling", "put_scaling_policy"),
    ]


def test_scaling_goes_before_its_endpoint() -> None:
    steps = plan_removal(Tagged(scaling=FOUND, endpoints=("pets",)), delete_data=False)
    assert [step.message for step in steps] == ["stop scaling pets", "delete the endpoint pets"]


def test_how_it_is_scaled_is_part_of_the_outcome(
    project: Path, read_blueprint: ReadBlueprint
) -> None:
    (project / "fogbank.yaml").write_text("project: pets\nendpoint: {scaling: {target: 10}}\n")
    found = outcome(
        read_blueprint(),
        Observed(
            endpoint=endpoint.Found(name="pets", status="InService", config_name="x"),
            scaling=replace(FOUND, config=wanted(metric="cpu", target=70).config),
        ),
    )
    told = found.to_json()["endpoint"]
    assert told["scaling"] == {
        "min": 1,
        "max": 3,
        "target": 70,
        "metric": "cpu",
        "suspended": False,
    }
    assert "10 is invocations a minute" in told["scaling_remarks"][0]
    facts, console = Facts(), Console(file=io.StringIO(), width=1000)
    add_outcome(facts, found)
    facts.print(console)
    assert isinstance(console.file, io.StringIO)
    assert "pets (InService), 1 to 3 instances, target 70 (cpu)" in console.file.getvalue()


def test_a_measurement_is_kept_in_the_project(tmp_path: Any) -> None:
    assert read_capacity(tmp_path) is None
    path = write_capacity(tmp_path, MEASURED)
    assert read_capacity(tmp_path) == MEASURED
    assert path.read_text().startswith("# What `fogbank scale measure`")
