"""sts over the wire: botocore's own client against a running cloud."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError

from fogbank.testing.cloud import RunningCloud

NOTEBOOK = "arn:aws:iam::123456789012:role/FogbankNotebook"


@pytest.mark.docs
def test_the_notebooks_credentials_are_a_role_session(cloud: RunningCloud) -> None:
    identity = cloud.client("sts").get_caller_identity()
    assert identity["Account"] == "123456789012"
    assert identity["Arn"].startswith("arn:aws:sts::123456789012:assumed-role/FogbankNotebook/")
    role = cloud.client("iam").get_role(RoleName="FogbankNotebook")["Role"]
    assert role["Arn"] == NOTEBOOK
    assert identity["UserId"].startswith(f"{role['RoleId']}:")
    (statement,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert statement["Principal"] == {"Service": "sagemaker.amazonaws.com"}


@pytest.mark.docs
def test_assumed_credentials_sign_requests(cloud: RunningCloud) -> None:
    import boto3

    issued = cloud.client("sts").assume_role(RoleArn=NOTEBOOK, RoleSessionName="job")
    keys = issued["Credentials"]
    client = boto3.client(
        "sts",
        endpoint_url=cloud.url,
        region_name="us-east-1",
        aws_access_key_id=keys["AccessKeyId"],
        aws_secret_access_key=keys["SecretAccessKey"],
        aws_session_token=keys["SessionToken"],
    )
    assert client.get_caller_identity()["Arn"] == issued["AssumedRoleUser"]["Arn"]


@pytest.mark.observed
def test_root_may_not_assume_roles(cloud: RunningCloud) -> None:
    with pytest.raises(ClientError, match="Roles may not be assumed by root accounts") as caught:
        cloud.client("sts", "root").assume_role(RoleArn=NOTEBOOK, RoleSessionName="job")
    assert caught.value.response["Error"]["Code"] == "AccessDenied"
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403


@pytest.mark.docs
def test_root_gets_a_session_token(cloud: RunningCloud) -> None:
    assert cloud.client("sts", "root").get_session_token()["Credentials"]["SessionToken"]
