"""What the commands that change a project have in common: observe, plan, apply, say what is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

from fogbank.cli.console import events, print_json, printable, results
from fogbank.cli.session import Project, changing_project, shown_world
from fogbank.ops.apply import apply
from fogbank.ops.instance_quota import InstanceQuota, read_instance_quota
from fogbank.ops.kinds import tuning_job
from fogbank.ops.observe import Observed, observe
from fogbank.ops.outcome import Outcome, outcome
from fogbank.ops.plan import Goal, check, plan, plan_deployment, plan_function
from fogbank.ops.scaling_review import quota_warnings

if TYPE_CHECKING:
    from fogbank.ops.step import Step


def reach(goal: Goal, project_dir: Path, home: Path, port: int, *, json: bool) -> None:
    """Do what is missing up to the goal, then show how things stand."""
    with changing_project(project_dir, home, port) as project:
        observed = observe(project.aws, project.blueprint)
        check(project.blueprint, observed, goal)
        steps = plan(project.blueprint, observed, goal)
        show(do(project, steps, observed), steps, json=json)


def deploy_job(job: str | None, project_dir: Path, home: Path, port: int, *, json: bool) -> None:
    """Serve the model of a job that has completed."""
    with changing_project(project_dir, home, port) as project:
        observed = observe(project.aws, project.blueprint, job_name=job)
        steps = plan_deployment(project.blueprint, observed, job)
        show(do(project, steps, observed), steps, json=json)


def deploy_function(project_dir: Path, home: Path, port: int, *, json: bool) -> None:
    """Put the function in front of the endpoint."""
    with changing_project(project_dir, home, port) as project:
        observed = observe(project.aws, project.blueprint)
        check(project.blueprint, observed, Goal.FRONTED)
        steps = plan_function(project.blueprint, observed)
        show(do(project, steps, observed), steps, json=json)


def do(project: Project, steps: Sequence[Step], observed: Observed) -> Outcome:
    """Apply the steps with their progress shown, or say that there are none. Where they start
    instances, what the account's quota forbids is said before that is tried.

    Returns how things stand afterwards.
    """
    quota = _quota(project, steps, observed)
    if any(step.kind == "endpoint" for step in steps) and quota is not None:
        for warning in quota_warnings(project.blueprint.spec.endpoint, quota):
            events().print(printable(warning), style="yellow")
    if steps:
        with shown_world(project.aws) as world:
            apply(world, steps)
        observed = observe(project.aws, project.blueprint)
    else:
        events().print("everything is in place: nothing to do", style="dim")
    return outcome(project.blueprint, observed, quota=quota)


def _quota(project: Project, steps: Sequence[Step], observed: Observed) -> InstanceQuota | None:
    """None where there is no endpoint and none is made."""
    if observed.endpoint is None and not any(step.kind == "endpoint" for step in steps):
        return None
    return read_instance_quota(project.aws, project.blueprint.spec.endpoint.instance_type)


def show(found: Outcome, steps: Sequence[Step], *, json: bool) -> None:
    if json:
        print_json({**found.to_json(), "steps": [step.message for step in steps]})
        return
    facts = Facts()
    add_outcome(facts, found)
    console = results()
    console.print()
    facts.print(console)


class Facts:
    """Two columns without lines: what, and how it is. Long values are the terminal's to wrap, so
    that an address can be copied whole."""

    def __init__(self) -> None:
        self._rows: list[tuple[str, Text]] = []

    def add(self, name: str, value: str | Text) -> None:
        self._rows.append((name, value if isinstance(value, Text) else Text(printable(value))))

    def print(self, console: Console) -> None:
        width = 2 + max((len(name) for name, _ in self._rows), default=0)
        for name, value in self._rows:
            console.print(Text(name.ljust(width), style="bold") + value)


def add_outcome(facts: Facts, found: Outcome) -> None:
    facts.add("data", f"{found.num_objects:,} objects in {found.data_uri}")
    if found.tuning is not None:
        told = f"{found.tuning.status}, {tuning_job.describe(found.tuning)}"
        facts.add("tuning job", f"{found.tuning.name} ({told})")
        if found.tuning.reason:
            facts.add("", _first_line(found.tuning.reason))
    if found.choice.tuned:
        facts.add("hyperparameters", found.choice.origin())
    for remark in found.remarks:
        facts.add("", Text(printable(remark), style="yellow"))
    if found.job is None:
        facts.add("training", "not trained yet with this data, code and settings")
    else:
        spent = f", {found.job.seconds} s" if found.job.seconds is not None else ""
        facts.add("training job", f"{found.job.name} ({found.job.status}{spent})")
        if found.job.reason:
            facts.add("", _first_line(found.job.reason))
        if found.job.warning:
            facts.add("", Text(f"Warning: {printable(found.job.warning)}", style="yellow"))
        if found.job.has_result:
            facts.add("model", found.job.model_uri)
    if found.accuracy is not None:
        name, share = found.accuracy
        facts.add("accuracy", f"{share:.1%} ({name})")
    if found.endpoint_status is None:
        facts.add("endpoint", "not deployed")
    else:
        facts.add("endpoint", f"{found.endpoint} ({found.endpoint_status}){_scaling(found)}")
        if found.endpoint_reason:
            facts.add("", _first_line(found.endpoint_reason))
    if found.endpoint_is_behind:
        said = "serves another model, code or settings than these: `fogbank up` changes that"
        facts.add("", Text(said, style="yellow"))
    for remark in found.scaling_remarks:
        facts.add("", Text(printable(remark), style="yellow"))
    if found.function is not None:
        _add_function(facts, found.function)
    elif found.function_name:
        facts.add("function", "not deployed")


def _scaling(found: Outcome) -> str:
    """, 1 to 3 instances, target 120"""
    scaling = found.scaling
    if scaling is None:
        return ""
    told = f", {scaling['min']} to {scaling['max']} instances"
    if scaling["target"] is not None:
        told += f", target {scaling['target']:g}"
        if scaling["metric"] != "invocations":
            told += f" ({scaling['metric']})"
    return told + (", scaling suspended" if scaling["suspended"] else "")


def _add_function(facts: Facts, function: Mapping[str, Any]) -> None:
    version = f"version {function['version']}" if function["version"] else "no alias yet"
    facts.add("function", f"{function['name']}:{function['alias'] or ''} ({version})")
    if function["failure_reason"]:
        facts.add("", _first_line(function["failure_reason"]))
    reserved, provisioned = function["reserved_concurrency"], function["provisioned_concurrency"]
    told = [] if reserved is None else [f"{reserved} reserved"]
    if provisioned:
        told.append(
            f"{provisioned['allocated']} of {provisioned['requested']} provisioned "
            f"({provisioned['status']})"
        )
    if told:
        facts.add("concurrency", ", ".join(told))
    if function["url"]:
        facts.add("url", function["url"])


def _first_line(reason: str) -> Text:
    """`--json` has all of it."""
    return Text(printable(reason.strip().splitlines()[0]), style="red")
