"""`endpoint.update`: how a new model takes over, from the spec to the request."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from botocore.session import Session
from botocore.validate import ParamValidator
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from fogbank.cloud.records.alarm import Alarm
from fogbank.cloud.records.hosting import Variant
from fogbank.cloud.services.sagemaker.deployment_config import deployment_config
from fogbank.cloud.state.database import Database
from fogbank.cloud.state.records import SqliteRecords
from fogbank.ops.kinds import endpoint
from fogbank.ops.observe import Observed
from fogbank.ops.plan import Goal, plan
from fogbank.ops.spec_update import Update
from ops.conftest import ReadBlueprint

NOW = datetime(2026, 11, 21, tzinfo=UTC)
VARIANT = Variant(
    name="AllTraffic",
    model_name="m",
    container={},
    execution_role_arn="arn:aws:iam::123456789012:role/host",
    instance_type="ml.m5.large",
    desired_count=1,
    desired_weight=1.0,
)
UPDATE: Any = Session().get_service_model("sagemaker").operation_model("UpdateEndpoint").input_shape


@cache
def with_alarms() -> SqliteRecords:
    """A cloud's records, in which the alarms of the specs exist."""
    records = SqliteRecords(Database(":memory:"))
    for name in ("errors", "slow"):
        records.put(
            Alarm(name=name, arn=name, request={}, configured=NOW, updated=NOW, transitioned=NOW)
        )
    return records


def config_of(project: Path, read_blueprint: ReadBlueprint, section: str) -> dict[str, Any]:
    """The DeploymentConfig with which an endpoint that serves another model is updated."""
    (project / "fogbank.yaml").write_text(f"project: pets\nendpoint: {section}\n")
    observed = Observed(endpoint=endpoint.Found(name="pets", status="InService", config_name="old"))
    (request,) = [
        step.request
        for step in plan(read_blueprint(), observed, Goal.DEPLOYED)
        if (step.kind, step.verb) == ("endpoint", "update")
    ]
    found: dict[str, Any] = request.get("DeploymentConfig", {})
    return found


def test_without_the_section_all_traffic_moves_at_once(
    project: Path, read_blueprint: ReadBlueprint
) -> None:
    assert config_of(project, read_blueprint, "{}") == {}


@pytest.mark.parametrize(
    ("section", "traffic"),
    [
        (
            "{}",
            {
                "Type": "CANARY",
                "WaitIntervalInSeconds": 300,
                "CanarySize": {"Type": "CAPACITY_PERCENT", "Value": 10},
            },
        ),
        (
            "{traffic: linear, step_percent: 25, bake_s: 60}",
            {
                "Type": "LINEAR",
                "WaitIntervalInSeconds": 60,
                "LinearStepSize": {"Type": "CAPACITY_PERCENT", "Value": 25},
            },
        ),
        (
            "{traffic: all-at-once, bake_s: 0}",
            {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 0},
        ),
    ],
)
def test_how_the_traffic_moves(
    project: Path, read_blueprint: ReadBlueprint, section: str, traffic: dict[str, Any]
) -> None:
    found = config_of(project, read_blueprint, f"{{update: {section}}}")
    assert found == {
        "BlueGreenUpdatePolicy": {
            "TrafficRoutingConfiguration": traffic,
            "TerminationWaitInSeconds": 0,
        }
    }


def test_alarms_bring_the_old_model_back(project: Path, read_blueprint: ReadBlueprint) -> None:
    section = "{update: {keep_old_s: 120, rollback_on: [errors, slow]}}"
    found = config_of(project, read_blueprint, section)
    assert found["AutoRollbackConfiguration"] == {
        "Alarms": [{"AlarmName": "errors"}, {"AlarmName": "slow"}]
    }
    assert found["BlueGreenUpdatePolicy"]["TerminationWaitInSeconds"] == 120


SECTIONS = st.fixed_dictionaries(
    {"traffic": st.sampled_from(["all-at-once", "canary", "linear"])},
    optional={
        "step_percent": st.integers(0, 51),
        "bake_s": st.integers(0, 3600),
        "keep_old_s": st.integers(0, 3600),
        "rollback_on": st.lists(st.sampled_from(["errors", "slow"]), max_size=2),
    },
)


@pytest.mark.model
@given(SECTIONS, st.integers(1, 20))
def test_whatever_the_spec_accepts_the_cloud_accepts(
    section: dict[str, Any], num_instances: int
) -> None:
    try:
        found = Update(**section).deployment_config
    except ValidationError:
        return
    request = {"EndpointName": "e", "EndpointConfigName": "c", "DeploymentConfig": found}
    assert not ParamValidator().validate(request, UPDATE).has_errors()
    fleet = [replace(VARIANT, desired_count=num_instances)]
    assert deployment_config(request, None, fleet, with_alarms(), "UpdateEndpoint") == found
