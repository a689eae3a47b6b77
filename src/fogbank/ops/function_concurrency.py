"""How many events the function may take at once, how many it takes, and what a person should know
about that.

`observe_concurrency` reads; `remarks` is pure. Source: Lambda Developer Guide, "Understanding
Lambda function scaling" and "Configuring provisioned concurrency".
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from fogbank.aws import Aws, explained
from fogbank.ops import fronting
from fogbank.ops.kinds.provisioned_concurrency import Found as Provisioned
from fogbank.ops.kinds.reserved_concurrency import Account
from fogbank.ops.names import ALIAS, Names
from fogbank.ops.spec import Spec

_RUNNING_WINDOW = timedelta(minutes=3)
_THROTTLES_WINDOW = timedelta(hours=1)

REQUESTS_PER_SECOND = 10
"""What one environment is allowed, however short its calls are."""

_SLOW_MEMORY_MB = 256
_ENDPOINT_LIMIT_S = 60


@dataclass(frozen=True, kw_only=True)
class Concurrency:
    """The figures of one function and its account."""

    function: str
    account: Account
    reserved: int | None
    provisioned: Provisioned | None
    running: int | None
    """Most at once within the last minute that there is a figure of; None without any."""
    throttles: int
    """Within the last hour."""

    def to_json(self) -> dict[str, Any]:
        provisioned = self.provisioned
        return {
            "function": self.function,
            "account_limit": self.account.limit,
            "unreserved": self.account.unreserved,
            "unreserved_minimum": self.account.unreserved_minimum,
            "reserved": self.reserved,
            "provisioned": {
                "alias": ALIAS,
                "requested": provisioned.requested,
                "allocated": provisioned.allocated,
                "available": provisioned.available,
                "status": provisioned.status,
            }
            if provisioned
            else None,
            "running": self.running,
            "throttles_last_hour": self.throttles,
        }


def observe_concurrency(aws: Aws, names: Names, now: datetime) -> Concurrency | None:
    """None where there is no function."""
    with explained(f"look at the concurrency of {names.function}", aws.url):
        found = fronting.observe(aws, names)
        if found.function is None:
            return None
        running = _metric(aws, names, "ConcurrentExecutions", "Maximum", now, _RUNNING_WINDOW)
        throttles = _metric(aws, names, "Throttles", "Sum", now, _THROTTLES_WINDOW)
    return Concurrency(
        function=names.function,
        account=found.account,
        reserved=found.reserved,
        provisioned=found.provisioned,
        running=round(running[-1]) if running else None,
        throttles=round(sum(throttles)),
    )


def _metric(
    aws: Aws,
    names: Names,
    name: str,
    statistic: Literal["Maximum", "Sum"],
    now: datetime,
    window: timedelta,
) -> list[float]:
    """A minute each, the oldest first."""
    answer = aws.cloudwatch.get_metric_statistics(
        Namespace="AWS/Lambda",
        MetricName=name,
        Dimensions=[{"Name": "FunctionName", "Value": names.function}],
        StartTime=now - window,
        EndTime=now + timedelta(minutes=1),
        Period=60,
        Statistics=[statistic],
    )
    points = sorted(answer["Datapoints"], key=lambda point: point["Timestamp"])
    return [point[statistic] for point in points]


def remarks(found: Concurrency, spec: Spec) -> list[str]:
    """What is likely to surprise, with what to do about it."""
    said = []
    account, reserved, provisioned = found.account, found.reserved, found.provisioned
    if account.limit <= account.unreserved_minimum:
        said.append(
            f"The account may run {account.limit} executions at once, all of which have to stay "
            'unreserved: nothing can be reserved. Have the quota "Concurrent executions" raised.'
        )
    if reserved == 0:
        said.append("Nothing is run: 0 executions are reserved, which switches the function off.")
    if reserved is None:
        said.append(
            "Nothing is reserved: a flood of calls may take all that the account has, and other "
            "functions may leave nothing for this one."
        )
    if provisioned is not None:
        said.append(
            f"Only callers of {found.function}:{ALIAS} reach the provisioned environments; who "
            f"calls {found.function} alone always starts cold."
        )
        rate = provisioned.requested * REQUESTS_PER_SECOND
        said.append(
            f"{provisioned.requested} provisioned environments take {rate} requests per second at "
            "most, however short they are; beyond that, calls go on to others that start cold."
        )
        if reserved is not None and provisioned.requested == reserved:
            said.append(
                "All that is reserved is provisioned: calls that spill over, and those of "
                "$LATEST, are throttled."
            )
    capacity = spec.endpoint.instance_count
    if reserved is not None and 0 < reserved < capacity:
        said.append(
            f"The endpoint has {capacity} instances, but at most {reserved} calls reach it at "
            "once: some of them do nothing."
        )
    if spec.function is not None:
        if spec.function.memory_mb < _SLOW_MEMORY_MB:
            share = spec.function.memory_mb / 1769
            said.append(
                f"{spec.function.memory_mb} MB bring {share:.0%} of a processor: starting boto3 "
                "alone takes seconds. Raise function.memory_mb."
            )
        if spec.function.timeout_s <= _ENDPOINT_LIMIT_S:
            said.append(
                f"function.timeout_s is {spec.function.timeout_s}, but the endpoint has "
                f"{_ENDPOINT_LIMIT_S} s for an answer: a slow call is cut off, not answered (504)."
            )
    if found.throttles:
        said.append(f"{found.throttles} calls were throttled within the last hour.")
    return said
