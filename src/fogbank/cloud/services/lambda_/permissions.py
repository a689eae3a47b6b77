"""AddPermission, RemovePermission, GetPolicy: the resource-based policies of functions, versions
and aliases. A policy's RevisionId is that of what it hangs on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from fogbank.cloud.context import Context, Params, Result
from fogbank.cloud.errors import ServiceError
from fogbank.cloud.ports import Records
from fogbank.cloud.records.function import LATEST, FunctionPolicy
from fogbank.cloud.rules.function_policy import conditions, principal
from fogbank.cloud.services.base import operation
from fogbank.cloud.services.lambda_.directory import Directory, revision_of
from fogbank.cloud.services.lambda_.names import FunctionName, named
from fogbank.cloud.services.lambda_.refusals import (
    check_revision,
    conflict,
    invalid,
    no_such_resource,
    not_found,
)
from fogbank.cloud.services.lambda_.versions import new_revision

MAX_POLICY_BYTES = 20_480


class Permissions:
    """Who may call a function besides those whom IAM lets."""

    def __init__(self, *, records: Records, directory: Directory) -> None:
        self._records = records
        self._directory = directory

    @operation("AddPermission")
    def add(self, context: Context, params: Params) -> Result:
        target = self._target(params)
        self._directory.function(target.name)
        self._directory.check(target)
        sid: str = params["StatementId"]
        before = self._statements(target)
        check_revision(params.get("RevisionId"), revision_of(self._directory, target))
        if sid in before:
            raise conflict(
                f"The statement id ({sid}) provided already exists. Please provide a new statement "
                "id, or remove the existing statement."
            )
        statement = self._statement(target, params)
        statements = {**before, sid: statement}
        size_bytes = len(_document(statements))
        if size_bytes > MAX_POLICY_BYTES:
            raise ServiceError(
                "PolicyLengthExceededException",
                f"The final policy size ({size_bytes}) is bigger than the limit "
                f"({MAX_POLICY_BYTES}).",
            )
        self._write(target, statements)
        return {"Statement": json.dumps(statement, separators=(",", ":"))}

    @operation("RemovePermission")
    def remove(self, context: Context, params: Params) -> Result:
        target = self._target(params)
        arn = self._directory.arn(target.name, target.qualifier)
        try:
            self._directory.function(target.name)
        except ServiceError as error:
            raise not_found(f"No policy found for: {arn}") from error
        self._directory.check(target)
        sid: str = params["StatementId"]
        statements = self._statements(target)
        if not statements:
            raise not_found("No policy is associated with the given resource.")
        if sid not in statements:
            raise not_found(f"Statement {sid} is not found in resource policy.")
        check_revision(params.get("RevisionId"), revision_of(self._directory, target))
        self._write(target, {key: value for key, value in statements.items() if key != sid})
        return {}

    @operation("GetPolicy")
    def get(self, context: Context, params: Params) -> Result:
        target = named(params, self._directory.scope)
        self._directory.function(target.name)
        statements = self._statements(target)
        if not statements:
            raise no_such_resource()
        return {
            "Policy": _document(statements),
            "RevisionId": revision_of(self._directory, target),
        }

    def _target(self, params: Params) -> FunctionName:
        target = named(params, self._directory.scope)
        if target.qualifier == LATEST:
            raise invalid("We currently do not support adding policies for $LATEST.")
        return target

    def _statements(self, target: FunctionName) -> Mapping[str, Mapping[str, Any]]:
        found = self._records.get(FunctionPolicy, f"{target.name}:{target.qualifier}")
        return found.statements if found is not None else {}

    def _statement(self, target: FunctionName, params: Params) -> dict[str, Any]:
        who = principal(params["Principal"])
        if who is None:
            raise invalid(
                "The provided principal was invalid. Please check the principal and try again."
            )
        if params.get("FunctionUrlAuthType") and params["Action"] != "lambda:InvokeFunctionUrl":
            raise invalid(
                "FunctionUrlAuthType is only supported for lambda:InvokeFunctionUrl action"
            )
        statement = {
            "Sid": params["StatementId"],
            "Effect": "Allow",
            "Principal": who,
            "Action": params["Action"],
            "Resource": self._directory.arn(target.name, target.qualifier),
        }
        tests = conditions(params)
        return {**statement, "Condition": tests} if tests else statement

    def _write(self, target: FunctionName, statements: Mapping[str, Mapping[str, Any]]) -> None:
        """The policy, and a new revision of what it hangs on."""
        policy = FunctionPolicy(
            function=target.name, qualifier=target.qualifier, statements=statements
        )
        with self._records.transaction():
            if statements:
                self._records.put(policy)
            else:
                self._records.delete(FunctionPolicy, policy.key)
            if target.is_alias:
                alias = self._directory.alias(target.name, target.qualifier)
                self._records.put(replace(alias, revision_id=new_revision()))
            else:
                version = self._directory.version(target.name, target.qualifier or LATEST)
                self._records.put(replace(version, revision_id=new_revision()))


def _document(statements: Mapping[str, Mapping[str, Any]]) -> str:
    policy = {"Version": "2012-10-17", "Id": "default", "Statement": list(statements.values())}
    return json.dumps(policy, separators=(",", ":"))
