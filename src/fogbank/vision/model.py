"""The networks: a timm backbone, what is taken from it, and a new head.

Comes in: a `ModelSpec`. Goes out: a `Classifier` with random weights; `weights` and `artifact`
fill it. Pictures come as normalised float batches (N, 3, S, S), scores go out as (N, classes),
before any softmax.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, cast

import timm
import torch
from torch import nn

from fogbank.vision.errors import SettingError
from fogbank.vision.preprocess import Preprocessing

Features = Literal["last", "multilevel"]
"""What the head sees. `last`: the pooled output of the backbone, the usual choice for photographs.
`multilevel`: the pooled outputs of all stages; better where the pictures are far from ImageNet,
such as line drawings, digits or microscopy."""

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True, kw_only=True)
class Backbone:
    """What has to be known of a backbone beyond its code."""

    name: str
    """The name in hyperparameters and in the artifact."""
    timm_name: str
    """timm's name of the architecture."""
    preprocessing: Preprocessing
    """What its pretrained weights expect to see."""
    hidden: int
    """Width of the usual head's hidden layer; 0 is a linear head."""


_KNOWN = (
    Backbone(
        name="efficientnet_lite0",
        timm_name="tf_efficientnet_lite0",
        preprocessing=Preprocessing(),
        hidden=0,
    ),
    # torchvision's weights of 2015 (IMAGENET1K_V1), not timm's: other interpolation, other crop.
    Backbone(
        name="resnet50",
        timm_name="resnet50",
        preprocessing=Preprocessing(interpolation="bilinear", mean=IMAGENET_MEAN, std=IMAGENET_STD),
        hidden=128,
    ),
)

DEFAULT_BACKBONE = "efficientnet_lite0"


def find_backbone(name: str) -> Backbone:
    """The facts of a backbone, from the short list above or from timm's own configuration.

    Raises:
        SettingError: timm has no such network.
    """
    for backbone in _KNOWN:
        if name in (backbone.name, backbone.timm_name):
            return backbone
    if not timm.is_model(name):
        similar = timm.list_models(f"*{name.split('.')[0]}*")[:5]
        hint = f" Similar names: {', '.join(similar)}." if similar else ""
        raise SettingError(f"backbone: timm has no network named {name!r}.{hint}")
    config: Any = timm.get_pretrained_cfg(name, allow_unregistered=True)
    side = int(config.input_size[-1])
    interpolation = config.interpolation if config.interpolation == "bilinear" else "bicubic"
    return Backbone(
        name=name,
        timm_name=name,
        preprocessing=Preprocessing(
            image_size=side,
            resize_size=max(side, int(side / config.crop_pct)),
            interpolation=interpolation,
            mean=cast("tuple[float, float, float]", tuple(config.mean)),
            std=cast("tuple[float, float, float]", tuple(config.std)),
        ),
        hidden=0,
    )


@dataclass(frozen=True, kw_only=True)
class ModelSpec:
    """Everything that decides the shape of a classifier. Travels inside the artifact."""

    backbone: str = DEFAULT_BACKBONE
    """"efficientnet_lite0", "resnet50" or any name that timm knows."""
    features: Features = "last"
    """See `Features`."""
    hidden: int = 0
    """Width of the head's hidden layer; 0 is a linear head."""
    dropout: float = 0.0
    """Share of the features (and hidden units) dropped while training."""
    num_classes: int

    def __post_init__(self) -> None:
        if self.features not in ("last", "multilevel"):
            raise SettingError(f"features: {self.features!r} is neither 'last' nor 'multilevel'")
        if self.hidden < 0:
            raise SettingError(f"hidden: {self.hidden} is negative; 0 is a linear head")
        if not 0 <= self.dropout < 1:
            raise SettingError(f"dropout: {self.dropout} is not in 0..1 (1 excluded)")
        if self.num_classes < 2:
            raise SettingError(f"num_classes: {self.num_classes}; a choice needs at least 2")

    def to_json(self) -> dict[str, object]:
        """Plain values for the artifact."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, object]) -> ModelSpec:
        """The inverse of `to_json`. Raises SettingError, TypeError or KeyError on anything else."""
        whole = {name: values[name] for name in ("hidden", "num_classes")}
        for name, value in whole.items():
            if not isinstance(value, int):
                raise TypeError(f"{name} is {value!r}, not a whole number")
        dropout = values["dropout"]
        if not isinstance(dropout, int | float):
            raise TypeError(f"dropout is {dropout!r}, not a number")
        return cls(
            backbone=str(values["backbone"]),
            features=cast("Features", values["features"]),
            hidden=cast("int", whole["hidden"]),
            dropout=float(dropout),
            num_classes=cast("int", whole["num_classes"]),
        )


class Head(nn.Module):
    """Features to scores: linear, or Linear-ReLU-Linear with `hidden` units between."""

    def __init__(self, num_features: int, spec: ModelSpec) -> None:
        super().__init__()
        self.dropout = nn.Dropout(spec.dropout)
        self.hidden = nn.Linear(num_features, spec.hidden) if spec.hidden else None
        self.output = nn.Linear(spec.hidden or num_features, spec.num_classes)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(N, features) to (N, classes)."""
        if self.hidden is None:
            return cast("torch.Tensor", self.output(self.dropout(features)))
        hidden = torch.relu(self.hidden(features))
        return cast("torch.Tensor", self.output(self.dropout(hidden)))

    @property
    def first(self) -> nn.Linear:
        """The layer that touches the features."""
        return self.output if self.hidden is None else self.hidden


class Classifier(nn.Module):
    """A backbone without its own classifier, and a head."""

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__()
        self.spec = spec
        self.backbone = create_backbone(find_backbone(spec.backbone))
        self.head = Head(num_features(self.backbone, spec.features), spec)
        self.to(memory_format=torch.channels_last)

    def features(self, batch: torch.Tensor) -> torch.Tensor:
        """Normalised pictures (N, 3, S, S) to what the head sees (N, features)."""
        if self.spec.features == "last":
            return cast("torch.Tensor", self.backbone(batch))
        stages = self.backbone.forward_intermediates(batch, intermediates_only=True)
        return torch.cat([stage.mean(dim=(2, 3)) for stage in stages], dim=1)

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        """Normalised pictures (N, 3, S, S) to scores (N, classes)."""
        return cast("torch.Tensor", self.head(self.features(batch)))


def create_backbone(backbone: Backbone) -> Any:
    """timm's network without its classifier, with random weights."""
    return timm.create_model(backbone.timm_name, pretrained=False, num_classes=0)


def num_features(network: Any, features: Features) -> int:
    """How many numbers the head gets for a picture.

    Raises:
        SettingError: the network has no separate stages to read from.
    """
    if features == "last":
        return int(network.head_hidden_size or network.num_features)
    if not hasattr(network, "forward_intermediates"):
        raise SettingError("features: this backbone has no stages to read; use 'last'")
    return sum(int(stage["num_chs"]) for stage in network.feature_info)
