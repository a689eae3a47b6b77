"""AWS's own training toolkit and our training image on the same jobs.

Whatever a script, or the machine that runs the image, can see of the one has to be what it sees of
the other. What is different on purpose stands in the tables below, with the reason; an entry that
is no longer different fails, as does a difference that has none.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from clients.conftest import client_python
from clients.training_images import CASES, OURS, Job, Outcome

pytestmark = pytest.mark.observed

OTHER_VARIABLES = {
    "PYTHONPATH": "AWS's holds everything that the toolkit itself can import: there, the user's "
    "packages live in the toolkit's environment. Here they live in one that the interpreter finds "
    "by itself. In both, the code folder comes first",
}

NOT_COMPARED = {
    "SM_NUM_CPUS": "AWS's counts the cores of the host, ours those that the instance may use; they "
    "are the same only where nothing is shared",
    "SM_TRAINING_ENV": "text of which that number is a part: compared as what it says",
}

OTHER_VARIABLES_OF_TORCHRUN = {
    "GLOO_SOCKET_IFNAME": "without it gloo listens on whatever the host's name resolves to: in a "
    "container that is the container, on other machines it may be nothing",
}

OTHER_FAILURES = {
    "a missing shell program": "AWS's toolkit dies of it, with its own traceback; it is the "
    "user's mistake, and told as one",
    "no program": "the same mistake in our own words",
    "a program outside the code": "the same mistake in our own words",
    "no code": "AWS's toolkit starts the interpreter on a file that cannot be there; ours says "
    "that no code came",
}

OTHER_EXIT_CODES = {
    "a missing shell program": "2 is the errno that AWS's toolkit died of; see above",
}

LONGER_MESSAGES = {
    "exit 3": "AWS's toolkit repeats only what follows the name of a Python exception, so the "
    "reason of a script that says it in its own words is lost",
    "an exception": "the whole traceback: AWS's begins below it, without the line that raised",
    "killed below a shell": "what the shell said of it",
    "a missing script": "what the interpreter said of it",
}

_FAILED = re.compile(
    r'(\w+):\nExitCode (-?\d+)\nErrorMessage "(.*)"\n(?:ExtraInfo "(.*)"\n)?Command "(.*)"',
    re.DOTALL,
)


@pytest.fixture(scope="module")
def aws() -> tuple[str, ...]:
    return (str(client_python("toolkit").with_name("train")),)


def different(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """What is not the same, ours first."""
    return {
        name: (ours.get(name), theirs.get(name))
        for name in sorted(ours.keys() | theirs.keys())
        if ours.get(name) != theirs.get(name)
    }


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case["name"]))
def test_a_job_is_the_same_to_both(
    case: Mapping[str, Any], aws: tuple[str, ...], tmp_path: Path
) -> None:
    theirs = Job(tmp_path / "theirs", case).run(aws)
    ours = Job(tmp_path / "ours", case).run(OURS)
    name = case["name"]
    assert (ours.has_succeeded, ours.files) == (theirs.has_succeeded, theirs.files), ours.log
    assert (ours.exit_code != theirs.exit_code) == (name in OTHER_EXIT_CODES)
    assert ours.has_succeeded == (ours.exit_code == 0) == case.get("succeeds", True), ours.log
    compare_seen(ours, theirs)
    compare_failures(name, ours, theirs)
    if name not in OTHER_FAILURES:
        for line in ("Invoking script with the following command", case.get("says", "")):
            assert (line in ours.log) == (line in theirs.log)


def compare_seen(ours: Outcome, theirs: Outcome) -> None:
    """Arguments, working folder, umask, standard input, module path, channels, environment."""
    assert ours.has_succeeded == (ours.seen is not None) == (theirs.seen is not None), ours.log
    if ours.seen is None or theirs.seen is None:
        return
    found = different(ours.seen, theirs.seen)
    assert found.keys() == {"environment"}, found
    mine, other = found["environment"]
    whole = different(*(json.loads(variables["SM_TRAINING_ENV"]) for variables in (mine, other)))
    assert whole.keys() <= {"num_cpus"}, whole
    variables = different(mine, other)
    assert variables.keys() - NOT_COMPARED.keys() == OTHER_VARIABLES.keys(), variables
    firsts = {path.split(":")[0] for path in variables["PYTHONPATH"]}
    assert firsts == {"/opt/ml/code"}


def compare_failures(name: str, ours: Outcome, theirs: Outcome) -> None:
    """The failure file: its form, and at least what AWS's says."""
    if name in OTHER_FAILURES:
        assert ours.failure
        assert ours.failure != theirs.failure
        assert "Traceback" not in ours.failure
        return
    mine, other = (parts(outcome.failure) for outcome in (ours, theirs))
    if mine is None or other is None:
        assert ours.failure == theirs.failure
        return
    found = different(mine, other)
    assert found.keys() == ({"message"} if name in LONGER_MESSAGES else set()), found
    for line in other["message"].splitlines():
        assert line.strip() in mine["message"]


def parts(failure: str | None) -> dict[str, str] | None:
    """A failure file in the toolkit's form, the interpreter's path apart; None for another form."""
    matched = _FAILED.fullmatch(failure or "")
    if matched is None:
        return None
    kind, exit_code, message, extra, command = matched.groups()
    command = re.sub(r"^\S*/python\S* ", "python ", command)
    return {
        "kind": kind,
        "exit_code": exit_code,
        "message": message,
        "extra": extra,
        "command": command,
    }


def test_every_table_speaks_of_a_case() -> None:
    names = {case["name"] for case in CASES}
    assert len(names) == len(CASES)
    for table in (OTHER_FAILURES, OTHER_EXIT_CODES, LONGER_MESSAGES):
        assert table.keys() <= names


@pytest.mark.parametrize(
    ("hosts", "current"),
    [(["algo-1"], "algo-1"), (["algo-1", "algo-2"], "algo-1"), (["algo-1", "algo-2"], "algo-2")],
)
def test_torchrun_is_started_alike(
    hosts: list[str], current: str, aws: tuple[str, ...], tmp_path: Path
) -> None:
    """In the place of torchrun stands show.py: the real one would wait for the other host."""
    case = {
        "program": "show.py",
        "submit": "placed",
        "hosts": hosts,
        "current": current,
        "hyperparameters": {"epochs": "3", "sagemaker_torch_distributed_enabled": "true"},
        "environment": {"PATH": f"{tmp_path}:{os.environ['PATH']}"},
    }
    show = 'import runpy\n\nrunpy.run_path("show.py")\n'
    torchrun = tmp_path / "torchrun"
    torchrun.write_text(f"#!{sys.executable}\n{show}")
    torchrun.chmod(0o755)
    seen = []
    for name, image in (("ours", OURS), ("theirs", aws)):
        job = Job(tmp_path / name, case)
        package = job.base / "code/torch/distributed"
        package.mkdir(parents=True)
        for file, text in (("../__init__", ""), ("__init__", ""), ("run", show)):
            (package / f"{file}.py").write_text(text)
        outcome = job.run(image)
        assert outcome.seen is not None, outcome.log
        seen.append(outcome.seen)
    mine, other = ({**each, "arguments": each["arguments"][1:], "path": ""} for each in seen)
    assert different(mine, other).keys() == {"environment"}
    environments = different(mine["environment"], other["environment"])
    assert environments.keys() - NOT_COMPARED.keys() == (
        OTHER_VARIABLES.keys() | OTHER_VARIABLES_OF_TORCHRUN.keys()
    )
