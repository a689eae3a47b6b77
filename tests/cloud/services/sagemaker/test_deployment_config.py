"""DeploymentConfig: what CreateEndpoint and UpdateEndpoint take, keep, describe and refuse."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from cloud.aws import NOW, refused
from cloud.services.sagemaker.control_plane import ControlPlane, model, variant
from fogbank.cloud.records.alarm import Alarm
from fogbank.cloud.records.hosting import Endpoint, EndpointStatus, ShiftStage, TrafficShift

CASES = json.loads((Path(__file__).parents[3] / "cases" / "deployments.json").read_text())
REFUSED: list[dict[str, Any]] = CASES["refused"]

CANARY: dict[str, Any] = {
    "BlueGreenUpdatePolicy": {
        "TrafficRoutingConfiguration": {
            "Type": "CANARY",
            "CanarySize": {"Type": "CAPACITY_PERCENT", "Value": 30},
            "WaitIntervalInSeconds": 600,
        },
        "TerminationWaitInSeconds": 500,
    }
}
ALARMED: dict[str, Any] = {"AutoRollbackConfiguration": {"Alarms": [{"AlarmName": "errors"}]}}


def in_service(plane: ControlPlane, config: Mapping[str, Any] | None = None) -> None:
    """Endpoint `dogs` serves with four instances; the configuration `new` may follow."""
    plane.call("CreateModel", **model())
    for name in ("dogs", "new"):
        plane.call(
            "CreateEndpointConfig",
            EndpointConfigName=name,
            ProductionVariants=[variant(InitialInstanceCount=4)],
        )
    given = {} if config is None else {"DeploymentConfig": config}
    plane.call("CreateEndpoint", EndpointName="dogs", EndpointConfigName="dogs", **given)
    record = endpoint(plane)
    plane.records.put(
        replace(record, status="InService", variants=record.pending_variants, pending_variants=())
    )


def endpoint(plane: ControlPlane) -> Endpoint:
    found = plane.records.get(Endpoint, "dogs")
    assert found is not None
    return found


def update(plane: ControlPlane, **params: Any) -> Endpoint:
    plane.call("UpdateEndpoint", EndpointName="dogs", EndpointConfigName="new", **params)
    return endpoint(plane)


def put_alarm(plane: ControlPlane, name: str = "errors") -> None:
    plane.records.put(
        Alarm(name=name, arn="arn", request={}, configured=NOW, updated=NOW, transitioned=NOW)
    )


@pytest.mark.docs
def test_an_update_goes_by_its_own_configuration_and_remembers_it(plane: ControlPlane) -> None:
    in_service(plane)
    put_alarm(plane)
    config = {**CANARY, **ALARMED}
    record = update(plane, DeploymentConfig=config)
    assert (record.status, record.pending_deployment, record.shift) == ("Updating", config, None)
    answer = plane.call("DescribeEndpoint", EndpointName="dogs")
    assert answer["LastDeploymentConfig"] == config


@pytest.mark.docs
def test_the_configuration_of_the_creation_is_for_updates_that_retain_it(
    plane: ControlPlane,
) -> None:
    in_service(plane, CANARY)
    before = endpoint(plane)
    assert (before.pending_deployment, before.last_deployment) == (None, CANARY)
    assert update(plane).pending_deployment is None, "by default it is not used again"
    plane.records.put(before)
    assert update(plane, RetainDeploymentConfig=True).pending_deployment == CANARY
    plane.records.put(before)
    other: dict[str, Any] = {"AutoRollbackConfiguration": {}}
    record = update(plane, RetainDeploymentConfig=True, DeploymentConfig=other)
    assert (record.pending_deployment, record.last_deployment) == (other, other)


@pytest.mark.docs
def test_without_a_configuration_to_retain_an_update_is_all_at_once(plane: ControlPlane) -> None:
    in_service(plane)
    record = update(plane, RetainDeploymentConfig=True)
    assert (record.pending_deployment, record.last_deployment) == (None, None)
    assert "LastDeploymentConfig" not in plane.call("DescribeEndpoint", EndpointName="dogs")


@pytest.mark.docs
@pytest.mark.parametrize("case", REFUSED, ids=lambda case: str(case["words"]))
def test_a_policy_that_does_not_fit(plane: ControlPlane, case: dict[str, Any]) -> None:
    in_service(plane)
    before = endpoint(plane)
    policy = {
        "TrafficRoutingConfiguration": {"WaitIntervalInSeconds": 0, **case["traffic"]},
        **case.get("policy", {}),
    }
    config = {"BlueGreenUpdatePolicy": policy}
    with refused("ValidationException", 400, case["words"]):
        update(plane, DeploymentConfig=config)
    assert endpoint(plane) == before
    with refused("ValidationException", 400, case["words"]):
        plane.call(
            "CreateEndpoint",
            EndpointName="cats",
            EndpointConfigName="dogs",
            DeploymentConfig=config,
        )
    assert plane.records.get(Endpoint, "cats") is None


@pytest.mark.docs
def test_a_retained_policy_has_to_fit_the_new_fleet(plane: ControlPlane) -> None:
    size = {"Type": "INSTANCE_COUNT", "Value": 2}
    traffic = {"Type": "CANARY", "CanarySize": size, "WaitIntervalInSeconds": 0}
    in_service(plane, {"BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": traffic}})
    plane.call("CreateEndpointConfig", EndpointConfigName="small", ProductionVariants=[variant()])
    with refused("ValidationException", 400, "CanarySize", "INSTANCE_COUNT 2 is 200%"):
        plane.call(
            "UpdateEndpoint",
            EndpointName="dogs",
            EndpointConfigName="small",
            RetainDeploymentConfig=True,
        )


@pytest.mark.parametrize(
    ("alarms", "words"),
    [
        ([{"AlarmName": "errors"}, {"AlarmName": "x"}, {"AlarmName": "y"}], ": x, y."),
        ([{}], "needs AlarmName"),
    ],
)
def test_alarms_have_to_be_there(
    plane: ControlPlane, alarms: list[dict[str, str]], words: str
) -> None:
    in_service(plane)
    put_alarm(plane)
    with refused("ValidationException", 400, words):
        update(plane, DeploymentConfig={"AutoRollbackConfiguration": {"Alarms": alarms}})


@pytest.mark.docs
def test_guardrails_need_the_same_variant_names(plane: ControlPlane) -> None:
    in_service(plane)
    plane.call(
        "CreateEndpointConfig",
        EndpointConfigName="other",
        ProductionVariants=[variant("Other", InitialInstanceCount=4)],
    )
    request = {"EndpointName": "dogs", "EndpointConfigName": "other"}
    with refused("ValidationException", 400, "same variant names as the old one: AllTraffic."):
        plane.call("UpdateEndpoint", **request, DeploymentConfig=CANARY)
    plane.call("UpdateEndpoint", **request)


def test_rolling_updates_are_refused_by_name(plane: ControlPlane) -> None:
    in_service(plane)
    size = {"Type": "INSTANCE_COUNT", "Value": 1}
    rolling = {"MaximumBatchSize": size, "WaitIntervalInSeconds": 0}
    with refused("ValidationException", 400, "does not support RollingUpdatePolicy"):
        update(plane, DeploymentConfig={"RollingUpdatePolicy": rolling})


DESCRIBED: list[tuple[ShiftStage | None, float, str, str]] = [
    (None, 0.0, "Creating", "Launching 4 instance(s)."),
    (
        "ActivatingTraffic",
        0.3,
        "ActivatingTraffic",
        "Activating traffic on canary capacity of 2 instance(s).",
    ),
    (
        "Baking",
        0.3,
        "Baking",
        "Baking for 600 seconds (WaitIntervalInSeconds) with traffic enabled on canary capacity "
        "of 2 instance(s).",
    ),
    (
        "TerminationWait",
        1.0,
        "Baking",
        "Baking for 500 seconds (TerminationWaitInSeconds) with traffic enabled on full capacity "
        "of 4 instance(s).",
    ),
]


@pytest.mark.docs
@pytest.mark.parametrize(("stage", "share", "status", "message"), DESCRIBED)
def test_how_far_an_update_is(
    plane: ControlPlane, stage: ShiftStage | None, share: float, status: str, message: str
) -> None:
    in_service(plane)
    record = update(plane, DeploymentConfig=CANARY)
    since = NOW + timedelta(seconds=0 if stage is None else 90)
    if stage is not None:
        shift = TrafficShift(stage=stage, since=since, share=share)
        plane.records.put(replace(record, shift=shift))
    answer = plane.call("DescribeEndpoint", EndpointName="dogs")
    summary = answer["PendingDeploymentSummary"]
    assert (summary["EndpointConfigName"], summary["StartTime"]) == ("new", NOW)
    assert summary["ProductionVariants"][0]["VariantStatus"] == [
        {"Status": status, "StatusMessage": message, "StartTime": since}
    ]
    assert "VariantStatus" not in answer["ProductionVariants"][0]


@pytest.mark.docs
@pytest.mark.parametrize(("status", "old_ends"), [("Updating", True), ("RollingBack", False)])
def test_which_fleet_ends(plane: ControlPlane, status: EndpointStatus, old_ends: bool) -> None:
    in_service(plane)
    shift = TrafficShift(stage="Deleting", since=NOW, share=float(old_ends))
    plane.records.put(replace(update(plane), status=status, shift=shift))
    answer = plane.call("DescribeEndpoint", EndpointName="dogs")
    assert answer["EndpointStatus"] == status
    found = answer["ProductionVariants"][0].get("VariantStatus")
    expected = {
        "Status": "Deleting",
        "StatusMessage": "Terminating 4 instance(s).",
        "StartTime": NOW,
    }
    assert found == ([expected] if old_ends else None)
    assert ("PendingDeploymentSummary" in answer) is old_ends
