"""Makes versions runnable: Pending -> Active, InProgress -> Successful, or Failed with the reason.

In: `FunctionVersion` records that ask for it. Out: the same records, when the code is unpacked, the
layers are merged and the role exists. The rule is `rules.function_state`.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Callable

from fogbank.cloud.machines.functions.layers import VersionStore
from fogbank.cloud.machines.functions.pool import made_of
from fogbank.cloud.machines.reconcile import Reconciler
from fogbank.cloud.ports import Records
from fogbank.cloud.records.function import FunctionVersion
from fogbank.cloud.rules.function_state import Obstacle, needs_preparation, prepared
from fogbank.core.clock import Clock

log = logging.getLogger("fogbank.functions")


class Preparation:
    """role_exists: whether there is a role of that ARN."""

    def __init__(
        self,
        records: Records,
        store: VersionStore,
        role_exists: Callable[[str], bool],
        clock: Clock,
    ) -> None:
        self._records = records
        self._store = store
        self._role_exists = role_exists
        self._clock = clock
        self._reconciler = Reconciler(
            records,
            FunctionVersion,
            wants=needs_preparation,
            keep=self._keep,
            broken=self._broken,
        )

    def start(self) -> None:
        self._reconciler.start()

    async def stop(self) -> None:
        await self._reconciler.stop()

    async def _keep(self, key: str, changed: asyncio.Event) -> None:
        while (version := self._records.get(FunctionVersion, key)) is not None:
            if not needs_preparation(version):
                return
            changed.clear()
            obstacle = await self._obstacle(version)
            now = self._records.get(FunctionVersion, key)
            if now is not None and made_of(now) == made_of(version):
                self._conclude(now, obstacle)

    async def _obstacle(self, version: FunctionVersion) -> Obstacle | None:
        if not self._role_exists(version.role_arn):
            reason = f"The role {version.role_arn} does not exist."
            return Obstacle("InvalidConfiguration", reason)
        try:
            await self._store.files(version)
        except ValueError as error:
            return Obstacle("InvalidZipFileException", str(error))
        except (LookupError, OSError) as error:
            return Obstacle("InternalError", f"The code could not be prepared: {error}")
        return None

    def _conclude(self, version: FunctionVersion, obstacle: Obstacle | None) -> None:
        if obstacle is not None:
            log.warning("function %s cannot run: %s", version.key, obstacle.reason)
        revision_id = str(uuid.uuid4())
        self._records.put(prepared(version, obstacle, revision_id, self._clock.now()))

    def _broken(self, key: str, error: Exception) -> None:
        version = self._records.get(FunctionVersion, key)
        if version is not None and needs_preparation(version):
            reason = f"Fogbank could not prepare the function: {error!r}"
            self._conclude(version, Obstacle("InternalError", reason))
