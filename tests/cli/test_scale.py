"""`fogbank scale`: fogbank.yaml and endpoint changed together, shown, measured and simulated."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from cli.scaled_project import NAME, ScaledProject
from fogbank.cli.exit_codes import ExitCode
from fogbank.core.clock import SystemClock, wait
from fogbank.ops.spec_file import read_spec
from fogbank.testing.cloud import RunningCloud

DESIGN = Path(__file__).parents[2] / "docs/design/auto-scaling.md"
COMPARISON = (
    "fogbank scale simulate --target 10 --target 25 --target 120 "
    "--scale-in-cooldown 30 --scale-out-cooldown 30"
)


def quiet(cloud: RunningCloud) -> None:
    """Wait until the load is out of the alarm's window: three periods, 3 s here. Before that a new
    policy would act on it."""
    clock, cloudwatch = SystemClock(), cloud.client("cloudwatch")
    deadline_s = clock.monotonic_s() + 30
    while clock.monotonic_s() < deadline_s:
        points = cloudwatch.get_metric_statistics(
            Namespace="AWS/SageMaker",
            MetricName="Invocations",
            Dimensions=[
                {"Name": "EndpointName", "Value": NAME},
                {"Name": "VariantName", "Value": "AllTraffic"},
            ],
            StartTime=clock.now() - timedelta(seconds=5),
            EndTime=clock.now() + timedelta(seconds=1),
            Period=1,
            Statistics=["Sum"],
        )["Datapoints"]
        if not any(point["Sum"] for point in points):
            return
        wait(0.2)
    raise AssertionError("requests still come in")


@pytest.fixture
def project(tmp_path: Path) -> ScaledProject:
    """Without a cloud."""
    return ScaledProject(tmp_path)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--target", "nine"), "a number or `auto`"),
        (("--target", "0"), "endpoint.scaling.target"),
        (("--min", "4"), "endpoint.scaling.min: is more than max (3)"),
        (("--min", "2"), "endpoint.instance_count: is not between scaling.min (2)"),
        (("--metric", "gpu", "--target", "5"), "endpoint.scaling.metric"),
        (("--metric", "cpu"), "auto is measured in invocations"),
        ((), "has no endpoint.scaling to apply"),
    ],
)
def test_what_cannot_be_set_changes_nothing(
    options: tuple[str, ...], words: str, project: ScaledProject
) -> None:
    before = project.file.read_text()
    refused = project.types("scale", "set", *options)
    assert refused.exit_code == ExitCode.USAGE
    assert words in refused.stderr
    assert project.file.read_text() == before
    assert {path.name for path in project.folder.iterdir()} == {
        "data",
        "fogbank.yaml",
        "inference.py",
        "train.py",
    }


def test_the_table_of_the_design_note_is_made_by_its_command(project: ScaledProject) -> None:
    text = DESIGN.read_text()
    assert f"```\n$ {COMPARISON}\n" in text
    block = text.partition(f"$ {COMPARISON}\n")[2].partition("```")[0]
    shown = project.does(*COMPARISON.split()[1:])
    rows = [line for line in shown.splitlines() if not line.startswith("picture")]
    assert block.splitlines() == rows


@pytest.mark.observed
def test_a_low_target_costs_instances_for_nothing(project: ScaledProject) -> None:
    found = project.reads(*COMPARISON.split()[1:])
    assert [
        (row["target"], len(row["activities"]), row["instance_hours"], row["most_instances"])
        for row in found["targets"]
    ] == [(10, 18, 9.6, 3), (25, 18, 9.4, 3), (120, 0, 6.0, 1)]
    assert any("60% more instance-hours" in remark for remark in found["remarks"])
    assert found["usd_per_hour_and_instance"] == 0.115
    assert found["targets"][2]["usd"] == pytest.approx(6 * 0.115)
    assert found["targets"][0]["minutes_overloaded"] is None
    assert Path(found["picture"]).read_bytes().startswith(b"\x89PNG")


def test_a_simulation_takes_what_is_not_given_from_the_project(project: ScaledProject) -> None:
    project.write(
        "{instance_type: ml.c4.large, instance_count: 2, "
        "scaling: {min: 2, max: 7, target: 60, scale_in_cooldown_s: 60}}"
    )
    (project.folder / "capacity.yaml").write_text(
        "{max_requests_per_s: 0.2, latency_limit_ms: 500, p90_ms: 9, instance_type: ml.c4.large}"
    )
    found = project.reads("scale", "simulate", "--hours", "1", "--start", "0")
    assert [row["target"] for row in found["targets"]] == [10, 25, 60, 120]
    assert (found["min"], found["max"], found["scale_in_cooldown_s"]) == (2, 7, 60)
    assert {min(row["instances"]) for row in found["targets"]} == {2}
    assert found["targets"][2]["usd"] is None, "nobody knows what that costs"
    assert found["targets"][2]["minutes_overloaded"] == 10
    shown = project.does("scale", "simulate", "--hours", "1", "--max", "2", "--target", "10")
    assert "unknown" in shown
    assert "more than it can do" in shown


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--target", "0"), "greater than 0"),
        (("--min", "5"), "min 5 is more than max 3"),
        (("--profile", "wave"), "no profile 'wave'"),
        (("--peak", "0.01"), "below the rate"),
    ],
)
def test_a_simulation_that_cannot_be(
    options: tuple[str, ...], words: str, project: ScaledProject
) -> None:
    refused = project.types("scale", "simulate", *options)
    assert refused.exit_code == ExitCode.USAGE
    assert words in refused.stderr


def test_a_recorded_day_can_be_simulated(project: ScaledProject) -> None:
    trace = project.folder / "times.csv"
    trace.write_text("".join(f"{number * 0.5}, somebody\n" for number in range(1200)))
    found = project.reads(
        "scale", "simulate", "--profile", str(trace), "--hours", "1", "--target", "60"
    )
    assert found["targets"][0]["activities"][0] == {"at_s": 240.0, "from": 1, "to": 2}


def scalable_targets(cloud: RunningCloud) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = cloud.client("application-autoscaling").describe_scalable_targets(
        ServiceNamespace="sagemaker"
    )["ScalableTargets"]
    return found


@pytest.mark.slow
def test_from_auto_to_a_scaled_endpoint_and_back(
    unscaled: ScaledProject, fast_cloud: RunningCloud
) -> None:
    """As a person comes to a target: measure, apply, look, change, remove."""
    project = unscaled
    assert "none: the number of instances stays" in project.does("scale", "show")
    project.file.write_text(
        "project: scaled\ntrain: {metrics: []}\n"
        "endpoint:\n  scaling:  # by load\n    target: auto  # half of what one can do\n"
    )
    assert "`fogbank scale measure` finds" in project.does("status")
    assert project.reads("scale", "set")["endpoint"]["scaling"] is None

    measured = project.reads("scale", "measure", "--max-rate", "20")
    assert measured["max_requests_per_s"] == 20, "the model can do 100"
    assert measured["is_lower_bound"]
    assert measured["instances"] == 1
    told = project.reads("scale", "show")
    assert told["measured"]["max_requests_per_s"] == 20
    assert told["to_do"] == [
        "let scaled have 1 to 3 instances",
        "scale scaled to a target of 600",
    ]

    quiet(fast_cloud)
    assert project.reads("scale", "set")["endpoint"]["scaling"] == {
        "min": 1,
        "max": 3,
        "target": 600,
        "metric": "invocations",
        "suspended": False,
    }
    shown = project.does("scale", "show")
    assert "600 invocations a minute and instance: 10 requests a second with 1, 30 with 3" in shown
    assert "0.115 USD an hour on AWS with 1, 0.345 with 3" in shown
    assert "60 times faster than on AWS" in shown
    assert "15 periods of 60 s in a row below 540" in shown
    endpoint = next(line for line in project.does("status").splitlines() if "InService" in line)
    assert endpoint == "endpoint      scaled (InService), 1 to 3 instances, target 600"

    changed = project.types("scale", "set", "--target", "12", "--max", "2")
    assert "12 invocations" not in changed.stdout
    assert "one instance sustains 20.0 a second, so 600 is what AWS advises" in changed.stdout
    assert project.file.read_text().endswith(
        "  scaling:  # by load\n    max: 2\n    target: 12  # half of what one can do\n"
    )
    assert project.reads("scale", "show")["to_do"] == []
    assert project.reads("up")["steps"] == []

    wide = project.reads("scale", "set", "--max", "41")["endpoint"]["scaling_remarks"]
    assert wide[1].startswith("max is 41, and the account may have 40 ml.m5.large for endpoints")
    told = project.reads("scale", "show")
    assert (told["quota"], told["remarks"]) == (40, wide)

    project.does("down", "--yes")
    assert scalable_targets(fast_cloud) == [], "the policy and its alarms go with the endpoint"
    alarms = fast_cloud.client("cloudwatch").describe_alarms(AlarmNamePrefix="TargetTracking-")
    assert alarms["MetricAlarms"] == []
    assert fast_cloud.client("sagemaker").list_endpoints()["Endpoints"] == []


@pytest.mark.slow
def test_who_measures_does_not_scale_meanwhile(unscaled: ScaledProject) -> None:
    """Each of these rounds is minutes of a load far above the target."""
    project = unscaled
    project.does("scale", "set", "--target", "30", "--max", "3")
    measured = project.reads("scale", "measure", "--max-rate", "12", "--latency-limit-ms", "300")
    assert measured["instances"] == 1
    standing = project.reads("scale", "show")
    assert standing["scaling"]["suspended"] == []
    assert yaml.safe_load((project.folder / "capacity.yaml").read_text())["latency_limit_ms"] == 300


@pytest.mark.slow
def test_what_somebody_suspended_is_said_and_stays_so(
    unscaled: ScaledProject, fast_cloud: RunningCloud
) -> None:
    project = unscaled
    project.does("scale", "set", "--target", "600")
    fast_cloud.client("application-autoscaling").register_scalable_target(
        ServiceNamespace="sagemaker",
        ResourceId="endpoint/scaled/variant/AllTraffic",
        ScalableDimension="sagemaker:variant:DesiredInstanceCount",
        SuspendedState={"DynamicScalingOutSuspended": True},
    )
    assert "--suspended-state DynamicScalingOutSuspended=false" in project.does("scale", "show")
    assert "scaling suspended" in project.does("status")
    assert project.reads("scale", "set")["steps"] == []
    assert not [step for step in project.reads("up")["steps"] if "scale again" in step]
    assert project.reads("scale", "show")["scaling"]["suspended"] == ["DynamicScalingOutSuspended"]


@pytest.mark.slow
def test_a_measurement_that_was_killed_is_said_and_ended(
    unscaled: ScaledProject, fast_cloud: RunningCloud
) -> None:
    project, clock = unscaled, SystemClock()
    project.does("scale", "set", "--target", "600")
    measuring = project.starts("scale", "measure")
    limit_s = clock.monotonic_s() + 60
    while not all(scalable_targets(fast_cloud)[0]["SuspendedState"].values()):
        assert clock.monotonic_s() < limit_s, "it suspends the scaling before it measures"
        wait(0.1)
    measuring.kill()
    measuring.wait()
    assert "`fogbank scale measure` suspended the scaling" in project.does("scale", "show")
    ended = project.types("up")
    assert ended.exit_code == 0
    assert "let scaled scale again (`fogbank scale measure` suspended its scaling" in ended.stderr
    assert not any(scalable_targets(fast_cloud)[0]["SuspendedState"].values())


@pytest.mark.slow
@pytest.mark.docs
def test_other_instances_are_scaled_as_before(unscaled: ScaledProject) -> None:
    """SageMaker refuses to change the instances of a scalable target."""
    project = unscaled
    project.does("scale", "set", "--target", "600")
    project.file.write_text(
        project.file.read_text().replace("{scaling", "{instance_type: ml.c5.large, scaling")
    )
    steps = project.reads("deploy")["steps"]
    assert steps[1:4] == [
        "stop scaling scaled",
        steps[2],
        "wait until the endpoint scaled serves",
    ]
    assert steps[2].startswith("update the endpoint scaled to ")
    assert project.reads("deploy")["endpoint"]["scaling"]["target"] == 600


@pytest.mark.slow
def test_a_limit_that_cannot_be_kept_writes_nothing(unscaled: ScaledProject) -> None:
    failed = unscaled.types("scale", "measure", "--latency-limit-ms", "2", "--max-rate", "20")
    assert failed.exit_code == ExitCode.FAILED
    assert "one request alone takes" in failed.stderr
    assert not (unscaled.folder / "capacity.yaml").exists()


@pytest.mark.slow
def test_before_there_is_an_endpoint(tmp_path: Path, fast_cloud: Any) -> None:
    project = ScaledProject(tmp_path, fast_cloud)
    project.file.write_text("project: nothing-yet\n")
    for command in (("scale", "show"), ("scale", "measure"), ("load",)):
        refused = project.types(*command)
        assert refused.exit_code == ExitCode.USAGE
        assert "there is no endpoint nothing-yet" in refused.stderr
    assert project.reads("scale", "history") == {
        "endpoint": "nothing-yet",
        "time_scale": 60,
        "events": [],
    }
    written = project.types("scale", "set", "--max", "5")
    assert written.exit_code == 0
    assert "`fogbank up` deploys it so" in written.stderr
    scaling = read_spec(project.file).endpoint.scaling
    assert scaling is not None
    assert (scaling.max, scaling.target) == (5, "auto")


HOW_TO = Path(__file__).parents[2] / "docs/how-to/auto-scaling.md"


def in_code(text: str, language: str) -> list[str]:
    """The contents of the code blocks of that language."""
    parts = text.split("```")[1::2]
    return [part.partition("\n")[2] for part in parts if part.startswith(f"{language}\n")]


@pytest.mark.slow
def test_the_commands_of_the_how_to(unscaled: ScaledProject) -> None:
    """As they are written, but for a shorter load and the cloud, which runs so already."""
    lines = [line for block in in_code(HOW_TO.read_text(), "") for line in block.splitlines()]
    commands = [line.partition("#")[0].split() for line in lines]
    starts = [command for command in commands if command[0] != "fogbank"]
    assert starts == [["FOGBANK_TIME_SCALE=60", "fogbank", "cloud", "start"]]
    for _, *command in [command for command in commands if command not in starts]:
        shorter = {"60": "1"} if "--duration" in command else {}
        more = ["--max-rate", "10"] if "measure" in command else []
        unscaled.does(*(shorter.get(part, part) for part in command), *more)


def test_the_section_of_the_how_to_is_valid(project: ScaledProject) -> None:
    (section,) = in_code(HOW_TO.read_text(), "yaml")
    project.file.write_text(f"project: scaled\n{section}")
    scaling = read_spec(project.file).endpoint.scaling
    assert scaling is not None
    assert [entry.min for entry in scaling.schedule] == [2, 1]
