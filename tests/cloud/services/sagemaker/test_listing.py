"""The List* operations: filters, order, pages that neither repeat nor lose."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.aws import NOW, refused
from cloud.services.sagemaker.control_plane import (
    ControlPlane,
    model,
    served,
    training_job,
    variant,
)
from fogbank.cloud.services.sagemaker.listing import DEFAULT_MAX_RESULTS, Entry, page


def names(answer: Any) -> list[str]:
    return [job["TrainingJobName"] for job in answer["TrainingJobSummaries"]]


@pytest.fixture
def busy(plane: ControlPlane) -> ControlPlane:
    for name in ("beagle", "Poodle", "akita"):
        plane.call("CreateTrainingJob", **training_job(name))
        plane.wait(10)
    plane.call("StopTrainingJob", TrainingJobName="Poodle")
    return plane


LISTS: list[tuple[dict[str, Any], list[str]]] = [
    ({}, ["beagle", "Poodle", "akita"]),
    ({"SortOrder": "Descending"}, ["akita", "Poodle", "beagle"]),
    ({"SortBy": "Name"}, ["Poodle", "akita", "beagle"]),
    ({"SortBy": "Status"}, ["akita", "beagle", "Poodle"]),
    ({"NameContains": "POO"}, ["Poodle"]),
    ({"NameContains": "cat"}, []),
    ({"StatusEquals": "Stopping"}, ["Poodle"]),
    ({"CreationTimeAfter": NOW + timedelta(seconds=10)}, ["Poodle", "akita"]),
    ({"CreationTimeBefore": NOW + timedelta(seconds=10)}, ["beagle"]),
    ({"LastModifiedTimeAfter": NOW + timedelta(seconds=25)}, ["Poodle"]),
    ({"LastModifiedTimeBefore": NOW + timedelta(seconds=25)}, ["beagle", "akita"]),
]


@pytest.mark.docs
@pytest.mark.parametrize(("params", "expected"), LISTS)
def test_filters_and_order(busy: ControlPlane, params: dict[str, Any], expected: list[str]) -> None:
    answer = busy.call("ListTrainingJobs", **params)
    assert names(answer) == expected
    assert "NextToken" not in answer


@pytest.mark.docs
def test_a_page_goes_on_where_the_last_one_ended_whatever_came_between(busy: ControlPlane) -> None:
    first = busy.call("ListTrainingJobs", MaxResults=2, SortBy="Name")
    assert names(first) == ["Poodle", "akita"]
    busy.call("CreateTrainingJob", **training_job("Afghan"))
    second = busy.call(
        "ListTrainingJobs", MaxResults=2, SortBy="Name", NextToken=first["NextToken"]
    )
    assert names(second) == ["beagle"]
    assert "NextToken" not in second


@pytest.mark.docs
@pytest.mark.parametrize("token", ["nonsense", "e30=", "W10=", "ü"])
def test_a_token_that_is_none(busy: ControlPlane, token: str) -> None:
    with refused("ValidationException", 400, "NextToken"):
        busy.call("ListTrainingJobs", NextToken=token)


@pytest.mark.docs
def test_a_token_of_another_query(busy: ControlPlane) -> None:
    token = busy.call("ListTrainingJobs", MaxResults=1)["NextToken"]
    with refused("ValidationException", 400, "other parameters"):
        busy.call("ListTrainingJobs", MaxResults=1, SortBy="Name", NextToken=token)


@pytest.mark.docs
def test_a_filter_that_cannot_be_answered_is_refused(busy: ControlPlane) -> None:
    with refused("ValidationException", 400, "WarmPoolStatusEquals"):
        busy.call("ListTrainingJobs", WarmPoolStatusEquals="Available")


@pytest.mark.docs
def test_models_configurations_and_endpoints_come_newest_first(plane: ControlPlane) -> None:
    served(plane, variant())
    plane.wait(1)
    plane.call("CreateModel", **model("cats"))
    assert [m["ModelName"] for m in plane.call("ListModels")["Models"]] == ["cats", "dogs"]
    (config,) = plane.call("ListEndpointConfigs")["EndpointConfigs"]
    assert (config["EndpointConfigName"], config["CreationTime"]) == ("dogs", NOW)
    (endpoint,) = plane.call("ListEndpoints", StatusEquals="Creating")["Endpoints"]
    assert (endpoint["EndpointName"], endpoint["EndpointStatus"]) == ("dogs", "Creating")
    assert plane.call("ListEndpoints", StatusEquals="InService")["Endpoints"] == []


@given(
    st.lists(st.tuples(st.text("abAB", min_size=1, max_size=3), st.integers(0, 3)), max_size=40),
    st.integers(1, 9),
    st.sampled_from(["Ascending", "Descending"]),
    st.sampled_from(["Name", "CreationTime", "Status"]),
)
def test_pages_together_are_the_list(
    things: list[tuple[str, int]], size: int, order: str, sort_by: str
) -> None:
    entries = [
        Entry(name, NOW + timedelta(seconds=age), {"name": name}, status=name[0])
        for name, age in dict(things).items()
    ]
    params: dict[str, Any] = {"SortOrder": order, "SortBy": sort_by}
    whole = page({**params, "MaxResults": 100}, entries, default_order="Ascending")
    assert whole.next_token is None
    assert len(whole.summaries) == len(entries)
    collected = []
    token: dict[str, str] = {}
    while True:
        part = page({**params, **token, "MaxResults": size}, entries, default_order="Ascending")
        assert len(part.summaries) <= size
        collected += part.summaries
        if part.next_token is None:
            break
        token = {"NextToken": part.next_token}
    assert collected == whole.summaries


@pytest.mark.docs
def test_ten_is_the_page_where_the_caller_does_not_say() -> None:
    entries = [Entry(f"n{i}", NOW, {}) for i in range(DEFAULT_MAX_RESULTS + 1)]
    first = page({}, entries, default_order="Ascending")
    assert len(first.summaries) == 10
    assert first.next_token is not None
