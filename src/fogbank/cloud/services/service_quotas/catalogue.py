"""The quotas that the local cloud enforces: (its settings) -> quotas with AWS's names and codes.

AWS has an account's own value ("applied") and a default, which differs by account for instances
and is 0 for many types in new ones. Here a type without a limit has no quota, because AWS's answer
has no way to say "any number"; one with a limit has that as its default, too.

A quota's code is `L-` and eight hexadecimal digits. AWS's own are used as far as public records of
accounts show them (observed); the others are derived from the quota's name: stable, but not AWS's.
So look quotas up by QuotaName.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from fogbank.cloud.rules.endpoint_quota import InstanceCounts, quota_name

SERVICE_NAMES = {"lambda": "AWS Lambda", "sagemaker": "Amazon SageMaker"}

FUNCTION_CONCURRENCY_CODE = "L-B99A9384"
DEFAULT_FUNCTION_CONCURRENCY = 1000
"""AWS's default of every account, whatever a new one has been given (Lambda quotas)."""

_ENDPOINT_CODES = {
    "ml.c5.large": "L-4D27DFDD",
    "ml.g5.xlarge": "L-1928E07B",
    "ml.g5.2xlarge": "L-9614C779",
    "ml.g5.4xlarge": "L-C1B9A48D",
    "ml.g5.8xlarge": "L-065D610E",
    "ml.g5.12xlarge": "L-65C4BD00",
    "ml.g5.16xlarge": "L-962705EA",
    "ml.g5.24xlarge": "L-6821867B",
    "ml.g5.48xlarge": "L-0100B823",
    "ml.g6.xlarge": "L-D470D954",
    "ml.g6.2xlarge": "L-98BDE811",
    "ml.g6.4xlarge": "L-DFB10FDE",
    "ml.g6.12xlarge": "L-0A29AACF",
    "ml.g6e.xlarge": "L-B0729CB4",
    "ml.g6e.2xlarge": "L-F8D7F460",
    "ml.g6e.4xlarge": "L-93531071",
    "ml.inf2.xlarge": "L-C8AB7CDA",
    "ml.inf2.8xlarge": "L-F761337C",
    "ml.inf2.24xlarge": "L-9C39178F",
    "ml.inf2.48xlarge": "L-286C98BC",
    "ml.m5.xlarge": "L-2F737F8D",
    "ml.m5.4xlarge": "L-E2649D46",
    "ml.p4d.24xlarge": "L-09F79647",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """value: what is enforced. default: what AWS gives an account that has asked for nothing."""

    service: str
    code: str
    name: str
    value: int
    default: int


def catalogue(
    endpoint_quota: InstanceCounts, instance_types: Iterable[str], function_concurrency: int
) -> tuple[Quota, ...]:
    """By service, then by name.

    instance_types: those that an endpoint can have.
    """
    found = [
        Quota(
            service="lambda",
            code=FUNCTION_CONCURRENCY_CODE,
            name="Concurrent executions",
            value=function_concurrency,
            default=DEFAULT_FUNCTION_CONCURRENCY,
        )
    ]
    for instance_type in sorted(instance_types):
        limit = endpoint_quota.of(instance_type)
        if limit is not None:
            name = quota_name(instance_type)
            code = _ENDPOINT_CODES.get(instance_type) or _derived_code(name)
            found.append(
                Quota(service="sagemaker", code=code, name=name, value=limit, default=limit)
            )
    return tuple(found)


def _derived_code(name: str) -> str:
    return f"L-{hashlib.sha256(name.encode()).hexdigest()[:8].upper()}"
