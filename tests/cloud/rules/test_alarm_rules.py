"""Alarm evaluation: AWS's own tables of missing data, its sentences, and laws."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fogbank.cloud.records.alarm import AlarmState
from fogbank.cloud.rules.alarm import AlarmSettings, Datapoint, MissingData, evaluate

START = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
CASES = json.loads((Path(__file__).parents[2] / "cases" / "alarms.json").read_text())
STATES: tuple[AlarmState, ...] = ("OK", "ALARM", "INSUFFICIENT_DATA")
TREATMENTS: tuple[MissingData, ...] = ("missing", "ignore", "breaching", "notBreaching")


def settings(
    to_alarm: int = 3, missing_data: MissingData = "missing", periods: int = 3
) -> AlarmSettings:
    return AlarmSettings(
        comparison="GreaterThanThreshold",
        threshold=25.0,
        periods=periods,
        to_alarm=to_alarm,
        missing_data=missing_data,
    )


def points(values: list[float | None]) -> list[Datapoint | None]:
    return [
        None if value is None else Datapoint(START + timedelta(minutes=minute), value)
        for minute, value in enumerate(values)
    ]


def drawn(picture: str) -> list[Datapoint | None]:
    return points([{"0": 1.0, "X": 99.0, "-": None}[sign] for sign in picture.split()])


@pytest.mark.docs
@pytest.mark.parametrize("table", ["three_of_three", "two_of_three"])
@pytest.mark.parametrize("current", STATES)
def test_missing_data_is_treated_as_in_the_user_guide(table: str, current: AlarmState) -> None:
    to_alarm = {"three_of_three": 3, "two_of_three": 2}[table]
    for picture, expected in CASES[table]:
        for treatment in TREATMENTS:
            found = evaluate(settings(to_alarm, treatment), drawn(picture), current)
            wanted = current if expected[treatment] == "current" else expected[treatment]
            assert found.state == wanted, (picture, treatment)


@pytest.mark.observed
@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (
            [60.0, 61.0, 62.0],
            "Threshold Crossed: 3 out of the last 3 datapoints [60.0 (21/11/26 12:00:00), 61.0 "
            "(21/11/26 12:01:00), 62.0 (21/11/26 12:02:00)] were greater than the threshold (25.0) "
            "(minimum 3 datapoints for OK -> ALARM transition).",
        ),
        (
            [60.0, 61.0, 2.0],
            "Threshold Crossed: 1 out of the last 3 datapoints [60.0 (21/11/26 12:00:00), 61.0 "
            "(21/11/26 12:01:00), 2.0 (21/11/26 12:02:00)] was not greater than the threshold "
            "(25.0) (minimum 1 datapoint for ALARM -> OK transition).",
        ),
        ([None, None, None], "Insufficient Data: 3 datapoints were unknown."),
    ],
)
def test_the_reason_reads_as_on_aws(values: list[float | None], sentence: str) -> None:
    assert evaluate(settings(), points(values), "OK").reason == sentence


@pytest.mark.observed
def test_the_reason_names_datapoints_that_were_filled_in() -> None:
    found = evaluate(settings(1, "notBreaching", periods=1), points([None, None]), "ALARM")
    assert found.reason == (
        "Threshold Crossed: no datapoints were received for 1 period and 1 missing datapoint was "
        "treated as [NonBreaching]."
    )


@pytest.mark.docs
@pytest.mark.parametrize(
    ("comparison", "breaching"),
    [
        ("GreaterThanThreshold", [26.0]),
        ("GreaterThanOrEqualToThreshold", [25.0, 26.0]),
        ("LessThanThreshold", [24.0]),
        ("LessThanOrEqualToThreshold", [24.0, 25.0]),
    ],
)
def test_each_comparison_knows_its_side(comparison: str, breaching: list[float]) -> None:
    alarm = AlarmSettings(comparison=comparison, threshold=25.0, periods=1, to_alarm=1)
    found = [
        value
        for value in (24.0, 25.0, 26.0)
        if evaluate(alarm, points([value]), "OK").state == "ALARM"
    ]
    assert found == breaching


@pytest.mark.model
def test_settings_come_from_the_request() -> None:
    request = {"ComparisonOperator": "LessThanThreshold", "Threshold": 2.5, "EvaluationPeriods": 15}
    assert AlarmSettings.of(request) == AlarmSettings(
        comparison="LessThanThreshold", threshold=2.5, periods=15, to_alarm=15
    )
    given_all = {**request, "DatapointsToAlarm": 4, "TreatMissingData": "breaching"}
    assert AlarmSettings.of(given_all) == AlarmSettings(
        comparison="LessThanThreshold",
        threshold=2.5,
        periods=15,
        to_alarm=4,
        missing_data="breaching",
    )


VALUES = st.lists(st.one_of(st.none(), st.floats(0, 50)), min_size=5, max_size=5)


@given(VALUES, st.integers(1, 3), st.sampled_from(TREATMENTS), st.sampled_from(STATES))
def test_a_worse_datapoint_never_ends_an_alarm(
    values: list[float | None], to_alarm: int, treatment: MissingData, current: AlarmState
) -> None:
    alarm = settings(to_alarm, treatment)
    if evaluate(alarm, points(values), current).state == "ALARM":
        worse = [None if value is None else value + 30 for value in values]
        assert evaluate(alarm, points(worse), current).state == "ALARM"


@given(VALUES, st.integers(1, 3), st.sampled_from(STATES))
def test_without_data_nothing_is_decided(
    values: list[float | None], to_alarm: int, current: AlarmState
) -> None:
    found = evaluate(settings(to_alarm), points(values), current)
    if not any(value is not None for value in values):
        assert (found.state, found.used) == ("INSUFFICIENT_DATA", ())
    else:
        assert found.state != "INSUFFICIENT_DATA" or current == "INSUFFICIENT_DATA"
