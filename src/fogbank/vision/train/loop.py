"""The training loop: epochs over a task, the best one kept.

Comes in: a `Task` (what is trained, its batches, how it is evaluated) and a `Plan`. Goes out: the
module with the weights of its best epoch, and that epoch's evaluation. There are two tasks: a head
on features that were computed once (`HeadTask`), the whole network on augmented pictures
(`fine_tune.FineTuneTask`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from fogbank.vision.contract import metric_line
from fogbank.vision.errors import TrainingDivergedError
from fogbank.vision.train.checkpoint import Checkpoints, Progress
from fogbank.vision.train.ranks import Ranks
from fogbank.vision.train.read import Say


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """How good a module is on a split."""

    loss: float
    """Mean cross entropy, nats."""
    accuracy: float
    """Share of right answers."""
    predicted: tuple[int, ...]
    """The class with the highest score, for each picture."""

    @classmethod
    def of(cls, scores: torch.Tensor, labels: torch.Tensor) -> Evaluation:
        """From scores (N, classes) and labels (N,)."""
        predicted = scores.argmax(dim=1)
        return cls(
            loss=float(cross_entropy(scores, labels)),
            accuracy=float((predicted == labels).double().mean()),
            predicted=tuple(predicted.tolist()),
        )

    def to_json(self) -> dict[str, Any]:
        """For `from_json`, on another rank."""
        return asdict(self)

    @classmethod
    def from_json(cls, facts: Mapping[str, Any]) -> Evaluation:
        """What `to_json` gave."""
        return cls(**{**facts, "predicted": tuple(facts["predicted"])})

    def beats(self, other: Evaluation | None) -> bool:
        """More right answers; among equals a lower loss."""
        return other is None or (self.accuracy, -self.loss) > (other.accuracy, -other.loss)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How long and how fast."""

    name: str
    """Of the phase: names its checkpoint."""
    epochs: int
    lr: float
    weight_decay: float
    label_smoothing: float
    patience: int
    """Epochs without a better evaluation before the end; 0: never early."""
    seed: int
    first_epoch: int = 1
    """Number of the first epoch in the log; phases are counted through."""

    def learning_rate(self, epoch: int) -> float:
        """Of epoch 0, 1, ...: half a cosine from `lr` towards zero."""
        return self.lr * (1 + math.cos(math.pi * epoch / self.epochs)) / 2


@dataclass(frozen=True, kw_only=True)
class Batch:
    """This rank's part of one optimiser step."""

    inputs: torch.Tensor
    labels: torch.Tensor
    weight: float = 1.0
    """Of the mean loss of this part, so that the average of all ranks' weighted losses is the mean
    over the whole batch. 0 where the part is only there to keep the ranks in step."""


class Task(Protocol):
    """What is trained."""

    @property
    def module(self) -> nn.Module:
        """Its trainable parameters are optimised, its whole state is kept."""

    @property
    def parallel(self) -> nn.Module:
        """The module as it is called in training: `backward` averages gradients over the ranks."""

    def batches(self, epoch: int) -> Iterator[Batch]:
        """One epoch, in an order that depends on the epoch alone; as many on every rank."""

    def train_mode(self) -> None:
        """Prepare for `batches`."""

    def evaluate(self) -> Evaluation:
        """On the validation split, in evaluation mode."""


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """The outcome. The module holds the weights of the chosen epoch."""

    epoch: int
    """The chosen one; before the first where none was better than the start."""
    evaluation: Evaluation
    last_epoch: int
    """The last one that ran."""

    def to_json(self) -> dict[str, Any]:
        """For `from_json`, on another rank."""
        return asdict(self)

    @classmethod
    def from_json(cls, facts: Mapping[str, Any]) -> Fitted:
        """What `to_json` gave."""
        return cls(**{**facts, "evaluation": Evaluation.from_json(facts["evaluation"])})


