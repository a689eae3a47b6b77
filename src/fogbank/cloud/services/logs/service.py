"""The rooms of CloudWatch Logs, put together."""

from __future__ import annotations

from fogbank.cloud.ports import Records
from fogbank.cloud.services.logs.directory import Directory
from fogbank.cloud.services.logs.events import Events
from fogbank.cloud.services.logs.groups import Groups
from fogbank.cloud.services.logs.streams import Streams
from fogbank.cloud.state.log_store import LogStore
from fogbank.core.arn import Scope


def rooms(records: Records, store: LogStore, scope: Scope) -> tuple[object, ...]:
    """Everything that `base.dispatch_table` needs."""
    directory = Directory(records, scope)
    return (
        Events(store, directory),
        Groups(records, store, directory),
        Streams(records, store, directory),
    )
