"""A project that is deployed once for all tests of scaling and load, on a cloud of its own in which
a minute of alarms and cooldowns is a second, and the account may have 40 instances of its type."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cli.scaled_project import NAME, ScaledProject
from fogbank.ops.kinds.endpoint_config import VARIANT
from fogbank.testing.cloud import RunningCloud


@pytest.fixture(scope="package")
def fast_cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCloud]:
    running = RunningCloud(
        tmp_path_factory.mktemp("fast"),
        environment={"FOGBANK_TIME_SCALE": "60", "FOGBANK_ENDPOINT_INSTANCES": "ml.m5.large=40"},
    ).start()
    yield running
    running.stop()


@pytest.fixture(scope="package")
def deployed(
    fast_cloud: RunningCloud, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ScaledProject]:
    """Not scaled; who scales it sees to it that it is not any more afterwards (`unscaled`)."""
    project = ScaledProject(tmp_path_factory.mktemp("project"), fast_cloud)
    assert "endpoint" in project.does("up")
    yield project
    project.does("down", "--yes")


@pytest.fixture
def unscaled(deployed: ScaledProject, fast_cloud: RunningCloud) -> Iterator[ScaledProject]:
    """The deployed project as it was, with one instance: whatever a test does to its scaling and
    its files."""
    yield deployed
    deployed.write("{}")
    (deployed.folder / "capacity.yaml").unlink(missing_ok=True)
    deployed.does("deploy")
    sagemaker = fast_cloud.client("sagemaker")
    waiter = sagemaker.get_waiter("endpoint_in_service")
    waiter.wait(EndpointName=NAME, WaiterConfig={"Delay": 1})
    (variant,) = sagemaker.describe_endpoint(EndpointName=NAME)["ProductionVariants"]
    if variant["DesiredInstanceCount"] != 1:
        sagemaker.update_endpoint_weights_and_capacities(
            EndpointName=NAME,
            DesiredWeightsAndCapacities=[{"VariantName": VARIANT, "DesiredInstanceCount": 1}],
        )
        waiter.wait(EndpointName=NAME, WaiterConfig={"Delay": 1})
