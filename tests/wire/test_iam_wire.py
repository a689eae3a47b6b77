"""iam over the wire: botocore's own client and paginators against a running cloud."""

from __future__ import annotations

import json

import pytest

from fogbank.testing.cloud import RunningCloud

TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Service": "lambda.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
    ],
}
READ = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": "*"}],
}


@pytest.mark.model
def test_a_role_with_policies_from_birth_to_death(cloud: RunningCloud) -> None:
    iam = cloud.client("iam")
    role = iam.create_role(
        RoleName="wire-role",
        Path="/wire/",
        AssumeRolePolicyDocument=json.dumps(TRUST),
        Description="über alles & <mehr>",
        Tags=[{"Key": "team", "Value": "vision"}],
    )["Role"]
    assert role["AssumeRolePolicyDocument"] == TRUST
    iam.put_role_policy(
        RoleName="wire-role", PolicyName="inline", PolicyDocument=json.dumps(READ, indent=2)
    )
    assert iam.get_role_policy(RoleName="wire-role", PolicyName="inline")["PolicyDocument"] == READ
    managed = "arn:aws:iam::aws:policy/AmazonSageMakerFullAccess"
    iam.attach_role_policy(RoleName="wire-role", PolicyArn=managed)
    (attached,) = iam.list_attached_role_policies(RoleName="wire-role")["AttachedPolicies"]
    assert attached["PolicyArn"] == managed
    found = iam.get_role(RoleName="wire-role")["Role"]
    assert found["Description"] == "über alles & <mehr>"
    assert found["Tags"] == [{"Key": "team", "Value": "vision"}]
    with pytest.raises(iam.exceptions.DeleteConflictException):
        iam.delete_role(RoleName="wire-role")
    iam.detach_role_policy(RoleName="wire-role", PolicyArn=managed)
    iam.delete_role_policy(RoleName="wire-role", PolicyName="inline")
    iam.delete_role(RoleName="wire-role")
    with pytest.raises(iam.exceptions.NoSuchEntityException, match="wire-role cannot be found"):
        iam.get_role(RoleName="wire-role")


@pytest.mark.model
def test_policy_versions_come_back_as_documents(cloud: RunningCloud) -> None:
    iam = cloud.client("iam")
    arn = iam.create_policy(PolicyName="wire-read", PolicyDocument=json.dumps(READ))["Policy"][
        "Arn"
    ]
    version = iam.get_policy_version(PolicyArn=arn, VersionId="v1")["PolicyVersion"]
    assert version["Document"] == READ
    iam.delete_policy(PolicyArn=arn)
    with pytest.raises(iam.exceptions.MalformedPolicyDocumentException):
        iam.create_policy(PolicyName="wire-bad", PolicyDocument="{}")


@pytest.mark.model
def test_paginators_see_everything_once(cloud: RunningCloud) -> None:
    iam = cloud.client("iam")
    names = [f"wire-{number}" for number in range(5)]
    for name in names:
        iam.create_user(UserName=name, Path="/wire/")
    pages = list(
        iam.get_paginator("list_users").paginate(
            PathPrefix="/wire/", PaginationConfig={"PageSize": 2}
        )
    )
    assert [len(page["Users"]) for page in pages] == [2, 2, 1]
    assert [user["UserName"] for page in pages for user in page["Users"]] == names
    details = iam.get_paginator("get_account_authorization_details").paginate(
        Filter=["User"], PaginationConfig={"PageSize": 3}
    )
    listed = [user["UserName"] for page in details for user in page["UserDetailList"]]
    assert [name for name in listed if name.startswith("wire-")] == names
    for name in names:
        iam.delete_user(UserName=name)


@pytest.mark.docs
def test_a_users_key_signs_until_it_is_deleted(cloud: RunningCloud) -> None:
    import boto3

    iam = cloud.client("iam")
    iam.create_user(UserName="wire-signer")
    key = iam.create_access_key(UserName="wire-signer")["AccessKey"]
    sts = boto3.client(
        "sts",
        endpoint_url=cloud.url,
        region_name="us-east-1",
        aws_access_key_id=key["AccessKeyId"],
        aws_secret_access_key=key["SecretAccessKey"],
    )
    assert sts.get_caller_identity()["Arn"].endswith(":user/wire-signer")
    iam.delete_access_key(UserName="wire-signer", AccessKeyId=key["AccessKeyId"])
    with pytest.raises(sts.exceptions.ClientError, match="InvalidClientTokenId"):
        sts.get_caller_identity()
    iam.delete_user(UserName="wire-signer")


@pytest.mark.model
def test_maps_and_empty_lists_survive_the_query_protocol(cloud: RunningCloud) -> None:
    iam = cloud.client("iam")
    assert iam.get_account_summary()["SummaryMap"]["VersionsPerPolicyQuota"] == 5
    assert iam.list_account_aliases()["AccountAliases"] == []
