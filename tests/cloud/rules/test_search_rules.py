"""What is tried next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from cloud.tuning_request import GRID, RANGES
from fogbank.cloud.rules.search import History, Seen, Strategy, num_initial, suggest
from fogbank.cloud.rules.search_space import Point, Space, read_space

LINE = {"ContinuousParameterRanges": [{"Name": "x", "MinValue": "0", "MaxValue": "1"}]}


class Middle:
    """A sampler that always says the middle, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[list[Seen], bool, int]] = []

    def suggest(
        self, num_choices: Sequence[int | None], seen: Sequence[Seen], *, maximize: bool, seed: int
    ) -> Point:
        self.asked.append((list(seen), maximize, seed))
        return tuple(0.5 if count is None else 0.0 for count in num_choices)


def ask(
    space: Space,
    number: int,
    *,
    seen: Sequence[Seen] = (),
    tried: Sequence[Mapping[str, str]] = (),
    sampler: Middle | None = None,
    strategy: Strategy = "Bayesian",
    max_trials: int = 20,
    seed: int = 7,
) -> dict[str, str]:
    return suggest(
        space,
        History(number=number, seen=seen, tried=tried),
        strategy=strategy,
        maximize=True,
        seed=seed,
        max_trials=max_trials,
        sampler=sampler or Middle(),
    )


@pytest.mark.docs
def test_a_grid_is_walked_in_its_order_and_ends() -> None:
    space = read_space(GRID)
    walked = [ask(space, number, strategy="Grid") for number in range(1, 7)]
    assert walked == [space.texts(point) for point in space.grid()]
    with pytest.raises(LookupError, match="6 combinations"):
        ask(space, 7, strategy="Grid")


@pytest.mark.docs
@pytest.mark.parametrize("strategy", ["Random", "Bayesian", "Hyperband"])
def test_the_same_seed_gives_the_same_search_and_another_another(strategy: Any) -> None:
    space = read_space(RANGES)
    first, again, other = (
        [ask(space, number, strategy=strategy, seed=seed) for number in range(1, 6)]
        for seed in (7, 7, 8)
    )
    assert first == again
    assert first != other


def test_random_tries_never_ask_the_model() -> None:
    sampler = Middle()
    seen = [Seen((0.5,), 1.0)] * 30
    found = {
        ask(read_space(LINE), n, seen=seen, sampler=sampler, strategy="Random")["x"]
        for n in range(1, 50)
    }
    assert len(found) == 49
    assert sampler.asked == []


@pytest.mark.parametrize(("max_trials", "first"), [(1, 3), (6, 3), (20, 5), (100, 10), (750, 10)])
def test_the_model_is_asked_when_enough_is_known(max_trials: int, first: int) -> None:
    assert num_initial(max_trials) == first
    running = [Seen((0.1,), None)] * 20
    for known in (first - 1, first):
        sampler = Middle()
        seen = [*running, *[Seen((0.2,), 1.0)] * known]
        ask(read_space(LINE), 30, seen=seen, sampler=sampler, max_trials=max_trials)
        assert bool(sampler.asked) == (known == first)


def test_the_first_design_fills_the_space() -> None:
    """Of 10 points on a line, no gap is wider than a fifth; random ones leave a third open."""
    for seed in range(20):
        space = read_space(LINE)
        points = sorted(float(ask(space, n, seed=seed, max_trials=40)["x"]) for n in range(1, 11))
        gaps = [b - a for a, b in zip([0.0, *points], [*points, 1.0], strict=True)]
        assert max(gaps) <= 0.2, seed


def test_what_was_tried_is_not_tried_again_while_there_is_something_else() -> None:
    space = read_space({"CategoricalParameterRanges": [{"Name": "x", "Values": ["a", "b", "c"]}]})
    tried: list[dict[str, str]] = []
    for number in range(1, 4):
        tried.append(ask(space, number, tried=tried, strategy="Random"))
    assert sorted(one["x"] for one in tried) == ["a", "b", "c"]
    assert ask(space, 4, tried=tried, strategy="Random") in tried


def test_a_model_that_insists_is_asked_with_other_seeds_and_then_believed() -> None:
    sampler = Middle()
    seen = [Seen((0.5,), 1.0)] * 10
    found = ask(read_space(LINE), 11, seen=seen, tried=[{"x": "0.5"}], sampler=sampler)
    assert found == {"x": "0.5"}
    seeds = [seed for _, _, seed in sampler.asked]
    assert len(set(seeds)) == len(seeds) == 10
