"""What auto scaling changes, each by the same three questions: variants of endpoints, and
provisioned concurrency of functions. They only write what is wanted; others make it true.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from fogbank.cloud.errors import ServiceError
from fogbank.cloud.ports import Records
from fogbank.cloud.records.function import ProvisionedConcurrency
from fogbank.cloud.records.hosting import Endpoint
from fogbank.cloud.rules.endpoint_capacity import Wanted, resize
from fogbank.cloud.rules.endpoint_quota import InstanceCounts, check_quota
from fogbank.cloud.rules.scalable import LAMBDA_CONCURRENCY, SAGEMAKER_VARIANT, SCALABLES


@dataclass(frozen=True, slots=True)
class Capacity:
    """How a resource stands.

    desired:    what is asked for now.
    is_settled: there is as much as that.
    can_change: another capacity may be asked for.
    failure:    why the last change came to nothing; "" where it did not.
    """

    desired: int
    is_settled: bool
    can_change: bool
    failure: str = ""


class ScalableResource(Protocol):
    """One kind of what is scaled; `parts` are those of the ResourceId, see `rules.scalable`."""

    def capacity(self, parts: Mapping[str, str]) -> Capacity | None:
        """None where there is no such resource."""
        ...

    def set_capacity(self, parts: Mapping[str, str], desired: int, now: datetime) -> None:
        """Ask for another capacity. Raises ServiceError where the service refuses."""
        ...


class Variants:
    """Instances of a production variant. quota: how many the account may have."""

    def __init__(self, records: Records, quota: InstanceCounts) -> None:
        self._records = records
        self._quota = quota

    def capacity(self, parts: Mapping[str, str]) -> Capacity | None:
        endpoint = self._records.get(Endpoint, parts["endpoint"])
        variants = () if endpoint is None else endpoint.variants
        found = next((each for each in variants if each.name == parts["variant"]), None)
        if endpoint is None or found is None or endpoint.status == "Deleting":
            return None
        in_service = endpoint.status == "InService"
        return Capacity(
            desired=found.desired_count,
            is_settled=in_service and found.current_count == found.desired_count,
            can_change=in_service,
            failure=endpoint.failure_reason or "",
        )

    def set_capacity(self, parts: Mapping[str, str], desired: int, now: datetime) -> None:
        endpoint = self._records.get(Endpoint, parts["endpoint"])
        if endpoint is None:
            raise ServiceError(
                "ValidationException", f"Could not find endpoint {parts['endpoint']}."
            )
        resized = resize(endpoint, {parts["variant"]: Wanted(count=desired)}, now)
        check_quota(self._quota, self._records.all(Endpoint), resized)
        self._records.put(resized)


class FunctionConcurrency:
    """Provisioned concurrency of an alias or version."""

    def __init__(self, records: Records) -> None:
        self._records = records

    def capacity(self, parts: Mapping[str, str]) -> Capacity | None:
        found = self._records.get(ProvisionedConcurrency, _key(parts))
        if found is None:
            return None
        return Capacity(
            desired=found.requested,
            is_settled=found.status == "READY",
            can_change=True,
            failure=(found.status_reason or "") if found.status == "FAILED" else "",
        )

    def set_capacity(self, parts: Mapping[str, str], desired: int, now: datetime) -> None:
        found = self._records.get(ProvisionedConcurrency, _key(parts))
        if found is None:
            raise ServiceError(
                "ProvisionedConcurrencyConfigNotFoundException",
                f"No Provisioned Concurrency Config found for {_key(parts)}",
                status=404,
            )
        self._records.put(
            replace(
                found, requested=desired, status="IN_PROGRESS", status_reason=None, modified=now
            )
        )


def _key(parts: Mapping[str, str]) -> str:
    return f"{parts['function']}:{parts['qualifier']}"


class Resources:
    """All that can be scaled in this cloud, by the keys of scalable targets."""

    def __init__(self, records: Records, endpoint_quota: InstanceCounts | None = None) -> None:
        self._kinds: Mapping[tuple[str, str], ScalableResource] = {
            SAGEMAKER_VARIANT: Variants(records, endpoint_quota or InstanceCounts()),
            LAMBDA_CONCURRENCY: FunctionConcurrency(records),
        }

    def capacity(self, target: str) -> Capacity | None:
        kind, parts = self._find(target)
        return kind.capacity(parts)

    def desired(self, target: str) -> int | None:
        found = self.capacity(target)
        return None if found is None else found.desired

    def set_capacity(self, target: str, desired: int, now: datetime) -> None:
        kind, parts = self._find(target)
        kind.set_capacity(parts, desired, now)

    def _find(self, target: str) -> tuple[ScalableResource, Mapping[str, str]]:
        namespace, resource, dimension = target.split("|")
        scalable = SCALABLES[namespace, dimension]
        return self._kinds[namespace, dimension], scalable.parts(resource)
