"""Lambda in memory, as far as `fogbank.ops` uses it.

A function and its versions are ready the second time that somebody looks; provisioned environments
as well. `limit` is the account's; `fail_provisioned` makes environments fail, `failed_update` (the
reason) updates; a role can be assumed after `role_takes` attempts.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import zipfile
from typing import Any

from ops.paginator import Paginator
from ops.refusal import refusal

_CONFIGURATION = ("Runtime", "Role", "Handler", "Timeout", "MemorySize", "Environment")


class FakeLambda:
    def __init__(self) -> None:
        self.limit = 1000
        self.fail_provisioned = False
        self.failed_update = ""
        self.role_takes = 0
        self.functions: dict[str, dict[str, Any]] = {}
        """Name -> versions, aliases, tags, reserved, provisioned, urls, policies."""

    def get_paginator(self, operation: str) -> Paginator:
        return Paginator(getattr(self, operation))

    def _function(self, name: str) -> dict[str, Any]:
        if name not in self.functions:
            raise refusal("Lambda", "ResourceNotFoundException", f"Function not found: {name}")
        return self.functions[name]

    def _version(self, name: str, qualifier: str) -> dict[str, Any]:
        function = self._function(name)
        number = function["aliases"].get(qualifier, qualifier)
        if number not in function["versions"]:
            raise refusal("Lambda", "ResourceNotFoundException", f"no {qualifier}")
        found: dict[str, Any] = function["versions"][number]
        return found

    def create_function(self, **request: Any) -> None:
        name = request["FunctionName"]
        if self.role_takes > 0:
            self.role_takes -= 1
            raise refusal(
                "CreateFunction",
                "InvalidParameterValueException",
                "The role defined for the function cannot be assumed by Lambda.",
            )
        if name in self.functions:
            raise refusal("CreateFunction", "ResourceConflictException")
        configuration = {key: request[key] for key in _CONFIGURATION}
        self.functions[name] = {
            "tags": request["Tags"],
            "versions": {
                "$LATEST": {
                    **configuration,
                    **_code(request["Code"]["ZipFile"]),
                    "State": "Pending",
                    "LastUpdateStatus": "InProgress",
                }
            },
            "aliases": {},
            "reserved": None,
            "provisioned": {},
            "urls": {},
            "policies": {},
        }

    def get_function(self, *, FunctionName: str, Qualifier: str = "$LATEST") -> dict[str, Any]:
        version = self._version(FunctionName, Qualifier)
        function = self._function(FunctionName)
        number = function["aliases"].get(Qualifier, Qualifier)
        configuration = {key: value for key, value in version.items() if key != "zip"}
        if version["LastUpdateStatus"] == "InProgress" and self.failed_update:
            version.update(LastUpdateStatus="Failed", LastUpdateStatusReason=self.failed_update)
        elif version["LastUpdateStatus"] == "InProgress" or version["State"] == "Pending":
            version.update(State="Active", LastUpdateStatus="Successful", LastUpdateStatusReason="")
        return {"Configuration": {**configuration, "Version": number}, "Tags": function["tags"]}

    def _latest(self, name: str) -> dict[str, Any]:
        latest = self._version(name, "$LATEST")
        if latest["LastUpdateStatus"] == "InProgress":
            raise refusal("Update", "ResourceConflictException", "an update is in progress")
        latest["LastUpdateStatus"] = "InProgress"
        return latest

    def update_function_code(self, *, FunctionName: str, ZipFile: bytes) -> None:
        self._latest(FunctionName).update(_code(ZipFile))

    def update_function_configuration(self, *, FunctionName: str, **request: Any) -> None:
        self._latest(FunctionName).update({key: request[key] for key in _CONFIGURATION})

    def publish_version(self, *, FunctionName: str, CodeSha256: str) -> dict[str, Any]:
        versions = self._function(FunctionName)["versions"]
        latest = versions["$LATEST"]
        assert latest["CodeSha256"] == CodeSha256
        same = ("CodeSha256", *_CONFIGURATION)
        number = str(max((int(number) for number in versions if number != "$LATEST"), default=0))
        if number == "0" or any(versions[number][key] != latest[key] for key in same):
            number = str(int(number) + 1)
            versions[number] = {**latest, "State": "Pending", "LastUpdateStatus": "Successful"}
        return {"Version": number}

    def create_alias(self, *, FunctionName: str, Name: str, FunctionVersion: str) -> None:
        aliases = self._function(FunctionName)["aliases"]
        if Name in aliases:
            raise refusal("CreateAlias", "ResourceConflictException")
        aliases[Name] = FunctionVersion

    def update_alias(self, *, FunctionName: str, Name: str, FunctionVersion: str) -> None:
        function = self._function(FunctionName)
        function["aliases"][Name] = FunctionVersion
        if Name in function["provisioned"]:
            function["provisioned"][Name]["Status"] = "IN_PROGRESS"

    def list_versions_by_function(self, *, FunctionName: str) -> dict[str, Any]:
        return {"Versions": [{"Version": n} for n in self._function(FunctionName)["versions"]]}

    def delete_function(self, *, FunctionName: str, Qualifier: str | None = None) -> None:
        function = self._function(FunctionName)
        if Qualifier is None:
            del self.functions[FunctionName]
        elif Qualifier in function["aliases"].values():
            raise refusal("DeleteFunction", "ResourceConflictException")
        else:
            del function["versions"][Qualifier]

    def get_account_settings(self) -> dict[str, Any]:
        reserved = sum(item["reserved"] or 0 for item in self.functions.values())
        return {
            "AccountLimit": {
                "ConcurrentExecutions": self.limit,
                "UnreservedConcurrentExecutions": self.limit - reserved,
            }
        }

    def get_function_concurrency(self, *, FunctionName: str) -> dict[str, Any]:
        reserved = self._function(FunctionName)["reserved"]
        return {} if reserved is None else {"ReservedConcurrentExecutions": reserved}

    def put_function_concurrency(
        self, *, FunctionName: str, ReservedConcurrentExecutions: int
    ) -> None:
        function = self._function(FunctionName)
        provisioned = function["provisioned"].values()
        if any(item["Requested"] > ReservedConcurrentExecutions for item in provisioned):
            raise refusal("PutFunctionConcurrency", "InvalidParameterValueException")
        function["reserved"] = ReservedConcurrentExecutions

    def delete_function_concurrency(self, *, FunctionName: str) -> None:
        self._function(FunctionName)["reserved"] = None

    def put_provisioned_concurrency_config(
        self, *, FunctionName: str, Qualifier: str, ProvisionedConcurrentExecutions: int
    ) -> None:
        function = self._function(FunctionName)
        assert Qualifier in function["aliases"]
        if (
            function["reserved"] is not None
            and ProvisionedConcurrentExecutions > function["reserved"]
        ):
            raise refusal("PutProvisionedConcurrencyConfig", "InvalidParameterValueException")
        function["provisioned"][Qualifier] = {
            "Requested": ProvisionedConcurrentExecutions,
            "Status": "IN_PROGRESS",
        }

    def get_provisioned_concurrency_config(
        self, *, FunctionName: str, Qualifier: str
    ) -> dict[str, Any]:
        found = self._function(FunctionName)["provisioned"].get(Qualifier)
        if found is None:
            raise refusal("Get", "ProvisionedConcurrencyConfigNotFoundException")
        ready = found["Requested"] if found["Status"] == "READY" else 0
        answer = {
            "RequestedProvisionedConcurrentExecutions": found["Requested"],
            "AllocatedProvisionedConcurrentExecutions": ready,
            "AvailableProvisionedConcurrentExecutions": ready,
            "Status": found["Status"],
            "StatusReason": "FUNCTION_ERROR_INIT_FAILURE" if found["Status"] == "FAILED" else "",
        }
        found["Status"] = "FAILED" if self.fail_provisioned else "READY"
        return answer

    def delete_provisioned_concurrency_config(self, *, FunctionName: str, Qualifier: str) -> None:
        del self._function(FunctionName)["provisioned"][Qualifier]

    def create_function_url_config(
        self, *, FunctionName: str, Qualifier: str, AuthType: str
    ) -> None:
        urls = self._function(FunctionName)["urls"]
        if Qualifier in urls:
            raise refusal("CreateFunctionUrlConfig", "ResourceConflictException")
        urls[Qualifier] = AuthType

    def update_function_url_config(
        self, *, FunctionName: str, Qualifier: str, AuthType: str
    ) -> None:
        self._function(FunctionName)["urls"][Qualifier] = AuthType

    def get_function_url_config(self, *, FunctionName: str, Qualifier: str) -> dict[str, Any]:
        urls = self._function(FunctionName)["urls"]
        if Qualifier not in urls:
            raise refusal("GetFunctionUrlConfig", "ResourceNotFoundException")
        return {"FunctionUrl": "https://abc.lambda-url/", "AuthType": urls[Qualifier]}

    def delete_function_url_config(self, *, FunctionName: str, Qualifier: str) -> None:
        urls = self._function(FunctionName)["urls"]
        if urls.pop(Qualifier, None) is None:
            raise refusal("DeleteFunctionUrlConfig", "ResourceNotFoundException")

    def add_permission(
        self, *, FunctionName: str, Qualifier: str, StatementId: str, **statement: Any
    ) -> None:
        policy = self._function(FunctionName)["policies"].setdefault(Qualifier, {})
        if StatementId in policy:
            raise refusal("AddPermission", "ResourceConflictException")
        policy[StatementId] = statement

    def remove_permission(self, *, FunctionName: str, Qualifier: str, StatementId: str) -> None:
        policy = self._function(FunctionName)["policies"].get(Qualifier, {})
        if policy.pop(StatementId, None) is None:
            raise refusal("RemovePermission", "ResourceNotFoundException")

    def get_policy(self, *, FunctionName: str, Qualifier: str) -> dict[str, Any]:
        policy = self._function(FunctionName)["policies"].get(Qualifier)
        if not policy:
            raise refusal("GetPolicy", "ResourceNotFoundException")
        return {"Policy": json.dumps({"Statement": [{"Sid": sid} for sid in policy]})}


def _code(archive: bytes) -> dict[str, Any]:
    digest = base64.b64encode(hashlib.sha256(archive).digest()).decode()
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        contents = {name: opened.read(name) for name in opened.namelist()}
    return {"CodeSha256": digest, "zip": contents}
