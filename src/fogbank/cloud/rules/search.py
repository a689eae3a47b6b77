"""What a tuning job tries next: what is known of earlier trials -> hyperparameters.

`suggest` is a function of its arguments: the same trials and the same seed give the same answer,
so a cloud that was killed goes on as if nothing had happened. The model behind the Bayesian search
is somebody else's (`Sampler`); random, grid and the first design of a Bayesian search are here.
Sources: developer guide, "How Hyperparameter Tuning Works"; M. Roberts, "The Unreasonable
Effectiveness of Quasirandom Sequences" (2018) for the first design.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import islice
from random import Random
from typing import Literal, Protocol

from fogbank.cloud.rules.search_space import Point, Space

Strategy = Literal["Bayesian", "Random", "Grid", "Hyperband"]

MODEL_BASED: frozenset[str] = frozenset({"Bayesian", "Hyperband"})
"""Strategies that ask a `Sampler`."""

_ATTEMPTS = 10
"""How often a combination that was tried already is replaced by another."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What became of a point.

    value:       the objective; None while the trial runs.
    num_reports: after how many values of the objective it was stopped early; None for a trial that
                 ran to its end: its value counts for more.
    """

    point: Point
    value: float | None
    num_reports: int | None = None


class Sampler(Protocol):
    """A model of the objective that says where to look next. Pure: it keeps nothing."""

    def suggest(
        self, num_choices: Sequence[int | None], seen: Sequence[Seen], *, maximize: bool, seed: int
    ) -> Point:
        """num_choices: for each axis the number of its categories, None for a coordinate in
        [0, 1]. At least one of `seen` has a value."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """What is known when trial `number` (1 is the first of its definition) is to start.

    seen:  trials of this definition and of parents that have or may get an objective.
    tried: tuned hyperparameters of all trials of this definition, whatever became of them.
    """

    number: int
    seen: Sequence[Seen]
    tried: Sequence[Mapping[str, str]]


def num_initial(max_trials: int) -> int:
    """Objectives that a Bayesian search wants to know before it trusts its model: a quarter of the
    budget, but at least 3 and at most 10 (Optuna's own default)."""
    return min(10, max(3, max_trials // 4))


def suggest(
    space: Space,
    history: History,
    *,
    strategy: Strategy,
    maximize: bool,
    seed: int,
    max_trials: int,
    sampler: Sampler,
) -> dict[str, str]:
    """The tuned hyperparameters of the next trial.

    Raises LookupError when a grid has no combination left: whoever asks counts them.
    """
    if strategy == "Grid":
        point = next(islice(space.grid(), history.number - 1, None), None)
        if point is None:
            raise LookupError(f"the grid has {space.num_combinations} combinations and no more")
        return space.texts(point)
    num_known = sum(one.value is not None for one in history.seen)
    is_first_design = num_known < num_initial(max_trials)
    tried = [dict(one) for one in history.tried]
    found: dict[str, str] = {}
    for attempt in range(_ATTEMPTS):
        draw = Random(f"{seed}/{history.number}/{attempt}")  # noqa: S311 - a search, no secret
        if strategy == "Random" or (attempt and is_first_design):
            point = _uniform(space, draw)
        elif is_first_design:
            point = _spread(space, seed, history.number)
        else:
            point = sampler.suggest(
                [axis.num_choices for axis in space.axes],
                history.seen,
                maximize=maximize,
                seed=_seed(f"{seed}/{history.number}/{attempt}"),
            )
        found = space.texts(point)
        if found not in tried:
            break
    return found  # a small space may be used up: then it repeats itself, as AWS's search does


def _uniform(space: Space, draw: Random) -> Point:
    return tuple(
        draw.random() if axis.num_choices is None else float(draw.randrange(axis.num_choices))
        for axis in space.axes
    )


def _spread(space: Space, seed: int, number: int) -> Point:
    """Point `number` of a sequence that fills the cube evenly: its first points are never all in
    one corner, as random ones may be."""
    start = Random(f"{seed}/start")  # noqa: S311
    golden = _golden(len(space.axes))
    coordinates = [
        (start.random() + number * golden ** -(position + 1)) % 1.0
        for position in range(len(space.axes))
    ]
    return tuple(
        coordinate if axis.num_choices is None else float(int(coordinate * axis.num_choices))
        for axis, coordinate in zip(space.axes, coordinates, strict=True)
    )


def _golden(num_axes: int) -> float:
    """The root above 1 of x^(d+1) = x + 1: the golden ratio for one axis."""
    root = 2.0
    for _ in range(64):
        root = (1 + root) ** (1 / (num_axes + 1))
    return root


def _seed(text: str) -> int:
    """32 bits: what numpy's generators take."""
    return int.from_bytes(sha256(text.encode()).digest()[:4], "big")
