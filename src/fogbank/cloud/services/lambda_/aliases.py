"""CreateAlias, GetAlias, UpdateAlias, DeleteAlias, ListAliases."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from fogbank.cloud.context import Context, Params, Result
from fogbank.cloud.ports import Records
from fogbank.cloud.records.base import Record
from fogbank.cloud.records.function import (
    Alias,
    EventInvokeConfig,
    FunctionPolicy,
    FunctionUrl,
    FunctionVersion,
    ProvisionedConcurrency,
)
from fogbank.cloud.rules.function_settings import check_weights
from fogbank.cloud.services.base import operation
from fogbank.cloud.services.lambda_.directory import Directory
from fogbank.cloud.services.lambda_.names import unqualified
from fogbank.cloud.services.lambda_.paging import page
from fogbank.cloud.services.lambda_.refusals import check_revision, conflict
from fogbank.cloud.services.lambda_.versions import new_revision

_PARTS: tuple[type[Record], ...] = (
    EventInvokeConfig,
    FunctionPolicy,
    FunctionUrl,
    ProvisionedConcurrency,
)
"""What goes with an alias."""


class Aliases:
    """Names for versions, with a second version for a part of the calls."""

    def __init__(self, *, records: Records, directory: Directory) -> None:
        self._records = records
        self._directory = directory

    @operation("CreateAlias")
    def create(self, context: Context, params: Params) -> Result:
        function = unqualified(params, self._directory.scope)
        name, version = params["Name"], params["FunctionVersion"]
        weights = self._checked(function, version, params)
        arn = self._directory.arn(function, name)
        if self._records.get(Alias, f"{function}:{name}") is not None:
            raise conflict(f"Alias already exists: {arn}")
        alias = Alias(
            function=function,
            name=name,
            arn=arn,
            version=version,
            weights=weights,
            description=params.get("Description", ""),
            revision_id=new_revision(),
        )
        self._records.put(alias)
        return _shown(alias)

    @operation("GetAlias")
    def get(self, context: Context, params: Params) -> Result:
        return _shown(self._alias(params))

    @operation("UpdateAlias")
    def update(self, context: Context, params: Params) -> Result:
        """Provisioned concurrency follows an alias to its new version."""
        alias = self._alias(params)
        check_revision(params.get("RevisionId"), alias.revision_id)
        version = params.get("FunctionVersion", alias.version)
        weights = alias.weights
        if "RoutingConfig" in params or version != alias.version:
            routing = {"RoutingConfig": params.get("RoutingConfig", _routing(alias.weights))}
            weights = self._checked(alias.function, version, routing)
        self._check_provisioned(alias, version, weights)
        alias = replace(
            alias,
            version=version,
            weights=weights,
            description=params.get("Description", alias.description),
            revision_id=new_revision(),
        )
        self._records.put(alias)
        return _shown(alias)

    @operation("DeleteAlias")
    def delete(self, context: Context, params: Params) -> Result:
        """An alias that is not there is no error; a function that is not there is one."""
        function = unqualified(params, self._directory.scope)
        self._directory.function(function)
        key = f"{function}:{params['Name']}"
        with self._records.transaction():
            if self._records.delete(Alias, key) is not None:
                for kind in _PARTS:
                    self._records.delete(kind, key)
        return {}

    @operation("ListAliases")
    def list(self, context: Context, params: Params) -> Result:
        function = unqualified(params, self._directory.scope)
        self._directory.function(function)
        version = params.get("FunctionVersion")
        found = [
            alias
            for alias in self._directory.aliases(function)
            if version in (None, alias.version) or version in alias.weights
        ]
        shown, more = page(params, found, lambda alias: alias.name)
        return {"Aliases": [_shown(alias) for alias in shown], **more}

    def _alias(self, params: Params) -> Alias:
        function = unqualified(params, self._directory.scope)
        return self._directory.alias(function, params["Name"])

    def _checked(self, function: str, version: str, params: Params) -> dict[str, float]:
        """The weights of RoutingConfig; every version that is named has to exist."""
        weights = dict(params.get("RoutingConfig", {}).get("AdditionalVersionWeights", {}))
        check_weights(version, weights)
        for named in (version, *weights):
            self._directory.version(function, named)
        return weights

    def _check_provisioned(self, alias: Alias, version: str, weights: Mapping[str, float]) -> None:
        if self._records.get(ProvisionedConcurrency, alias.key) is None:
            return
        if weights:
            raise conflict("Alias with weights can not be used with Provisioned Concurrency")
        if version == alias.version:
            return
        moved = self._records.get(FunctionVersion, f"{alias.function}:{version}")
        if moved is not None and self._records.get(ProvisionedConcurrency, moved.key) is not None:
            raise conflict(
                "Alias can't be used for Provisioned Concurrency configuration on an already "
                "Provisioned version"
            )


def _routing(weights: Mapping[str, float]) -> dict[str, dict[str, float]]:
    return {"AdditionalVersionWeights": dict(weights)}


def _shown(alias: Alias) -> Result:
    shown = {
        "AliasArn": alias.arn,
        "Name": alias.name,
        "FunctionVersion": alias.version,
        "Description": alias.description,
        "RevisionId": alias.revision_id,
    }
    return {**shown, "RoutingConfig": _routing(alias.weights)} if alias.weights else shown
