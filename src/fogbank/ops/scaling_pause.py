"""An endpoint that does not scale for a while: who measures one instance wants no second one.

Comes in: how its scaling stands. Goes out: calls of Application Auto Scaling. A tag on the scalable
target says that the pause is ours and what was suspended before it, so that a pause whose process
was killed can be ended, and what somebody suspended on purpose is left as it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from fogbank.aws import Aws, explained
from fogbank.ops.scalable_variant import variant_key

if TYPE_CHECKING:
    from fogbank.ops.kinds.scaling import Found

PAUSE_TAG = "fogbank:suspended-before-measure"
"""Its value: what was suspended already, names with a space between them."""

SUSPENSIONS = (
    "DynamicScalingInSuspended",
    "DynamicScalingOutSuspended",
    "ScheduledScalingSuspended",
)


def before_pause(tags: Mapping[str, str]) -> tuple[str, ...] | None:
    """What a pause found suspended; None where there is no pause."""
    return tuple(tags[PAUSE_TAG].split()) if PAUSE_TAG in tags else None


def end_pause(aws: Aws, endpoint: str, target_arn: str, before: Sequence[str]) -> None:
    """Scaling goes on, but for what was suspended before. The tag goes last: who is killed in
    between leaves a pause that is ended again."""
    client = aws.client("application-autoscaling")
    client.register_scalable_target(
        **variant_key(endpoint), SuspendedState={name: name in before for name in SUSPENSIONS}
    )
    client.untag_resource(ResourceARN=target_arn, TagKeys=[PAUSE_TAG])


@contextmanager
def scaling_paused(aws: Aws, found: Found | None) -> Iterator[None]:
    """Suspends the scaling of a variant, and lets it go on as it was afterwards. found: None where
    it is not scaled. Where this process is killed it stays suspended: `fogbank scale show` says so,
    and the next plan that touches the scaling, or the next pause, ends it."""
    if found is None:
        yield
        return
    client = aws.client("application-autoscaling")
    before = found.suspended if found.before_pause is None else found.before_pause
    with explained(f"suspend the scaling of {found.endpoint}", aws.url):
        # The tag comes first: nothing is ever suspended by us without saying so.
        client.tag_resource(ResourceARN=found.target_arn, Tags={PAUSE_TAG: " ".join(before)})
        client.register_scalable_target(
            **variant_key(found.endpoint), SuspendedState=dict.fromkeys(SUSPENSIONS, True)
        )
    try:
        yield
    finally:
        with explained(f"let {found.endpoint} scale again", aws.url):
            end_pause(aws, found.endpoint, found.target_arn, before)
