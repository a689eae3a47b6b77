"""How many instances the account may have: read by name, from the two lists of Service Quotas."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from fogbank.ops.instance_quota import InstanceQuota, read_instance_quota
from ops.fake_aws import FakeAws

NAME = "ml.m5.large for endpoint usage"
OTHERS = {"ml.m5.large for training job usage": 20.0, "ml.m5.2xlarge for endpoint usage": 7.0}


class Lists:
    """A client of Service Quotas: operation -> name -> value, each quota on a page of its own."""

    def __init__(self, error: Exception | None = None, **lists: dict[str, float]) -> None:
        self._error = error
        self._lists = lists

    def get_paginator(self, operation: str) -> Lists:
        self._operation = operation
        return self

    def paginate(self, *, ServiceCode: str) -> Iterator[dict[str, Any]]:
        assert ServiceCode == "sagemaker"
        if self._error is not None:
            raise self._error
        for name, value in self._lists.get(self._operation, {}).items():
            yield {"Quotas": [{"QuotaName": name, "Value": value}]}


class Account(FakeAws):
    def __init__(self, quotas: Lists) -> None:
        super().__init__()
        self._quotas = quotas

    def client(self, service: str) -> Any:
        assert service == "service-quotas"
        return self._quotas


def read(quotas: Lists) -> InstanceQuota:
    return read_instance_quota(Account(quotas), "ml.m5.large")


@pytest.mark.docs
@pytest.mark.parametrize(
    ("own", "default", "limit"),
    [
        ({**OTHERS, NAME: 4.0}, {NAME: 0.0}, 4),
        (OTHERS, {**OTHERS, NAME: 0.0}, 0),
        (OTHERS, OTHERS, None),
    ],
)
def test_the_accounts_own_value_goes_before_the_default(
    own: dict[str, float], default: dict[str, float], limit: int | None
) -> None:
    found = read(Lists(list_service_quotas=own, list_aws_default_service_quotas=default))
    assert found == InstanceQuota(instance_type="ml.m5.large", limit=limit)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            ClientError({"Error": {"Code": "AccessDeniedException"}}, "ListServiceQuotas"),
            "ListServiceQuotas answered AccessDeniedException",
        ),
        (EndpointConnectionError(endpoint_url="http://nowhere"), "does not answer"),
    ],
)
def test_who_may_not_read_it_goes_on_without(error: Exception, words: str) -> None:
    found = read(Lists(error))
    assert found.limit is None
    assert f"could not read the quota `{NAME}`" in found.unreadable
    assert words in found.unreadable
