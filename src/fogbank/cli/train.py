"""`fogbank train`: a training job for what the project says now."""

from __future__ import annotations

from fogbank.cli.options import HOME, PORT, PROJECT_DIR, Home, Json, Port, ProjectDir


def train(
    project_dir: ProjectDir = PROJECT_DIR, json: Json = False, home: Home = HOME, port: Port = PORT
) -> None:
    """Train with the data, code and settings as they are now.

    What has been trained already is not trained again. The log of the job is shown while it
    runs. Ctrl-C leaves the job running; the same command finds it again.
    """
    from fogbank.cli.report import reach
    from fogbank.ops.plan import Goal

    reach(Goal.TRAINED, project_dir, home, port, json=json)
