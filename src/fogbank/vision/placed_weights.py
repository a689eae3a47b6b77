"""Pretrained weights of torchvision's networks, put where scripts look for them without a network.

`models.resnet50(pretrained=True)` looks at $TORCH_HOME/hub/checkpoints/resnet50-0676ba61.pth before
it downloads that file; jobs and endpoints of a cloud share one such folder. Comes in: a network's
name and a file of its weights. Goes out: the file in its place, checked tensor by tensor.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import torch
from torchvision import models

from fogbank.vision.errors import WeightsError
from fogbank.vision.weights import read_state


@dataclass(frozen=True, slots=True)
class Placed:
    """A weights file that torchvision would find. network: its name in torchvision; weights: which
    of its pretrained weights, such as IMAGENET1K_V1."""

    network: str
    weights: str
    path: Path


def place(network: str, source: Path | None, torch_home: Path) -> Placed:
    """Put a state_dict where `pretrained=True` looks for it, through a temporary file.

    source: the file; None for random numbers, which are enough to try out whether a script runs.
    Raises WeightsError for a network that torchvision does not have pretrained, and for a file
    whose tensors are not that network's.
    """
    entry = _pretrained(network)
    blank: Any = models.get_model(network, weights=None)
    if source is None:
        state = blank.state_dict()
    else:
        state = read_state(source)
        _check(network, blank.state_dict(), state, source)
    path = _folder(torch_home) / _file_name(entry)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".new")
    torch.save(state, temporary)
    temporary.replace(path)
    return Placed(network, str(entry.name), path)


def placed(torch_home: Path) -> list[Placed]:
    """What is there already, by network; files of others are passed over."""
    present = {path.name: path for path in _folder(torch_home).glob("*.pth")}
    return [
        Placed(network, str(entry.name), present[_file_name(entry)])
        for network in models.list_models()
        for entry in _all(network)
        if _file_name(entry) in present
    ]


def _folder(torch_home: Path) -> Path:
    return torch_home / "hub" / "checkpoints"


def _all(network: str) -> Iterator[Any]:
    yield from models.get_model_weights(network)


def _pretrained(network: str) -> Any:
    """The weights that `pretrained=True` means: the first that were published."""
    known = models.list_models()
    found = next(_all(network), None) if network in known else None
    if found is None:
        close = get_close_matches(network, known, n=3)
        hint = f"; did you mean {', '.join(close)}?" if close else ""
        raise WeightsError(f"weights: torchvision has no pretrained network {network!r}{hint}")
    return found


def _file_name(entry: Any) -> str:
    return str(entry.url).rsplit("/", 1)[1]


def _check(
    network: str, expected: dict[str, torch.Tensor], state: dict[str, torch.Tensor], source: Path
) -> None:
    for what, names in (
        ("missing", expected.keys() - state.keys()),
        ("unknown", state.keys() - expected.keys()),
        (
            "of another shape",
            {n for n in expected.keys() & state.keys() if expected[n].shape != state[n].shape},
        ),
    ):
        if names:
            raise WeightsError(
                f"weights: {source} is not a {network}: {len(names)} tensors {what}, such as "
                f"{', '.join(sorted(names)[:3])}"
            )
