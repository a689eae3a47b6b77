"""Who may assume a role: services, as its trust policy has them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fogbank.cloud.rules.trust import trusts_service


def statement(**changes: Any) -> dict[str, Any]:
    return {
        "Effect": "Allow",
        "Principal": {"Service": "lambda.amazonaws.com"},
        "Action": "sts:AssumeRole",
        **changes,
    }


@pytest.mark.docs
@pytest.mark.parametrize(
    ("statements", "trusted"),
    [
        (statement(), True),
        ([statement()], True),
        ([], False),
        ([statement(Principal={"Service": ["ec2.amazonaws.com", "lambda.amazonaws.com"]})], True),
        ([statement(Principal={"Service": "sagemaker.amazonaws.com"})], False),
        ([statement(Principal={"AWS": "arn:aws:iam::123456789012:root"})], False),
        ([statement(Principal="*")], True),
        ([statement(Action=["sts:TagSession", "sts:AssumeRole"])], True),
        ([statement(Action="sts:*")], True),
        ([statement(Action="STS:assumerole")], True),
        ([statement(Action="sts:AssumeRoleWithWebIdentity")], False),
        ([statement(), statement(Effect="Deny")], False),
        ([statement(), statement(Principal={"Service": "ec2.amazonaws.com"})], True),
    ],
)
def test_a_role_trusts_the_services_that_it_names(statements: Any, trusted: bool) -> None:
    policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
    assert trusts_service(policy, "lambda.amazonaws.com") is trusted
