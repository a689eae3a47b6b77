"""SageMaker Python SDK, version 3."""

from __future__ import annotations

from pathlib import Path

import pytest

from clients.conftest import LIMIT_S, Client
from clients.test_sdk_v2 import BUCKET, ROLE
from e2e.account import archive

pytestmark = [
    pytest.mark.observed,
    pytest.mark.slow,
    pytest.mark.timeout(LIMIT_S),
    pytest.mark.parametrize("client", ["sdk-v3"], indirect=True),
]


def test_train_and_deploy(client: Client) -> None:
    told = client("v3_trainer.py", "source", "pictures", "dog.jpg")
    assert (told["bucket"], told["role"], told["status"]) == (BUCKET, ROLE, "Completed")
    assert told["name"] in told["listed"]
    assert told["model_data"] == f"s3://{BUCKET}/v3/{told['name']}/output/model.tar.gz"
    assert "Epoch 2: Testing Loss: 0.3433" in told["output"]
    assert told["seen"] == {"size": [31, 17], "pictures": 3}
    assert told["heard"] == {"said": {"url": "dog"}, "pictures": 3}
    assert told["endpoint"] == "InService"


def test_resources(client: Client, project: Path) -> None:
    code = {path.name: path.read_bytes() for path in (project / "source").glob("*.py")}
    (project / "sourcedir.tar.gz").write_bytes(archive(code))
    model = {"model.json": b'{"pictures": 5}', "code/inference.py": code["inference.py"]}
    (project / "model.tar.gz").write_bytes(archive(model))
    told = client("v3_resources.py", "sourcedir.tar.gz", "model.tar.gz")
    assert "ValueError: no pictures of the breed kuvasz" in told["reason"]
    assert told["stopped"] == "Stopped"
    assert told["heard"] == {"said": {"url": "dog"}, "pictures": 5}
    assert told["variants"] == [1]
    assert told["left"] == []


def test_two_instances(client: Client) -> None:
    told = client("v3_instances.py", "source")
    assert told["status"] == "Completed"
    for rank in (0, 1):
        assert f"rank {rank} of 2 on algo-{rank + 1}: sum 3" in told["output"]


def test_tuning(client: Client) -> None:
    told = client("v3_tuner.py", "source", "pictures")
    assert told["status"] == "Completed"
    assert len(told["trials"]) == 2
    best = min(told["trials"], key=lambda trial: trial["FinalObjectiveValue"])
    assert told["best"] == best["TrainingJobName"]
