"""The handler functions of the PyTorch image for those that the user's module leaves out.

torch is imported only when one of them runs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fogbank.images.errors import ContractError
from fogbank.images.inference.content import decode_body, encode_body, is_text


def model_fn(model_dir: str) -> Any:
    """Load `model.pt`, else the only .pt or .pth file, as TorchScript."""
    torch = _torch("model_fn")
    folder = Path(model_dir)
    path = folder / "model.pt"
    if not path.exists():
        found = sorted(
            each for each in folder.iterdir() if each.suffix in (".pt", ".pth") and each.is_file()
        )
        if len(found) != 1:
            raise ContractError(
                "the default model_fn needs exactly one .pt or .pth file in the model archive; "
                f"found {[each.name for each in found]}. Write a model_fn in code/inference.py"
            )
        path = found[0]
    device = _device(torch)
    try:
        return torch.jit.load(str(path), map_location=device).to(device)
    except RuntimeError as error:
        raise ContractError(
            f"the default model_fn cannot load {path.name}: it is not TorchScript. Save it with "
            f"torch.jit.save, or write a model_fn in code/inference.py ({error})"
        ) from error


def input_fn(body: str | bytes, content_type: str | None) -> Any:
    """JSON and CSV become float tensors, NPY keeps its type; on the GPU where there is one."""
    torch = _torch("input_fn")
    array = decode_body(body, content_type)
    tensor = (
        torch.as_tensor(array, dtype=torch.float32)
        if is_text(content_type)
        else torch.from_numpy(array)
    )
    return tensor.to(_device(torch))


def predict_fn(data: Any, model: Any) -> Any:
    """Call the model in evaluation mode without gradients."""
    torch = _torch("predict_fn")
    device = _device(torch)
    with torch.no_grad():
        model = model.to(device)
        model.eval()
        return model(data.to(device))


def output_fn(prediction: Any, accept: str) -> tuple[bytes, str]:
    """Tensors as lists in JSON or CSV, or as NPY."""
    if hasattr(prediction, "detach"):
        prediction = prediction.detach().cpu().numpy().tolist()
    return encode_body(prediction, accept)


def _torch(needed_by: str) -> Any:
    try:
        import torch
    except ImportError as error:
        raise ContractError(
            f"the default {needed_by} needs torch, which is not installed in this environment: "
            f"write a {needed_by} in code/inference.py, or install torch"
        ) from error
    return torch


def _device(torch: Any) -> Any:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
