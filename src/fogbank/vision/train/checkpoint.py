"""The state of a training, for a job that is interrupted and started again.

Comes in and goes out: tensors and plain numbers, one safetensors file a phase, replaced
atomically. It belongs to a fingerprint (configuration and data); with another one it is left
alone, so a folder that was used before never spoils a new training.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load, save, save_file
from torch import nn

from fogbank.vision.train.ranks import Ranks
from fogbank.vision.train.read import Say

_META = "fogbank"


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a phase has come."""

    epochs_done: int
    best_epoch: int
    """Counted from 1 within the phase; 0: none was better than the start."""
    best_loss: float
    best_accuracy: float
    predicted: tuple[int, ...]
    best_state: dict[str, torch.Tensor]


def fingerprint(*parts: object) -> str:
    """Of everything that decides the course of a training; plain values only."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


class Checkpoints:
    """Files `<phase>.safetensors` in a folder; without a folder it keeps nothing.

    Of several ranks, the first one writes, and all get what the first one finds: folders of other
    instances may hold something older. So all of them must ask for the same things, in one order.
    """

    def __init__(self, folder: Path | None, fingerprint: str, say: Say, ranks: Ranks) -> None:
        self._folder = folder
        self._fingerprint = fingerprint
        self._say = say
        self._ranks = ranks

    def of_first_rank(self) -> Checkpoints:
        """The same files, for a phase in which only the first rank works: nobody else is asked."""
        assert self._ranks.is_first
        return Checkpoints(self._folder, self._fingerprint, self._say, Ranks())

    def save(
        self, phase: str, module: nn.Module, optimizer: torch.optim.Optimizer, progress: Progress
    ) -> None:
        """Replace the phase's checkpoint; a kill at any moment leaves the old or the new one."""
        tensors: dict[str, torch.Tensor] = {}
        tensors |= {f"now.{name}": value for name, value in module.state_dict().items()}
        tensors |= {f"best.{name}": value for name, value in progress.best_state.items()}
        for index, state in optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{index}.{name}": value for name, value in state.items()}
        facts = {
            "epochs_done": progress.epochs_done,
            "best_epoch": progress.best_epoch,
            "best_loss": progress.best_loss,
            "best_accuracy": progress.best_accuracy,
            "predicted": list(progress.predicted),
        }
        self.save_tensors(phase, tensors, facts)

    def load(
        self, phase: str, module: nn.Module, optimizer: torch.optim.Optimizer
    ) -> Progress | None:
        """Fill `module` and `optimizer` from the phase's checkpoint, where there is one."""
        found = self.load_tensors(phase)
        if found is None:
            return None
        tensors, facts = found
        module.load_state_dict(_below(tensors, "now."))
        states: dict[int, dict[str, torch.Tensor]] = {}
        for key, value in _below(tensors, "optimizer.").items():
            index, _, name = key.partition(".")
            states.setdefault(int(index), {})[name] = value
        groups = optimizer.state_dict()["param_groups"]
        optimizer.load_state_dict({"state": states, "param_groups": groups})
        return Progress(
            epochs_done=facts["epochs_done"],
            best_epoch=facts["best_epoch"],
            best_loss=facts["best_loss"],
            best_accuracy=facts["best_accuracy"],
            predicted=tuple(facts["predicted"]),
            best_state=_below(tensors, "best."),
        )

    def save_tensors(
        self, name: str, tensors: Mapping[str, torch.Tensor], facts: Mapping[str, object]
    ) -> None:
        """Write `<name>.safetensors` atomically."""
        if self._folder is None or not self._ranks.is_first:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        # A hidden name: SageMaker uploads what it finds in the folder, at any moment.
        partial = self._folder / f".{name}.part"
        meta = json.dumps({"fingerprint": self._fingerprint, "facts": dict(facts)})
        # Plain copies: safetensors refuses tensors that share memory or lie channels last.
        plain = {
            key: value.detach().cpu().clone(memory_format=torch.contiguous_format)
            for key, value in tensors.items()
        }
        save_file(plain, partial, metadata={_META: meta})
        with partial.open("rb") as stream:
            os.fsync(stream.fileno())
        partial.replace(self._folder / f"{name}.safetensors")

    def load_tensors(self, name: str) -> tuple[dict[str, torch.Tensor], dict[str, Any]] | None:
        """What `save_tensors` wrote; None where there is nothing of this training."""
        found = self._find(name) if self._ranks.is_first else None
        if self._ranks.is_alone:
            return found
        facts = self._ranks.same(None if found is None else found[1])
        if facts is None:
            return None
        return load(self._ranks.same_bytes(save(found[0]) if found else b"")), facts

    def _find(self, name: str) -> tuple[dict[str, torch.Tensor], dict[str, Any]] | None:
        if self._folder is None:
            return None
        path = self._folder / f"{name}.safetensors"
        if not path.is_file():
            return None
        try:
            with safe_open(path, framework="pt") as content:
                meta = json.loads((content.metadata() or {}).get(_META, "{}"))
                if meta.get("fingerprint") != self._fingerprint:
                    self._say(f"checkpoint {path.name} is of another configuration or data: unused")
                    return None
                return {key: content.get_tensor(key) for key in content.keys()}, meta["facts"]  # noqa: SIM118
        except (SafetensorError, ValueError) as error:
            self._say(f"checkpoint {path.name} cannot be read ({error}): starting afresh")
            return None


def _below(tensors: Mapping[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {
        key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)
    }
