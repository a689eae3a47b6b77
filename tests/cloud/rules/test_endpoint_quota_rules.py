"""Quotas of instances behind endpoints: what counts, and what AWS says beyond."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cloud.aws import NOW, refused
from fogbank.cloud.records.hosting import Endpoint, EndpointStatus, Variant
from fogbank.cloud.rules.endpoint_quota import InstanceCounts, check_quota


def variant(count: int, instance_type: str = "ml.m5.large", *, name: str = "a") -> Variant:
    return Variant(
        name=name,
        model_name="dogs",
        container={},
        execution_role_arn="",
        instance_type=instance_type,
        desired_count=count,
        desired_weight=1.0,
    )


def endpoint(
    *variants: Variant, name: str = "dogs", status: EndpointStatus = "InService"
) -> Endpoint:
    return Endpoint(
        name=name,
        arn=name,
        config_name=name,
        status=status,
        created=NOW,
        modified=NOW,
        variants=variants,
    )


@pytest.mark.observed
def test_beyond_the_quota_aws_says_so() -> None:
    quota = InstanceCounts({"ml.m5.large": 4})
    others = [endpoint(variant(2), variant(1, name="b"), name="cats")]
    check_quota(quota, others, endpoint(variant(1)))
    with refused(
        "ResourceLimitExceeded",
        400,
        "The account-level service limit 'ml.m5.large for endpoint usage' is 4 Instances, with "
        "current utilization of 3 Instances and a request delta of 2 Instances. Please use AWS "
        "Service Quotas to request an increase for this quota.",
    ):
        check_quota(quota, others, endpoint(variant(2)))


@pytest.mark.docs
def test_an_update_has_both_fleets() -> None:
    before = endpoint(variant(2))
    updating = replace(before, pending_variants=(variant(2),))
    check_quota(InstanceCounts(others=4), [before], updating)
    with refused("ResourceLimitExceeded", 400, "utilization of 2 ", "delta of 2 "):
        check_quota(InstanceCounts(others=3), [before], updating)


def test_what_needs_no_more_is_not_asked() -> None:
    """A quota that was lowered stops nobody from scaling in, nor another type from growing."""
    quota = InstanceCounts({"ml.m5.large": 1})
    before = endpoint(variant(3), variant(1, "ml.c5.large", name="b"))
    check_quota(quota, [before], endpoint(variant(2), variant(5, "ml.c5.large", name="b")))


def test_a_failed_endpoint_has_no_instances() -> None:
    failed = endpoint(variant(9), name="cats", status="Failed")
    check_quota(InstanceCounts(others=1), [failed], endpoint(variant(1)))


def test_instance_counts_are_read() -> None:
    counts = InstanceCounts.parse(" ml.m5.large=4, *=20 ")
    assert (counts.of("ml.m5.large"), counts.of("ml.c5.large")) == (4, 20)
    assert InstanceCounts.parse("ml.m5.large=0").of("ml.c5.large") is None
    assert InstanceCounts.parse("") == InstanceCounts()


@pytest.mark.parametrize("text", ["4", "m5.large=4", "ml.m5.large", "*=-1", "*=1,*=2", "*=two"])
def test_what_are_no_instance_counts(text: str) -> None:
    with pytest.raises(ValueError):
        InstanceCounts.parse(text)
