"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Home = Annotated[
    Path,
    typer.Option(
        "--home", envvar="FOGBANK_HOME", help="Folder that holds the cloud's state.", metavar="DIR"
    ),
]
HOME = Path("~/.fogbank")

Port = Annotated[
    int,
    typer.Option(
        "--port",
        envvar="FOGBANK_PORT",
        min=0,
        max=65535,
        help="Port that the cloud listens on when it is started; 0 takes a free one.",
    ),
]
PORT = 4566

ProjectDir = Annotated[
    Path,
    typer.Option("--project-dir", help="Folder of the project's fogbank.yaml.", metavar="DIR"),
]
PROJECT_DIR = Path()

Json = Annotated[
    bool, typer.Option("--json", help="Machine-readable output on stdout, nothing else there.")
]
