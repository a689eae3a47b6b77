"""Serve what hpo.py trained. In: the bytes of a picture. Out: the likeliest classes, best first.

Pictures come as bytes alone. An endpoint that fetches addresses which strangers send it would fetch
those of your private network, too; let the caller fetch.
"""

from __future__ import annotations

import io
import json
from pathlib import Path

import torch
from network import Classifier, preprocessing, read_picture
from PIL import Image

NUM_ANSWERS = 5


class Model:
    """A trained network, its labels and its preprocessing."""

    def __init__(self, folder: Path) -> None:
        card = json.loads((folder / "model.json").read_text())
        self.labels = card["labels"]
        self.preprocess = preprocessing(card["backbone"])
        self.network = Classifier(card["backbone"], len(self.labels))
        state = torch.load(folder / "model.pth", map_location="cpu", weights_only=True)
        self.network.load_state_dict(state)
        self.network.eval()


def model_fn(model_dir: str) -> Model:
    """Once, when the endpoint starts."""
    return Model(Path(model_dir))


def input_fn(body: bytes, content_type: str) -> Image.Image:
    """An image/jpeg or image/png as a picture."""
    if content_type not in ("image/jpeg", "image/png"):
        raise ValueError(f"{content_type} is not supported: send image/jpeg or image/png")
    return read_picture(io.BytesIO(body))


@torch.inference_mode()
def predict_fn(picture: Image.Image, model: Model) -> list[dict[str, str | float]]:
    """Labels with their probabilities."""
    batch = model.preprocess(picture).unsqueeze(0)
    best = model.network(batch).softmax(dim=1)[0].topk(min(NUM_ANSWERS, len(model.labels)))
    return [
        {"label": model.labels[index], "probability": round(probability, 4)}
        for probability, index in zip(best.values.tolist(), best.indices.tolist(), strict=True)
    ]
