"""AddTags, ListTags, DeleteTags."""

from __future__ import annotations

from typing import Any

import pytest

from cloud.aws import refused
from cloud.services.sagemaker.control_plane import ControlPlane, model, served, training_job

ARN = "arn:aws:sagemaker:us-east-1:123456789012"


def tag(key: str, value: str = "") -> dict[str, str]:
    return {"Key": key, "Value": value}


@pytest.mark.docs
@pytest.mark.parametrize(
    "resource", ["training-job/dogs", "model/dogs", "endpoint-config/dogs", "endpoint/dogs"]
)
def test_tags_of_every_kind_of_resource(plane: ControlPlane, resource: str) -> None:
    plane.call("CreateTrainingJob", **training_job("dogs"))
    served(plane)
    arn = f"{ARN}:{resource}"
    assert plane.call("ListTags", ResourceArn=arn) == {"Tags": []}
    added = plane.call("AddTags", ResourceArn=arn, Tags=[tag("b", "1"), tag("a", "2")])
    assert added == {"Tags": [tag("a", "2"), tag("b", "1")]}
    plane.call("AddTags", ResourceArn=arn, Tags=[tag("b", "3")])
    plane.call("DeleteTags", ResourceArn=arn, TagKeys=["a", "never there"])
    assert plane.call("ListTags", ResourceArn=arn) == {"Tags": [tag("b", "3")]}


@pytest.mark.docs
def test_create_brings_tags_and_delete_takes_them_away(plane: ControlPlane) -> None:
    arn = f"{ARN}:model/dogs"
    plane.call("CreateModel", **model(Tags=[tag("fogbank:project", "dogs")]))
    assert plane.call("ListTags", ResourceArn=arn)["Tags"] == [tag("fogbank:project", "dogs")]
    plane.call("DeleteModel", ModelName="dogs")
    plane.call("CreateModel", **model())
    assert plane.call("ListTags", ResourceArn=arn)["Tags"] == []


@pytest.mark.docs
def test_fifty_tags_and_no_more(plane: ControlPlane) -> None:
    plane.call("CreateModel", **model(Tags=[tag(f"k{i}") for i in range(50)]))
    arn = f"{ARN}:model/dogs"
    plane.call("AddTags", ResourceArn=arn, Tags=[tag("k7", "new")])
    with refused("ValidationException", 400, "at most 50"):
        plane.call("AddTags", ResourceArn=arn, Tags=[tag("one more")])
    answer = plane.call("ListTags", ResourceArn=arn, MaxResults=50)
    assert len(answer["Tags"]) == 50
    assert "NextToken" not in answer


@pytest.mark.docs
@pytest.mark.parametrize(
    ("arn", "params", "words"),
    [
        (f"{ARN}:model/nothing", {"Tags": [tag("a")]}, "Could not find model"),
        (f"{ARN}:app/nothing", {"Tags": [tag("a")]}, "keeps no tags"),
        (
            "arn:aws:sagemaker:us-east-1:999999999999:model/dogs",
            {"Tags": [tag("a")]},
            "Could not find model",
        ),
        ("dogs", {"Tags": [tag("a")]}, "Invalid ARN"),
        (f"{ARN}:model/dogs", {"Tags": [tag("aws:x")]}, "reserved"),
        (f"{ARN}:model/dogs", {"Tags": [tag("a"), tag("a")]}, "Duplicate tag key"),
    ],
)
def test_what_cannot_be_tagged(
    plane: ControlPlane, arn: str, params: dict[str, Any], words: str
) -> None:
    plane.call("CreateModel", **model())
    with refused("ValidationException", 400, words):
        plane.call("AddTags", ResourceArn=arn, **params)


@pytest.mark.docs
def test_there_is_only_one_page_of_tags(plane: ControlPlane) -> None:
    plane.call("CreateModel", **model())
    with refused("ValidationException", 400, "Invalid NextToken"):
        plane.call("ListTags", ResourceArn=f"{ARN}:model/dogs", NextToken="x")
