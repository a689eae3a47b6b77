"""Do the steps of a plan, in order: the only writes.

Comes in: steps and the world. Goes out: nothing but what is then true. A step that fails stops
the rest; what was done stays done, and the next plan begins where this one ended.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from fogbank.aws import explained
from fogbank.ops.kinds import (
    alias,
    bucket,
    code,
    data,
    endpoint,
    endpoint_config,
    function,
    function_url,
    log_group,
    model,
    provisioned_concurrency,
    reserved_concurrency,
    role,
    scaling,
    training_job,
    tuning_job,
)
from fogbank.ops.step import Kind, Step
from fogbank.ops.world import Interrupted, World

_APPLY: Mapping[Kind, Callable[[World, Step], None]] = {
    "bucket": bucket.apply,
    "data": data.apply,
    "role": role.apply,
    "code": code.apply,
    "tuning-job": tuning_job.apply,
    "training-job": training_job.apply,
    "model": model.apply,
    "endpoint-config": endpoint_config.apply,
    "endpoint": endpoint.apply,
    "scaling": scaling.apply,
    "log-group": log_group.apply,
    "function": function.apply,
    "alias": alias.apply,
    "reserved-concurrency": reserved_concurrency.apply,
    "provisioned-concurrency": provisioned_concurrency.apply,
    "function-url": function_url.apply,
}


def apply(world: World, steps: Sequence[Step]) -> None:
    """Do every step.

    Raises:
        WorldError: AWS refused, or did not answer.
        CloudFailure: a training job, a tuning job or an endpoint failed in the cloud.
        Interrupted: the person pressed Ctrl-C; what runs in the cloud goes on.
    """
    for position, step in enumerate(steps):
        started_s = world.clock.monotonic_s()
        world.progress.begin(step)
        try:
            with explained(step.message, world.aws.url):
                _APPLY[step.kind](world, step)
        except KeyboardInterrupt:
            raise Interrupted(_interruption(step, steps[position + 1 :])) from None
        world.progress.end(step, world.clock.monotonic_s() - started_s)


def _interruption(step: Step, rest: Sequence[Step]) -> str:
    going_on = f"; {step.if_interrupted}" if step.if_interrupted else ""
    left = f" {len(rest)} more steps were left." if rest else ""
    return (
        f"interrupted while trying to {step.message}{going_on}.{left} Give the same command again "
        "to go on from here, or `fogbank down` to take everything down."
    )
