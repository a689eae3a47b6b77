"""Functions of the cloud, all of it: started, stopped, and called.

<home>/functions/runtime/     the interpreter's virtual environment
<home>/functions/layers/      merged layers
<home>/instances/functions/   a folder for each execution environment
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from fogbank.cloud.machines.functions.destinations import Destinations
from fogbank.cloud.machines.functions.events import AsyncEvents
from fogbank.cloud.machines.functions.invoker import Invoker
from fogbank.cloud.machines.functions.layers import VersionStore
from fogbank.cloud.machines.functions.pool import IDLE_LIMIT_S, Pool
from fogbank.cloud.machines.functions.preparation import Preparation
from fogbank.cloud.machines.functions.provisioned import ProvisionedKeeper
from fogbank.cloud.machines.functions.runtime import make_runtime
from fogbank.cloud.machines.functions.starter import EnvironmentStarter
from fogbank.cloud.machines.nofollow import remove_tree
from fogbank.cloud.machines.site import Site
from fogbank.cloud.machines.threads import in_thread
from fogbank.cloud.ports import (
    FunctionCall,
    FunctionCode,
    FunctionResult,
    MetricSink,
    Records,
)

log = logging.getLogger("fogbank.functions")


class Functions:
    """Implements `ports.FunctionInvoker`, between `start` and `stop`.

    account_limit: concurrent executions of the account.
    idle_limit_s:  how long an environment may have nothing to do.
    time_scale:    how many times faster than real time metric periods pass.
    """

    def __init__(
        self,
        records: Records,
        metrics: MetricSink,
        code: FunctionCode,
        site: Site,
        *,
        role_exists: Callable[[str], bool],
        account_limit: int,
        idle_limit_s: float = IDLE_LIMIT_S,
        time_scale: float = 1.0,
    ) -> None:
        self._site = site
        self._root = site.home / "instances" / "functions"
        self._runtime_folder = site.home / "functions" / "runtime"
        clock = site.clock
        self._store = VersionStore(code, records, site.home / "functions" / "layers")
        self._starter = EnvironmentStarter(site, self._store, self._root)
        self._pool = Pool(self._starter, records, clock, idle_limit_s=idle_limit_s)
        self._invoker = Invoker(self._pool, records, metrics, clock, account_limit=account_limit)
        self._preparation = Preparation(records, self._store, role_exists, clock)
        self._provisioned = ProvisionedKeeper(
            records, self._pool, metrics, clock, time_scale=time_scale
        )
        self._events = AsyncEvents(
            records,
            self._invoker,
            Destinations(records, site.objects, clock),
            metrics,
            clock,
        )

    async def call(self, call: FunctionCall) -> FunctionResult:
        """See `ports.FunctionInvoker`."""
        return await self._invoker.call(call)

    def concurrent_executions(self, function: str) -> int:
        """See `ports.FunctionInvoker`."""
        return self._invoker.concurrent_executions(function)

    async def start(self) -> None:
        """Ends what an earlier run left, then takes up versions, provisioned environments and
        queued events."""
        self._root.mkdir(parents=True, exist_ok=True)
        for name in await self._site.engine.sweep(self._root):
            log.warning("%s had survived the last run of the cloud and was ended", name)
        for folder in self._root.iterdir():
            await in_thread(remove_tree, folder)
        self._runtime_folder.parent.mkdir(parents=True, exist_ok=True)
        self._starter.use(await in_thread(make_runtime, self._runtime_folder))
        await self._store.clear()
        self._pool.open()
        self._preparation.start()
        self._provisioned.start()
        self._events.start()

    async def stop(self) -> None:
        """Ends every environment. What is queued or provisioned is taken up by the next run."""
        await self._events.stop()
        await asyncio.gather(self._provisioned.stop(), self._preparation.stop())
        await self._pool.close()
        await self._invoker.finish()
