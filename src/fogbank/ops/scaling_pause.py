"""An endpoint that does not scale for a while: who measures one instance wants no second one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from fogbank.aws import Aws, explained
from fogbank.ops.kinds.scaling import DIMENSION, NAMESPACE, Found, resource_id

_SUSPENDED = {
    "DynamicScalingInSuspended": True,
    "DynamicScalingOutSuspended": True,
    "ScheduledScalingSuspended": True,
}


@contextmanager
def scaling_paused(aws: Aws, found: Found | None) -> Iterator[None]:
    """Suspends the scaling of a variant, and lets it go on as it was afterwards. found: None where
    it is not scaled. Where this process is killed, it stays suspended: `fogbank scale show` says
    so, and `fogbank up` and `fogbank scale set` end it."""
    if found is None:
        yield
        return
    client = aws.client("application-autoscaling")
    target = {
        "ServiceNamespace": NAMESPACE,
        "ResourceId": resource_id(found.endpoint),
        "ScalableDimension": DIMENSION,
    }
    with explained(f"suspend the scaling of {found.endpoint}", aws.url):
        client.register_scalable_target(**target, SuspendedState=_SUSPENDED)
    try:
        yield
    finally:
        with explained(f"let {found.endpoint} scale again", aws.url):
            before = {name: name in found.suspended for name in _SUSPENDED}
            client.register_scalable_target(**target, SuspendedState=before)
