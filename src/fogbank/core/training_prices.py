"""What SageMaker asks for training on an instance type: facts, and the cost of a job. Pure.

The table is `training_prices.csv` beside this file, on-demand prices of REGION. Its columns are
those of `TrainingPrice`. Source of the rule: SageMaker pricing page, training is billed by the
second for each instance (BillableTimeInSeconds, API reference, DescribeTrainingJob).
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Literal

REGION = "us-east-1"

Status = Literal["listed", "derived"]
"""listed:  in AWS's own price list, for training.
derived:    not found there for training; from the price of hosting (where both are listed they are
            equal) or of EC2 (SageMaker asks 1.2 times as much for CPU families, in every listed
            pair)."""


@dataclass(frozen=True, kw_only=True)
class TrainingPrice:
    """as_of:  day of the price list, ISO 8601; empty where the source has none.
    source: where the number is from.
    """

    instance_type: str
    usd_per_hour: float
    as_of: str
    status: Status
    source: str

    def __str__(self) -> str:
        """0.23 USD an hour in us-east-1, price list of 2026-09-24"""
        kind = (
            f"price list of {self.as_of}" if self.status == "listed" else f"derived, {self.source}"
        )
        return f"{self.usd_per_hour:g} USD an hour in {REGION}, {kind}"


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What `instance_s` seconds of one instance cost on AWS. price: None where it is unknown."""

    instance_type: str
    instance_s: float
    price: TrainingPrice | None

    @property
    def usd(self) -> float | None:
        """None where the price is unknown: that is not nothing."""
        if self.price is None:
            return None
        return self.instance_s / 3600 * self.price.usd_per_hour

    def __str__(self) -> str:
        if self.price is None or self.usd is None:
            return f"an unknown amount on AWS (there is no price of {self.instance_type} here)"
        about = "" if self.price.status == "listed" else "about "
        return f"{about}{_amount(self.usd)} on AWS ({self.price})"


def _amount(usd: float) -> str:
    """Rehearsals take seconds, which cost less than a cent: 24 s of ml.m5.xlarge, 0.0015 USD."""
    if usd >= 1:
        return f"{usd:,.2f} USD"
    return f"{usd:.4f} USD" if usd >= 0.0001 else "less than 0.0001 USD"


def training_cost(instance_type: str, *, billable_s: float, num_instances: int = 1) -> Cost:
    """Of a job: each of its instances is paid for as long as the job trains.

    billable_s: BillableTimeInSeconds.
    """
    return Cost(
        instance_type=instance_type,
        instance_s=billable_s * num_instances,
        price=training_prices().get(instance_type),
    )


@cache
def training_prices() -> Mapping[str, TrainingPrice]:
    """Instance type -> its price. A type that is not there has a price that nobody looked up."""
    text = files("fogbank.core").joinpath("training_prices.csv").read_text("utf-8")
    found = [_price(row) for row in csv.DictReader(text.splitlines())]
    return {price.instance_type: price for price in found}


def _price(row: Mapping[str, str]) -> TrainingPrice:
    status = row["status"]
    assert status in ("listed", "derived"), f"{status} of {row['instance_type']} is no status"
    return TrainingPrice(
        instance_type=row["instance_type"],
        usd_per_hour=float(row["usd_per_hour"]),
        as_of=row["as_of"],
        status="listed" if status == "listed" else "derived",
        source=row["source"],
    )
