"""What a load came to: percentiles, seconds, the file, the picture."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from fogbank.core.errors import InputError
from fogbank.ops.load.generator import NOT_SENT, OK, Sample
from fogbank.ops.load.plot import draw
from fogbank.ops.load.record import Cooldown, Latency, LoadRecord, Policy, seconds
from fogbank.ops.load.targets import is_loopback, sample_pictures
from fogbank.ops.load.watch import Activity, AlarmChange, Look

HIGH = "TargetTracking-endpoint/dogs/variant/AllTraffic-AlarmHigh-1"

POLICY = Policy(
    minimum=1, maximum=3, target=120, metric="invocations", out_cooldown_s=300, in_cooldown_s=60
)


def sample(due_s: float, latency_ms: float = 10, error: str = OK) -> Sample:
    return Sample(due_s, latency_ms / 1000, latency_ms / 1000, error)


def record(samples: list[Sample], time_scale: float = 1.0) -> LoadRecord:
    return LoadRecord(
        what="endpoint dogs",
        settings={"profile": "spike"},
        started="2026-11-21T12:00:00+00:00",
        duration_s=10.0,
        time_scale=time_scale,
        samples=samples,
        looks=[Look(0.0, 1, 1), Look(4.0, 1, 3, (HIGH,)), Look(8.0, 3, 3)],
        activities=[
            Activity(4.0, 8.0, "Setting desired instance count to 3.", "x", "Successful", 3),
            Activity(9.0, 9.5, "Setting desired instance count to 2.", "x", "Successful", 2),
            Activity(9.8, None, "Setting desired instance count to 1.", "x", "InProgress", 1),
        ],
        alarm_changes=[AlarmChange(3.9, "AlarmHigh", "ALARM"), AlarmChange(8.1, "AlarmHigh", "OK")],
        policy=POLICY,
    )


def test_percentiles_are_of_answers_without_an_error() -> None:
    samples = [sample(0, latency_ms) for latency_ms in range(1, 101)]
    samples.append(sample(0, 9999, "ModelError"))
    assert Latency.of(samples) == Latency(50, 90, 99, 100)
    assert Latency.of([sample(0, 5, "ModelError")]) == Latency(None, None, None, None)


def test_requests_are_gathered_by_the_second_in_which_they_were_due() -> None:
    found = seconds([sample(1.9), sample(0.2), sample(0.9, 30, "Throttling"), sample(1.1)])
    assert [(second.at_s, second.due, second.errors) for second in found] == [(0, 2, 1), (1, 2, 0)]


def test_the_file_has_everything_but_single_requests(tmp_path: Path) -> None:
    path = tmp_path / "report" / "load.json"
    samples = [sample(0.1), sample(1.2, 20), sample(2.3, 0, NOT_SENT), sample(2.4, 5, "424")]
    record(samples).write(path)
    found = json.loads(path.read_text())
    assert found["requests"] == 4
    assert found["errors"] == {NOT_SENT: 1, "424": 1}
    assert found["instances"] == {"fewest": 1, "most": 3}
    assert found["latency"]["max_ms"] == 20
    assert [second["due"] for second in found["seconds"]] == [1, 1, 2]
    assert found["looks"][1]["alarms"] == [HIGH]
    assert found["alarm_changes"][0] == {"at_s": 3.9, "side": "AlarmHigh", "state": "ALARM"}
    assert found["policy"]["target"] == 120
    assert found["activities"][0]["status"] == "Successful"


@pytest.mark.docs
def test_a_cooldown_begins_when_its_activity_has_succeeded() -> None:
    assert record([]).cooldowns == [Cooldown("out", 8.0, 308.0), Cooldown("in", 9.5, 69.5)]
    assert record([], time_scale=60).cooldowns[0] == Cooldown("out", 8.0, 13.0)
    assert replace(record([]), policy=None).cooldowns == []


@pytest.mark.parametrize("time_scale", [1.0, 60.0])
def test_the_picture_is_a_png_of_its_size(time_scale: float) -> None:
    content = draw(record([sample(s / 2) for s in range(20)], time_scale))
    with Image.open(io.BytesIO(content)) as picture:
        assert (picture.format, picture.size) == ("PNG", (1440, 1152))


def test_a_load_without_an_answer_can_be_drawn() -> None:
    assert draw(record([])).startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://127.0.0.1:4566", True),
        ("http://127.8.9.1", True),
        ("http://[::1]:80", True),
        ("http://localhost:1", True),
        ("https://sagemaker.us-east-1.amazonaws.com", False),
        ("http://10.0.0.1", False),
        ("http://localhost.example.org", False),
    ],
)
def test_load_goes_to_this_machine_only(url: str, expected: bool) -> None:
    assert is_loopback(url) is expected


def test_pictures_come_from_the_test_part_of_a_folder(tmp_path: Path) -> None:
    for part in ("train", "test"):
        folder = tmp_path / part / "cat"
        folder.mkdir(parents=True)
        (folder / "a.png").write_bytes(part.encode())
        (folder / "notes.txt").write_text("no picture")
    assert sample_pictures(tmp_path) == [("image/png", b"test")]
    assert sample_pictures(tmp_path / "train" / "cat" / "a.png") == [("image/png", b"train")]
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(InputError, match="--pictures"):
        sample_pictures(empty)
