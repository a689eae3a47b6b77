"""Prices are facts with a source, and a cost is their product."""

from __future__ import annotations

from datetime import date
from typing import Any

import botocore.session
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fogbank.core.training_prices import training_cost, training_prices


@pytest.mark.model
def test_every_priced_type_is_one_that_trains() -> None:
    sagemaker: Any = botocore.session.get_session().get_service_model("sagemaker")
    known = set(sagemaker.shape_for("TrainingInstanceType").enum)
    assert set(training_prices()) <= known


def test_every_price_has_its_evidence() -> None:
    assert len(training_prices()) > 20
    for price in training_prices().values():
        assert 0 < price.usd_per_hour < 10
        assert price.source
        if price.status == "listed":
            assert date.fromisoformat(price.as_of)


@pytest.mark.docs
def test_the_cost_of_a_job() -> None:
    cost = training_cost("ml.m5.xlarge", billable_s=5400, num_instances=4)
    assert cost.usd == pytest.approx(1.38)  # 1.5 h x 4 x 0.23
    assert str(cost) == (
        "1.38 USD on AWS (0.23 USD an hour in us-east-1, price list of 2026-09-24)"
    )


@pytest.mark.docs
def test_seven_instances_that_train_one_model() -> None:
    """7 x ml.m5.2xlarge for an hour: 3.23 USD, of which six instances' share is for nothing."""
    cost = training_cost("ml.m5.2xlarge", billable_s=3600, num_instances=7)
    assert round(cost.usd or 0, 2) == 3.23
    assert str(cost).startswith(
        "about 3.23 USD on AWS (0.461 USD an hour in us-east-1, derived, as"
    )


@pytest.mark.parametrize(
    ("billable_s", "shown"),
    [(24, "0.0015 USD on"), (1, "less than 0.0001 USD on"), (60_000_000, "3,833.33 USD on")],
)
def test_amounts_that_a_person_can_read(billable_s: float, shown: str) -> None:
    assert str(training_cost("ml.m5.xlarge", billable_s=billable_s)).startswith(shown)


def test_an_unknown_price_is_not_nothing() -> None:
    cost = training_cost("ml.trn9.metal", billable_s=3600)
    assert cost.usd is None
    assert str(cost) == "an unknown amount on AWS (there is no price of ml.trn9.metal here)"


@given(
    st.sampled_from(sorted(training_prices())),
    st.floats(1, 1e6),
    st.integers(1, 100),
    st.integers(1, 100),
)
def test_more_instances_never_cost_less(kind: str, seconds: float, one: int, other: int) -> None:
    fewer, more = sorted((one, other))
    small = training_cost(kind, billable_s=seconds, num_instances=fewer).usd
    large = training_cost(kind, billable_s=seconds, num_instances=more).usd
    assert small is not None
    assert large is not None
    assert 0 < small <= large
    assert large == pytest.approx(small * more / fewer)
