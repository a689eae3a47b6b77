"""Groups and streams by name or ARN, or CloudWatch Logs' way of saying no."""

from __future__ import annotations

from datetime import datetime, timedelta

from fogbank.cloud.context import Params
from fogbank.cloud.errors import ServiceError
from fogbank.cloud.ports import Records
from fogbank.cloud.records.logs import LogGroup, LogStream, stream_key
from fogbank.core.arn import Scope
from fogbank.core.clock import epoch_ms


def invalid(message: str) -> ServiceError:
    return ServiceError("InvalidParameterException", message)


def not_found(what: str) -> ServiceError:
    return ServiceError("ResourceNotFoundException", f"The specified {what} does not exist.")


def already_exists(what: str) -> ServiceError:
    return ServiceError("ResourceAlreadyExistsException", f"The specified {what} already exists")


def expiry_ms(group: LogGroup, now: datetime) -> int:
    """Events before this are past the group's retention: nobody sees them any more."""
    if group.retention_days is None:
        return 0
    return max(epoch_ms(now - timedelta(days=group.retention_days)), 0)


class Directory:
    def __init__(self, records: Records, scope: Scope) -> None:
        self._records = records
        self._scope = scope

    def group(self, name: str) -> LogGroup:
        found = self._records.get(LogGroup, name)
        if found is None:
            raise not_found("log group")
        return found

    def group_of_arn(self, arn: str) -> LogGroup:
        """Also with the `:*` that some operations put at the end."""
        prefix = self._scope.arn("logs", "log-group:")
        if not arn.startswith(prefix):
            raise not_found("log group")
        return self.group(arn.removeprefix(prefix).removesuffix(":*"))

    def group_of(self, params: Params) -> LogGroup:
        """The group that `logGroupName` or `logGroupIdentifier` (a name or an ARN) says."""
        name, identifier = params.get("logGroupName"), params.get("logGroupIdentifier")
        if (name is None) == (identifier is None):
            raise invalid("Exactly one of logGroupName and logGroupIdentifier must be given.")
        if name is not None:
            return self.group(name)
        assert identifier is not None
        return self.group_of_arn(identifier) if ":" in identifier else self.group(identifier)

    def stream(self, group: LogGroup, name: str) -> LogStream:
        found = self._records.get(LogStream, stream_key(group.name, name))
        if found is None:
            raise not_found("log stream")
        return found


def bad_token() -> ServiceError:
    return invalid("The specified nextToken is invalid.")
