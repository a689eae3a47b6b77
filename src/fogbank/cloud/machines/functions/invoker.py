"""Calls of functions: who may run, on which environment, and what is counted.

In: `FunctionCall`s. Out: `FunctionResult`s; metrics. The rule is `rules.function_concurrency`; this
room keeps what the rule asks for: the rates, and the pool of environments.
"""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
from collections import Counter
from collections.abc import Mapping, Set
from dataclasses import dataclass

from fogbank.cloud.machines.engine import EngineError
from fogbank.cloud.machines.functions.environment import Environment, Outcome
from fogbank.cloud.machines.functions.pool import Pool, Slot
from fogbank.cloud.machines.functions.runtime_api import Event
from fogbank.cloud.ports import (
    FunctionCall,
    FunctionResult,
    FunctionThrottled,
    FunctionUnavailable,
    MetricSink,
    Records,
)
from fogbank.cloud.records.function import Function, FunctionVersion, ProvisionedConcurrency
from fogbank.cloud.rules import function_metrics as metrics
from fogbank.cloud.rules.function_concurrency import (
    Admission,
    Bucket,
    Demand,
    Rates,
    Throttle,
    admit,
    pool_size,
)
from fogbank.core.clock import Clock

log = logging.getLogger("fogbank.functions")

_ACCOUNT = ""
"""Key of the request rate that functions without a reservation share."""


@dataclass(frozen=True, slots=True)
class _Limits:
    """What the records say of concurrency.

    reserved:    names of the functions that have a reservation.
    provisioned: function -> executions that are provisioned for it.
    pool:        executions that the functions without a reservation share.
    """

    reserved: Set[str]
    provisioned: Mapping[str, int]
    pool: int


