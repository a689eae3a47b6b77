"""A training job from the first line to the last, as one straight method.

find the data -> pretrained backbone -> features, once -> train the head -> (fine-tune) -> test ->
write the model folder

Of several ranks, each computes features for its share of the pictures, and its share of every batch
when fine-tuning. The head trains in seconds on features that are there already: the first rank does
that alone, because averaging its gradients would take longer than computing them.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import torch

from fogbank.vision import artifact
from fogbank.vision.artifact import Artifact
from fogbank.vision.contract import JobFolders, metric_line
from fogbank.vision.errors import TrainingDivergedError
from fogbank.vision.model import Classifier, ModelSpec, find_backbone
from fogbank.vision.preprocess import Preprocessing
from fogbank.vision.train.checkpoint import Checkpoints, fingerprint
from fogbank.vision.train.config import TrainingConfig
from fogbank.vision.train.data import Dataset, Sample, find_dataset
from fogbank.vision.train.features import SplitFeatures, Standardisation, extract
from fogbank.vision.train.fine_tune import FineTuneTask
from fogbank.vision.train.loop import Evaluation, Fitted, HeadTask, Plan, fit
from fogbank.vision.train.ranks import Ranks
from fogbank.vision.train.read import BrokenPictures, Say, num_cores
from fogbank.vision.train.report import write_report
from fogbank.vision.weights import load_pretrained


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What every phase of a training works with."""

    config: TrainingConfig
    classifier: Classifier
    preprocessing: Preprocessing
    dataset: Dataset
    broken: BrokenPictures
    checkpoints: Checkpoints
    ranks: Ranks
    say: Say


def run(
    config: TrainingConfig, folders: JobFolders, say: Say, ranks: Ranks | None = None
) -> Artifact:
    """Train as `config` says, write the model folder, return what is in it.

    All of `ranks` (None: this process alone) call it and get the same; the first one writes.

    Raises:
        WorkloadError: in one of its kinds, when the data, the settings or the weights are wrong.
    """
    parts = _prepare(config, folders, say, ranks or Ranks())
    splits = _extract(parts)
    fitted = _train_head(parts, splits)
    readable = {name: _readable(parts.dataset, name, split) for name, split in splits.items()}
    if config.fine_tune:
        fitted, test = _fine_tune(parts, readable, fitted)
    else:
        test = _evaluate_head(parts, splits["test"]) if "test" in splits else None
    metrics = {"valid_accuracy": fitted.evaluation.accuracy, "valid_loss": fitted.evaluation.loss}
    say(metric_line(chosen_epoch=fitted.epoch, **metrics))
    evaluated = {"valid": (readable["valid"], fitted.evaluation)}
    if test is not None:
        tested = {"test_accuracy": test.accuracy, "test_loss": test.loss}
        say(metric_line(**tested))
        metrics |= tested
        evaluated["test"] = (readable["test"], test)
    result = Artifact(
        classifier=parts.classifier.cpu().eval(),
        labels=parts.dataset.labels,
        preprocessing=parts.preprocessing,
        metrics=metrics,
        training=config.to_json(),
    )
    if not parts.ranks.is_first:
        return result
    output_data = config.output_data_dir or folders.output_data
    write_report(output_data, parts.dataset.labels, evaluated, parts.broken.names)
    model = config.model_dir or folders.model
    artifact.save(result, model)
    say(f"model written to {model}: {len(result.labels)} classes, {config.backbone}")
    return result


def _prepare(config: TrainingConfig, folders: JobFolders, say: Say, ranks: Ranks) -> Parts:
    if not ranks.is_alone:
        say(
            f"{ranks.size} processes train one model: each computes its share of every batch of "
            f"{config.batch_size}, at the learning rate that one process would have"
        )
    elif folders.num_hosts > 1:
        say(
            f"this job has {folders.num_hosts} instances: each trains the same model by itself. "
            "Set the hyperparameter sagemaker_torch_distributed_enabled to make them share the work"
        )
    channels = {"training": config.data} if config.data is not None else folders.channels
    dataset = find_dataset(channels, config.seed)
    counts = ", ".join(
        f"{name}={len(getattr(dataset, name))}" for name in ("train", "valid", "test")
    )
    say(f"data: {len(dataset.labels)} classes, {dataset.num_pictures} pictures ({counts})")
    for note in dataset.notes:
        say(f"data: {note}")

    backbone = find_backbone(config.backbone)
    spec = ModelSpec(
        backbone=backbone.name,
        features=config.features,
        hidden=backbone.hidden if config.hidden is None else config.hidden,
        dropout=config.dropout,
        num_classes=len(dataset.labels),
    )
    preprocessing = backbone.preprocessing
    if config.image_size is not None:
        preprocessing = preprocessing.with_image_size(config.image_size)
    torch.manual_seed(config.seed)
    classifier = Classifier(spec)
    origin = load_pretrained(classifier.backbone, backbone, config.weights)
    classifier.to(ranks.device)
    say(
        f"network: weights {origin}, {preprocessing.image_size} px, {spec.features} features, "
        f"device {ranks.device.type}, {torch.get_num_threads()} threads"
    )
    files = [
        (name, sample.path.parent.name, sample.path.name)
        for name in ("train", "valid", "test")
        for sample in getattr(dataset, name)
    ]
    identity = fingerprint(config.to_json(), spec.to_json(), preprocessing.to_json(), origin, files)
    return Parts(
        config=config,
        classifier=classifier,
        preprocessing=preprocessing,
        dataset=dataset,
        broken=BrokenPictures(dataset.num_pictures, config.max_broken, say, ranks),
        checkpoints=Checkpoints(config.checkpoint_dir or folders.checkpoints, identity, say, ranks),
        ranks=ranks,
        say=say,
    )


