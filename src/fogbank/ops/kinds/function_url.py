"""The function's own HTTPS address, and who may call it.

Source: Lambda Developer Guide, "Control access to Lambda function URLs": an address for everybody
needs two permissions, to call the address and to call the function through it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from fogbank.aws import Aws, error_code, existing, is_missing
from fogbank.ops.names import ALIAS, Names
from fogbank.ops.spec_function import Function
from fogbank.ops.step import Step
from fogbank.ops.world import World

AuthType = Literal["AWS_IAM", "NONE"]

_PERMISSIONS: Mapping[str, Mapping[str, Any]] = {
    "fogbank-url": {
        "Action": "lambda:InvokeFunctionUrl",
        "Principal": "*",
        "FunctionUrlAuthType": "NONE",
    },
    "fogbank-url-invoke": {
        "Action": "lambda:InvokeFunction",
        "Principal": "*",
        "InvokedViaFunctionUrl": True,
    },
}
"""Statements of a public address."""


@dataclass(frozen=True, kw_only=True)
class Desired:
    function: str
    auth_type: AuthType | None
    """None: no address."""


@dataclass(frozen=True, kw_only=True)
class Found:
    url: str = ""
    auth_type: str | None = None
    """None: no address."""
    permissions: frozenset[str] = frozenset()
    """Which of a public address's there are."""


def desired(function: Function, names: Names) -> Desired:
    auth_types: Mapping[str, AuthType | None] = {"none": None, "iam": "AWS_IAM", "public": "NONE"}
    return Desired(function=names.function, auth_type=auth_types[function.url])


def observe(aws: Aws, function_name: str) -> Found:
    where = {"FunctionName": function_name, "Qualifier": ALIAS}
    permissions = _permissions(aws, where)
    answer = existing(aws.lambda_.get_function_url_config, **where)
    if answer is None:
        return Found(permissions=permissions)
    return Found(url=answer["FunctionUrl"], auth_type=answer["AuthType"], permissions=permissions)


def _permissions(aws: Aws, where: Mapping[str, str]) -> frozenset[str]:
    answer = existing(aws.lambda_.get_policy, **where)
    if answer is None:
        return frozenset()
    return frozenset(
        statement["Sid"]
        for statement in json.loads(answer["Policy"])["Statement"]
        if statement.get("Sid") in _PERMISSIONS
    )


def diff(desired: Desired, found: Found) -> list[Step]:
    permissions = frozenset(_PERMISSIONS) if desired.auth_type == "NONE" else frozenset[str]()
    if desired.auth_type == found.auth_type and permissions == found.permissions:
        return []
    if desired.auth_type is None:
        message = f"take the URL of {desired.function} away"
    else:
        who = "everybody" if desired.auth_type == "NONE" else "signed requests"
        message = f"give {desired.function} a URL for {who}"
    return [
        Step(
            kind="function-url",
            verb="delete" if desired.auth_type is None else "update",
            name=desired.function,
            message=message,
            reason=_now(found),
            request={
                "auth_type": desired.auth_type,
                "permit": sorted(permissions - found.permissions),
                "revoke": sorted(found.permissions - permissions),
            },
        )
    ]


def _now(found: Found) -> str:
    if found.auth_type is None:
        return "there is none" if not found.permissions else "its permissions are left"
    who = "everybody" if found.auth_type == "NONE" else "signed requests"
    complete = found.auth_type != "NONE" or found.permissions == frozenset(_PERMISSIONS)
    return f"there is one for {who}" + ("" if complete else ", whose permissions are missing")


def apply(world: World, step: Step) -> None:
    """First who may not any more, last who may: at no moment more than before or after."""
    for statement in step.request["revoke"]:
        _revoke(world, step.name, statement)
    if step.verb == "delete":
        _delete(world, step.name)
    else:
        _configure(world, step.name, step.request["auth_type"])
    for statement in step.request["permit"]:
        _permit(world, step.name, statement)


def _configure(world: World, name: str, auth_type: AuthType) -> None:
    from botocore.exceptions import ClientError

    client = world.aws.lambda_
    try:
        client.create_function_url_config(FunctionName=name, Qualifier=ALIAS, AuthType=auth_type)
    except ClientError as error:
        if error_code(error) != "ResourceConflictException":
            raise
        client.update_function_url_config(FunctionName=name, Qualifier=ALIAS, AuthType=auth_type)


def _delete(world: World, name: str) -> None:
    from botocore.exceptions import ClientError

    try:
        world.aws.lambda_.delete_function_url_config(FunctionName=name, Qualifier=ALIAS)
    except ClientError as error:
        if not is_missing(error):
            raise


def _permit(world: World, name: str, statement: str) -> None:
    from botocore.exceptions import ClientError

    try:
        world.aws.lambda_.add_permission(
            FunctionName=name,
            Qualifier=ALIAS,
            StatementId=statement,
            **_PERMISSIONS[statement],
        )
    except ClientError as error:
        if error_code(error) != "ResourceConflictException":
            raise


def _revoke(world: World, name: str, statement: str) -> None:
    from botocore.exceptions import ClientError

    try:
        world.aws.lambda_.remove_permission(
            FunctionName=name, Qualifier=ALIAS, StatementId=statement
        )
    except ClientError as error:
        if not is_missing(error):
            raise
