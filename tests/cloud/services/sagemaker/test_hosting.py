"""Models, endpoint configurations and endpoints as the control plane keeps them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from cloud.aws import NOW, refused
from cloud.services.sagemaker.control_plane import (
    IMAGE,
    ROLE,
    ControlPlane,
    model,
    served,
    variant,
)
from fogbank.cloud.records.hosting import Endpoint, EndpointConfig, Model
from fogbank.cloud.rules.endpoint import next_step
from fogbank.cloud.rules.endpoint_fleet import Observation, ReplicaSeen

ARN = "arn:aws:sagemaker:us-east-1:123456789012"


def deploy(plane: ControlPlane, name: str = "dogs") -> Endpoint:
    """Let every replica that is wanted come up, as a machine would."""
    record = plane.records.get(Endpoint, name)
    assert record is not None
    wanted = record.pending_variants or record.variants
    replicas = tuple(
        ReplicaSeen(
            id=f"{v.name}-{v.generation}-{i}",
            variant=v.name,
            generation=v.generation,
            state="healthy",
            since=plane.now,
        )
        for v in wanted
        for i in range(v.desired_count)
    )
    seen = Observation(replicas=replicas)
    while (after := next_step(record, seen, plane.now).endpoint) != record:
        record = after
    plane.records.put(record)
    return record


@pytest.mark.docs
def test_a_model_comes_back_as_it_was_created(plane: ControlPlane) -> None:
    assert plane.call("CreateModel", **model()) == {"ModelArn": f"{ARN}:model/dogs"}
    assert plane.call("DescribeModel", ModelName="dogs") == {
        "ModelName": "dogs",
        "ModelArn": f"{ARN}:model/dogs",
        "CreationTime": NOW,
        "EnableNetworkIsolation": False,
        "PrimaryContainer": {"Image": IMAGE, "ModelDataUrl": "s3://dogs/out/model.tar.gz"},
        "ExecutionRoleArn": ROLE,
    }


BAD_MODELS: list[tuple[str, dict[str, Any], str]] = [
    ("no role", {"ExecutionRoleArn": None}, "ExecutionRoleArn is required"),
    (
        "an unknown role",
        {"ExecutionRoleArn": "arn:aws:iam::123456789012:role/nobody"},
        "Could not assume role",
    ),
    ("no container", {"PrimaryContainer": None}, "PrimaryContainer or Containers"),
    ("both kinds of container", {"Containers": [{"Image": "i"}]}, "cannot be given both"),
    (
        "a pipeline",
        {"PrimaryContainer": None, "Containers": [{"Image": "i"}, {"Image": "j"}]},
        "pipelines",
    ),
    ("no image", {"PrimaryContainer": {"Environment": {}}}, "needs an Image"),
    (
        "model data that is not there",
        {"PrimaryContainer": {"Image": "i", "ModelDataUrl": "s3://dogs/out/none.tar.gz"}},
        "Could not find model data at s3://dogs/out/none.tar.gz.",
    ),
    (
        "model data in a bucket that is not there",
        {"PrimaryContainer": {"Image": "i", "ModelDataUrl": "s3://cats/model.tar.gz"}},
        "Could not find model data at s3://cats/model.tar.gz.",
    ),
    (
        "model data that is not in S3",
        {"PrimaryContainer": {"Image": "i", "ModelDataUrl": "https://dogs/m.tar.gz"}},
        "Invalid S3 URI",
    ),
    (
        "many models in a container",
        {"PrimaryContainer": {"Image": "i", "Mode": "MultiModel"}},
        "multi-model",
    ),
    (
        "a model package",
        {"PrimaryContainer": {"Image": "i", "ModelPackageName": "p"}},
        "ModelPackageName",
    ),
]


@pytest.mark.docs
@pytest.mark.parametrize(
    ("changes", "words"), [case[1:] for case in BAD_MODELS], ids=[case[0] for case in BAD_MODELS]
)
def test_a_bad_model_is_refused(plane: ControlPlane, changes: dict[str, Any], words: str) -> None:
    with refused("ValidationException", 400, words):
        plane.call("CreateModel", **model(**changes))
    assert plane.records.all(Model) == []


BAD_VARIANTS: list[tuple[str, list[dict[str, Any]], str]] = [
    ("the same name twice", [variant(), variant()], "AllTraffic is repeated"),
    ("an unknown model", [variant(ModelName="cats")], f'Could not find model "{ARN}:model/cats".'),
    ("no instance type", [variant(InstanceType=None)], "needs InstanceType"),
    ("no count", [variant(InitialInstanceCount=None)], "needs InitialInstanceCount"),
    (
        "serverless",
        [variant(ServerlessConfig={"MemorySizeInMB": 1024, "MaxConcurrency": 1})],
        "ServerlessConfig",
    ),
    (
        "a strategy that is not there",
        [variant(RoutingConfig={"RoutingStrategy": "KV_AWARE"})],
        "KV_AWARE",
    ),
]


@pytest.mark.docs
@pytest.mark.parametrize(
    ("variants", "words"), [case[1:] for case in BAD_VARIANTS], ids=[c[0] for c in BAD_VARIANTS]
)
def test_a_bad_configuration_is_refused(
    plane: ControlPlane, variants: list[dict[str, Any]], words: str
) -> None:
    plane.call("CreateModel", **model())
    with refused("ValidationException", 400, words):
        plane.call("CreateEndpointConfig", EndpointConfigName="dogs", ProductionVariants=variants)
    assert plane.records.all(EndpointConfig) == []


@pytest.mark.docs
def test_a_configuration_says_its_default_weight(plane: ControlPlane) -> None:
    plane.call("CreateModel", **model())
    plane.call(
        "CreateEndpointConfig",
        EndpointConfigName="dogs",
        ProductionVariants=[variant("a"), variant("b", InitialVariantWeight=0.5)],
    )
    answer = plane.call("DescribeEndpointConfig", EndpointConfigName="dogs")
    weights = [v["InitialVariantWeight"] for v in answer["ProductionVariants"]]
    assert (answer["EndpointConfigArn"], weights) == (f"{ARN}:endpoint-config/dogs", [1.0, 0.5])


@pytest.mark.observed
@pytest.mark.parametrize(
    ("operation", "params", "what"),
    [
        ("CreateModel", model(), "model"),
        (
            "CreateEndpointConfig",
            {"EndpointConfigName": "dogs", "ProductionVariants": [variant()]},
            "endpoint configuration",
        ),
        ("CreateEndpoint", {"EndpointName": "dogs", "EndpointConfigName": "dogs"}, "endpoint"),
    ],
)
def test_a_name_that_is_taken(
    plane: ControlPlane, operation: str, params: dict[str, Any], what: str
) -> None:
    served(plane)
    kind = what.replace("endpoint configuration", "endpoint-config")
    with refused(
        "ValidationException", 400, f'Cannot create already existing {what} "{ARN}:{kind}/dogs".'
    ):
        plane.call(operation, **params)


@pytest.mark.observed
@pytest.mark.parametrize(
    ("operation", "params", "words"),
    [
        ("DescribeModel", {"ModelName": "x"}, f'Could not find model "{ARN}:model/x".'),
        ("DeleteModel", {"ModelName": "x"}, f'Could not find model "{ARN}:model/x".'),
        (
            "DescribeEndpointConfig",
            {"EndpointConfigName": "x"},
            f'Could not find endpoint configuration "{ARN}:endpoint-config/x".',
        ),
        (
            "DeleteEndpointConfig",
            {"EndpointConfigName": "x"},
            f'Could not find endpoint configuration "{ARN}:endpoint-config/x".',
        ),
        ("DescribeEndpoint", {"EndpointName": "x"}, f'Could not find endpoint "{ARN}:endpoint/x".'),
        ("DeleteEndpoint", {"EndpointName": "x"}, f'Could not find endpoint "{ARN}:endpoint/x".'),
        (
            "UpdateEndpoint",
            {"EndpointName": "x", "EndpointConfigName": "x"},
            f'Could not find endpoint "{ARN}:endpoint/x".',
        ),
        (
            "CreateEndpoint",
            {"EndpointName": "x", "EndpointConfigName": "x"},
            f'Could not find endpoint configuration "{ARN}:endpoint-config/x".',
        ),
    ],
)
def test_what_is_not_there(
    plane: ControlPlane, operation: str, params: dict[str, Any], words: str
) -> None:
    with refused("ValidationException", 400, words):
        plane.call(operation, **params)


@pytest.mark.docs
def test_an_endpoint_from_creating_to_in_service(plane: ControlPlane) -> None:
    served(plane, variant("a", InitialInstanceCount=2), variant("b", InitialVariantWeight=0.25))
    creating = plane.call("DescribeEndpoint", EndpointName="dogs")
    assert (creating["EndpointStatus"], creating["EndpointConfigName"]) == ("Creating", "dogs")
    assert "ProductionVariants" not in creating
    pending = creating["PendingDeploymentSummary"]
    assert pending["StartTime"] == NOW
    assert [v["DesiredInstanceCount"] for v in pending["ProductionVariants"]] == [2, 1]
    deploy(plane)
    answer = plane.call("DescribeEndpoint", EndpointName="dogs")
    assert answer["EndpointStatus"] == "InService"
    assert "PendingDeploymentSummary" not in answer
    first, second = answer["ProductionVariants"]
    assert (first["CurrentInstanceCount"], first["CurrentWeight"]) == (2, 1.0)
    assert (second["DesiredInstanceCount"], second["DesiredWeight"]) == (1, 0.25)
    assert first["DeployedImages"][0]["SpecifiedImage"] == IMAGE


@pytest.mark.observed
def test_an_endpoint_outlives_its_configuration_and_its_model(plane: ControlPlane) -> None:
    served(plane)
    plane.call("DeleteEndpointConfig", EndpointConfigName="dogs")
    plane.call("DeleteModel", ModelName="dogs")
    before = deploy(plane)
    assert before.variants[0].container["ModelDataUrl"] == "s3://dogs/out/model.tar.gz"
    assert before.variants[0].execution_role_arn == ROLE
    answer = plane.call("DescribeEndpoint", EndpointName="dogs")
    assert (answer["EndpointStatus"], answer["EndpointConfigName"]) == ("InService", "dogs")


@pytest.mark.docs
def test_a_model_that_is_gone_when_the_endpoint_is_created(plane: ControlPlane) -> None:
    plane.call("CreateModel", **model())
    plane.call("CreateEndpointConfig", EndpointConfigName="c", ProductionVariants=[variant()])
    plane.call("DeleteModel", ModelName="dogs")
    with refused("ValidationException", 400, f'Could not find model "{ARN}:model/dogs".'):
        plane.call("CreateEndpoint", EndpointName="dogs", EndpointConfigName="c")


@pytest.mark.docs
def test_an_update_is_pending_beside_what_serves(plane: ControlPlane) -> None:
    served(plane, variant(InitialInstanceCount=2))
    plane.records.put(replace(deploy(plane), failure_reason="an earlier update failed"))
    plane.call("CreateEndpointConfig", EndpointConfigName="new", ProductionVariants=[variant()])
    plane.wait(60)
    answer = plane.call("UpdateEndpoint", EndpointName="dogs", EndpointConfigName="new")
    assert answer == {"EndpointArn": f"{ARN}:endpoint/dogs"}
    updating = plane.call("DescribeEndpoint", EndpointName="dogs")
    assert (updating["EndpointStatus"], updating["EndpointConfigName"]) == ("Updating", "dogs")
    assert updating["ProductionVariants"][0]["CurrentInstanceCount"] == 2
    assert updating["PendingDeploymentSummary"]["EndpointConfigName"] == "new"
    assert updating["LastModifiedTime"] == plane.now
    assert "FailureReason" not in updating
    after = deploy(plane)
    assert (after.config_name, after.variants[0].current_count) == ("new", 1)
    assert (after.generation, after.variants[0].generation) == (2, 2)


@pytest.mark.docs
@pytest.mark.parametrize(
    ("excluded", "count", "weight"),
    [([], 4, 3.0), (["DesiredInstanceCount"], 1, 3.0), (["DesiredWeight"], 4, 1.0)],
)
def test_an_update_may_retain_counts_and_weights(
    plane: ControlPlane, excluded: list[str], count: int, weight: float
) -> None:
    served(plane, variant(InitialInstanceCount=4, InitialVariantWeight=3.0))
    deploy(plane)
    plane.call(
        "CreateEndpointConfig",
        EndpointConfigName="new",
        ProductionVariants=[variant(), variant("other")],
    )
    plane.call(
        "UpdateEndpoint",
        EndpointName="dogs",
        EndpointConfigName="new",
        RetainAllVariantProperties=True,
        ExcludeRetainedVariantProperties=[{"VariantPropertyType": kind} for kind in excluded],
    )
    record = plane.records.get(Endpoint, "dogs")
    assert record is not None
    kept, other = record.pending_variants
    assert (kept.desired_count, kept.desired_weight) == (count, weight)
    assert (other.desired_count, other.desired_weight) == (1, 1.0)


@pytest.mark.docs
def test_weights_take_effect_at_once_and_counts_when_the_replicas_are_there(
    plane: ControlPlane,
) -> None:
    served(plane, variant("a"), variant("b"))
    deploy(plane)
    plane.call(
        "UpdateEndpointWeightsAndCapacities",
        EndpointName="dogs",
        DesiredWeightsAndCapacities=[
            {"VariantName": "a", "DesiredWeight": 0.0},
            {"VariantName": "b", "DesiredInstanceCount": 2},
        ],
    )
    answer = plane.call("DescribeEndpoint", EndpointName="dogs")
    a, b = answer["ProductionVariants"]
    assert answer["EndpointStatus"] == "Updating"
    assert (a["CurrentWeight"], a["DesiredWeight"]) == (0.0, 0.0)
    assert (b["CurrentInstanceCount"], b["DesiredInstanceCount"]) == (1, 2)
    assert deploy(plane).status == "InService"


@pytest.mark.docs
@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ([{"VariantName": "x", "DesiredWeight": 1.0}], "Could not find variant(s) x"),
        ([{"VariantName": "a"}, {"VariantName": "a"}], "more than once"),
        ([{"VariantName": "a", "DesiredInstanceCount": 0}], "at least 1"),
        (
            [{"VariantName": "a", "ServerlessUpdateConfig": {"MaxConcurrency": 1}}],
            "ServerlessUpdateConfig",
        ),
    ],
)
def test_bad_weights_and_capacities(
    plane: ControlPlane, wanted: list[dict[str, Any]], words: str
) -> None:
    served(plane, variant("a"))
    before = deploy(plane)
    with refused("ValidationException", 400, words):
        plane.call(
            "UpdateEndpointWeightsAndCapacities",
            EndpointName="dogs",
            DesiredWeightsAndCapacities=wanted,
        )
    assert plane.records.get(Endpoint, "dogs") == before


CHANGES: list[tuple[str, dict[str, Any]]] = [
    ("UpdateEndpoint", {"EndpointConfigName": "dogs"}),
    (
        "UpdateEndpointWeightsAndCapacities",
        {"DesiredWeightsAndCapacities": [{"VariantName": "AllTraffic", "DesiredWeight": 1.0}]},
    ),
    ("DeleteEndpoint", {}),
]


@pytest.mark.observed
@pytest.mark.parametrize("status", ["Creating", "Updating", "RollingBack", "Deleting"])
@pytest.mark.parametrize(("operation", "params"), CHANGES)
def test_an_endpoint_in_progress_is_not_changed(
    plane: ControlPlane, operation: str, params: dict[str, Any], status: Any
) -> None:
    served(plane)
    plane.records.put(replace(deploy(plane), status=status))
    with refused(
        "ValidationException", 400, f'Cannot update in-progress endpoint "{ARN}:endpoint/dogs".'
    ):
        plane.call(operation, EndpointName="dogs", **params)


@pytest.mark.docs
@pytest.mark.parametrize(("operation", "params"), CHANGES[:2])
def test_a_failed_endpoint_can_only_be_deleted(
    plane: ControlPlane, operation: str, params: dict[str, Any]
) -> None:
    served(plane)
    plane.records.put(replace(deploy(plane), status="Failed", failure_reason="boom"))
    arn = f"{ARN}:endpoint/dogs"
    plane.call("AddTags", ResourceArn=arn, Tags=[{"Key": "a", "Value": "1"}])
    assert plane.call("DescribeEndpoint", EndpointName="dogs")["FailureReason"] == "boom"
    with refused("ValidationException", 400, "status Failed"):
        plane.call(operation, EndpointName="dogs", **params)
    assert plane.call("DeleteEndpoint", EndpointName="dogs") == {}
    assert plane.call("DescribeEndpoint", EndpointName="dogs")["EndpointStatus"] == "Deleting"
    assert plane.call("ListTags", ResourceArn=arn)["Tags"] == []
