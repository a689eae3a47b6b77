"""What follows from the trials of a search."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fogbank.ops.search import Axis, Search, Trial, shown_value


def search_of(
    *objectives: float | None, goal: Literal["Maximize", "Minimize"] = "Minimize"
) -> Search:
    """A search that has ended; a trial without an objective failed."""
    return Search(
        name="pets-1",
        status="Completed",
        metric="loss",
        goal=goal,
        max_trials=len(objectives),
        axes=(
            Axis(name="lr", low=1e-4, high=0.1, scale="log"),
            Axis(name="size", values=("32", "64")),
        ),
        trials=tuple(
            Trial(
                number=number,
                name=f"pets-1-{number:03}",
                status="Failed" if objective is None else "Completed",
                hyperparameters={"lr": str(number / 1000), "size": "32"},
                objective=objective,
                reason="AlgorithmError: it raised\nmore" if objective is None else "",
                seconds=12.34,
            )
            for number, objective in enumerate(objectives, 1)
        ),
    )


@pytest.mark.docs
def test_the_best_is_the_earlier_one_of_equals() -> None:
    best = search_of(None, 0.5, 0.25, 0.25).best
    assert best is not None
    assert best.number == 3
    assert search_of(None, None).best is None


def test_a_trial_that_was_stopped_counts_with_what_it_reached() -> None:
    found = search_of(0.5, 0.25)
    stopped = replace(found.trials[1], status="Stopped")
    assert replace(found, trials=(found.trials[0], stopped)).best is stopped


@given(
    st.lists(st.none() | st.floats(-1e6, 1e6), min_size=1),
    st.sampled_from(["Maximize", "Minimize"]),
)
def test_the_best_so_far_never_gets_worse_and_ends_at_the_best(
    objectives: list[float | None], goal: Literal["Maximize", "Minimize"]
) -> None:
    found = search_of(*objectives, goal=goal)
    line = list(found.best_so_far())
    assert len(line) == len(objectives)
    assert line[-1] == (found.best.objective if found.best else None)
    known = [value for value in line if value is not None]
    assert known == sorted(known, reverse=goal == "Minimize")
    assert line.index(known[0]) == objectives.index(known[0]) if known else set(line) == {None}


def test_objectives_two_decades_apart_are_shown_on_a_logarithmic_scale() -> None:
    assert search_of(0.01, None, 1.0).is_logarithmic
    assert not search_of(0.02, 1.0).is_logarithmic
    assert not search_of(-0.01, 1.0).is_logarithmic
    assert not search_of(None).is_logarithmic


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("0.0012345678901", "0.001235"),
        ("1.2345e-07", "1.235e-07"),
        ("123456", "123456"),
        ("-3", "-3"),
        ("0.5", "0.5"),
        ("adamw", "adamw"),
        ("nan", "nan"),
        ("", ""),
    ],
)
def test_values_for_people(text: str, shown: str) -> None:
    assert shown_value(text) == shown


@pytest.mark.observed
@pytest.mark.parametrize(
    ("reason", "short"),
    [
        (
            'AlgorithmError: ExecuteUserScriptError:\nExitCode 1\nErrorMessage "Traceback\n  in f\n'
            'ValueError: no "cats" here"\nCommand "python train.py", exit code: 1',
            'ValueError: no "cats" here',
        ),
        ('AlgorithmError: X\nErrorMessage ""\nCommand "x"', "AlgorithmError: X"),
        ("InternalServerError: try again\nlater", "InternalServerError: try again"),
        ("", ""),
    ],
)
def test_one_line_of_a_reason(reason: str, short: str) -> None:
    (trial,) = search_of(None).trials
    assert replace(trial, reason=reason).short_reason == short


def test_positions_on_an_axis() -> None:
    numbers, categories = search_of(1.0).axes
    assert numbers.position("0.01") == 0.01
    assert numbers.position("adamw") is None
    assert categories.position("64") == 1
    assert categories.position("128") is None
