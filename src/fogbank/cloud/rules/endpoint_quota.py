"""How many instances the account may have behind endpoints: (endpoints, a changed one) -> yes or
ResourceLimitExceeded.

AWS's default quotas differ by account and are 0 for many types in new ones, so there is none here
unless it is set. Source: AWS General Reference, "Amazon SageMaker AI endpoints and quotas".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from fogbank.cloud.errors import ServiceError
from fogbank.cloud.records.hosting import Endpoint


@dataclass(frozen=True, slots=True)
class InstanceCounts:
    """Instances by type. others: of each type that is not named; None: any number."""

    by_type: Mapping[str, int] = field(default_factory=dict)
    others: int | None = None

    def of(self, instance_type: str) -> int | None:
        return self.by_type.get(instance_type, self.others)

    @classmethod
    def parse(cls, text: str) -> InstanceCounts:
        """`ml.m5.large=4,*=20`; an empty text is no limit. Raises ValueError."""
        counts: dict[str, int] = {}
        for part in filter(None, (part.strip() for part in text.split(","))):
            name, _, number = (each.strip() for each in part.partition("="))
            if not (name == "*" or name.startswith("ml.")):
                raise ValueError(
                    f"{part!r} does not begin with an instance type such as ml.m5.large"
                )
            if not (number.isascii() and number.isdigit()):
                raise ValueError(f"{part!r} does not end with a whole number of instances")
            if name in counts:
                raise ValueError(f"{name} is given twice")
            counts[name] = int(number)
        others = counts.pop("*", None)
        return cls(counts, others)


def quota_name(instance_type: str) -> str:
    """As Service Quotas and ResourceLimitExceeded call it."""
    return f"{instance_type} for endpoint usage"


def check_quota(quota: InstanceCounts, endpoints: Iterable[Endpoint], changed: Endpoint) -> None:
    """endpoints: all of the account, as they are; `changed` as one of them would become. An update
    to a new configuration has its whole fleet beside the old one. Raises ResourceLimitExceeded."""
    used: Counter[str] = Counter()
    before: Counter[str] = Counter()
    for endpoint in endpoints:
        used.update(_instances(endpoint))
        if endpoint.name == changed.name:
            before = _instances(endpoint)
    for instance_type, wanted in _instances(changed).items():
        limit = quota.of(instance_type)
        delta = wanted - before[instance_type]
        if limit is not None and delta > 0 and used[instance_type] + delta > limit:
            raise ServiceError(
                "ResourceLimitExceeded",
                f"The account-level service limit '{quota_name(instance_type)}' is {limit} "
                f"Instances, with current utilization of {used[instance_type]} Instances and a "
                f"request delta of {delta} Instances. Please use AWS Service Quotas to request an "
                "increase for this quota. If AWS Service Quotas is not available, contact AWS "
                "support to request an increase for this quota.",
            )


def _instances(endpoint: Endpoint) -> Counter[str]:
    """By type, those that start included; what has failed has none."""
    found: Counter[str] = Counter()
    if endpoint.status != "Failed":
        for variant in (*endpoint.variants, *endpoint.pending_variants):
            found[variant.instance_type] += variant.desired_count
    return found
