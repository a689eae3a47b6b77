"""`fogbank tune`: the hyperparameters that train best."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fogbank.cli.options import HOME, PORT, PROJECT_DIR, Home, Json, Port, ProjectDir

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fogbank.cli.session import Project
    from fogbank.ops.search import Search
    from fogbank.ops.search_report import Report
    from fogbank.ops.step import Step
    from fogbank.ops.tuned import Tuned


def tune(
    stop: Annotated[
        bool,
        typer.Option("--stop", help="End the search that runs and keep the best of it."),
    ] = False,
    project_dir: ProjectDir = PROJECT_DIR,
    json: Json = False,
    home: Home = HOME,
    port: Port = PORT,
) -> None:
    """Search the hyperparameters that train best, as fogbank.yaml's section `tune` says.

    The best values are kept in tuned.yaml, where `fogbank train` and `fogbank up` find them; a
    table and a picture of the search go to the folder `report`. What has been searched already is
    not searched again. Ctrl-C leaves the tuning job running; the same command finds it again.
    """
    from fogbank.cli.console import events, print_json
    from fogbank.cli.session import changing_project, open_project, shown_world
    from fogbank.ops.apply import apply
    from fogbank.ops.observe import observe, observe_tagged
    from fogbank.ops.plan import plan_tuning, plan_tuning_stop
    from fogbank.ops.search_report import drawer, write_report
    from fogbank.ops.tuned import tuned_of, write_tuned

    # To end a search that another command waits for is no change that could meet with its own.
    opened = (
        nullcontext(open_project(project_dir, home, port))
        if stop
        else changing_project(project_dir, home, port)
    )
    with opened as project:
        observed = observe(project.aws, project.blueprint)
        # Also with --stop: without a section `tune` there is nothing that could be stopped or kept.
        steps = plan_tuning(project.blueprint, observed)
        if stop:
            steps = plan_tuning_stop(observe_tagged(project.aws, project.blueprint.names))
        if steps:
            with shown_world(project.aws) as world:
                apply(world, steps)
            observed = observe(project.aws, project.blueprint)
        else:
            events().print(
                "no tuning job runs" if stop else "this has been searched: nothing to do",
                style="dim",
            )
        search = observed.tunings[-1] if observed.tunings else None
        kept = tuned_of(search) if search else None
        report = None
        if search is not None and kept is not None:
            write_tuned(project.folder, kept)
            report = write_report(project.folder, search, drawer())
        if json:
            print_json(_json(project, steps, search, kept, report))
        else:
            _show(project, search, kept, report)


def _json(
    project: Project,
    steps: Sequence[Step],
    search: Search | None,
    kept: Tuned | None,
    report: Report | None,
) -> dict[str, Any]:
    from fogbank.ops.tuned import FILE_NAME

    return {
        "project": project.blueprint.names.project,
        "tuning_job": search.to_json() if search else None,
        "hyperparameters": kept.hyperparameters if kept else None,
        "kept_in": str(project.folder / FILE_NAME) if kept else None,
        "table": str(report.table) if report else None,
        "picture": str(report.picture) if report and report.picture else None,
        "steps": [step.message for step in steps],
    }


def _show(
    project: Project, search: Search | None, kept: Tuned | None, report: Report | None
) -> None:
    from rich.text import Text

    from fogbank.cli.console import print_table, printable, results
    from fogbank.cli.report import Facts
    from fogbank.cli.search_table import search_table, trial_line
    from fogbank.ops.kinds.tuning_job import describe
    from fogbank.ops.tuned import FILE_NAME

    console = results()
    if search is None or kept is None or report is None:
        console.print("Nothing has been found for this data, code, settings and ranges.")
        return
    console.print()
    print_table(search_table(search))
    console.print()
    facts = Facts()
    facts.add("tuning job", f"{search.name} ({search.status}, {describe(search)})")
    for trial in search.trials:
        if trial.status == "Failed":
            facts.add("", Text(trial_line(search, trial), style="red"))
    facts.add("best", kept.training_job)
    for name, value in kept.hyperparameters.items():
        facts.add("", f"{name} {value}")
    facts.add("kept in", str(project.folder / FILE_NAME))
    facts.add("table", str(report.table))
    if report.picture is not None:
        facts.add("picture", str(report.picture))
    else:
        facts.add("picture", Text("pip install 'fogbank[plots]' draws it", style="yellow"))
    facts.print(console)
    console.print(
        f"\nNext: fogbank up trains and deploys with these values; fogbank deploy --job "
        f"{printable(kept.training_job)} serves the best trial's own model",
        style="dim",
    )
