"""Ranges: texts, coordinates and scales."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.tuning_request import GRID, RANGES
from fogbank.cloud.errors import ValidationException
from fogbank.cloud.rules.search_space import Axis, Categorical, Continuous, Integer, read_space


def continuous(low: str, high: str, scaling: str = "Linear") -> dict[str, Any]:
    given = {"Name": "x", "MinValue": low, "MaxValue": high, "ScalingType": scaling}
    return {"ContinuousParameterRanges": [given]}


def integer(low: str, high: str, scaling: str = "Linear") -> dict[str, Any]:
    given = {"Name": "x", "MinValue": low, "MaxValue": high, "ScalingType": scaling}
    return {"IntegerParameterRanges": [given]}


def axis(ranges: dict[str, Any]) -> Axis:
    return read_space(ranges).axes[0]


SCALES = [
    ("linear", continuous("-5", "5"), 0.5, 0.0),
    ("logarithmic", continuous("0.001", "0.1", "Logarithmic"), 0.5, 0.01),
    # 1 - x is on a logarithmic scale: half way between 0.1 and 0.001 is 0.01.
    ("reverse", continuous("0.9", "0.999", "ReverseLogarithmic"), 0.5, 0.99),
    ("auto of two decades", continuous("0.001", "0.1", "Auto"), 0.5, 0.01),
    ("auto of less", continuous("1", "99", "Auto"), 0.5, 50.0),
    ("auto through zero", continuous("0", "100", "Auto"), 0.5, 50.0),
    ("integers", integer("1", "4"), 0.5, 3),
    ("integers on a logarithmic scale", integer("1", "999", "Logarithmic"), 0.5, 31),
]


@pytest.mark.docs
@pytest.mark.parametrize(
    ("ranges", "coordinate", "value"), [row[1:] for row in SCALES], ids=[row[0] for row in SCALES]
)
def test_scales(ranges: dict[str, Any], coordinate: float, value: float) -> None:
    assert float(axis(ranges).text(coordinate)) == pytest.approx(value)


@pytest.mark.observed
def test_categories_are_kept_verbatim() -> None:
    space = read_space(RANGES)
    assert space.texts((0.0, 0.0, 2.0)) == {"lr": "0.001", "epochs": "1", "batch-size": '"128"'}


scalings = st.sampled_from(["Linear", "Logarithmic", "ReverseLogarithmic"])
fractions = st.floats(1e-6, 0.999_999)


@given(low=fractions, high=fractions, scaling=scalings, at=st.floats(0, 1))
def test_a_continuous_value_is_in_its_range_and_leads_back(
    low: float, high: float, scaling: Any, at: float
) -> None:
    low, high = min(low, high), max(low, high)
    found = Continuous("x", low, high, scaling)
    text = found.text(at)
    assert low <= float(text) <= high
    back = found.coordinate(text)
    assert back is not None
    assert float(found.text(back)) == pytest.approx(float(text), rel=1e-9, abs=1e-12)


@given(
    low=st.integers(1, 500),
    width=st.integers(0, 500),
    scaling=st.sampled_from(["Linear", "Logarithmic"]),
    at=st.floats(0, 1),
)
def test_an_integer_is_in_its_range_and_leads_back_exactly(
    low: int, width: int, scaling: Any, at: float
) -> None:
    found = Integer("x", low, low + width, scaling)
    text = found.text(at)
    assert low <= int(text) <= low + width
    back = found.coordinate(text)
    assert back is not None
    assert found.text(back) == text


@given(scaling=scalings, first=st.floats(0, 1), second=st.floats(0, 1))
def test_a_greater_coordinate_is_never_a_smaller_value(
    scaling: Any, first: float, second: float
) -> None:
    found = Continuous("x", 0.1, 0.9, scaling)
    low, high = sorted((first, second))
    assert float(found.text(low)) <= float(found.text(high))


@pytest.mark.parametrize("text", ["nan", "inf", "many", "", "11"])
def test_what_is_outside_has_no_coordinate(text: str) -> None:
    assert axis(continuous("0", "10")).coordinate(text) is None
    assert axis(integer("0", "10")).coordinate(text) is None


def test_a_point_of_other_hyperparameters() -> None:
    space = read_space(RANGES)
    good = {"lr": "0.01", "epochs": "4", "batch-size": '"64"', "sagemaker_program": "x"}
    point = space.point(good)
    assert point is not None
    assert math.isclose(point[0], 0.5)
    assert space.point({**good, "batch-size": "64"}) is None, "quotes belong to the value"
    assert space.point({**good, "epochs": "9"}) is None
    assert space.point({"lr": "0.01"}) is None


def test_the_grid_counts_like_an_odometer() -> None:
    space = read_space(GRID)
    assert space.num_combinations == 6
    assert [tuple(space.texts(point).values()) for point in space.grid()] == [
        *(("sgd", "32"), ("sgd", "64"), ("sgd", "128")),
        *(("adam", "32"), ("adam", "64"), ("adam", "128")),
    ]
    assert isinstance(space.axes[0], Categorical)


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("upside down", continuous("1", "0.1"), "upside down: MinValue is greater than MaxValue"),
    ("integers upside down", integer("5", "4"), "upside down"),
    ("no number", continuous("small", "1"), "finite numbers"),
    ("infinite", continuous("0", "inf"), "finite numbers"),
    ("no whole number", integer("1", "2.5"), "whole numbers"),
    ("a logarithm of zero", continuous("0", "1", "Logarithmic"), "above 0"),
    ("a reverse logarithm of one", continuous("0.5", "1", "ReverseLogarithmic"), "0 <= x < 1"),
    ("reverse integers", integer("1", "2", "ReverseLogarithmic"), "continuous"),
    ("nothing", {}, "between 1 and 30"),
    (
        "a category twice",
        {"CategoricalParameterRanges": [{"Name": "x", "Values": ["a", "a"]}]},
        "repeated",
    ),
    ("a name twice", {**continuous("0", "1"), **integer("1", "2")}, "x has more than one range"),
    ("ranges that AWS finds", {"AutoParameters": [{"Name": "x"}]}, "AutoParameters"),
]


@pytest.mark.docs
@pytest.mark.parametrize(
    ("ranges", "words"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED]
)
def test_ranges_that_are_refused(ranges: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationException, match=words):
        read_space(ranges)
