"""What SageMaker asks for an endpoint's instances, as far as it is known here. Pure.

There is no price list of hosting here: where AWS's own lists have a type for training and for
hosting, both prices are equal, so that of training is taken and said to be that. Source of the
rule: SageMaker pricing page, an endpoint is paid for each instance and second that it exists.
"""

from __future__ import annotations

from dataclasses import dataclass

from fogbank.core.training_prices import TrainingPrice, training_prices


@dataclass(frozen=True, kw_only=True)
class HostingPrice:
    """Of one instance. as_training: where the number is from."""

    as_training: TrainingPrice

    @property
    def usd_per_hour(self) -> float:
        return self.as_training.usd_per_hour

    def __str__(self) -> str:
        """about 0.23 USD an hour in us-east-1, price list of 2026-09-24, as for training"""
        return f"about {self.as_training}, as for training"


def hosting_price(instance_type: str) -> HostingPrice | None:
    """None where it is unknown: that is not nothing."""
    found = training_prices().get(instance_type)
    return None if found is None else HostingPrice(as_training=found)
