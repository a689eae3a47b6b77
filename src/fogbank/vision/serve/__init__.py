"""Serving: the four functions of SageMaker's PyTorch inference contract.

A project's `inference.py` is one line:

    from fogbank.vision.serve import input_fn, model_fn, output_fn, predict_fn

Comes in: a model folder (`fogbank.vision.artifact`), request bodies. Goes out: JSON. Errors carry
`status_code`; see `fogbank.vision.errors`.
"""

from __future__ import annotations

import os
from pathlib import Path

import torch

from fogbank.vision import artifact
from fogbank.vision.serve.predict import JSON, Prediction, Predictor, num_threads, render
from fogbank.vision.serve.request import Pictures, read_request

__all__ = ["input_fn", "model_fn", "output_fn", "predict_fn"]


def model_fn(model_dir: str | os.PathLike[str]) -> Predictor:
    """Load the model folder, onto the GPU where there is one, and warm it up.

    Raises:
        ArtifactError: the folder holds no usable model.
    """
    torch.set_num_threads(num_threads(os.environ, len(os.sched_getaffinity(0))))
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return Predictor(artifact.load(Path(model_dir)), device)


def input_fn(body: bytes | bytearray | memoryview | str, content_type: str) -> Pictures:
    """Read a request body.

    Raises:
        NotAPicture, BadRequest (400), UnsupportedContentType (415).
    """
    return read_request(body, content_type)


def predict_fn(data: Pictures, model: Predictor) -> Prediction:
    """Score the pictures."""
    return model.predict(data.pictures, data.top)


def output_fn(prediction: Prediction, accept: str) -> tuple[str, str]:
    """The answer's body and its content type.

    Raises:
        UnsupportedAccept (406).
    """
    return render(prediction, accept), JSON
