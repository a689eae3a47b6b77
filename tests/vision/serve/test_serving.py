"""The four functions of the inference contract, on a model that was trained for it."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from fogbank.vision import artifact
from fogbank.vision.artifact import Artifact
from fogbank.vision.errors import (
    ArtifactError,
    BadRequest,
    NotAPicture,
    RequestError,
    UnsupportedAccept,
    UnsupportedContentType,
)
from fogbank.vision.model import Classifier, ModelSpec
from fogbank.vision.preprocess import Preprocessing
from fogbank.vision.serve import input_fn, model_fn, output_fn, predict_fn
from fogbank.vision.serve.predict import Predictor, num_threads
from vision.pictures import COLOURS, encoded, noisy

LABELS = ("blue", "green", "red")
PNG = encoded(noisy(COLOURS["red"], seed=1), "PNG")
JPEG = encoded(noisy(COLOURS["red"], seed=1), "JPEG")


@pytest.fixture(scope="module")
def model_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("served") / "model"
    artifact.save(
        Artifact(
            classifier=Classifier(ModelSpec(num_classes=3)),
            labels=LABELS,
            preprocessing=Preprocessing().with_image_size(64),
            metrics={},
            training={},
        ),
        folder,
    )
    return folder


@pytest.fixture(scope="module")
def model(model_dir: Path) -> Predictor:
    threads = torch.get_num_threads()
    predictor = model_fn(str(model_dir))
    torch.set_num_threads(threads)
    return predictor


def ask(
    model: Predictor, body: bytes | str, content_type: str, accept: str = "application/json"
) -> Any:
    answer, media_type = output_fn(predict_fn(input_fn(body, content_type), model), accept)
    assert media_type == "application/json"
    return json.loads(answer)


def b64(body: bytes) -> str:
    return base64.b64encode(body).decode()


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (JPEG, "image/jpeg"),
        (PNG, "image/png"),
        (PNG, "Image/PNG; charset=binary"),
        (PNG, "application/x-image"),
        (PNG, "application/octet-stream"),
        (json.dumps({"image": b64(PNG)}), "application/json"),
        (json.dumps({"image": b64(PNG)}).encode(), "application/json"),
        (json.dumps({"image": "data:image/png;base64," + b64(PNG)}), "application/json"),
        (json.dumps({"instances": [{"image": b64(PNG)}]}), "application/json"),
    ],
)
def test_one_picture_gives_one_row_of_scores(
    model: Predictor, body: bytes | str, content_type: str
) -> None:
    scores = ask(model, body, content_type)
    assert len(scores) == 1
    assert len(scores[0]) == len(LABELS)


def test_served_scores_are_the_networks_own(model: Predictor, model_dir: Path) -> None:
    loaded = artifact.load(model_dir)
    crop = loaded.preprocessing.crop(input_fn(PNG, "image/png").pictures[0])
    with torch.inference_mode():
        expected = loaded.classifier(loaded.preprocessing.normalise(crop[None]))[0]
    assert ask(model, PNG, "image/png")[0] == pytest.approx(expected.tolist(), abs=1e-5)


def test_several_pictures_come_back_in_order(model: Predictor) -> None:
    pictures = [encoded(noisy(colour, seed=4), "PNG") for colour in COLOURS.values()]
    body = json.dumps({"instances": [{"image": b64(picture)} for picture in pictures]})
    rows = ask(model, body, "application/json")
    for row, picture in zip(rows, pictures, strict=True):
        assert row == pytest.approx(ask(model, picture, "image/png")[0], abs=1e-4)


def test_labels_and_probabilities_on_request(model: Predictor) -> None:
    scores = ask(model, PNG, "image/png")[0]
    (answer,) = ask(model, PNG, "image/png", "application/json;verbose=true")["predictions"]
    best = max(range(3), key=scores.__getitem__)
    assert (answer["index"], answer["label"]) == (best, LABELS[best])
    assert answer["scores"] == scores
    assert [entry["label"] for entry in answer["top"]] == sorted(
        LABELS, key=lambda label: -scores[LABELS.index(label)]
    )
    assert sum(entry["probability"] for entry in answer["top"]) == pytest.approx(1)
    asked = ask(model, json.dumps({"image": b64(PNG), "top": 2}), "application/json")
    assert asked["predictions"][0]["top"] == answer["top"][:2]


@pytest.mark.parametrize("accept", ["", "*/*", "application/*", "text/html, application/json;q=.5"])
def test_usual_accept_headers_mean_json(model: Predictor, accept: str) -> None:
    assert len(ask(model, PNG, "image/png", accept)[0]) == 3


def test_other_accept_headers_are_406(model: Predictor) -> None:
    with pytest.raises(UnsupportedAccept, match="text/csv") as caught:
        ask(model, PNG, "image/png", "text/csv")
    assert caught.value.status_code == 406


@pytest.mark.parametrize("content_type", ["text/csv", "application/x-npy", "", "video/mp4"])
def test_other_content_types_are_415(content_type: str) -> None:
    with pytest.raises(UnsupportedContentType, match="is not supported") as caught:
        input_fn(PNG, content_type)
    assert caught.value.status_code == 415


@pytest.mark.parametrize(
    ("body", "content_type", "error", "message"),
    [
        (b"Dear Sir or Madam, " * 9, "image/jpeg", NotAPicture, "none of the formats"),
        ("a string", "image/png", NotAPicture, "text"),
        (PNG[: len(PNG) // 2], "image/png", NotAPicture, "not a readable picture"),
        (b"", "application/x-image", NotAPicture, "0 bytes"),
        ("{", "application/json", BadRequest, "not JSON"),
        (b"\xff\xfe{", "application/json", BadRequest, "not JSON"),
        ("[" * 100_000, "application/json", BadRequest, "not JSON"),
        ("[1]", "application/json", BadRequest, "must be an object"),
        ('{"url": "http://x/y.jpg"}', "application/json", BadRequest, "are not fetched"),
        ('{"image": 5}', "application/json", BadRequest, 'no "image"'),
        ('{"image": "%%%"}', "application/json", BadRequest, "not base64"),
        ('{"image": "ä"}', "application/json", BadRequest, "not base64"),
        ('{"image": "SGVsbG8="}', "application/json", NotAPicture, "the body: "),
        ('{"instances": []}', "application/json", BadRequest, "at least one"),
        ('{"instances": [{"image": "SGVsbG8="}]}', "application/json", NotAPicture, r"\[0\]"),
        ('{"image": "", "top": 0}', "application/json", BadRequest, '"top"'),
        ('{"image": "", "top": true}', "application/json", BadRequest, '"top"'),
        (
            json.dumps({"instances": [{"image": ""}] * 65}),
            "application/json",
            BadRequest,
            "at most 64",
        ),
    ],
)
def test_bad_requests_are_400_with_a_plain_message(
    body: bytes | str, content_type: str, error: type[RequestError], message: str
) -> None:
    with pytest.raises(error, match=message) as caught:
        input_fn(body, content_type)
    assert caught.value.status_code == 400


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="no model of"):
        model_fn(tmp_path)


@pytest.mark.parametrize(
    ("environ", "cores", "threads"),
    [
        ({}, 8, 4),
        ({"OMP_NUM_THREADS": "3"}, 8, 3),
        ({"OMP_NUM_THREADS": "2,1"}, 8, 4),
        ({"SAGEMAKER_MODEL_SERVER_WORKERS": "4"}, 16, 2),
        ({"SAGEMAKER_MODEL_SERVER_WORKERS": "4"}, 2, 1),
        ({"SAGEMAKER_MODEL_SERVER_WORKERS": "0"}, 2, 1),
    ],
)
def test_threads_of_a_server_process(environ: dict[str, str], cores: int, threads: int) -> None:
    assert num_threads(environ, cores) == threads
