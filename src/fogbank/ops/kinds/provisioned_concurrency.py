"""Provisioned concurrency: environments of the alias that are started before anybody calls.

Source: Lambda Developer Guide, "Configuring provisioned concurrency"; API reference,
PutProvisionedConcurrencyConfig: IN_PROGRESS becomes READY, or FAILED with a reason.
"""

from __future__ import annotations

from dataclasses import dataclass

from fogbank.aws import Aws, existing
from fogbank.ops.names import ALIAS, Names
from fogbank.ops.spec_function import Function
from fogbank.ops.step import Step
from fogbank.ops.world import CloudFailure, World

POLL_S = 0.5


@dataclass(frozen=True, kw_only=True)
class Desired:
    function: str
    executions: int


@dataclass(frozen=True, kw_only=True)
class Found:
    requested: int
    available: int
    """Of them, those that wait for an event."""
    allocated: int
    """Those that are started."""
    status: str
    """IN_PROGRESS, READY or FAILED."""
    reason: str = ""


def desired(function: Function, names: Names) -> Desired:
    return Desired(function=names.function, executions=function.provisioned_concurrency)


def observe(aws: Aws, function_name: str) -> Found | None:
    answer = existing(
        aws.lambda_.get_provisioned_concurrency_config,
        FunctionName=function_name,
        Qualifier=ALIAS,
    )
    if answer is None:
        return None
    return Found(
        requested=answer["RequestedProvisionedConcurrentExecutions"],
        available=answer.get("AvailableProvisionedConcurrentExecutions", 0),
        allocated=answer.get("AllocatedProvisionedConcurrentExecutions", 0),
        status=answer["Status"],
        reason=answer.get("StatusReason", ""),
    )


def diff(desired: Desired, found: Found | None, *, alias_moves: bool) -> list[Step]:
    """alias_moves: the alias goes on to a new version, whose environments have to be started."""
    if desired.executions == 0:
        return [] if found is None else [_delete(desired)]
    if found is None:
        return [_put(desired, "nothing is provisioned"), _wait(desired, "they are being started")]
    if found.requested != desired.executions:
        return [
            _put(desired, f"{found.requested} are provisioned"),
            _wait(desired, "they are being started"),
        ]
    if found.status == "FAILED":
        return [
            _put(desired, f"they could not be started: {found.reason}"),
            _wait(desired, "they are being started"),
        ]
    if alias_moves:
        return [_wait(desired, "those of the new version are being started")]
    if found.status == "IN_PROGRESS":
        return [_wait(desired, "they are being started")]
    return []


def is_less(desired: Desired, found: Found | None) -> bool:
    """Whether some are given back: that has to happen before a reservation shrinks, all else only
    after it has grown."""
    return found is not None and desired.executions < found.requested


def _put(desired: Desired, reason: str) -> Step:
    return Step(
        kind="provisioned-concurrency",
        verb="update",
        name=desired.function,
        message=f"provision {desired.executions} environments for {desired.function}:{ALIAS}",
        reason=reason,
        request={"executions": desired.executions},
    )


def _wait(desired: Desired, reason: str) -> Step:
    return Step(
        kind="provisioned-concurrency",
        verb="wait",
        name=desired.function,
        message=f"wait until {desired.function} has {desired.executions} environments ready",
        reason=reason,
        if_interrupted="the environments go on starting in the cloud",
    )


def _delete(desired: Desired) -> Step:
    return Step(
        kind="provisioned-concurrency",
        verb="delete",
        name=desired.function,
        message=f"give the provisioned concurrency of {desired.function} back",
        reason="fogbank.yaml asks for none",
    )


def apply(world: World, step: Step) -> None:
    client = world.aws.lambda_
    match step.verb:
        case "update":
            client.put_provisioned_concurrency_config(
                FunctionName=step.name,
                Qualifier=ALIAS,
                ProvisionedConcurrentExecutions=step.request["executions"],
            )
        case "wait":
            _wait_until_ready(world, step.name)
        case "delete":
            client.delete_provisioned_concurrency_config(FunctionName=step.name, Qualifier=ALIAS)
        case _:
            raise AssertionError(f"no way to {step.verb} provisioned concurrency")


def _wait_until_ready(world: World, name: str) -> None:
    while True:
        found = observe(world.aws, name)
        if found is None or found.status == "FAILED":
            why = found.reason if found else "it has been given back"
            raise CloudFailure(
                f"the environments of the function {name} could not be started: {why}. "
                "`fogbank function logs` has what the function said."
            )
        if found.status == "READY":
            return
        world.progress.status(f"{found.allocated} of {found.requested} started")
        world.pause(POLL_S)
