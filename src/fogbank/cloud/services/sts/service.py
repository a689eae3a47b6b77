"""The rooms of STS, put together."""

from __future__ import annotations

from fogbank.cloud.ports import Records
from fogbank.cloud.services.sts.sessions import Sessions
from fogbank.cloud.state.keyring import RecordsKeyring


def rooms(records: Records, keyring: RecordsKeyring) -> tuple[object, ...]:
    """Everything that `base.dispatch_table` needs."""
    return (Sessions(records, keyring),)
