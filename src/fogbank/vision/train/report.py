"""`evaluation.json`: what the model gets wrong. It goes to the job's output data, not the model."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from fogbank.vision.train.data import Sample
from fogbank.vision.train.loop import Evaluation

REPORT_NAME = "evaluation.json"


def write_report(
    folder: Path,
    labels: Sequence[str],
    splits: Mapping[str, tuple[Sequence[Sample], Evaluation]],
    broken: Sequence[str],
) -> None:
    """One entry a split: accuracy, loss, share of each class found, confusion matrix (rows are the
    true classes, columns the predicted ones), and the pictures that were taken for another class.
    """
    folder.mkdir(parents=True, exist_ok=True)
    content = {
        "labels": list(labels),
        "broken": list(broken),
        "splits": {
            name: _split(labels, samples, evaluation)
            for name, (samples, evaluation) in splits.items()
        },
    }
    (folder / REPORT_NAME).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _split(
    labels: Sequence[str], samples: Sequence[Sample], evaluation: Evaluation
) -> dict[str, object]:
    confusion = [[0] * len(labels) for _ in labels]
    mistakes = []
    for sample, predicted in zip(samples, evaluation.predicted, strict=True):
        confusion[sample.label][predicted] += 1
        if predicted != sample.label:
            name = f"{sample.path.parent.name}/{sample.path.name}"
            mistakes.append({"picture": name, "predicted": labels[predicted]})
    recall = {
        label: confusion[index][index] / sum(confusion[index])
        for index, label in enumerate(labels)
        if sum(confusion[index])
    }
    return {
        "num_pictures": len(samples),
        "accuracy": evaluation.accuracy,
        "loss": evaluation.loss,
        "recall": recall,
        "confusion": confusion,
        "mistakes": mistakes,
    }
