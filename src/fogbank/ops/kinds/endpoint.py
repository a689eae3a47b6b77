"""The endpoint: one a project, of the project's name; it is updated to a new configuration while
the old one goes on serving.

States (API reference, DescribeEndpoint): Creating, Updating, SystemUpdating, RollingBack pass by
themselves; InService serves; Failed can only be deleted; Deleting goes away; OutOfService and
UpdateRollbackFailed need to be looked at.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fogbank.aws import Aws, existing
from fogbank.ops.container_log import ContainerLog, endpoint_group
from fogbank.ops.kinds.training_job import NUM_LAST_LINES, failure
from fogbank.ops.names import PROJECT_TAG, Names
from fogbank.ops.step import Step
from fogbank.ops.world import CloudFailure, World

POLL_S = 0.5

PASSING = ("Creating", "Updating", "SystemUpdating", "RollingBack")


@dataclass(frozen=True, kw_only=True)
class Desired:
    name: str
    config_name: str
    tags: list[dict[str, str]]
    keep_counts: bool = False
    """Whether an update leaves the number of instances as it is: auto scaling has chosen it."""
    deployment_config: Mapping[str, Any] | None = None
    """How an update moves the traffic; None: all at once."""


@dataclass(frozen=True, kw_only=True)
class Found:
    name: str
    status: str
    config_name: str
    """The configuration that serves, or is on its way to."""
    reason: str = ""
    """Why it failed."""


def desired(
    names: Names,
    config_name: str,
    *,
    keep_counts: bool = False,
    deployment_config: Mapping[str, Any] | None = None,
) -> Desired:
    return Desired(
        name=names.endpoint,
        config_name=config_name,
        tags=names.tags,
        keep_counts=keep_counts,
        deployment_config=deployment_config,
    )


def observe(aws: Aws, name: str) -> Found | None:
    endpoint = existing(aws.sagemaker.describe_endpoint, EndpointName=name)
    if endpoint is None:
        return None
    pending = endpoint.get("PendingDeploymentSummary", {})
    return Found(
        name=name,
        status=endpoint["EndpointStatus"],
        config_name=pending.get("EndpointConfigName", endpoint["EndpointConfigName"]),
        reason=endpoint.get("FailureReason", ""),
    )


def diff(desired: Desired, found: Found | None) -> list[Step]:
    if found is None:
        return [_create(desired, "it does not exist"), _wait(desired, "it is being created")]
    if found.status == "Deleting":
        return [
            _delete(found, "it is already being deleted"),
            _create(desired, "it is being deleted"),
            _wait(desired, "it is being created"),
        ]
    if found.status in PASSING:
        if found.config_name == desired.config_name:
            return [_wait(desired, f"it is {found.status}")]
        return [
            _wait_for(found.name, found.config_name, f"it is {found.status}"),
            _update(desired, found),
            _wait(desired, "it is being updated"),
        ]
    if found.status != "InService":
        words = found.reason.strip().splitlines()
        reason = f"it is {found.status}" + (f": {words[0]}" if words else "")
        return [
            _delete(found, reason),
            _create(desired, "the failed one has been deleted"),
            _wait(desired, "it is being created"),
        ]
    if found.config_name == desired.config_name:
        return []
    return [_update(desired, found), _wait(desired, "it is being updated")]


def _create(desired: Desired, reason: str) -> Step:
    return Step(
        kind="endpoint",
        verb="create",
        name=desired.name,
        message=f"create the endpoint {desired.name}",
        reason=reason,
        request={
            "EndpointName": desired.name,
            "EndpointConfigName": desired.config_name,
            "Tags": desired.tags,
        },
    )


def _update(desired: Desired, found: Found) -> Step:
    return Step(
        kind="endpoint",
        verb="update",
        name=desired.name,
        message=f"update the endpoint {desired.name} to {desired.config_name}",
        reason=f"it serves {found.config_name}",
        request={
            "EndpointName": desired.name,
            "EndpointConfigName": desired.config_name,
            **({"RetainAllVariantProperties": True} if desired.keep_counts else {}),
            **({"DeploymentConfig": config} if (config := desired.deployment_config) else {}),
        },
    )


def _wait(desired: Desired, reason: str) -> Step:
    return _wait_for(desired.name, desired.config_name, reason)


def _wait_for(name: str, config_name: str, reason: str) -> Step:
    return Step(
        kind="endpoint",
        verb="wait",
        name=name,
        message=f"wait until the endpoint {name} serves",
        reason=reason,
        request={"config_name": config_name},
        if_interrupted=f"the endpoint {name} goes on starting in the cloud",
    )


def _delete(found: Found, reason: str) -> Step:
    return Step(
        kind="endpoint",
        verb="delete",
        name=found.name,
        message=f"delete the endpoint {found.name}",
        reason=reason,
        if_interrupted=f"the endpoint {found.name} goes on being deleted",
    )


def remove(name: str) -> list[Step]:
    return [
        _delete(Found(name=name, status="", config_name=""), f"it carries the tag {PROJECT_TAG}")
    ]


def apply(world: World, step: Step) -> None:
    match step.verb:
        case "create":
            world.aws.sagemaker.create_endpoint(**step.request)
        case "update":
            world.aws.sagemaker.update_endpoint(**step.request)
        case "wait":
            _wait_until_it_serves(world, step.name, step.request)
        case "delete":
            _delete_and_wait(world, step.name)
        case _:
            raise AssertionError(f"no way to {step.verb} an endpoint")


def _wait_until_it_serves(world: World, name: str, request: Mapping[str, Any]) -> None:
    """Raises CloudFailure where it ends in another state, or serves another configuration."""
    while True:
        endpoint = world.aws.sagemaker.describe_endpoint(EndpointName=name)
        status, serving = endpoint["EndpointStatus"], endpoint["EndpointConfigName"]
        world.progress.status(_stage(endpoint))
        if status == "InService" and serving == request["config_name"]:
            return
        if status not in PASSING:
            what = (
                f"the update of the endpoint {name} failed, it goes on serving {serving}"
                if status == "InService"
                else f"the endpoint {name} is {status}"
            )
            log = ContainerLog(world.aws, endpoint_group(name))
            raise CloudFailure(
                failure(
                    what,
                    endpoint.get("FailureReason", ""),
                    log.last_lines(NUM_LAST_LINES),
                    f"The whole log is in {endpoint_group(name)}. Correct what it says, mostly "
                    "inference.py, and give the command again.",
                )
            )
        world.pause(POLL_S)


def _stage(endpoint: Mapping[str, Any]) -> str:
    """Its status, and what an update does at the moment: Updating, Baking."""
    summary = endpoint.get("PendingDeploymentSummary", {})
    stages = {
        status["Status"]
        for variant in summary.get("ProductionVariants", ())
        for status in variant.get("VariantStatus", ())
    }
    return ", ".join((endpoint["EndpointStatus"], *sorted(stages)))


def _delete_and_wait(world: World, name: str) -> None:
    """An endpoint that is on its way cannot be deleted: wait for where it ends first."""
    asked = False
    while (found := observe(world.aws, name)) is not None:
        world.progress.status(found.status)
        if not asked and found.status not in (*PASSING, "Deleting"):
            world.aws.sagemaker.delete_endpoint(EndpointName=name)
            asked = True
        world.pause(POLL_S)
