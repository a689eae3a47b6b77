"""/opt/ml of an instance, the image map, and reading what programs leave."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from cloud.machines.training_site import TrainingSite
from fogbank.cloud.machines import nofollow, opt_ml
from fogbank.cloud.machines.fake import FakeEngine
from fogbank.cloud.machines.image_map import ImageMap
from fogbank.testing.clock import ManualClock


@pytest.mark.observed
def test_configuration_files(tmp_path: Path) -> None:
    clock = ManualClock()
    source = {"S3DataType": "S3Prefix", "S3Uri": "s3://b/x"}
    job = TrainingSite(tmp_path, FakeEngine(clock), clock).create(
        HyperParameters={"batch_size": '"128"'},
        ResourceConfig={"InstanceType": "ml.m5.xlarge", "InstanceCount": 2},
        InputDataConfig=[{"ChannelName": "training", "DataSource": {"S3DataSource": source}}],
    )
    opt_ml.create(tmp_path / "ml", job, 1, "eth0")
    config = tmp_path / "ml" / "input" / "config"
    assert json.loads((config / "hyperparameters.json").read_text()) == {"batch_size": '"128"'}
    assert json.loads((config / "inputdataconfig.json").read_text()) == {
        "training": {
            "TrainingInputMode": "File",
            "S3DistributionType": "FullyReplicated",
            "RecordWrapperType": "None",
        }
    }
    assert json.loads((config / "resourceconfig.json").read_text()) == {
        "current_host": "algo-2",
        "current_instance_type": "ml.m5.xlarge",
        "current_group_name": "homogeneousCluster",
        "hosts": ["algo-1", "algo-2"],
        "instance_groups": [
            {
                "instance_group_name": "homogeneousCluster",
                "instance_type": "ml.m5.xlarge",
                "hosts": ["algo-1", "algo-2"],
            }
        ],
        "network_interface_name": "eth0",
    }
    assert (tmp_path / "ml" / "input" / "data" / "training").is_dir()


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        ("/opt/ml", "/B"),
        ("--out=/opt/ml/model", "--out=/B/model"),
        ("chmod +x /opt/ml/a && /opt/ml/a", "chmod +x /B/a && /B/a"),
        ("/opt/mlx /my/opt/ml /opt/ml-2", "/opt/mlx /my/opt/ml /opt/ml-2"),
    ],
)
def test_rewriting_arguments(argument: str, expected: str) -> None:
    assert opt_ml.rewrite(argument, Path("/B")) == expected


@pytest.mark.observed
@pytest.mark.parametrize(
    ("value", "uri"),
    [('"s3://b/x.tar.gz"', "s3://b/x.tar.gz"), ("s3://b/x", "s3://b/x"), ("/opt/ml/code", None)],
)
def test_code_of_both_sdks(tmp_path: Path, value: str, uri: str | None) -> None:
    clock = ManualClock()
    job = TrainingSite(tmp_path, FakeEngine(clock), clock).create(
        HyperParameters={"sagemaker_submit_directory": value}
    )
    assert opt_ml.submit_archive(job) == uri


def test_images(tmp_path: Path) -> None:
    other = tmp_path / "venv" / "bin" / "python"
    images = ImageMap(interpreters=[("*:2.0-*", other)], search_path="/bin")
    assert images.command("x/pytorch:2.6-cpu", "m") == (sys.executable, "-m", "m")
    assert images.command("x/pytorch:2.0-cpu", "m") == (str(other), "-m", "m")
    assert images.environment("x:2.6-cpu") == {"PATH": f"{Path(sys.executable).parent}:/bin"}
    assert (Path(images.environment("x:2.0-cpu")["PYTHONPATH"]) / "fogbank").is_dir()
    assert images.folders_in(tmp_path) == (tmp_path / "venv",)


def test_reading_follows_no_link(tmp_path: Path) -> None:
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "f").write_text("key")
    own = tmp_path / "own"
    own.mkdir()
    (own / "folder").symlink_to(tmp_path / "secret")
    (own / "file").symlink_to(tmp_path / "secret" / "f")
    os.mkfifo(own / "pipe")
    (own / "real").write_text("x" * 100)
    assert nofollow.read_head(own, "folder", "f", size_bytes=9) == b""
    assert nofollow.read_head(own, "file", size_bytes=9) == b""
    assert nofollow.read_head(own, "pipe", size_bytes=9) == b""
    assert nofollow.read_head(own, "real", size_bytes=9) == b"x" * 9
    assert nofollow.is_empty(own, "folder")
    assert not nofollow.is_empty(own)


def test_a_tree_goes_whatever_its_modes_are(tmp_path: Path) -> None:
    deep = tmp_path / "t" / "work" / "work"
    deep.mkdir(parents=True)
    (deep / "f").write_text("x")
    (tmp_path / "outside").mkdir(mode=0o755)
    (tmp_path / "t" / "link").symlink_to(tmp_path / "outside")
    deep.chmod(0)
    nofollow.remove_tree(tmp_path / "t")
    nofollow.remove_tree(tmp_path / "t")
    assert not (tmp_path / "t").exists()
    assert (tmp_path / "outside").stat().st_mode & 0o777 == 0o755
