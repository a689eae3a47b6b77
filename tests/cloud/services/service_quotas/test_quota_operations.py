"""Service Quotas on the wire side: what the cloud enforces, by AWS's names; nothing else."""

from __future__ import annotations

import re
from typing import Any

import pytest

from cloud.aws import SCOPE, Service, context, refused
from fogbank.cloud.rules.endpoint_quota import InstanceCounts
from fogbank.cloud.services.service_quotas import rooms

TYPES = ("ml.m5.large", "ml.g5.xlarge", "ml.c5.large")


class Quotas:
    def __init__(self, limits: str = "", function_concurrency: int = 1000) -> None:
        found = rooms(
            scope=SCOPE,
            endpoint_quota=InstanceCounts.parse(limits),
            instance_types=TYPES,
            function_concurrency=function_concurrency,
        )
        self.service = Service("service-quotas", *found)

    def call(self, operation: str, **params: Any) -> Any:
        return self.service.call(operation, context(), params)

    def values(self, service: str, operation: str = "ListServiceQuotas") -> dict[str, float]:
        found = self.call(operation, ServiceCode=service)["Quotas"]
        return {quota["QuotaName"]: quota["Value"] for quota in found}


@pytest.mark.observed
def test_a_quota_reads_as_on_aws() -> None:
    quotas = Quotas("ml.g5.xlarge=4")
    (quota,) = quotas.call("ListServiceQuotas", ServiceCode="sagemaker")["Quotas"]
    assert quota == {
        "ServiceCode": "sagemaker",
        "ServiceName": "Amazon SageMaker",
        "QuotaArn": "arn:aws:servicequotas:us-east-1:123456789012:sagemaker/L-1928E07B",
        "QuotaCode": "L-1928E07B",
        "QuotaName": "ml.g5.xlarge for endpoint usage",
        "Value": 4.0,
        "Unit": "None",
        "Adjustable": True,
        "GlobalQuota": False,
        "QuotaAppliedAtLevel": "ACCOUNT",
    }
    one = {"ServiceCode": "sagemaker", "QuotaCode": "L-1928E07B"}
    assert quotas.call("GetServiceQuota", **one)["Quota"] == quota
    default = quotas.call("GetAWSDefaultServiceQuota", **one)["Quota"]
    assert default["QuotaArn"] == "arn:aws:servicequotas:us-east-1::sagemaker/L-1928E07B"


def test_the_numbers_are_those_that_endpoints_are_held_to() -> None:
    assert Quotas("ml.m5.large=4,*=20").values("sagemaker") == {
        "ml.c5.large for endpoint usage": 20,
        "ml.g5.xlarge for endpoint usage": 20,
        "ml.m5.large for endpoint usage": 4,
    }
    new_account = Quotas("ml.m5.large=0").values("sagemaker")
    assert new_account == {"ml.m5.large for endpoint usage": 0}
    assert Quotas().values("sagemaker") == {}, "any number is no quota"
    assert Quotas("ml.z9.moon=1").values("sagemaker") == {}, "no endpoint can have it"


@pytest.mark.docs
def test_a_new_account_has_fewer_executions_than_the_default() -> None:
    quotas = Quotas(function_concurrency=10)
    assert quotas.values("lambda") == {"Concurrent executions": 10}
    assert quotas.values("lambda", "ListAWSDefaultServiceQuotas") == {"Concurrent executions": 1000}
    found = quotas.call("GetServiceQuota", ServiceCode="lambda", QuotaCode="L-B99A9384")
    assert found["Quota"]["Value"] == 10


def test_a_code_that_is_not_known_is_derived_and_stays() -> None:
    def code(limits: str) -> str:
        found: str = Quotas(limits).call("ListServiceQuotas", ServiceCode="sagemaker")["Quotas"][0][
            "QuotaCode"
        ]
        return found

    assert re.fullmatch("L-[0-9A-F]{8}", code("ml.m5.large=4"))
    assert code("ml.m5.large=4") == code("ml.m5.large=9")


def test_one_quota_can_be_listed_and_none_is_of_a_resource() -> None:
    quotas = Quotas("*=5")
    asked: dict[str, Any] = {"ServiceCode": "sagemaker", "QuotaCode": "L-1928E07B"}
    (quota,) = quotas.call("ListServiceQuotas", **asked)["Quotas"]
    assert quota["QuotaName"].startswith("ml.g5.xlarge")
    for level, number in (("ACCOUNT", 1), ("ALL", 1), ("RESOURCE", 0)):
        found = quotas.call("ListServiceQuotas", **asked, QuotaAppliedAtLevel=level)["Quotas"]
        assert len(found) == number


@pytest.mark.model
def test_pages_hold_every_quota_once() -> None:
    quotas = Quotas("*=5")
    names: list[str] = []
    params: dict[str, Any] = {"ServiceCode": "sagemaker", "MaxResults": 2}
    while True:
        page = quotas.call("ListServiceQuotas", **params)
        names += [quota["QuotaName"] for quota in page["Quotas"]]
        if "NextToken" not in page:
            break
        params["NextToken"] = page["NextToken"]
    assert names == sorted(quotas.values("sagemaker"))
    with refused("InvalidPaginationTokenException", 400):
        quotas.call("ListServiceQuotas", ServiceCode="sagemaker", NextToken="bm9uc2Vuc2U=")


def test_the_services_that_have_quotas_here() -> None:
    assert Quotas().call("ListServices") == {
        "Services": [
            {"ServiceCode": "lambda", "ServiceName": "AWS Lambda"},
            {"ServiceCode": "sagemaker", "ServiceName": "Amazon SageMaker"},
        ]
    }


@pytest.mark.observed
@pytest.mark.parametrize(
    ("operation", "params", "words"),
    [
        ("ListServiceQuotas", {"ServiceCode": "EC2"}, "the specified service does not exist."),
        ("ListAWSDefaultServiceQuotas", {"ServiceCode": "ec2"}, "the specified service does not"),
        (
            "GetServiceQuota",
            {"ServiceCode": "sagemaker", "QuotaCode": "L-00000000"},
            "the specified quota does not exist",
        ),
        (
            "GetAWSDefaultServiceQuota",
            {"ServiceCode": "sagemaker", "QuotaCode": "L-B99A9384"},
            "the specified quota does not exist",
        ),
        (
            "GetServiceQuota",
            {"ServiceCode": "lambda", "QuotaCode": "L-B99A9384", "ContextId": "x"},
            "applied value for the specified context Id do not exist.",
        ),
    ],
)
def test_what_is_not_there_is_no_such_resource(
    operation: str, params: dict[str, str], words: str
) -> None:
    with refused("NoSuchResourceException", 400, f"The request failed because {words}"):
        Quotas("*=5").call(operation, **params)
