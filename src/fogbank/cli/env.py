"""`fogbank env`: variables that lead any AWS client to the local cloud."""

from __future__ import annotations

import shlex

from fogbank.cli.options import HOME, PORT, Home, Json, Port


def env(json: Json = False, home: Home = HOME, port: Port = PORT) -> None:
    """Print export lines for a shell: eval "$(fogbank env)".

    boto3, the aws command line and every other client then talk to the local cloud, with the
    credentials of a role session, as on a notebook instance. The cloud is started where it does
    not run. The SageMaker SDKs find their default bucket and report nothing to AWS; their
    get_execution_role() asks a host that they name themselves, for which there is `fogbank run`.
    """
    import typer

    from fogbank.cli.console import print_json
    from fogbank.cli.session import running_cloud
    from fogbank.ops.client_environment import shell_variables

    cloud, running = running_cloud(home, port)
    found = shell_variables(running, cloud.credentials())
    if json:
        print_json(found)
        return
    for name, value in found.items():
        typer.echo(f"export {name}={shlex.quote(value)}")