class Invoker:
    """Implements `ports.FunctionInvoker`."""

    def __init__(
        self,
        pool: Pool,
        records: Records,
        sink: MetricSink,
        clock: Clock,
        *,
        account_limit: int,
    ) -> None:
        self._pool = pool
        self._records = records
        self._sink = sink
        self._clock = clock
        self._account_limit = account_limit
        self._requests: dict[str, Bucket] = {}
        self._provisioned: dict[str, Bucket] = {}
        self._environments: dict[str, Bucket] = {}
        self._running: set[asyncio.Task[FunctionResult]] = set()
        self._limits: _Limits | None = None
        for kind in (Function, ProvisionedConcurrency):
            records.subscribe(kind, self._forget_limits)

    def concurrent_executions(self, function: str) -> int:
        """See `ports.FunctionInvoker`."""
        return self._pool.busy(function)

    async def call(self, call: FunctionCall) -> FunctionResult:
        """See `ports.FunctionInvoker`. A caller that goes away does not end the function."""
        function = self._records.get(Function, call.function)
        version = self._records.get(FunctionVersion, f"{call.function}:{call.version}")
        if function is None or version is None:
            raise LookupError(f"{call.function}:{call.version}")
        subject = metrics.Subject(call.function, call.qualifier, call.version)
        owner = self._owner(call)
        admission = self._admit(function, version, owner, subject)
        slot = self._slot(version, owner, admission)
        self._count_begin(function, subject, slot, admission)
        task = asyncio.create_task(
            self._run(function, call, slot, subject), name=f"call {call.request_id}"
        )
        self._running.add(task)
        task.add_done_callback(self._ended)
        return await asyncio.shield(task)

    def _ended(self, task: asyncio.Task[FunctionResult]) -> None:
        self._running.discard(task)
        if not task.cancelled() and task.exception() is not None:
            # Said here as well: the caller may have gone.
            log.warning("%s: %s", task.get_name(), task.exception())

    async def finish(self) -> None:
        """Wait for the calls that still run; the pool has ended their environments."""
        if self._running:
            await asyncio.wait(self._running)

    def _owner(self, call: FunctionCall) -> ProvisionedConcurrency | None:
        """What is provisioned for this call: for the alias that it names, else for its version."""
        for qualifier in (call.qualifier, call.version):
            key = f"{call.function}:{qualifier}"
            found = self._records.get(ProvisionedConcurrency, key) if qualifier else None
            if found is not None:
                return found
        return None

    def _admit(
        self,
        function: Function,
        version: FunctionVersion,
        owner: ProvisionedConcurrency | None,
        subject: metrics.Subject,
    ) -> Admission:
        name = function.name
        requests = _ACCOUNT if function.reserved_concurrency is None else name
        rates = Rates(
            self._requests.get(requests, Bucket()),
            self._provisioned.get(owner.key, Bucket()) if owner else Bucket(),
            self._environments.get(name, Bucket()),
        )
        demand = self._demand(function, version, owner)
        decision, after = admit(demand, rates, self._clock.monotonic_s())
        if isinstance(decision, Throttle):
            log.info("%s is throttled: %s: %s", name, decision.reason, decision.words)
            self._sink.record(metrics.NAMESPACE, metrics.throttled(subject, self._clock.now()))
            raise FunctionThrottled(decision.reason)
        self._requests[requests] = after.requests
        self._environments[name] = after.environments
        if owner is not None:
            self._provisioned[owner.key] = after.provisioned
        return decision

    def _demand(
        self,
        function: Function,
        version: FunctionVersion,
        owner: ProvisionedConcurrency | None,
    ) -> Demand:
        limits = self._known_limits()
        pool = self._pool
        return Demand(
            reserved=function.reserved_concurrency,
            provisioned=limits.provisioned.get(function.name, 0),
            on_demand=pool.on_demand_busy(function.name),
            pool=limits.pool,
            pool_used=self._unreserved(),
            units=0 if owner is None else owner.requested,
            idle_units=0 if owner is None else len(pool.find_free(version, owner.key)),
            idle=len(pool.find_free(version, None)),
            account_limit=self._account_limit,
        )

    def _known_limits(self) -> _Limits:
        """Worked out anew only when a record of them has changed: each call asks twice."""
        if self._limits is None:
            reserved = {
                one.name: one.reserved_concurrency
                for one in self._records.all(Function)
                if one.reserved_concurrency is not None
            }
            provisioned: Counter[str] = Counter()
            for one in self._records.all(ProvisionedConcurrency):
                provisioned[one.function] += one.requested
            unreserved = (num for name, num in provisioned.items() if name not in reserved)
            size = pool_size(self._account_limit, reserved.values(), unreserved)
            self._limits = _Limits(reserved.keys(), provisioned, size)
        return self._limits

    def _forget_limits(self, _: str) -> None:
        self._limits = None

    def _unreserved(self) -> int:
        names = self._pool.functions() - self._known_limits().reserved
        return sum(self._pool.on_demand_busy(name) for name in names)

    def _slot(
        self, version: FunctionVersion, owner: ProvisionedConcurrency | None, admission: Admission
    ) -> Slot:
        if admission.where == "cold":
            return self._pool.add(version, None, busy=True)
        key = owner.key if owner is not None and admission.where == "provisioned" else None
        # The one that was used last: those that are not needed any more become idle for long.
        slot = self._pool.find_free(version, key)[-1]
        slot.busy = True
        return slot

    async def _run(
        self, function: Function, call: FunctionCall, slot: Slot, subject: metrics.Subject
    ) -> FunctionResult:
        try:
            if slot.environment is None:
                await self._pool.fill(slot)
            environment = slot.environment
            assert environment is not None, "filled"
            outcome = await self._invoke(environment, function, call)
            # Before the slot is given away: the next call begins a tail of its own.
            tail = environment.log_tail
        except (EngineError, OSError) as error:
            raise FunctionUnavailable(str(error)) from error
        finally:
            self._pool.release(slot)
        self._sink.record(
            metrics.NAMESPACE,
            metrics.ended(
                subject,
                duration_ms=outcome.duration_ms,
                failed=outcome.failed,
                now=self._clock.now(),
            ),
        )
        return FunctionResult(outcome.payload, "Unhandled" if outcome.failed else None, tail)

    async def _invoke(
        self, environment: Environment, function: Function, call: FunctionCall
    ) -> Outcome:
        arn = f"{function.arn}:{call.qualifier}" if call.qualifier else function.arn

        def event(deadline_ms: int) -> Event:
            headers = {
                "Lambda-Runtime-Aws-Request-Id": call.request_id,
                "Lambda-Runtime-Deadline-Ms": str(deadline_ms),
                "Lambda-Runtime-Invoked-Function-Arn": arn,
                "Lambda-Runtime-Trace-Id": _trace_id(deadline_ms // 1000),
            }
            if call.client_context is not None:
                headers["Lambda-Runtime-Client-Context"] = _one_line(call.client_context)
            return Event(headers, call.payload)

        return await environment.invoke(call.request_id, event)

    def _count_begin(
        self, function: Function, subject: metrics.Subject, slot: Slot, admission: Admission
    ) -> None:
        now = self._clock.now()
        data = metrics.begun(
            subject,
            executions=self._pool.busy(function.name),
            account=self._pool.all_busy(),
            unreserved=None if function.reserved_concurrency is not None else self._unreserved(),
            now=now,
        )
        if slot.owner is not None:
            data += metrics.provisioned_used(subject, now)
            owned = self._pool.owned(slot.owner)
            data += metrics.provisioned_state(
                function.name,
                slot.owner.removeprefix(f"{function.name}:"),
                busy=sum(one.busy for one in owned),
                allocated=len(owned),
                now=now,
            )
        elif admission.spilled:
            data += metrics.spilled(subject, now)
        self._sink.record(metrics.NAMESPACE, data)


def _trace_id(epoch_s: int) -> str:
    """In X-Ray's form, not sampled: nothing is traced here."""
    return f"Root=1-{epoch_s:08x}-{secrets.token_hex(12)};Parent={secrets.token_hex(8)};Sampled=0"


def _one_line(client_context: str) -> str:
    """Fit for a header: JSON without line ends or other characters than ASCII."""
    try:
        return json.dumps(json.loads(client_context))
    except ValueError:  # the runtime says so to the caller
        return (
            client_context.encode("ascii", "replace").decode().replace("\r", "").replace("\n", "")
        )
