"""Optuna behind the Sampler protocol."""

from __future__ import annotations

import math
from statistics import fmean

import pytest

from fogbank.cloud.machines.search import OptunaSampler, optuna_is_installed
from fogbank.cloud.rules.search import History, Seen, suggest
from fogbank.cloud.rules.search_space import Space, read_space

RANGES = {
    "ContinuousParameterRanges": [
        {"Name": "lr", "MinValue": "0.0001", "MaxValue": "1", "ScalingType": "Logarithmic"},
        {"Name": "momentum", "MinValue": "0", "MaxValue": "0.99"},
    ],
    "CategoricalParameterRanges": [{"Name": "optimizer", "Values": ["sgd", "adam"]}],
}

SEEN = [
    Seen((0.1, 0.5, 0.0), 3.0),
    Seen((0.6, 0.5, 1.0), 1.0),
    Seen((0.9, 0.1, 0.0), 9.0, 2),
    Seen((0.6, 0.4, 1.0), None),
]


def test_it_is_installed_where_tests_run() -> None:
    assert optuna_is_installed()


@pytest.mark.parametrize("maximize", [True, False])
def test_an_answer_depends_on_the_question_alone(maximize: bool) -> None:
    first, again = (
        OptunaSampler().suggest([None, None, 2], SEEN, maximize=maximize, seed=3) for _ in range(2)
    )
    assert first == again
    assert all(0 <= coordinate <= 1 for coordinate in first)
    other = OptunaSampler().suggest([None, None, 2], SEEN, maximize=maximize, seed=4)
    assert other != first


def loss(space: Space, texts: dict[str, str]) -> float:
    """Best at lr 0.01, momentum 0.9, adam."""
    return (
        (math.log10(float(texts["lr"])) + 2) ** 2
        + 4 * (float(texts["momentum"]) - 0.9) ** 2
        + (texts["optimizer"] == "sgd")
    )


def search(strategy: str, seed: int, *, maximize: bool) -> list[float]:
    """Losses of 40 trials."""
    space, sampler = read_space(RANGES), OptunaSampler()
    seen: list[Seen] = []
    tried: list[dict[str, str]] = []
    losses: list[float] = []
    for number in range(1, 41):
        texts = suggest(
            space,
            History(number=number, seen=seen, tried=tried),
            strategy="Bayesian" if strategy == "Bayesian" else "Random",
            maximize=maximize,
            seed=seed,
            max_trials=40,
            sampler=sampler,
        )
        point = space.point(texts)
        assert point is not None
        losses.append(loss(space, texts))
        seen.append(Seen(point, -losses[-1] if maximize else losses[-1]))
        tried.append(texts)
    return losses


@pytest.mark.parametrize("maximize", [True, False])
def test_a_bayesian_search_learns(maximize: bool) -> None:
    """Over 3 seeds: what it tries after its first design is far better than chance, and the best
    of it as well."""
    bayesian = [search("Bayesian", seed, maximize=maximize) for seed in range(3)]
    random = [search("Random", seed, maximize=maximize) for seed in range(3)]
    assert fmean(fmean(one[10:]) for one in bayesian) < 0.6 * fmean(
        fmean(one[10:]) for one in random
    )
    assert fmean(map(min, bayesian)) < 0.7 * fmean(map(min, random))