def _extract(parts: Parts) -> dict[str, SplitFeatures]:
    """Features of every split that has pictures; from the checkpoint where they are in it."""
    splits: dict[str, SplitFeatures] = {}
    for name in ("train", "valid", "test"):
        samples: Sequence[Sample] = getattr(parts.dataset, name)
        if not samples:
            continue
        saved = parts.checkpoints.load_tensors(f"features-{name}")
        if saved is None:
            split = extract(
                parts.classifier,
                parts.preprocessing,
                samples,
                name=name,
                broken=parts.broken,
                ranks=parts.ranks,
                say=parts.say,
            )
            tensors = {
                "features": split.features,
                "labels": split.labels,
                "positions": split.positions,
            }
            # Broken pictures are counted over all splits: what is here are those so far.
            facts = {"broken": list(parts.broken.names)}
            parts.checkpoints.save_tensors(f"features-{name}", tensors, facts)
        else:
            tensors, facts = saved
            split = SplitFeatures(**tensors)
            parts.broken.names[:] = facts["broken"]
            parts.say(f"features of {name}: {len(split.labels)} pictures from the checkpoint")
        splits[name] = split
    return splits


def _train_head(parts: Parts, splits: dict[str, SplitFeatures]) -> Fitted:
    """Train the head on the first rank, and give it to all."""
    ranks = parts.ranks
    outcome: dict[str, Any] = {}
    if ranks.is_first:
        try:
            outcome = _fit_head(parts, splits).to_json()
        except TrainingDivergedError as error:
            outcome = {"diverged": str(error)}  # the others are waiting: they end with it
    outcome = ranks.same(outcome)
    if "diverged" in outcome:
        raise TrainingDivergedError(outcome["diverged"])
    ranks.same_weights(parts.classifier.head)
    return Fitted.from_json(outcome)


def _fit_head(parts: Parts, splits: dict[str, SplitFeatures]) -> Fitted:
    """Train the head on standardised features, then fold the standardisation into it."""
    config, head, device = parts.config, parts.classifier.head, parts.ranks.device
    standardisation = Standardisation.of(splits["train"].features)

    def on_device(split: SplitFeatures) -> tuple[torch.Tensor, torch.Tensor]:
        return standardisation.apply(split.features).to(device), split.labels.to(device)

    task = HeadTask(
        head,
        on_device(splits["train"]),
        on_device(splits["valid"]),
        batch_size=config.batch_size,
        seed=config.seed,
    )
    plan = Plan(
        name="head",
        epochs=config.epochs,
        lr=config.lr,
        weight_decay=config.weight_decay,
        label_smoothing=config.label_smoothing,
        patience=config.patience,
        seed=config.seed,
    )
    checkpoints = parts.checkpoints.of_first_rank()
    fitted = fit(task, plan, checkpoints=checkpoints, ranks=Ranks(), say=parts.say)
    standardisation.fold_into(head.first)
    return fitted


def _evaluate_head(parts: Parts, split: SplitFeatures) -> Evaluation:
    head = parts.classifier.head.eval()
    with torch.inference_mode():
        scores = head(split.features.to(parts.ranks.device))
        return Evaluation.of(scores, split.labels.to(parts.ranks.device))


def _readable(dataset: Dataset, name: str, split: SplitFeatures) -> list[Sample]:
    samples: Sequence[Sample] = getattr(dataset, name)
    return [samples[position] for position in split.positions.tolist()]


def _fine_tune(
    parts: Parts, readable: dict[str, list[Sample]], head: Fitted
) -> tuple[Fitted, Evaluation | None]:
    config = parts.config
    with ThreadPoolExecutor(num_cores()) as pool:
        task = FineTuneTask(
            parts.classifier,
            parts.preprocessing,
            train=readable["train"],
            valid=readable["valid"],
            pool=pool,
            broken=parts.broken,
            ranks=parts.ranks,
            batch_size=config.batch_size,
            flip=config.flip,
            seed=config.seed,
        )
        plan = Plan(
            name="fine-tune",
            epochs=config.fine_tune_epochs,
            lr=config.fine_tune_lr,
            weight_decay=config.weight_decay,
            label_smoothing=config.label_smoothing,
            patience=config.patience,
            seed=config.seed,
            first_epoch=head.last_epoch + 1,
        )
        fitted = fit(
            task,
            plan,
            checkpoints=parts.checkpoints,
            ranks=parts.ranks,
            say=parts.say,
            start=head.evaluation,
        )
        if fitted.epoch == head.last_epoch:  # none was better: the head's own chosen epoch stands
            fitted = Fitted(
                epoch=head.epoch, evaluation=head.evaluation, last_epoch=fitted.last_epoch
            )
        test = task.evaluate_on(readable["test"]) if "test" in readable else None
    return fitted, test
