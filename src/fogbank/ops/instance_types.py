"""Which instance types SageMaker has: facts of its model, as botocore has it. Pure.

Source: API reference, TrainingInstanceType and ProductionVariantInstanceType.
"""

from __future__ import annotations

from difflib import get_close_matches
from functools import cache

from botocore.loaders import Loader


def training_type(name: str) -> str:
    """Raises ValueError for what is no type of training instances."""
    return _checked(name, "TrainingInstanceType", "training")


def hosting_type(name: str) -> str:
    """Raises ValueError for what is no type of endpoints' instances."""
    return _checked(name, "ProductionVariantInstanceType", "endpoints")


def _checked(name: str, shape: str, purpose: str) -> str:
    known = _types(shape)
    if name not in known:
        close = get_close_matches(f"ml.{name.removeprefix('ml.')}", known, n=1)
        hint = f"did you mean {close[0]!r}?" if close else "one is 'ml.m5.xlarge'"
        raise ValueError(f"is no instance type that SageMaker has for {purpose}; {hint}")
    return name


@cache
def _types(shape: str) -> tuple[str, ...]:
    model = Loader().load_service_model("sagemaker", "service-2")
    return tuple(model["shapes"][shape]["enum"])
