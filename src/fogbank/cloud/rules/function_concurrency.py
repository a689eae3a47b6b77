"""Who may run now: concurrency and rate limits of functions.

In: a call's `Demand` (what runs, what is configured) and the `Rates` of what came before. Out: an
`Admission` or a `Throttle`, each with its reason, and the rates after it. Sources: "Understanding
Lambda function scaling", "Lambda scaling behavior", "Configuring reserved concurrency" and
"Configuring provisioned concurrency" (Lambda Developer Guide); ThrottleReason (service model).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

REQUESTS_PER_EXECUTION = 10
"""Requests a second for each unit of concurrency, whatever they take."""

NEW_ENVIRONMENTS = 1000
SCALING_PERIOD_S = 10.0
"""A function gains at most so many environments in that time; what is not used is not saved up."""

ThrottleReason = Literal[
    "ConcurrentInvocationLimitExceeded",
    "FunctionInvocationRateLimitExceeded",
    "ReservedFunctionConcurrentInvocationLimitExceeded",
    "ReservedFunctionInvocationRateLimitExceeded",
]


@dataclass(frozen=True, slots=True)
class Bucket:
    """An allowance that is refilled continuously up to its size: `tokens` were left at `at_s`.

    A new one is full: `Bucket()`.
    """

    tokens: float = math.inf
    at_s: float = -math.inf

    def take(self, now_s: float, size: float, per_s: float) -> Bucket | None:
        """The bucket with one token less; None where there is none."""
        gained = 0.0 if math.isinf(self.at_s) else max(0.0, now_s - self.at_s) * per_s
        tokens = min(size, self.tokens + gained)
        return Bucket(tokens - 1, now_s) if tokens >= 1 else None


@dataclass(frozen=True, slots=True)
class Rates:
    """requests:    events of the function where it has a reservation, else of all that have none.
    provisioned:    events that the qualifier's provisioned environments took.
    environments:   environments that the function started.
    """

    requests: Bucket = Bucket()
    provisioned: Bucket = Bucket()
    environments: Bucket = Bucket()


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What a call meets.

    reserved:     the function's reserved concurrency; None: it shares the unreserved pool.
    provisioned:  provisioned environments asked for on all of the function's qualifiers.
    on_demand:    events of the function that run elsewhere than on those, now.
    pool:         how many events may run at once in the unreserved pool (`pool_size`).
    pool_used:    how many do.
    units:        provisioned environments asked for on what was called; 0: none configured.
    idle_units:   how many of them are initialised and free.
    idle:         other free environments of the version.
    account_limit: concurrent executions of the account.
    """

    reserved: int | None
    provisioned: int
    on_demand: int
    pool: int
    pool_used: int
    units: int
    idle_units: int
    idle: int
    account_limit: int


@dataclass(frozen=True, slots=True)
class Admission:
    """where: a provisioned environment, a free one of before (`warm`), or a new one (`cold`).
    spilled: provisioned concurrency is configured and did not suffice."""

    where: Literal["provisioned", "warm", "cold"]
    reason: str
    spilled: bool = False


@dataclass(frozen=True, slots=True)
class Throttle:
    """reason: AWS's word for the caller. words: for people."""

    reason: ThrottleReason
    words: str


def pool_size(
    account_limit: int, reserved: Iterable[int], provisioned_without_reservation: Iterable[int]
) -> int:
    """What is left for functions without a reservation: every reservation is taken out, and so is
    provisioned concurrency where no reservation covers it."""
    return max(0, account_limit - sum(reserved) - sum(provisioned_without_reservation))


def admit(demand: Demand, rates: Rates, now_s: float) -> tuple[Admission | Throttle, Rates]:
    """Decide on one event. A throttled one changes no rate: it took nothing.

    A free provisioned environment of the qualifier comes first. What spills over, and everything
    else, runs below the ceiling of reservation or pool, on a free environment before a new one.
    """
    if demand.reserved == 0:
        return _throttle("ReservedFunctionConcurrentInvocationLimitExceeded", "switched off"), rates
    requests = _take_request(demand, rates, now_s)
    if requests is None:
        return _rate_throttle(demand), rates
    after = replace(rates, requests=requests)
    if demand.idle_units:
        size = REQUESTS_PER_EXECUTION * demand.units
        provisioned = rates.provisioned.take(now_s, size, size)
        if provisioned is not None:
            after = replace(after, provisioned=provisioned)
            return Admission("provisioned", "a provisioned environment is free"), after
    refused = _ceiling(demand)
    if refused is not None:
        return refused, rates
    spilled = demand.units > 0
    if demand.idle:
        return Admission("warm", "an environment is free", spilled), after
    started = rates.environments.take(now_s, NEW_ENVIRONMENTS, NEW_ENVIRONMENTS / SCALING_PERIOD_S)
    if started is None:
        words = f"{NEW_ENVIRONMENTS} environments were started within {SCALING_PERIOD_S:g} s"
        return _throttle("ConcurrentInvocationLimitExceeded", words), rates
    return Admission("cold", "no environment is free", spilled), replace(
        after, environments=started
    )


def _take_request(demand: Demand, rates: Rates, now_s: float) -> Bucket | None:
    limit = demand.account_limit if demand.reserved is None else demand.reserved
    size = REQUESTS_PER_EXECUTION * limit
    return rates.requests.take(now_s, size, size)


def _rate_throttle(demand: Demand) -> Throttle:
    if demand.reserved is None:
        size = REQUESTS_PER_EXECUTION * demand.account_limit
        return _throttle("FunctionInvocationRateLimitExceeded", f"{size} requests a second")
    size = REQUESTS_PER_EXECUTION * demand.reserved
    return _throttle("ReservedFunctionInvocationRateLimitExceeded", f"{size} requests a second")


def _ceiling(demand: Demand) -> Throttle | None:
    if demand.reserved is None:
        if demand.pool_used < demand.pool:
            return None
        words = f"all {demand.pool} unreserved executions are in use"
        return _throttle("ConcurrentInvocationLimitExceeded", words)
    # Provisioned environments count against the reservation also while they wait.
    left = demand.reserved - demand.provisioned
    if demand.on_demand < left:
        return None
    words = f"{demand.reserved} reserved, {demand.provisioned} of them provisioned"
    return _throttle("ReservedFunctionConcurrentInvocationLimitExceeded", words)


def _throttle(reason: ThrottleReason, words: str) -> Throttle:
    return Throttle(reason, words)
