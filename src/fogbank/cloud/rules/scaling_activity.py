"""What scaling activities say: AWS's sentences, word for word from public records.

Source: Application Auto Scaling API Reference, ScalingActivity.
"""

from __future__ import annotations

from fogbank.cloud.records.scaling import ActivityStatus
from fogbank.cloud.rules.scalable import Scalable

ATTEMPT = "Attempting to scale due to alarm triggered"
"""Description of an activity that changed nothing."""

Outcome = tuple[ActivityStatus, str]
"""(StatusCode, StatusMessage)"""


def description(kind: Scalable, desired: int) -> str:
    return f"Setting {kind.capacity} to {desired}."


def cause(alarm: str, policy: str) -> str:
    return f"monitor alarm {alarm} in state ALARM triggered policy {policy}"


def bound_was_set(capacity: int, *, is_minimum: bool) -> str:
    return f"{'minimum' if is_minimum else 'maximum'} capacity was set to {capacity}"


def waiting(kind: Scalable, desired: int) -> str:
    return (
        f"Successfully set {kind.capacity} to {desired}. Waiting for change to be fulfilled by "
        f"{kind.namespace}."
    )


def fulfilled(kind: Scalable, desired: int) -> Outcome:
    return "Successful", (
        f"Successfully set {kind.capacity} to {desired}. Change successfully fulfilled by "
        f"{kind.namespace}."
    )


def failed(kind: Scalable, desired: int, reason: str) -> Outcome:
    return "Failed", f"Failed to set {kind.capacity} to {desired}. Reason: {reason}"


def refusal(kind: Scalable, code: str, message: str) -> str:
    """Why the service would not change its capacity; a request id and a bracket come behind."""
    service = {"sagemaker": "AmazonSageMaker", "lambda": "AWSLambda"}[kind.namespace]
    return f"{message} (Service: {service}; Status Code: 400; Error Code: {code}"


def unfulfilled(kind: Scalable, desired: int, actual: int) -> Outcome:
    """The service took the change and let it go, as it does without capacity."""
    return "Unfulfilled", (
        f"Successfully set {kind.capacity} to {desired}. The change was not fulfilled by "
        f"{kind.namespace}: it is {actual}."
    )


def overridden(kind: Scalable, desired: int, instead: int) -> Outcome:
    return "Overridden", (
        f"Successfully set {kind.capacity} to {desired}. It was changed to {instead} before the "
        f"change was fulfilled by {kind.namespace}."
    )
