"""How many instances of a type an account's endpoints may have: Service Quotas -> a number.

Reads only. Nobody is stopped because of it: where it cannot be read, it is unknown.
"""

from __future__ import annotations

from dataclasses import dataclass

from fogbank.aws import Aws, explained
from fogbank.core.errors import WorldError

SERVICE = "sagemaker"


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceQuota:
    """limit: None where there is no such quota, or it is not known. unreadable: why it is not;
    "" where it could be read."""

    instance_type: str
    limit: int | None = None
    unreadable: str = ""


def read_instance_quota(aws: Aws, instance_type: str) -> InstanceQuota:
    """By its name, as quota codes cannot be derived from a type. The account's own value, or else
    AWS's default: a quota that was never changed may have no other (Service Quotas API reference,
    ListServiceQuotas)."""
    name = f"{instance_type} for endpoint usage"
    client = aws.client("service-quotas")
    try:
        with explained(f"read the quota `{name}`", aws.url):
            for operation in ("list_service_quotas", "list_aws_default_service_quotas"):
                for page in client.get_paginator(operation).paginate(ServiceCode=SERVICE):
                    for quota in page["Quotas"]:
                        if quota["QuotaName"] == name and "Value" in quota:
                            limit = int(quota["Value"])
                            return InstanceQuota(instance_type=instance_type, limit=limit)
    except WorldError as error:
        return InstanceQuota(instance_type=instance_type, unreadable=str(error))
    return InstanceQuota(instance_type=instance_type)
