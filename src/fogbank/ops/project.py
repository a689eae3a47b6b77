"""A new project: the few files that a person then owns. Writes files, asks nobody.

What the files say is here; the pictures of a sample are written by whoever the caller passes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from fogbank.core.errors import InputError
from fogbank.ops.spec_file import FILE_NAME

DATA_FOLDER = "data"

_SPEC = """\
# What this project is. `fogbank up` makes it so; every key is in the reference of fogbank.yaml.
project: {name}

data:
  path: {data}                       # train/ valid/ test/, in each a folder a class

train:
  entry_point: train.py
  instance_type: ml.m5.xlarge
  hyperparameters:{hyperparameters}

tune:                              # what `fogbank tune` searches; `fogbank up` uses what it found
  objective: {{minimize: valid_loss}}
  max_jobs: 6                      # training jobs in all; with more it comes closer
  max_parallel_jobs: 2
  ranges:
    lr: {{min: 0.0001, max: 0.01, scale: log}}
    batch_size: [16, 32, 64]
    dropout: {{min: 0.0, max: 0.5}}

endpoint:
  entry_point: inference.py
  instance_type: ml.m5.large
  # scaling: {{min: 1, max: 3, target: auto}}  # instances come and go with the load

function:                          # what websites and APIs call
  entry_point: function.py
  allowed_hosts: []                # whose pictures it may fetch, such as [upload.wikimedia.org]
"""

_TRAIN = '''\
"""The training script: it runs inside the training job, once an instance.

Hyperparameters come as arguments (see fogbank.yaml), pictures from the channel `training`, and what
is written to SM_MODEL_DIR becomes model.tar.gz. Replace it with your own where you need more.
"""

from fogbank.vision.train import main

if __name__ == "__main__":
    main()
'''

_INFERENCE = '''\
"""The inference code: the four functions that the endpoint calls, in this order.

model_fn(model_dir) loads the model once; then, for each request, input_fn(body, content_type),
predict_fn(data, model) and output_fn(prediction, accept). Replace any of them with your own.
"""

from fogbank.vision.serve import input_fn, model_fn, output_fn, predict_fn

__all__ = ["input_fn", "model_fn", "output_fn", "predict_fn"]
'''

FUNCTION = '''\
"""The function in front of the endpoint: what websites and APIs call, on AWS Lambda.

An event is one of {"url": "https://..."}, {"s3": "s3://bucket/key"}, {"image": "<base64>"}. The
answer has `body` (the scores, one number a class), `predictions` (labels and probabilities) and a
`statusCode`. fogbank.yaml says whose pictures may be fetched. The rest is yours to change.
"""

from fogbank.front import Front, Refusal

front = Front.from_environment()  # clients are made once and used by every event


def handler(event, context):
    try:
        picture = front.picture(event, context)  # fetched, read or decoded; and checked
        result = front.classify(picture)  # what the endpoint says
    except Refusal as refusal:
        return front.refuse(refusal, event, context)
    return front.answer(result, event, context)
'''


@dataclass(frozen=True, kw_only=True)
class Sample:
    """Pictures that a project can begin with.

    write: puts train/ valid/ test/ into the folder that it is given.
    hyperparameters: what suits these pictures.
    """

    write: Callable[[Path], object]
    hyperparameters: Mapping[str, object]


_OWN_PICTURES: Mapping[str, object] = {"epochs": 30}


def create(folder: Path, name: str, sample: Sample | None) -> list[Path]:
    """Write a project into `folder`, its data folder empty or with the sample's pictures in it;
    returns the files and folders that are new.

    Raises InputError where one of them exists: nothing of the person's is overwritten.
    """
    hyperparameters = sample.hyperparameters if sample else _OWN_PICTURES
    files = {
        folder / FILE_NAME: _SPEC.format(
            name=name,
            data=DATA_FOLDER,
            hyperparameters="".join(
                f"\n    {key}: {_yaml(value)}" for key, value in hyperparameters.items()
            ),
        ),
        folder / "train.py": _TRAIN,
        folder / "inference.py": _INFERENCE,
        folder / "function.py": FUNCTION,
    }
    data = folder / DATA_FOLDER
    is_new = not data.exists()
    taken = [path for path in files if path.exists()]
    if sample and not is_new:
        taken.append(data)
    if taken:
        raise InputError(
            f"{', '.join(str(path) for path in taken)} exist already and are not overwritten: "
            "choose another folder, or remove them."
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if sample:
            sample.write(data)
        else:
            data.mkdir(exist_ok=True)
        for path, text in files.items():
            path.write_text(text, "utf-8")
    except OSError as error:
        raise InputError(f"{folder} cannot be written: {error.strerror}") from error
    return [*files, *([data] if is_new else [])]


def _yaml(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def project_name(folder: Path) -> str:
    """A valid name made of the folder's: "Dog Breeds!" -> dog-breeds.

    Raises InputError where nothing is left of it.
    """
    name = re.sub(r"[^a-z0-9]+", "-", folder.resolve().name.lower()).strip("-")[:27].strip("-")
    if not name:
        raise InputError(
            f"no name for the project can be made of {folder.resolve()}: give one with --name."
        )
    return name


def check_name(name: str) -> str:
    """Raises InputError for a name that fogbank.yaml would not take."""
    if not re.fullmatch(r"[a-z0-9](?:[a-z0-9-]{0,25}[a-z0-9])?", name):
        raise InputError(
            f"{name!r} cannot be a project's name: 1 to 27 lower-case letters, digits and hyphens, "
            "such as dog-breeds."
        )
    return name
