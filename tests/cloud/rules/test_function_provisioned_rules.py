"""How many environments are kept initialised, of which version, and what is said of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fogbank.cloud.records.function import Alias, ProvisionedConcurrency
from fogbank.cloud.rules.function_provisioned import (
    INIT_FAILURE,
    Decision,
    EnvironmentSeen,
    next_step,
    split,
)

RECORD = ProvisionedConcurrency(
    function="f", qualifier="live", requested=3, modified=datetime(2026, 1, 1, tzinfo=UTC)
)


def alias(version: str = "1", **weights: float) -> Alias:
    return Alias(
        function="f",
        name="live",
        arn="arn",
        version=version,
        weights={name.removeprefix("v"): weight for name, weight in weights.items()},
        revision_id="r",
    )


def seen(*states: str) -> list[EnvironmentSeen]:
    """`1+` is ready and of version 1; `1` is not ready; `1!` runs old code."""
    return [
        EnvironmentSeen(f"e{n}", state.rstrip("+!"), "+" in state or "!" in state, "!" not in state)
        for n, state in enumerate(states)
    ]


def step(*states: str, failure: str | None = None, **changes: object) -> Decision:
    record = replace(RECORD, **changes)  # type: ignore[arg-type]
    return next_step(record, {"1": record.requested}, seen(*states), failure)


def said(decision: Decision) -> tuple[str, int, int]:
    record = decision.record
    return record.status, record.allocated, record.available


@pytest.mark.docs
def test_from_nothing_to_ready() -> None:
    first = step()
    assert (said(first), dict(first.start)) == (("IN_PROGRESS", 0, 0), {"1": 3})
    coming = step("1", "1+", "1")
    assert (said(coming), dict(coming.start)) == (("IN_PROGRESS", 3, 1), {})
    there = step("1+", "1+", "1+")
    assert (said(there), dict(there.start), there.stop) == (("READY", 3, 3), {}, ())


@pytest.mark.docs
def test_more_and_fewer_are_requested() -> None:
    more = step("1+", "1+", "1+", requested=5, status="READY")
    assert (said(more), dict(more.start)) == (("IN_PROGRESS", 3, 3), {"1": 2})
    fewer = step("1", "1+", "1+", requested=1)
    assert said(fewer) == ("READY", 1, 1)
    assert set(fewer.stop) == {"e0", "e2"}  # one that is ready stays


@pytest.mark.docs
def test_an_alias_that_moves_takes_its_environments_along() -> None:
    moved = next_step(RECORD, {"2": 3}, seen("1+", "1+", "1+"), None)
    assert said(moved) == ("IN_PROGRESS", 0, 0)
    assert (dict(moved.start), len(moved.stop)) == ({"2": 3}, 3)


def test_environments_of_old_code_are_replaced() -> None:
    decision = step("1!", "1+", "1+")
    assert (decision.stop, dict(decision.start)) == (("e0",), {"1": 1})


@pytest.mark.docs
def test_one_that_cannot_be_initialised_is_said() -> None:
    decision = step("1+", failure=INIT_FAILURE)
    assert said(decision) == ("FAILED", 1, 1)
    assert decision.record.status_reason == INIT_FAILURE
    assert not decision.start, "the next one would fail, too"
    assert said(step("1", "1+", failure=INIT_FAILURE)) == ("IN_PROGRESS", 2, 1)
    assert said(step("1+", "1+", "1+", failure=INIT_FAILURE)) == ("READY", 3, 3)


@pytest.mark.docs
def test_never_on_latest() -> None:
    decision = next_step(RECORD, {"$LATEST": 3}, seen("$LATEST+"), None)
    assert (decision.record.status, decision.stop) == ("FAILED", ("e0",))
    assert "unpublished" in (decision.record.status_reason or "")


@pytest.mark.docs
def test_a_weighted_alias_shares_them_out() -> None:
    assert split(3, None, "7") == {"7": 3}
    assert split(3, alias("1"), "live") == {"1": 3}
    assert split(10, alias("1", v2=0.1), "live") == {"1": 9, "2": 1}
    assert split(3, alias("1", v2=0.5), "live") == {"1": 2, "2": 1}
    assert split(1, alias("1", v2=0.2), "live") == {"1": 1}
    assert split(4, alias("1", v2=1.0), "live") == {"2": 4}


@given(st.integers(0, 50), st.floats(0, 1))
def test_law_the_shares_are_all_of_it(requested: int, weight: float) -> None:
    shares = split(requested, alias("1", v2=weight), "live")
    assert sum(shares.values()) == requested
    assert abs(shares.get("2", 0) - requested * weight) < 1


states = st.lists(st.sampled_from(["1", "1+", "1!", "2", "2+"]), max_size=6)


@given(states, st.integers(1, 5), st.sampled_from([None, INIT_FAILURE]))
def test_law_one_step_leads_to_what_is_wanted(
    found: list[str], requested: int, failure: str | None
) -> None:
    """What stays and what starts together is never more than requested, and without a failure
    exactly that; afterwards there is nothing left to do."""
    environments = seen(*found)
    record = replace(RECORD, requested=requested)
    decision = next_step(record, {"1": requested}, environments, failure)
    kept = [one for one in environments if one.id not in decision.stop]
    assert all(one.version == "1" and one.current for one in kept)
    total = len(kept) + sum(decision.start.values())
    assert total == requested if failure is None else total <= requested
    started = [EnvironmentSeen(f"n{n}", "1", True) for n in range(sum(decision.start.values()))]
    ready = [replace(one, ready=True) for one in kept]
    after = next_step(decision.record, {"1": requested}, ready + started, failure)
    assert (after.start, after.stop) == ({}, ())
    assert (after.record.status == "READY") == (total == requested)
