from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from cloud.aws import ROOT, SCOPE, Service, context
from fogbank.cloud.context import Principal
from fogbank.cloud.services.iam.service import rooms
from fogbank.cloud.state.database import Database
from fogbank.cloud.state.keyring import RecordsKeyring
from fogbank.cloud.state.records import SqliteRecords

ALLOW = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}],
    }
)
TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "sagemaker.amazonaws.com"},
                "Action": "sts:AssumeRole",
            }
        ],
    }
)
S3_READ = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"


class Iam:
    """The service over an empty account; calls are root's unless told otherwise."""

    def __init__(self, database: Database) -> None:
        self.records = SqliteRecords(database)
        self.keyring = RecordsKeyring(self.records, SCOPE)
        self.service = Service("iam", *rooms(self.records, self.keyring, SCOPE))

    def call(self, name: str, caller: Principal = ROOT, /, **params: Any) -> Any:
        return self.service.call(name, context(caller), params)

    def role(self, name: str = "train", **params: Any) -> Any:
        return self.call("CreateRole", RoleName=name, AssumeRolePolicyDocument=TRUST, **params)[
            "Role"
        ]

    def user(self, name: str = "ada", **params: Any) -> Any:
        return self.call("CreateUser", UserName=name, **params)["User"]

    def group(self, name: str = "devs", **params: Any) -> Any:
        return self.call("CreateGroup", GroupName=name, **params)["Group"]

    def policy(self, name: str = "read", **params: Any) -> str:
        answer = self.call("CreatePolicy", PolicyName=name, PolicyDocument=ALLOW, **params)
        return str(answer["Policy"]["Arn"])

    def principal(self, name: str = "ada") -> Principal:
        user = self.call("GetUser", UserName=name)["User"]
        return Principal(user["Arn"], SCOPE.account, user["UserId"], "user")


@pytest.fixture
def iam() -> Iterator[Iam]:
    database = Database(":memory:")
    yield Iam(database)
    database.close()
