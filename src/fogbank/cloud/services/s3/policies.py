"""Bucket policies: kept, checked for their grammar, judged public or not. Not evaluated here."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from fogbank.cloud.context import Context, Params, Result
from fogbank.cloud.errors import ServiceError
from fogbank.cloud.ports import Records
from fogbank.cloud.services.base import operation
from fogbank.cloud.services.s3 import errors, integrity
from fogbank.cloud.services.s3.access import Access

RESTRICTING_KEYS = frozenset(
    {
        "aws:principalaccount",
        "aws:principalarn",
        "aws:principalorgid",
        "aws:principalorgpaths",
        "aws:sourceaccount",
        "aws:sourcearn",
        "aws:sourceip",
        "aws:sourceorgid",
        "aws:sourceowner",
        "aws:sourcevpc",
        "aws:sourcevpce",
        "aws:userid",
        "s3:dataaccesspointaccount",
        "s3:dataaccesspointarn",
        "s3:x-amz-server-side-encryption-aws-kms-key-id",
    }
)
"""Condition keys with which a statement for everybody is not public, where their values are fixed
(Amazon S3 User Guide, "Blocking public access: the meaning of public")."""


def _malformed(message: str) -> ServiceError:
    return ServiceError("MalformedPolicy", message)


def _listed(value: object) -> list[Any]:
    return list(value) if isinstance(value, list) else [value]


def check_policy(text: str, bucket: str) -> list[Mapping[str, Any]]:
    """The statements of a bucket policy. Raises MalformedPolicy."""
    try:
        document = json.loads(text)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise _malformed("Policies must be valid JSON and the first byte must be '{'")
    if document.get("Version", "2008-10-17") not in ("2008-10-17", "2012-10-17"):
        raise _malformed("The policy must contain a valid version string")
    if "Statement" not in document:
        raise _malformed("Missing required field Statement")
    statements = _listed(document["Statement"])
    for statement in statements:
        if not isinstance(statement, dict):
            raise _malformed("Statement is not valid")
        _check_statement(statement, bucket)
    return statements


def _check_statement(statement: Mapping[str, Any], bucket: str) -> None:
    for choices in (
        ("Effect",),
        ("Principal", "NotPrincipal"),
        ("Action", "NotAction"),
        ("Resource", "NotResource"),
    ):
        if not any(name in statement for name in choices):
            raise _malformed(f"Missing required field {choices[0]}")
    if statement["Effect"] not in ("Allow", "Deny"):
        raise _malformed(f"Invalid effect: {statement['Effect']}")
    principal = statement.get("Principal", statement.get("NotPrincipal"))
    if principal != "*" and not isinstance(principal, dict):
        raise _malformed("Invalid policy syntax.")
    for action in _listed(statement.get("Action", statement.get("NotAction"))):
        if not isinstance(action, str) or not (action == "*" or action.startswith("s3")):
            raise _malformed("Policy has invalid action")
    arn = f"arn:aws:s3:::{bucket}"
    for resource in _listed(statement.get("Resource", statement.get("NotResource"))):
        if not isinstance(resource, str) or not (
            resource == arn or resource.startswith((f"{arn}/", f"{arn}*"))
        ):
            raise _malformed("Policy has invalid resource")


def is_public(statements: Sequence[Mapping[str, Any]]) -> bool:
    """Whether anybody at all is allowed something."""
    return any(
        statement["Effect"] == "Allow"
        and _means_everybody(statement)
        and not _is_restricted(statement.get("Condition", {}))
        for statement in statements
    )


def _means_everybody(statement: Mapping[str, Any]) -> bool:
    if "NotPrincipal" in statement:
        return True
    principal = statement["Principal"]
    return principal == "*" or "*" in _listed(principal.get("AWS"))


def _is_restricted(condition: Mapping[str, Mapping[str, Any]]) -> bool:
    return any(
        key.lower() in RESTRICTING_KEYS
        and not any("*" in str(value) or value == "0.0.0.0/0" for value in _listed(values))
        for operator, tests in condition.items()
        if "Not" not in operator and not operator.endswith("IfExists")
        for key, values in tests.items()
    )


class Policies:
    def __init__(self, access: Access, records: Records) -> None:
        self._access = access
        self._records = records

    @operation("PutBucketPolicy")
    def put_policy(self, context: Context, params: Params) -> Result:
        integrity.check_document(context)
        bucket = self._access.bucket(params)
        policy: str = params["Policy"]
        public = is_public(check_policy(policy, bucket.name))
        block = bucket.public_access_block or {}
        if public and block.get("BlockPublicPolicy"):
            raise errors.access_denied(
                f"User: {context.caller.arn} is not authorized to perform: s3:PutBucketPolicy on "
                f'resource: "arn:aws:s3:::{bucket.name}" because public policies are prevented by '
                "the BlockPublicPolicy setting in S3 Block Public Access."
            )
        self._records.put(replace(bucket, policy=policy))
        context.status = 204
        return {}

    def _policy(self, params: Params) -> tuple[str, str]:
        bucket = self._access.bucket(params)
        if bucket.policy is None:
            raise errors.not_configured(
                "NoSuchBucketPolicy", "The bucket policy does not exist", bucket.name
            )
        return bucket.name, bucket.policy

    @operation("GetBucketPolicy")
    def get_policy(self, context: Context, params: Params) -> Result:
        _, policy = self._policy(params)
        return {"Policy": policy}

    @operation("GetBucketPolicyStatus")
    def get_policy_status(self, context: Context, params: Params) -> Result:
        name, policy = self._policy(params)
        return {"PolicyStatus": {"IsPublic": is_public(check_policy(policy, name))}}

    @operation("DeleteBucketPolicy")
    def delete_policy(self, context: Context, params: Params) -> Result:
        bucket = self._access.bucket(params)
        self._records.put(replace(bucket, policy=None))
        return {}
