"""`fogbank weights add|list`: pretrained weights for jobs and endpoints without a network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fogbank.cli.options import HOME, Home, Json
from fogbank.core.errors import InputError

app = typer.Typer(
    help="Pretrained weights that jobs and endpoints find without a network: add, list.",
    no_args_is_help=True,
)


@app.command()
def add(
    network: Annotated[str, typer.Argument(help="torchvision's name: resnet50, vgg16, ...")],
    file: Annotated[
        Path | None, typer.Argument(help="A state_dict of it: .pth or .safetensors.")
    ] = None,
    random: Annotated[
        bool,
        typer.Option("--random", help="Random numbers: enough to try whether a script runs."),
    ] = False,
    json: Json = False,
    home: Home = HOME,
) -> None:
    """Put weights where `models.resnet50(pretrained=True)` looks before it downloads.

    All training jobs and endpoints of the cloud share them. The file is read as tensors alone, and
    every tensor has to be one of the network's.
    """
    from fogbank.cli.console import print_json, results
    from fogbank.cli.extras import needing_vision

    if (file is None) != random:
        raise InputError(
            f"weights: name a file (`fogbank weights add {network} FILE`) or give --random, one "
            "of the two"
        )
    with needing_vision("fogbank weights"):
        from fogbank.vision.errors import WeightsError
        from fogbank.vision.placed_weights import place

    try:
        found = place(network, file, _torch_home(home))
    except WeightsError as error:
        raise InputError(str(error)) from error
    if json:
        print_json({"network": found.network, "weights": found.weights, "path": str(found.path)})
        return
    what = "random numbers" if random else str(file)
    results().print(f"{found.network} {found.weights}: {what} in {found.path}")


@app.command("list")
def list_(json: Json = False, home: Home = HOME) -> None:
    """Show the weights that are there."""
    from fogbank.cli.console import print_json, results
    from fogbank.cli.extras import needing_vision

    with needing_vision("fogbank weights"):
        from fogbank.vision.placed_weights import placed

    found = placed(_torch_home(home))
    if json:
        print_json(
            [
                {"network": one.network, "weights": one.weights, "path": str(one.path)}
                for one in found
            ]
        )
        return
    for one in found:
        results().print(f"{one.network}  {one.weights}  {one.path}")
    if not found:
        results().print(f"none in {_torch_home(home)}: `fogbank weights add` puts some there")


def _torch_home(home: Path) -> Path:
    return home.expanduser() / "torch"
