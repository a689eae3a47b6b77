"""SageMaker Python SDK, version 2."""

from __future__ import annotations

import pytest

from clients.conftest import LIMIT_S, Client
from e2e.waiting import until
from fogbank.testing.cloud import RunningCloud

pytestmark = [
    pytest.mark.observed,
    pytest.mark.slow,
    pytest.mark.timeout(LIMIT_S),
    pytest.mark.parametrize("client", ["sdk-v2"], indirect=True),
]

ROLE = "arn:aws:iam::123456789012:role/FogbankNotebook"
BUCKET = "sagemaker-us-east-1-123456789012"


def test_train_and_deploy(client: Client, cloud: RunningCloud) -> None:
    told = client("v2_estimator.py", "source", "pictures", "dog.jpg")
    assert (told["bucket"], told["role"], told["status"]) == (BUCKET, ROLE, "Completed")
    assert told["model_data"] == f"s3://{BUCKET}/{told['name']}/output/model.tar.gz"
    assert told["rules"] == [
        [name, "Stopped"]
        for name in ("VanishingGradient", "Overfit", "PoorWeightInitialization", "ProfilerReport")
    ]
    assert told["attached"] == told["name"]
    assert {name: told["hyperparameters"][name] for name in ("epochs", "lr")} == {
        "epochs": "3",
        "lr": '"0.02"',
    }
    # The mean over the minute in which the three epochs were.
    assert [(row["metric_name"], row["value"]) for row in told["metrics"]] == [
        ("loss", pytest.approx((1.01 + 0.51 + 0.3433) / 3))
    ]
    output = told["output"]
    for line in (
        'host algo-1 of ["algo-1"]',
        "Epoch 2: Testing Loss: 0.3433",
        "The image is for PyTorch 1.4.0 and Python 3; in its place",
        "Training seconds: ",
        "VanishingGradient: Stopped",
    ):
        assert output.count(line) == 1, line
    assert told["seen"] == {"size": [31, 17], "pictures": 3}
    assert told["heard"] == {"said": {"url": "https://example.com/dog.jpg"}, "pictures": 3}
    sagemaker = cloud.client("sagemaker")
    assert sagemaker.list_models()["Models"] == []
    assert sagemaker.list_endpoint_configs()["EndpointConfigs"] == []
    until(lambda: not sagemaker.list_endpoints()["Endpoints"], "the end of the endpoint")


def test_without_waiting(client: Client) -> None:
    told = client("v2_later.py", "source", "pictures")
    assert told["at_once"] == f"s3://{BUCKET}/{told['name']}/output/model.tar.gz"
    assert (told["status"], told["stopped"]) == ("Completed", "Stopped")
    assert "Failed. Reason: AlgorithmError: " in told["reason"]
    assert "ValueError: no pictures of the breed kuvasz" in told["reason"]
    assert told["heard"] == {"said": {"url": "dog"}, "pictures": 3}


def test_roles(client: Client, cloud: RunningCloud) -> None:
    root = cloud.credentials["root"]
    told = client("v2_roles.py", root["AccessKeyId"], root["SecretAccessKey"])
    somebody = "arn:aws:iam::123456789012:root"
    assert f"The current AWS identity is not a role: {somebody}" in told["refusal"]
    assert (told["inside"], told["named"], told["bucket"]) == (ROLE, ROLE, BUCKET)
    default = "AmazonSageMaker-DefaultRole"
    assert told["default"] == f"arn:aws:iam::123456789012:role/{default}"
    attached = cloud.client("iam").list_attached_role_policies(RoleName=default)
    assert [policy["PolicyName"] for policy in attached["AttachedPolicies"]] == [
        "AmazonSageMakerFullAccess"
    ]


def test_two_instances(client: Client) -> None:
    told = client("v2_instances.py", "source", "pictures")
    assert told["status"] == "Completed"
    assert sorted(told["streams"]) == [f"{told['name']}/algo-1", f"{told['name']}/algo-2"]
    for rank in (0, 1):
        assert f"rank {rank} of 2 on algo-{rank + 1}: sum 3" in told["output"]


def test_tuning(client: Client) -> None:
    told = client("v2_tuner.py", "source", "pictures")
    assert told["status"] == "Completed"
    trials = told["trials"]
    assert len(trials) == 3
    assert {trial["TrainingJobStatus"] for trial in trials} == {"Completed"}
    best = min(trials, key=lambda trial: trial["FinalObjectiveValue"])
    assert told["best"] == best["TrainingJobName"]
    assert told["attached"] == told["best"]
    assert told["model_data"].endswith(f"/{told['best']}/output/model.tar.gz")
    assert all(0.01 <= trial["lr"] <= 0.1 for trial in trials)
    # The SDK writes categories as JSON, and shows them so.
    assert {trial["batch-size"] for trial in trials} <= {'"32"', '"64"'}


def test_searches_that_build_on_each_other(client: Client) -> None:
    told = client("v2_searches.py", "source", "pictures")
    searches = told["searches"]
    assert {name: (one["status"], one["num_trials"]) for name, one in searches.items()} == {
        "parent": ("Completed", 2),
        "identical": ("Completed", 2),
        "transfer": ("Completed", 2),
        "several": ("Completed", 4),
        "hyperband": ("Completed", 3),
    }
    assert searches["parent"]["tags"] == [{"Key": "team", "Value": "dogs"}]
    assert searches["identical"]["overall_best_of"] in ("searches-parent", "searches-identical")
    assert searches["transfer"]["overall_best_of"] is None
    assert searches["several"]["definition"] in ("low", "high")
    assert told["best_estimator"] == searches["several"]["best"]
    low, high = told["rates"]["low"], told["rates"]["high"]
    assert (len(low), len(high)) == (2, 2)
    assert all(0.01 <= rate <= 0.02 for rate in low)
    assert all(0.2 <= rate <= 0.3 for rate in high)