def fit(
    task: Task,
    plan: Plan,
    *,
    checkpoints: Checkpoints,
    ranks: Ranks,
    say: Say,
    start: Evaluation | None = None,
) -> Fitted:
    """Train, keep the best epoch, stop when `patience` is over. Goes on from a checkpoint.

    All of `ranks` call it, with tasks that share the work, and get the same outcome.
    `start` is the evaluation to beat, of the module as it comes; None: the first epoch is better
    than nothing.

    Raises:
        TrainingDivergedError: the loss is not a finite number.
    """
    module = task.module
    trainable = [parameter for parameter in module.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trainable, lr=plan.lr, weight_decay=plan.weight_decay)
    best = start
    best_state = _copy(module)
    best_epoch = 0
    epoch = 0
    resumed = checkpoints.load(plan.name, module, optimizer)
    if resumed is not None:
        epoch, best_epoch, best_state = resumed.epochs_done, resumed.best_epoch, resumed.best_state
        if best_epoch:
            best = Evaluation(
                loss=resumed.best_loss, accuracy=resumed.best_accuracy, predicted=resumed.predicted
            )
        say(f"resumed {plan.name} from its checkpoint after epoch {plan.first_epoch - 1 + epoch}")
    while epoch < plan.epochs and not (plan.patience and epoch - best_epoch >= plan.patience):
        train_loss = _train_epoch(task, optimizer, plan, epoch, ranks)
        evaluation = task.evaluate()
        epoch += 1
        if evaluation.beats(best):
            best, best_epoch, best_state = evaluation, epoch, _copy(module)
        say(
            metric_line(
                epoch=plan.first_epoch - 1 + epoch,
                train_loss=train_loss,
                valid_loss=evaluation.loss,
                valid_accuracy=evaluation.accuracy,
            )
        )
        assert best is not None, "the first evaluation beats nothing"
        checkpoints.save(
            plan.name,
            module,
            optimizer,
            Progress(
                epochs_done=epoch,
                best_epoch=best_epoch,
                best_loss=best.loss,
                best_accuracy=best.accuracy,
                predicted=best.predicted,
                best_state=best_state,
            ),
        )
    assert best is not None, "epochs is positive"
    module.load_state_dict(best_state)
    last_epoch = plan.first_epoch - 1 + epoch
    return Fitted(epoch=plan.first_epoch - 1 + best_epoch, evaluation=best, last_epoch=last_epoch)


def _train_epoch(
    task: Task, optimizer: torch.optim.Optimizer, plan: Plan, epoch: int, ranks: Ranks
) -> float:
    """One pass; returns the mean loss over all ranks. Seeded by its number, so that a run that goes
    on from a checkpoint draws the same dropout as one that was never interrupted; and by the rank,
    because no two should drop the same units."""
    torch.manual_seed(plan.seed * 100_003 + plan.first_epoch + epoch + ranks.rank * 1_000_000_007)
    for group in optimizer.param_groups:
        group["lr"] = plan.learning_rate(epoch)
    task.train_mode()
    loss_here, count_here = 0.0, 0
    for batch in task.batches(epoch):
        scores = task.parallel(batch.inputs)
        loss = cross_entropy(scores, batch.labels, label_smoothing=plan.label_smoothing)
        optimizer.zero_grad(set_to_none=True)
        (loss * batch.weight).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        if batch.weight:
            loss_here += float(loss.detach()) * len(batch.labels)
            count_here += len(batch.labels)
    total, count = ranks.total(loss_here, count_here)
    mean = total / count
    if not math.isfinite(mean):
        raise TrainingDivergedError(
            f"epoch {plan.first_epoch + epoch}: the training loss is {mean}. Lower --lr "
            f"(now {plan.lr}) or --fine-tune-lr"
        )
    return mean


def _copy(module: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.detach().clone() for name, value in module.state_dict().items()}


class HeadTask:
    """A head on features that were computed once."""

    def __init__(
        self,
        head: nn.Module,
        train: tuple[torch.Tensor, torch.Tensor],
        valid: tuple[torch.Tensor, torch.Tensor],
        *,
        batch_size: int,
        seed: int,
    ) -> None:
        self._head = head
        self._train = train
        self._valid = valid
        self._batch_size = batch_size
        self._seed = seed

    @property
    def module(self) -> nn.Module:
        """The head."""
        return self._head

    @property
    def parallel(self) -> nn.Module:
        """The head: one process trains it."""
        return self._head

    def batches(self, epoch: int) -> Iterator[Batch]:
        """All features once, shuffled."""
        features, labels = self._train
        generator = torch.Generator().manual_seed(self._seed * 100_003 + epoch)
        order = torch.randperm(len(labels), generator=generator).to(labels.device)
        for chosen in torch.split(order, self._batch_size):
            yield Batch(inputs=features[chosen], labels=labels[chosen])

    def train_mode(self) -> None:
        """Dropout on."""
        self._head.train()

    def evaluate(self) -> Evaluation:
        """On the validation features."""
        features, labels = self._valid
        self._head.eval()
        with torch.inference_mode():
            return Evaluation.of(self._head(features), labels)
