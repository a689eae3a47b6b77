"""A project is changed by one command at a time; a killed one holds nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from fogbank.core.errors import WorldError
from fogbank.ops.project_lock import ProjectBusy, project_lock

HOLDS = """
import sys
from pathlib import Path
from fogbank.ops.project_lock import project_lock

with project_lock(Path(sys.argv[2]), "dogs"):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_the_second_is_told_who_is_at_it(tmp_path: Path) -> None:
    with (
        project_lock(tmp_path, "dogs"),
        pytest.raises(ProjectBusy, match=rf"process {os.getpid()}.* the project dogs right now"),
        project_lock(tmp_path, "dogs"),
    ):
        pytest.fail("two hold one project")


def test_other_projects_and_other_clouds_do_not_wait(tmp_path: Path) -> None:
    with (
        project_lock(tmp_path, "dogs"),
        project_lock(tmp_path, "cats"),
        project_lock(tmp_path / "other", "dogs"),
    ):
        assert (tmp_path / "locks" / "cats.lock").stat().st_mode & 0o077 == 0


def test_it_is_free_afterwards_also_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), project_lock(tmp_path, "dogs"):
        raise ZeroDivisionError
    with project_lock(tmp_path, "dogs"):
        pass


def test_a_command_that_is_killed_lets_go(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLDS, "up", str(tmp_path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdin is not None
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(ProjectBusy) as caught, project_lock(tmp_path, "dogs"):
            pytest.fail("two hold one project")
        assert f"`fogbank up`, process {other.pid} is changing" in str(caught.value)
        other.send_signal(signal.SIGKILL)
    with project_lock(tmp_path, "dogs"):
        pass


def test_a_home_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "locks").write_text("no folder")
    with pytest.raises(WorldError, match="locks"), project_lock(tmp_path, "dogs"):
        pytest.fail("there is no lock")
