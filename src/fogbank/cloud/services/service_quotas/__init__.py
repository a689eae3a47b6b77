"""Service Quotas: how much of something the account may have, as the local cloud enforces it."""

from __future__ import annotations

from collections.abc import Iterable

from fogbank.cloud.rules.endpoint_quota import InstanceCounts
from fogbank.cloud.services.service_quotas.catalogue import catalogue
from fogbank.cloud.services.service_quotas.quotas import Quotas
from fogbank.core.arn import Scope


def rooms(
    *,
    scope: Scope,
    endpoint_quota: InstanceCounts,
    instance_types: Iterable[str],
    function_concurrency: int,
) -> tuple[object, ...]:
    """Everything that `base.dispatch_table` needs.

    instance_types: those that an endpoint can have.
    function_concurrency: executions of functions that the account may have at once.
    """
    return (Quotas(scope, catalogue(endpoint_quota, instance_types, function_concurrency)),)
