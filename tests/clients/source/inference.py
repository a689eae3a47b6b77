"""The four functions of SageMaker's PyTorch containers, without PyTorch."""

import io
import json
import os
from typing import Any

from PIL import Image


def model_fn(model_dir: str) -> Any:
    with open(os.path.join(model_dir, "model.json")) as file:  # noqa: PTH118, PTH123
        return json.load(file)


def input_fn(body: Any, content_type: str) -> Any:
    if content_type == "image/jpeg":
        return {"size": list(Image.open(io.BytesIO(body)).size)}
    if content_type == "application/json":
        return {"said": json.loads(body)}
    raise ValueError(f"cannot read {content_type}")


def predict_fn(data: Any, model: Any) -> Any:
    return {**data, "pictures": model["pictures"]}


def output_fn(prediction: Any, accept: str) -> Any:
    return json.dumps(prediction), "application/json"
