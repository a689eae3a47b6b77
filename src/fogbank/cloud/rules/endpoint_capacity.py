"""Changing how many instances a variant has: (endpoint, wanted counts, now) -> the new record.

UpdateEndpointWeightsAndCapacities and auto scaling change it in the same way.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from fogbank.cloud.errors import ValidationException
from fogbank.cloud.records.hosting import Endpoint, Variant


@dataclass(frozen=True, slots=True)
class Wanted:
    """None leaves as it is."""

    count: int | None = None
    weight: float | None = None


def resize(endpoint: Endpoint, wanted: Mapping[str, Wanted], now: datetime) -> Endpoint:
    """The endpoint on its way to those counts and weights, by names of variants.

    Raises ValidationException for a variant that it does not have, and for a count below 1.
    """
    unknown = wanted.keys() - {variant.name for variant in endpoint.variants}
    if unknown:
        raise ValidationException(
            f'Could not find variant(s) {", ".join(sorted(unknown))} in endpoint "{endpoint.arn}".'
        )
    return replace(
        endpoint,
        status="Updating",
        modified=now,
        variants=tuple(
            _resized(variant, wanted.get(variant.name, Wanted())) for variant in endpoint.variants
        ),
        pending_since=now,
        failure_reason=None,
    )


def _resized(variant: Variant, wanted: Wanted) -> Variant:
    count = variant.desired_count if wanted.count is None else wanted.count
    if count < 1:
        raise ValidationException(
            f"DesiredInstanceCount of variant {variant.name} must be at least 1."
        )
    weight = variant.desired_weight if wanted.weight is None else wanted.weight
    return replace(variant, desired_count=count, desired_weight=weight, current_weight=weight)
