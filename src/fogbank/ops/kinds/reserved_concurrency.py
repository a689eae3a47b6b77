"""Reserved concurrency: executions at once that are the function's own, and its ceiling.

Source: Lambda Developer Guide, "Configuring reserved concurrency"; that nothing can be reserved in
accounts with a limit of 10 is a public record of many.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fogbank.aws import Aws, existing
from fogbank.ops.names import Names
from fogbank.ops.spec_function import Function
from fogbank.ops.step import Step
from fogbank.ops.world import World

_UNRESERVED_MINIMUM = 100


@dataclass(frozen=True, kw_only=True)
class Desired:
    function: str
    executions: int | None


@dataclass(frozen=True, kw_only=True)
class Account:
    """What the account allows in this region, all functions together."""

    limit: int
    unreserved: int
    """Of it, what no function has reserved."""

    @property
    def unreserved_minimum(self) -> int:
        """So much has to stay unreserved."""
        return min(_UNRESERVED_MINIMUM, self.limit)


def desired(function: Function, names: Names) -> Desired:
    return Desired(function=names.function, executions=function.reserved_concurrency)


def observe(aws: Aws, function_name: str) -> int | None:
    answer = existing(aws.lambda_.get_function_concurrency, FunctionName=function_name)
    return answer.get("ReservedConcurrentExecutions") if answer else None


def observe_account(aws: Aws) -> Account:
    limits: Mapping[str, Any] = aws.lambda_.get_account_settings()["AccountLimit"]
    return Account(
        limit=limits["ConcurrentExecutions"], unreserved=limits["UnreservedConcurrentExecutions"]
    )


def obstacle(desired: Desired, found: int | None, account: Account) -> str | None:
    """Why Lambda would refuse the reservation, and what to do; None where it would not."""
    if desired.executions is None or desired.executions == found:
        return None
    available = account.unreserved + (found or 0) - account.unreserved_minimum
    if desired.executions <= max(0, available):
        return None
    free = f"at most {available} can be reserved" if available > 0 else "nothing can be reserved"
    return (
        f"function.reserved_concurrency: {desired.executions} executions cannot be reserved. The "
        f"account may run {account.limit} at once, {account.unreserved_minimum} of which have to "
        f"stay unreserved, so {free}. Leave reserved_concurrency out, or have the quota "
        '"Concurrent executions" of Lambda raised.'
    )


def diff(desired: Desired, found: int | None) -> list[Step]:
    if desired.executions == found:
        return []
    was = "nothing is reserved" if found is None else f"{found} are reserved"
    if desired.executions is None:
        return [
            Step(
                kind="reserved-concurrency",
                verb="delete",
                name=desired.function,
                message=f"give the reserved concurrency of {desired.function} back",
                reason=was,
            )
        ]
    return [
        Step(
            kind="reserved-concurrency",
            verb="update",
            name=desired.function,
            message=f"reserve {desired.executions} executions for {desired.function}",
            reason=was,
            request={"executions": desired.executions},
        )
    ]


def apply(world: World, step: Step) -> None:
    client = world.aws.lambda_
    match step.verb:
        case "update":
            client.put_function_concurrency(
                FunctionName=step.name, ReservedConcurrentExecutions=step.request["executions"]
            )
        case "delete":
            client.delete_function_concurrency(FunctionName=step.name)
        case _:
            raise AssertionError(f"no way to {step.verb} reserved concurrency")
