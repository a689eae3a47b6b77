"""Looking functions up: names in, records or Lambda's "not found" out."""

from __future__ import annotations

from fogbank.cloud.ports import Records
from fogbank.cloud.records.function import LATEST, Alias, Function, FunctionVersion
from fogbank.cloud.services.lambda_.names import FunctionName, function_arn, is_version
from fogbank.cloud.services.lambda_.refusals import alias_not_found, function_not_found
from fogbank.core.arn import Scope


class Directory:
    """Reads functions, versions and aliases. Raises ResourceNotFoundException."""

    def __init__(self, records: Records, scope: Scope) -> None:
        self._records = records
        self.scope = scope

    def arn(self, name: str, qualifier: str = "") -> str:
        return function_arn(self.scope, name, qualifier)

    def function(self, name: str, qualifier: str = "") -> Function:
        """qualifier: what the refusal shows, where the caller gave one."""
        found = self._records.get(Function, name)
        if found is None:
            raise function_not_found(self.arn(name, qualifier))
        return found

    def latest(self, name: str) -> FunctionVersion:
        return self.version(name, LATEST, shown="")

    def version(self, name: str, version: str, *, shown: str | None = None) -> FunctionVersion:
        """shown: the qualifier in the refusal, where it is not the version."""
        found = self._records.get(FunctionVersion, f"{name}:{version}")
        if found is None:
            raise function_not_found(self.arn(name, version if shown is None else shown))
        return found

    def alias(self, name: str, alias: str) -> Alias:
        found = self._records.get(Alias, f"{name}:{alias}")
        if found is None:
            raise alias_not_found(self.arn(name, alias))
        return found

    def check(self, target: FunctionName) -> None:
        """That the function and, where one is named, the version or alias exist."""
        if target.is_alias:
            self.alias(target.name, target.qualifier)
        elif target.qualifier:
            self.version(target.name, target.qualifier)
        else:
            self.function(target.name)

    def shown(self, target: FunctionName) -> FunctionVersion:
        """The version that a description of `target` shows: an alias' first, `$LATEST` for none."""
        if target.is_alias:
            alias = self._records.get(Alias, f"{target.name}:{target.qualifier}")
            if alias is None:
                raise function_not_found(self.arn(target.name, target.qualifier))
            return self.version(target.name, alias.version)
        if target.qualifier:
            return self.version(target.name, target.qualifier)
        return self.latest(target.name)

    def versions(self, name: str) -> list[FunctionVersion]:
        """`$LATEST` first, then by number."""
        found = self._records.all(FunctionVersion, prefix=f"{name}:")
        return sorted(found, key=version_order)

    def aliases(self, name: str) -> list[Alias]:
        return self._records.all(Alias, prefix=f"{name}:")


def version_order(version: FunctionVersion) -> int:
    """`$LATEST` before number 1."""
    return 0 if version.version == LATEST else int(version.version)


def revision_of(directory: Directory, target: FunctionName) -> str:
    """The RevisionId of what a policy hangs on: an alias', a version's, else `$LATEST`'s."""
    if target.qualifier and not is_version(target.qualifier):
        return directory.alias(target.name, target.qualifier).revision_id
    return directory.version(target.name, target.qualifier or LATEST).revision_id
