"""A job cannot change an object through its channel, whatever it tries."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from cloud.machines.training_site import ROLE, TrainingSite
from fogbank.cloud.ports import StoredObject

ATTACK = Path(__file__).with_name("attack_channel.py")


def state(stored: StoredObject) -> tuple[bytes, int, int, int, list[str]]:
    """Content, and what the file system says of it that a program could change."""
    status = stored.path.stat()
    return (
        stored.path.read_bytes(),
        status.st_mode,
        status.st_uid,
        status.st_mtime_ns,
        os.listxattr(stored.path),
    )


def channel(uri: str) -> dict[str, object]:
    source = {"S3DataType": "S3Prefix", "S3Uri": uri}
    return {"ChannelName": "train", "DataSource": {"S3DataSource": source}}


def attack(training: TrainingSite, stored: StoredObject) -> None:
    python = shutil.which("python3") or sys.executable
    tree = training.site.training_root / "dogs" / "channels" / "algo-1" / "train" / "tree" / "a.txt"
    training.create(
        RoleArn=ROLE,
        AlgorithmSpecification={
            "TrainingImage": "i",
            "ContainerEntrypoint": [python, str(ATTACK)],
            "ContainerArguments": ["/opt/ml/input/data/train", str(stored.path), str(tree)],
        },
        InputDataConfig=[channel("s3://in/data")],
    )


async def test_what_a_job_does_in_its_channel_stays_there(training: TrainingSite) -> None:
    stored = training.objects.add("in", "data/a.txt", b"precious")
    before = state(stored)
    training.runs(
        "cd input/data/train && echo evil >> a.txt && chmod 777 a.txt && ln a.txt b && rm a.txt"
        " && echo evil > b && mkdir cache && echo x > cache/y && echo spoilt",
        InputDataConfig=[channel("s3://in/data")],
    )
    assert (await training.end()).status == "Completed"
    assert training.logs.lines == ["spoilt"]
    assert state(stored) == before


@pytest.mark.parametrize("engine", ["namespace"], indirect=True)
async def test_an_enclosed_job_cannot_change_an_object_by_any_way(training: TrainingSite) -> None:
    stored = training.objects.add("in", "data/a.txt", b"precious")
    before = state(stored)
    core_pattern = Path("/proc/sys/kernel/core_pattern").read_text()
    attack(training, stored)
    job = await training.end()
    lines = training.logs.lines
    assert lines[-1] == "over", lines[-20:]
    assert job.status == "Completed"
    assert state(stored) == before
    assert Path("/proc/sys/kernel/core_pattern").read_text() == core_pattern
    # It could spoil its own view of the channel and make files in its own code folder.
    did = {line.split(maxsplit=2)[2] for line in lines if line.startswith("did")}
    assert did
    own = ("/ml/input/data/train/", "code/below/")
    assert [path for path in did if not any(part in path for part in own)] == []


@pytest.mark.parametrize("engine", ["namespace"], indirect=True)
async def test_an_enclosed_job_sees_nothing_of_the_clouds_home(training: TrainingSite) -> None:
    secret = training.home / "records.db"
    secret.write_text("keys\n")
    training.runs(
        f"cat {secret}; ls {training.home}; ls {training.site.training_root}/dogs; ls $PWD; "
        "ls /proc | grep -c '^[0-9]'"
    )
    await training.end()
    lines = training.logs.lines
    assert "keys" not in lines
    assert lines[1:] == [
        *("instances", "overlays", "torch", "algo-1"),
        *("checkpoints", "code", "input", "model", "output", "4"),
    ]
