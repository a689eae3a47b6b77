"""What doing a step needs: the cloud, the time, and somebody to tell."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from fogbank.aws import Aws
from fogbank.core.clock import Clock
from fogbank.core.errors import WorldError
from fogbank.ops.search import Search
from fogbank.ops.step import Step


class Progress(Protocol):
    """Told about what goes on; never asked. May be called from several threads."""

    def begin(self, step: Step) -> None:
        """A step starts."""

    def advance(self, done: int, total: int, unit: str) -> None:
        """So much of the current step is done."""

    def status(self, text: str) -> None:
        """What the cloud does at the moment: "Training"."""

    def log(self, line: str) -> None:
        """A line that a container wrote."""

    def search(self, found: Search) -> None:
        """How the tuning job of the current step stands."""

    def end(self, step: Step, seconds: float) -> None:
        """The step is done."""


@dataclass(frozen=True, kw_only=True)
class World:
    """The outside, as far as a step may touch it."""

    aws: Aws
    progress: Progress
    clock: Clock
    pause: Callable[[float], None]
    """Wait that many seconds; between two looks at something that takes its time."""


class CloudFailure(WorldError):
    """Something that we asked for was tried in the cloud and failed there: a job, an endpoint."""


class Interrupted(WorldError):
    """The person pressed Ctrl-C; the message says what goes on in the cloud and how to continue."""
