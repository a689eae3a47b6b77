"""`fogbank data`: the pictures, into the project's bucket."""

from __future__ import annotations

from fogbank.cli.options import HOME, PORT, PROJECT_DIR, Home, Json, Port, ProjectDir


def data(
    project_dir: ProjectDir = PROJECT_DIR, json: Json = False, home: Home = HOME, port: Port = PORT
) -> None:
    """Bring the data folder to S3.

    Files that are new or changed go up; what has gone from the folder is deleted in S3.
    """
    from fogbank.cli.report import reach
    from fogbank.ops.plan import Goal

    reach(Goal.DATA, project_dir, home, port, json=json)
