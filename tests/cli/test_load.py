"""`fogbank load`, against an endpoint that really runs: 1 -> 3 -> 1 by itself, and what is kept."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from cli.scaled_project import ScaledProject
from fogbank.cli.exit_codes import ExitCode
from fogbank.core.clock import SystemClock, wait


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--profile", "wave"), "constant, ramp, step, spike, day, hourly"),
        (("--through", "wormhole"), "`endpoint` or `function`"),
        (("--rate", "0"), "greater than 0"),
        (("--profile", "spike", "--rate", "5", "--peak", "1"), "below the rate"),
        (("--duration", "-1"), "greater than 0"),
    ],
)
def test_what_is_wrong_is_said_before_a_cloud_is_started(
    options: tuple[str, ...], words: str, tmp_path: Path
) -> None:
    refused = ScaledProject(tmp_path).types("load", *options)
    assert refused.exit_code == ExitCode.USAGE
    assert words in refused.stderr


@pytest.mark.parametrize(
    ("text", "words"),
    [("0.5\nnoon\n", "line 2 of the trace"), ("0\n99999\n", "99999 s: 21600 at most")],
)
def test_a_trace_that_cannot_be(text: str, words: str, tmp_path: Path) -> None:
    project = ScaledProject(tmp_path)
    trace = tmp_path / "trace.csv"
    trace.write_text(text)
    refused = project.types("load", "--profile", str(trace))
    assert refused.exit_code == ExitCode.USAGE
    assert words in refused.stderr


def instances(project: ScaledProject) -> int:
    return int(project.reads("scale", "show")["instances"]["serving"])


@pytest.mark.slow
@pytest.mark.observed
def test_a_spike_brings_instances_and_its_end_takes_them_away(unscaled: ScaledProject) -> None:
    project, clock = unscaled, SystemClock()
    project.does(
        "scale",
        "set",
        *("--target", "300", "--max", "3"),
        *("--scale-in-cooldown", "60", "--scale-out-cooldown", "60"),
    )
    began = clock.now().replace(microsecond=0)
    record = project.reads(
        "load", "--profile", "spike", "--rate", "2", "--peak", "15", "--duration", "20"
    )
    assert record["errors"] == {}, "no request is lost"
    assert record["instances"] == {"fewest": 1, "most": 3}
    assert record["time_scale"] == 60
    assert record["requests"] == pytest.approx(118, rel=0.3)
    assert record["activities"][0]["description"] == "Setting desired instance count to 3."
    high = [each for each in record["alarm_changes"] if each["side"] == "AlarmHigh"]
    rose = next(each for each in high if each["state"] == "ALARM")
    assert rose["at_s"] <= record["activities"][0]["started_s"], "the one follows from the other"
    assert record["policy"]["target"] == 300
    assert record["cooldowns"][0]["side"] == "out"
    kept, picture = map(Path, record["files"])
    assert json.loads(kept.read_text())["seconds"] == record["seconds"]
    assert picture.read_bytes().startswith(b"\x89PNG")

    limit_s = clock.monotonic_s() + 60
    while instances(project) != 1 and clock.monotonic_s() < limit_s:
        wait(0.5)
    assert instances(project) == 1
    history = project.reads("scale", "history", "--not-scaled")["events"]
    # Other tests scale it, too.
    events = [event for event in history if datetime.fromisoformat(event["at"]) >= began]
    assert [event["at"] for event in events] == sorted(event["at"] for event in events)
    done = [event for event in events if event["kind"] == "activity"]
    assert [event["what"][-2] for event in done] == ["3", "2", "1"]
    assert {event["status"] for event in done} == {"Successful"}
    assert "AlarmHigh-" in done[0]["detail"]
    changes = [event["what"] for event in events if event["kind"] == "alarm"]
    assert changes.index("AlarmHigh OK -> ALARM") < changes.index("AlarmLow OK -> ALARM")
    shown = project.does("scale", "history")
    assert "Setting desired instance count to 3. Successful" in shown
    assert "triggered policy SageMakerEndpointInvocationScalingPolicy" in shown
    assert "60 times faster" in shown


@pytest.mark.slow
def test_a_trace_is_asked_for_and_its_end_is_said(deployed: ScaledProject) -> None:
    trace = deployed.folder / "times.txt"
    trace.write_text("".join(f"{number / 10}\n" for number in range(10)))
    ended = deployed.types("load", "--profile", str(trace), "--max-requests", "5")
    assert ended.exit_code == 0
    assert "endpoint scaled, 5 requests" in ended.stdout
    assert "p50" in ended.stdout
    assert "--max-requests allows" in ended.stderr


HANDLER = """
def handler(event, context):
    return {"statusCode": 200 if len(event["image"]) > 4 else 500}
"""


@pytest.mark.slow
def test_through_the_function(unscaled: ScaledProject) -> None:
    project = unscaled
    refused = project.types("load", "--through", "function")
    assert refused.exit_code == ExitCode.USAGE
    assert "`fogbank function deploy` makes it" in refused.stderr
    project.file.write_text(f"{project.file.read_text()}function: {{}}\n")
    (project.folder / "function.py").write_text(HANDLER)
    project.does("function", "deploy")
    asked = ("load", "--through", "function", "--duration", "1", "--rate", "5", "--evenly")
    record = project.reads(*asked)
    assert record["what"] == "function scaled:live"
    assert (record["requests"], record["errors"]) == (5, {})
    tiny = project.folder / "tiny.png"
    tiny.write_bytes(b"x")
    assert project.reads(*asked, "--pictures", str(tiny))["errors"] == {"500": 5}
    project.write("{}")
    project.does("up")  # without its section the function goes


@pytest.mark.slow
def test_ctrl_c_ends_it_early_and_keeps_what_there_is(
    deployed: ScaledProject, fast_cloud: Any
) -> None:
    program = (
        "import sys\n"
        "sys.modules['matplotlib'] = None\n"  # as if it were not installed: no picture then
        "from fogbank.cli.main import main; main()"
    )
    options = ["--duration", "60", "--rate", "20", "--evenly", "--json"]
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-X", "dev", "-c", program, "load", *options],
        cwd=deployed.folder,
        env={**os.environ, "FOGBANK_HOME": str(fast_cloud.home), "FOGBANK_PORT": "0"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    assert process.stderr.readline().startswith("endpoint scaled  ")
    wait(2)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=30)
    assert process.returncode == 0, stderr
    record = json.loads(stdout)
    assert 1 <= record["requests"] < 200
    assert record["duration_s"] < 30
    assert record["errors"] == {}
    (kept,) = record["files"]
    assert (deployed.folder / kept).is_file()
    assert "fogbank[plots]" in stderr
    assert "Warning" not in stderr, "every connection was closed"
