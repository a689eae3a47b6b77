"""`fogbank init`: a new project."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from fogbank.ops.project import Sample


class SampleName(StrEnum):
    """Pictures that a project can begin with."""

    DIGITS = "digits"


def init(
    path: Annotated[Path, typer.Argument(help="Folder of the new project.")] = Path(),
    sample: Annotated[
        SampleName | None,
        typer.Option(help="Pictures to begin with: 1,797 handwritten digits, nothing downloaded."),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(help="Name of the project; by default that of the folder.", metavar="NAME"),
    ] = None,
) -> None:
    """Make a new project.

    It gets fogbank.yaml, train.py, inference.py and function.py, which are yours from then on.
    Nothing that exists is overwritten.
    """
    from fogbank.cli.console import results
    from fogbank.ops.project import DATA_FOLDER, check_name, create, project_name

    chosen = check_name(name) if name is not None else project_name(path)
    written = create(path, chosen, _digits() if sample else None)
    console = results()
    console.print(f"The project {chosen}:")
    for item in written:
        console.print(f"  {item}")
    if not sample:
        console.print(
            f"\nPut your pictures into {path / DATA_FOLDER}: train/ valid/ test/, in each a folder "
            "a class."
        )
    console.print(f"\nNext: cd {path} && fogbank up")


def _digits() -> Sample:
    from fogbank.cli.extras import needing_vision

    with needing_vision("the sample"):
        from fogbank.vision.sample import write_digits
    from fogbank.ops.project import Sample

    return Sample(
        write=write_digits,
        # Small grey digits are far from photographs: the backbone's early layers know them best,
        # and more pixels than there are in the picture show nothing more.
        hyperparameters={
            "epochs": 30,
            "features": "multilevel",
            "image_size": 64,
            "flip": False,
        },
    )
