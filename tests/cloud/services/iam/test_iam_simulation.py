"""SimulatePrincipalPolicy answers what the cloud would do."""

from __future__ import annotations

from typing import Any

import pytest

from cloud.aws import refused
from cloud.services.iam.conftest import ALLOW, S3_READ, Iam

ACTIONS = ["s3:PutObject", "ecr:GetAuthorizationToken", "ec2:DescribeSubnets"]


def decisions(iam: Iam, arn: str, **params: Any) -> dict[tuple[str, str], str]:
    answer = iam.call("SimulatePrincipalPolicy", PolicySourceArn=arn, ActionNames=ACTIONS, **params)
    return {
        (result["EvalActionName"], result["EvalResourceName"]): result["EvalDecision"]
        for result in answer["EvaluationResults"]
    }


def test_a_role_may_do_everything(iam: Iam) -> None:
    assert decisions(iam, iam.role(Path="/jobs/")["Arn"]) == dict.fromkeys(
        [(action, "*") for action in ACTIONS], "allowed"
    )


@pytest.mark.parametrize("kind", ["user", "group"])
def test_users_and_groups_may_do_nothing(iam: Iam, kind: str) -> None:
    entity = iam.user() if kind == "user" else iam.group()
    name = {f"{kind.title()}Name": entity[f"{kind.title()}Name"]}
    iam.call(f"Attach{kind.title()}Policy", **name, PolicyArn=S3_READ)
    assert set(decisions(iam, entity["Arn"]).values()) == {"implicitDeny"}


@pytest.mark.docs
def test_each_action_on_each_resource(iam: Iam) -> None:
    resources = ["arn:aws:s3:::a/*", "arn:aws:s3:::b/*"]
    found = decisions(iam, iam.role()["Arn"], ResourceArns=resources)
    assert set(found) == {(action, resource) for action in ACTIONS for resource in resources}


@pytest.mark.docs
def test_pages(iam: Iam) -> None:
    arn = iam.role()["Arn"]
    first = iam.call(
        "SimulatePrincipalPolicy", PolicySourceArn=arn, ActionNames=ACTIONS, MaxItems=2
    )
    assert first["IsTruncated"]
    second = iam.call(
        "SimulatePrincipalPolicy",
        PolicySourceArn=arn,
        ActionNames=ACTIONS,
        Marker=first["Marker"],
    )
    results = first["EvaluationResults"] + second["EvaluationResults"]
    assert sorted(result["EvalActionName"] for result in results) == sorted(ACTIONS)
    assert not second["IsTruncated"]


@pytest.mark.model
@pytest.mark.parametrize("kind", ["role", "user", "group"])
def test_nobody_of_that_name(iam: Iam, kind: str) -> None:
    with refused("NoSuchEntity", 404, "nobody"):
        decisions(iam, f"arn:aws:iam::123456789012:{kind}/nobody")


@pytest.mark.model
@pytest.mark.parametrize(
    "arn",
    [
        "arn:aws:sts::123456789012:assumed-role/train/session",
        "arn:aws:iam::123456789012:role/elsewhere/train",
        "arn:aws:iam::999999999999:role/train",
    ],
)
def test_an_arn_that_is_none_of_theirs(iam: Iam, arn: str) -> None:
    iam.role()
    with refused("InvalidInput", 400, arn):
        decisions(iam, arn)


@pytest.mark.model
def test_what_is_no_action(iam: Iam) -> None:
    with refused("InvalidInput", 400, "PutObject"):
        iam.call(
            "SimulatePrincipalPolicy",
            PolicySourceArn=iam.role()["Arn"],
            ActionNames=["PutObject"],
        )


def test_policies_in_the_question_are_refused(iam: Iam) -> None:
    with refused("InvalidInput", 400, "PolicyInputList"):
        decisions(iam, iam.role()["Arn"], PolicyInputList=[ALLOW])
