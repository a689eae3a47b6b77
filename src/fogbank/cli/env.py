"""`fogbank env`: variables that lead any AWS client to the local cloud."""

from __future__ import annotations

import shlex

from fogbank.cli.options import HOME, PORT, Home, Json, Port


def env(json: Json = False, home: Home = HOME, port: Port = PORT) -> None:
    """Print export lines for a shell: eval "$(fogbank env)".

    boto3, the aws command line and every other client then talk to the local cloud, with the
    credentials of a role session, as on a notebook instance. The cloud is started where it does
    not run.
    """
    import typer

    from fogbank.cli.console import print_json
    from fogbank.cli.session import running_cloud
    from fogbank.ops.local_cloud import variables

    cloud, running = running_cloud(home, port)
    found = variables(running, cloud.credentials())
    if json:
        print_json(found)
        return
    for name, value in found.items():
        typer.echo(f"export {name}={shlex.quote(value)}")
