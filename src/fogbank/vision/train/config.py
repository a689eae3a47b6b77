"""Hyperparameters: every field is one, `--batch-size 64` and `--batch_size 64` alike."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from pathlib import Path

from fogbank.vision.errors import SettingError
from fogbank.vision.model import DEFAULT_BACKBONE, Features

_FOLDERS = ("data", "model_dir", "output_data_dir", "checkpoint_dir")


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """What a training job can be told. The defaults suit a few hundred photographs a class."""

    epochs: int = 30
    """Passes over the training split with a frozen backbone. Each takes a moment: the backbone
    looks at every picture once, before the first epoch."""

    batch_size: int = 32
    """Pictures in an optimiser step, of all instances together: two instances with a batch of 32
    compute 16 each and take the same steps, at the same learning rate, as one."""

    lr: float = 1e-3
    """AdamW's learning rate at the start; it falls to zero along a cosine over `epochs`."""

    weight_decay: float = 1e-2
    """AdamW's decoupled weight decay."""

    label_smoothing: float = 0.1
    """Share of the target spread over all classes, 0..1. Part of `train_loss` alone: losses of
    the validation and the test split are plain cross entropy."""

    dropout: float = 0.0
    """Share of the features (of the hidden units, where there are some) dropped in training."""

    hidden: int | None = None
    """Width of the head's hidden layer, 0 for a linear head. None: the backbone's usual one, 128
    for resnet50 and 0 for all others."""

    backbone: str = DEFAULT_BACKBONE
    """"efficientnet_lite0", "resnet50" or any network of timm."""

    weights: Path | None = None
    """File of pretrained weights for the backbone, state_dict or safetensors. None: see
    `fogbank.vision.weights`."""

    features: Features = "last"
    """"last" for photographs, "multilevel" for pictures far from them (see `model.Features`)."""

    image_size: int | None = None
    """Side of the square that the network sees, pixels. None: the backbone's own, mostly 224.
    A smaller one is faster by its square."""

    patience: int = 10
    """Epochs without a better validation result before the training ends; 0: never early."""

    fine_tune: bool = False
    """Afterwards train the whole network, with augmentation. Many times slower than the head."""

    fine_tune_epochs: int = 3
    """Passes over the training split while fine-tuning."""

    fine_tune_lr: float = 1e-4
    """Learning rate at the start of fine-tuning."""

    flip: bool = True
    """Mirror pictures while fine-tuning. Turn it off where left and right mean something."""

    seed: int = 0
    """Of the split, the head's first weights, the order of pictures and the augmentation. The same
    seed, data, thread count and versions give the same model on a CPU."""

    max_broken: float = 0.05
    """Share of unreadable pictures that are skipped by name; with more the training fails."""

    data: Path | None = None
    """Folder to train on instead of the job's channels."""

    model_dir: Path | None = None
    """Where the model goes, instead of SM_MODEL_DIR."""

    output_data_dir: Path | None = None
    """Where the evaluation report goes, instead of SM_OUTPUT_DATA_DIR."""

    checkpoint_dir: Path | None = None
    """Where the state of the training is kept for a restart, instead of the job's folder."""

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "fine_tune_epochs"):
            if getattr(self, name) < 1:
                raise SettingError(f"{name}: {getattr(self, name)} is not positive")
        for name in ("lr", "fine_tune_lr"):
            if not 0 < getattr(self, name) < float("inf"):
                raise SettingError(f"{name}: {getattr(self, name)} is not a positive number")
        for name in ("weight_decay", "patience", "seed"):
            if not getattr(self, name) >= 0:
                raise SettingError(f"{name}: {getattr(self, name)} is negative")
        for name in ("label_smoothing", "max_broken"):
            if not 0 <= getattr(self, name) <= 1:
                raise SettingError(f"{name}: {getattr(self, name)} is not in 0..1")
        if self.image_size is not None and self.image_size < 32:
            raise SettingError(f"image_size: {self.image_size} is less than the 32 px needed")

    def to_json(self) -> dict[str, object]:
        """The values that decide the result, without folders."""
        return {
            name: str(value) if isinstance(value, Path) else value
            for name, value in asdict(self).items()
            if name not in _FOLDERS
        }


FIELD_NAMES = tuple(field.name for field in fields(TrainingConfig))
