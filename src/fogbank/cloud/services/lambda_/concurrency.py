"""PutFunctionConcurrency, GetFunctionConcurrency, DeleteFunctionConcurrency, GetAccountSettings.

Sources: Lambda Developer Guide, "Configuring reserved concurrency for a function", "Lambda quotas".
"""

from __future__ import annotations

from dataclasses import replace

from fogbank.cloud.context import Context, Params, Result
from fogbank.cloud.ports import Records
from fogbank.cloud.records.function import (
    LATEST,
    Function,
    FunctionVersion,
    LayerVersion,
    ProvisionedConcurrency,
)
from fogbank.cloud.rules import function_settings as rules
from fogbank.cloud.services.base import operation
from fogbank.cloud.services.lambda_.directory import Directory
from fogbank.cloud.services.lambda_.names import unqualified

TOTAL_CODE_BYTES = 80_530_636_800
"""75 GB: what all zips of an account may take together."""

ZIPPED_BYTES = 52_428_800


class Commitments:
    """How much of the account's concurrency functions have for themselves."""

    def __init__(self, records: Records, account_limit: int) -> None:
        self._records = records
        self.account_limit = account_limit

    def provisioned(self, function: str, *, but: str = "") -> int:
        """What versions and aliases have requested together; `but`: the key of one left out."""
        return sum(
            config.requested
            for config in self._records.all(ProvisionedConcurrency, prefix=f"{function}:")
            if config.key != but
        )

    def of(self, function: Function) -> int:
        return rules.committed(function.reserved_concurrency, self.provisioned(function.name))

    def all_but(self, name: str) -> int:
        """What the functions have together, without the one of that name."""
        return sum(self.of(each) for each in self._records.all(Function) if each.name != name)


class ReservedConcurrency:
    """Reservations of whole functions, and the account they come from."""

    def __init__(self, *, records: Records, directory: Directory, commitments: Commitments) -> None:
        self._records = records
        self._directory = directory
        self._commitments = commitments

    @operation("PutFunctionConcurrency")
    def put(self, context: Context, params: Params) -> Result:
        """0 switches the function off."""
        name = unqualified(params, self._directory.scope)
        # AWS's refusal names $LATEST here and in no other operation (observed).
        function = self._directory.function(name, LATEST)
        reserved: int = params["ReservedConcurrentExecutions"]
        rules.check_reserved(
            reserved,
            self._commitments.provisioned(name),
            others_committed=self._commitments.all_but(name),
            account_limit=self._commitments.account_limit,
        )
        self._records.put(replace(function, reserved_concurrency=reserved))
        return {"ReservedConcurrentExecutions": reserved}

    @operation("GetFunctionConcurrency")
    def get(self, context: Context, params: Params) -> Result:
        """Empty where nothing is reserved."""
        name = unqualified(params, self._directory.scope)
        reserved = self._directory.function(name).reserved_concurrency
        return {} if reserved is None else {"ReservedConcurrentExecutions": reserved}

    @operation("DeleteFunctionConcurrency")
    def delete(self, context: Context, params: Params) -> Result:
        name = unqualified(params, self._directory.scope)
        self._records.put(replace(self._directory.function(name), reserved_concurrency=None))
        return {}

    @operation("GetAccountSettings")
    def account(self, context: Context, params: Params) -> Result:
        limit = self._commitments.account_limit
        functions = self._records.all(Function)
        versions = self._records.all(FunctionVersion)
        layers = [layer for layer in self._records.all(LayerVersion) if not layer.deleted]
        return {
            "AccountLimit": {
                "TotalCodeSize": TOTAL_CODE_BYTES,
                "CodeSizeUnzipped": rules.MAX_UNZIPPED_BYTES,
                "CodeSizeZipped": ZIPPED_BYTES,
                "ConcurrentExecutions": limit,
                "UnreservedConcurrentExecutions": limit
                - sum(self._commitments.of(function) for function in functions),
            },
            "AccountUsage": {
                "TotalCodeSize": sum(version.code_size_bytes for version in versions)
                + sum(layer.code_size_bytes for layer in layers),
                "FunctionCount": len(functions),
            },
        }
