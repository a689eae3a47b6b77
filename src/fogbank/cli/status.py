"""`fogbank status`: how the project stands."""

from __future__ import annotations

from fogbank.cli.options import HOME, PORT, PROJECT_DIR, Home, Json, Port, ProjectDir


def status(
    project_dir: ProjectDir = PROJECT_DIR, json: Json = False, home: Home = HOME, port: Port = PORT
) -> None:
    """Show how the project stands.

    Its data, training job, endpoint and function, and what `fogbank up` would do.
    """
    from fogbank.cli.console import print_json, results
    from fogbank.cli.report import Facts, add_outcome
    from fogbank.cli.session import open_project
    from fogbank.ops.observe import observe
    from fogbank.ops.outcome import outcome

    project = open_project(project_dir, home, port)
    found = outcome(project.blueprint, observe(project.aws, project.blueprint))
    if json:
        cloud = {"url": project.cloud.url, "home": str(project.cloud.home)}
        print_json({**found.to_json(), "cloud": cloud})
        return
    facts = Facts()
    facts.add("project", found.project)
    add_outcome(facts, found)
    facts.add("cloud", f"{project.cloud.url}, folder {project.cloud.home}")
    console = results()
    facts.print(console)
    if found.to_do:
        console.print("\n`fogbank up` would:")
        for message in found.to_do:
            console.print(f"  {message}")
    else:
        console.print("\nEverything is as fogbank.yaml says.")
