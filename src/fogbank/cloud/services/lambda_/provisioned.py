"""PutProvisionedConcurrencyConfig, GetProvisionedConcurrencyConfig,
ListProvisionedConcurrencyConfigs, DeleteProvisionedConcurrencyConfig.

The service writes how many environments are wanted; the machine makes them and writes how many
there are. Source: Lambda Developer Guide, "Configuring provisioned concurrency for a function".
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from fogbank.cloud.context import Context, Params, Result
from fogbank.cloud.errors import ServiceError
from fogbank.cloud.ports import Records
from fogbank.cloud.records.function import LATEST, ProvisionedConcurrency
from fogbank.cloud.rules import function_settings as rules
from fogbank.cloud.services.base import operation
from fogbank.cloud.services.lambda_.concurrency import Commitments
from fogbank.cloud.services.lambda_.directory import Directory
from fogbank.cloud.services.lambda_.names import FunctionName, named, unqualified
from fogbank.cloud.services.lambda_.paging import page
from fogbank.cloud.services.lambda_.refusals import conflict, invalid


class Provisioning:
    """Provisioned concurrency of published versions and of aliases."""

    def __init__(self, *, records: Records, directory: Directory, commitments: Commitments) -> None:
        self._records = records
        self._directory = directory
        self._commitments = commitments

    @operation("PutProvisionedConcurrencyConfig")
    def put(self, context: Context, params: Params) -> Result:
        """Asking again for another number keeps what is allocated until the machine has it."""
        target = named(params, self._directory.scope)
        requested: int = params["ProvisionedConcurrentExecutions"]
        self._check_published(target)
        self._check_free(target)
        key = f"{target.name}:{target.qualifier}"
        function = self._directory.function(target.name)
        rules.check_provisioned(
            requested + self._commitments.provisioned(target.name, but=key),
            function.reserved_concurrency,
            others_committed=self._commitments.all_but(target.name),
            account_limit=self._commitments.account_limit,
        )
        before = self._records.get(ProvisionedConcurrency, key)
        config = ProvisionedConcurrency(
            function=target.name,
            qualifier=target.qualifier,
            requested=requested,
            allocated=before.allocated if before is not None else 0,
            available=before.available if before is not None else 0,
            modified=context.received,
        )
        self._records.put(config)
        return _shown(config)

    @operation("GetProvisionedConcurrencyConfig")
    def get(self, context: Context, params: Params) -> Result:
        target = self._existing(params)
        key = f"{target.name}:{target.qualifier}"
        config = self._records.get(ProvisionedConcurrency, key)
        if config is None:
            raise ServiceError(
                "ProvisionedConcurrencyConfigNotFoundException",
                "No Provisioned Concurrency Config found for this function",
                status=404,
            )
        return _shown(config)

    @operation("ListProvisionedConcurrencyConfigs")
    def list(self, context: Context, params: Params) -> Result:
        name = unqualified(params, self._directory.scope)
        self._directory.function(name)
        found = self._records.all(ProvisionedConcurrency, prefix=f"{name}:")
        shown, more = page(params, found, lambda config: config.qualifier)
        configs = [
            {"FunctionArn": self._directory.arn(name, config.qualifier), **_shown(config)}
            for config in shown
        ]
        return {"ProvisionedConcurrencyConfigs": configs, **more}

    @operation("DeleteProvisionedConcurrencyConfig")
    def delete(self, context: Context, params: Params) -> Result:
        """One that is not there is no error."""
        target = self._existing(params)
        self._records.delete(ProvisionedConcurrency, f"{target.name}:{target.qualifier}")
        return {}

    def _existing(self, params: Params) -> FunctionName:
        target = named(params, self._directory.scope)
        if target.qualifier in ("", LATEST):
            raise invalid("The function resource provided must be an alias or a published version.")
        self._directory.check(target)
        return target

    def _check_published(self, target: FunctionName) -> None:
        version = target.qualifier
        if target.is_alias:
            alias = self._directory.alias(target.name, target.qualifier)
            if alias.weights:
                raise conflict("Alias with weights can not be used with Provisioned Concurrency")
            version = alias.version
        if version in ("", LATEST):
            raise invalid(
                "Provisioned Concurrency Configs cannot be applied to unpublished function "
                "versions."
            )
        self._directory.version(target.name, version)

    def _check_free(self, target: FunctionName) -> None:
        """A version is provisioned for itself or through one alias, never both."""
        taken = {
            config.qualifier
            for config in self._records.all(ProvisionedConcurrency, prefix=f"{target.name}:")
        }
        if target.is_alias:
            version = self._directory.alias(target.name, target.qualifier).version
            if version in taken:
                raise conflict(
                    "Alias can't be used for Provisioned Concurrency configuration on an already "
                    "Provisioned version"
                )
        for alias in self._directory.aliases(target.name):
            if alias.name in taken and alias.version == target.qualifier:
                raise conflict("Version is pointed by a Provisioned Concurrency alias")


def _shown(config: ProvisionedConcurrency) -> Mapping[str, Any]:
    shown = {
        "RequestedProvisionedConcurrentExecutions": config.requested,
        "AllocatedProvisionedConcurrentExecutions": config.allocated,
        "AvailableProvisionedConcurrentExecutions": config.available,
        "Status": config.status,
        "LastModified": _moment(config.modified),
    }
    return (
        shown if config.status_reason is None else {**shown, "StatusReason": config.status_reason}
    )


def _moment(when: datetime) -> str:
    """`2023-11-20T18:06:43+0000`: whole seconds, unlike elsewhere in Lambda."""
    return f"{when:%Y-%m-%dT%H:%M:%S}+0000"
