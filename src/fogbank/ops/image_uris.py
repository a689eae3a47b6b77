"""Which container image runs what. Facts in one table; pure.

Source: AWS Deep Learning Containers, "Available images" (the release notes of the PyTorch images);
763104351884 is the account that publishes them in most commercial regions.
"""

from __future__ import annotations

REGISTRY_ACCOUNT = "763104351884"
PYTORCH_VERSION = "2.6.0"
PYTHON_VERSION = "py312"

_ACCELERATED = ("g", "p")
"""Families of instance types with an NVIDIA GPU: ml.g4dn, ml.g5, ml.p3, ml.p4d, ..."""


def training_repository(region: str) -> str:
    """The ECR repository's ARN, for the role that pulls from it."""
    return f"arn:aws:ecr:{region}:{REGISTRY_ACCOUNT}:repository/pytorch-training"


def inference_repository(region: str) -> str:
    return f"arn:aws:ecr:{region}:{REGISTRY_ACCOUNT}:repository/pytorch-inference"


def training_image(region: str, instance_type: str) -> str:
    return _image("pytorch-training", region, instance_type)


def inference_image(region: str, instance_type: str) -> str:
    return _image("pytorch-inference", region, instance_type)


def _image(repository: str, region: str, instance_type: str) -> str:
    family = instance_type.removeprefix("ml.")
    device = "gpu" if family.startswith(_ACCELERATED) else "cpu"
    host = f"{REGISTRY_ACCOUNT}.dkr.ecr.{region}.amazonaws.com"
    return f"{host}/{repository}:{PYTORCH_VERSION}-{device}-{PYTHON_VERSION}"
