"""Pictures in, scores out: the artifact as it runs in an endpoint."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from PIL import Image

from fogbank.vision.artifact import Artifact
from fogbank.vision.errors import UnsupportedAccept

JSON = "application/json"
_DEFAULT_TOP = 5


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """The answer to one request, before it has a form."""

    scores: torch.Tensor
    """(pictures, classes), before softmax, in class order."""
    labels: tuple[str, ...]
    top: int | None
    """How many labels were asked for; None: none."""


class Predictor:
    """A loaded model on its device, warmed up."""

    def __init__(self, artifact: Artifact, device: torch.device) -> None:
        self.artifact = artifact
        self.device = device
        self._classifier = artifact.classifier.to(device).eval()
        side = artifact.preprocessing.image_size
        # The first pass chooses kernels and allocates; a client should not wait for that.
        self._score(torch.zeros(1, 3, side, side, dtype=torch.uint8))

    def predict(self, pictures: Sequence[Image.Image], top: int | None) -> Prediction:
        """Score upright RGB pictures."""
        crops = torch.stack([self.artifact.preprocessing.crop(picture) for picture in pictures])
        return Prediction(scores=self._score(crops), labels=self.artifact.labels, top=top)

    def _score(self, crops: torch.Tensor) -> torch.Tensor:
        with torch.inference_mode():
            batch = self.artifact.preprocessing.normalise(crops.to(self.device))
            scores: torch.Tensor = self._classifier(batch)
            return scores.float().cpu()


def num_threads(environ: Mapping[str, str], cores: int) -> int:
    """Threads for one server process: OMP_NUM_THREADS, else half of its share of the cores among
    SAGEMAKER_MODEL_SERVER_WORKERS.

    Half, because a vCPU is a hyperthread and two of them share the arithmetic: on 2 vCPUs a picture
    took 26 ms with one thread as with two, and 38 ms with two that sleep between layers.
    """
    told = environ.get("OMP_NUM_THREADS", "")
    if told.isdigit() and int(told) > 0:
        return int(told)
    workers = environ.get("SAGEMAKER_MODEL_SERVER_WORKERS", "")
    num_workers = int(workers) if workers.isdigit() and int(workers) > 0 else 1
    return max(1, cores // (2 * num_workers))


def render(prediction: Prediction, accept: str) -> str:
    """The answer as JSON.

    By default the scores, a list a picture: [[0.1, 2.3, ...]]. Where the request had "top", or
    `accept` has the parameter verbose=true: {"predictions": [{"label", "probability", "index",
    "top": [{"label", "probability"}, ...], "scores"}, ...]}.

    Raises:
        UnsupportedAccept: `accept` has nothing that JSON satisfies.
    """
    verbose = _negotiate(accept)
    if not verbose and prediction.top is None:
        return json.dumps(prediction.scores.tolist())
    top = min(prediction.top or _DEFAULT_TOP, len(prediction.labels))
    rows = zip(prediction.scores.tolist(), prediction.scores.softmax(dim=1), strict=True)
    return json.dumps(
        {
            "predictions": [
                _verbose(scores, shares, prediction.labels, top) for scores, shares in rows
            ]
        }
    )


def _verbose(
    scores: list[float], shares: torch.Tensor, labels: Sequence[str], top: int
) -> dict[str, object]:
    order = shares.argsort(descending=True).tolist()
    best = [{"label": labels[index], "probability": float(shares[index])} for index in order[:top]]
    return {**best[0], "index": order[0], "top": best, "scores": scores}


def _negotiate(accept: str) -> bool:
    """Whether the verbose form is asked for."""
    for choice in accept.split(",") if accept.strip() else ["*/*"]:
        media_type, *parameters = (part.strip().lower() for part in choice.split(";"))
        if media_type in (JSON, "application/*", "*/*"):
            return any(parameter.replace(" ", "") == "verbose=true" for parameter in parameters)
    raise UnsupportedAccept(
        f"accept {accept!r} is not supported: answers are {JSON}, or {JSON};verbose=true"
    )
