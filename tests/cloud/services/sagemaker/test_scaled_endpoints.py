"""Endpoints that auto scaling or a quota has a word in."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from cloud.aws import NOW, refused
from cloud.services.sagemaker.control_plane import ControlPlane, served, variant
from fogbank.cloud.records.hosting import Endpoint
from fogbank.cloud.records.scaling import ScalableTarget, ScheduledAction
from fogbank.cloud.rules.endpoint_quota import InstanceCounts

SCALED: dict[str, Any] = {
    "namespace": "sagemaker",
    "resource": "endpoint/dogs/variant/AllTraffic",
    "dimension": "sagemaker:variant:DesiredInstanceCount",
}


def in_service(plane: ControlPlane, count: int = 1) -> Endpoint:
    """The endpoint `dogs` with so many instances, as its deployment leaves it."""
    served(plane, variant(InitialInstanceCount=count))
    record = plane.records.get(Endpoint, "dogs")
    assert record is not None
    record = replace(
        record, status="InService", variants=record.pending_variants, pending_variants=()
    )
    plane.records.put(record)
    return record


def register(plane: ControlPlane) -> ScalableTarget:
    target = ScalableTarget(**SCALED, arn="arn", minimum=1, maximum=3, role_arn="role", created=NOW)
    plane.records.put(target)
    return target


def update(plane: ControlPlane, new: dict[str, Any], **params: Any) -> None:
    plane.call("CreateEndpointConfig", EndpointConfigName="new", ProductionVariants=[new])
    plane.call("UpdateEndpoint", EndpointName="dogs", EndpointConfigName="new", **params)


@pytest.mark.docs
@pytest.mark.parametrize(
    "new", [variant(InstanceType="ml.c5.large"), variant("Other")], ids=["type", "removed"]
)
def test_a_scaled_variant_keeps_its_name_and_its_type(
    plane: ControlPlane, new: dict[str, Any]
) -> None:
    before = in_service(plane)
    target = register(plane)
    with refused(
        "ValidationException",
        400,
        'The variant(s) "[AllTraffic]" must be deregistered as scalable targets with AWS Auto '
        "Scaling before they can be removed or have their instance type updated.",
    ):
        update(plane, new)
    assert plane.records.get(Endpoint, "dogs") == before
    plane.records.delete(ScalableTarget, target.key)
    plane.call("UpdateEndpoint", EndpointName="dogs", EndpointConfigName="new")


@pytest.mark.docs
def test_an_update_of_a_scaled_variant_may_keep_its_count(plane: ControlPlane) -> None:
    in_service(plane, 3)
    register(plane)
    update(plane, variant(InitialInstanceCount=1), RetainAllVariantProperties=True)
    record = plane.records.get(Endpoint, "dogs")
    assert record is not None
    assert record.pending_variants[0].desired_count == 3


@pytest.mark.observed
def test_deleting_an_endpoint_deregisters_its_scalable_targets(plane: ControlPlane) -> None:
    in_service(plane)
    target = register(plane)
    other = replace(target, resource="endpoint/dogs2/variant/AllTraffic")
    action = ScheduledAction(
        target=target.key, name="night", arn="arn", schedule="rate(1 day)", created=NOW
    )
    plane.records.put(other, action)
    plane.call("DeleteEndpoint", EndpointName="dogs")
    assert plane.records.all(ScalableTarget) == [other]
    assert plane.records.all(ScheduledAction) == []


@pytest.mark.model
def test_the_quota_holds_for_every_way_to_get_instances() -> None:
    plane = ControlPlane(quota=InstanceCounts({"ml.m5.large": 2}))
    small = variant(InstanceType="ml.m5.large")
    served(plane, small)
    record = plane.records.get(Endpoint, "dogs")
    assert record is not None
    record = replace(
        record, status="InService", variants=record.pending_variants, pending_variants=()
    )
    plane.records.put(record)
    plane.call(
        "CreateEndpointConfig",
        EndpointConfigName="two",
        ProductionVariants=[{**small, "InitialInstanceCount": 2}],
    )
    words = "'ml.m5.large for endpoint usage' is 2 Instances, with current utilization of 1 "
    with refused("ResourceLimitExceeded", 400, words):
        plane.call("CreateEndpoint", EndpointName="cats", EndpointConfigName="two")
    with refused("ResourceLimitExceeded", 400, words):
        plane.call("UpdateEndpoint", EndpointName="dogs", EndpointConfigName="two")
    with refused("ResourceLimitExceeded", 400, words, "request delta of 2 "):
        plane.call(
            "UpdateEndpointWeightsAndCapacities",
            EndpointName="dogs",
            DesiredWeightsAndCapacities=[{"VariantName": "AllTraffic", "DesiredInstanceCount": 3}],
        )
    assert plane.records.all(Endpoint) == [record]
