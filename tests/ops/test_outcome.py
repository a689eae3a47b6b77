"""What a project has come to, as a program reads it and as a person does."""

from __future__ import annotations

import io
from pathlib import Path

from rich.console import Console

from fogbank.cli.report import Facts, add_outcome
from fogbank.ops.apply import apply
from fogbank.ops.blueprint import Blueprint
from fogbank.ops.observe import observe
from fogbank.ops.outcome import Outcome, outcome
from fogbank.ops.plan import Goal, plan
from fogbank.testing.clock import ManualClock
from ops.conftest import ReadBlueprint
from ops.fake_aws import FakeAws, RecordedProgress, fake_world

WASTE = "2 of 2 instances trained identical models: 24 instance-seconds bought nothing"


def reached(goal: Goal, aws: FakeAws, blueprint: Blueprint) -> Outcome:
    steps = plan(blueprint, observe(aws, blueprint), goal)
    apply(fake_world(aws, RecordedProgress(), ManualClock()), steps)
    return outcome(blueprint, observe(aws, blueprint))


def trained(last_message: str, read_blueprint: ReadBlueprint) -> Outcome:
    """A project whose job completed with that message."""
    aws = FakeAws()
    aws.fake_sagemaker.last_message = last_message
    return reached(Goal.TRAINED, aws, read_blueprint())


def shown(found: Outcome) -> str:
    facts, console = Facts(), Console(file=io.StringIO(), width=1000)
    add_outcome(facts, found)
    facts.print(console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_what_the_cloud_warns_of_is_told(read_blueprint: ReadBlueprint) -> None:
    found = trained(f"Training job completed. Warning: {WASTE}", read_blueprint)
    assert found.to_json()["training_job"]["warning"] == WASTE
    assert f"Warning: {WASTE}" in shown(found)


def test_where_nothing_is_warned_of_nothing_is_told(read_blueprint: ReadBlueprint) -> None:
    found = trained("Training job completed", read_blueprint)
    assert found.to_json()["training_job"]["warning"] is None
    assert "Warning" not in shown(found)


def test_an_endpoint_that_serves_something_else_is_said_to(
    project: Path, read_blueprint: ReadBlueprint
) -> None:
    aws, behind = FakeAws(), "serves another model, code or settings than these"
    deployed = reached(Goal.DEPLOYED, aws, read_blueprint())
    assert deployed.to_json()["endpoint"]["is_behind"] is False
    assert behind not in shown(deployed)
    (project / "train.py").write_text("print('train better')\n")
    trained_again = reached(Goal.TRAINED, aws, read_blueprint())
    assert trained_again.to_json()["endpoint"]["is_behind"] is True
    assert behind in shown(trained_again)
    assert behind not in shown(reached(Goal.DEPLOYED, aws, read_blueprint()))
