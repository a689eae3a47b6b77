"""The function's role: it may ask one endpoint, write its own log, and read the prefixes that the
spec names. A role like the others (`kinds.role`), for another service.

Source: Lambda Developer Guide, "Defining Lambda function permissions with an execution role". The
log group is made by `kinds.log_group`, so the role need not be able to make one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fogbank.ops.kinds import role
from fogbank.ops.names import Names, split_s3_uri
from fogbank.ops.spec_function import Function

PURPOSE = "front"

TRUST_POLICY: Mapping[str, Any] = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Service": "lambda.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
    ],
}


def desired(function: Function, names: Names) -> role.Desired:
    statements: list[Mapping[str, Any]] = [
        {
            "Sid": "AskOneEndpoint",
            "Effect": "Allow",
            "Action": ["sagemaker:InvokeEndpoint"],
            "Resource": [names.scope.arn("sagemaker", f"endpoint/{names.endpoint}")],
        },
        {
            "Sid": "WriteOwnLog",
            "Effect": "Allow",
            "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
            "Resource": [names.scope.arn("logs", f"log-group:{names.function_log_group}:*")],
        },
    ]
    if function.s3_prefixes:
        statements.append(
            {
                "Sid": "ReadObjects",
                "Effect": "Allow",
                "Action": ["s3:GetObject"],
                "Resource": [_objects(prefix) for prefix in function.s3_prefixes],
            }
        )
    return role.Desired(
        name=names.role(PURPOSE),
        project=names.project,
        description=f"Function of the Fogbank project {names.project}",
        trust=TRUST_POLICY,
        policy={"Version": "2012-10-17", "Statement": statements},
    )


def _objects(prefix: str) -> str:
    bucket, key = split_s3_uri(prefix)
    return f"arn:aws:s3:::{bucket}/{key}*"
