"""What a refused caller reads: the action that a policy would have to allow."""

from __future__ import annotations

import pytest
from botocore.session import Session

from fogbank.cloud.context import Principal
from fogbank.cloud.rules import iam_actions
from fogbank.cloud.rules.authorization import root_and_role_sessions

ALICE = Principal("arn:aws:iam::123456789012:user/alice", "123456789012", "AIDAALICE", "user")


@pytest.mark.docs
@pytest.mark.parametrize(
    ("service", "operation", "action"),
    [
        ("lambda", "Invoke", "lambda:InvokeFunction"),
        ("lambda", "ListFunctions", "lambda:ListFunctions"),
        ("s3", "HeadObject", "s3:GetObject"),
        ("s3", "ListBuckets", "s3:ListAllMyBuckets"),
        ("s3", "ListObjectsV2", "s3:ListBucket"),
        ("s3", "UploadPart", "s3:PutObject"),
        ("sagemaker-runtime", "InvokeEndpoint", "sagemaker:InvokeEndpoint"),
        ("service-quotas", "ListServiceQuotas", "servicequotas:ListServiceQuotas"),
    ],
)
def test_a_refusal_names_the_action(service: str, operation: str, action: str) -> None:
    refused = root_and_role_sessions(ALICE, service, operation)
    assert not refused.allowed
    assert refused.reason == (
        f"User: {ALICE.arn} is not authorized to perform: {action} "
        f"because no identity-based policy allows the {action} action"
    )


@pytest.mark.model
@pytest.mark.parametrize("service", iam_actions._ACTIONS)
def test_every_operation_with_an_action_of_another_name_exists(service: str) -> None:
    known = set(Session().get_service_model(service).operation_names)
    assert iam_actions._ACTIONS[service].keys() <= known
