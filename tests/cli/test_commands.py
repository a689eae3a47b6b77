"""The command line, called as a person calls it; only tests marked slow have a cloud."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from fogbank.cli.exit_codes import MEANINGS, ExitCode
from fogbank.cli.main import app
from fogbank.cli.reference import commands, markdown
from fogbank.ops.spec import DEFAULT_METRICS, Spec
from fogbank.ops.spec_file import read_spec, section_in
from ops.fake_aws import write_project

DOCS = Path(__file__).parents[2] / "docs" / "reference"


def fogbank(*arguments: str | Path, home: Path | None = None) -> Result:
    environment = {"FOGBANK_HOME": str(home or "/nonexistent/fogbank"), "FOGBANK_PORT": "0"}
    return CliRunner(env=environment).invoke(app, [str(part) for part in arguments])


def test_every_command_is_in_the_reference() -> None:
    assert (DOCS / "cli.md").read_text() == markdown(), (
        "python -m fogbank.cli.reference > docs/reference/cli.md"
    )
    assert len(list(commands())) >= 14


def test_every_key_of_the_spec_is_in_the_reference() -> None:
    text = (DOCS / "fogbank-yaml.md").read_text()
    for name, field in Spec.model_fields.items():
        section = section_in(field.annotation)
        for key in [f"{name}.{inner}" for inner in section.model_fields] if section else [name]:
            assert f"| `{key}` |" in text, key


def test_every_exit_code_has_a_meaning() -> None:
    assert set(MEANINGS) == set(ExitCode)


@pytest.mark.parametrize("path", [path for path, _ in commands()])
def test_help_teaches(path: str) -> None:
    result = fogbank(*path.split()[1:], "--help")
    assert result.exit_code == 0
    assert "Usage" in result.output


def test_help_imports_nothing_heavy() -> None:
    program = (
        "import sys; from fogbank.cli.main import app; "
        "heavy = ('boto3', 'botocore', 'torch', 'pydantic', 'numpy'); "
        "print([name for name in heavy if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert found.stdout.strip() == "[]", found.stderr


def test_the_script_itself() -> None:
    script = Path(sys.executable).with_name("fogbank")
    found = subprocess.run([script, "--version"], capture_output=True, text=True)
    assert found.returncode == 0
    assert found.stdout.startswith("fogbank ")


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (("up",), "as a client would: through the function, where the project has one."),
        (("function", "invoke"), '{"image": "<base64>"}'),
        (("run",), "as those of the SageMaker SDKs to STS"),
    ],
    ids=lambda part: part[-1] if isinstance(part, tuple) else "",
)
def test_help_is_in_paragraphs(command: tuple[str, ...], words: str) -> None:
    shown = CliRunner(env={"COLUMNS": "200", "TERM": "dumb"}).invoke(app, [*command, "--help"])
    assert shown.exit_code == 0
    assert words in shown.stdout


def test_init_writes_a_project_that_is_valid(tmp_path: Path) -> None:
    folder = tmp_path / "Dog Breeds"
    result = fogbank("init", folder)
    assert result.exit_code == 0, result.output
    spec = read_spec(folder / "fogbank.yaml")
    assert spec.project == "dog-breeds"
    scripts = {"train.py", "inference.py", "function.py"}
    assert {path.name for path in folder.iterdir()} == {"fogbank.yaml", "data", *scripts}
    assert not list((folder / "data").iterdir()), "it waits for pictures"
    for name in scripts:
        compile((folder / name).read_text(), name, "exec")


def test_init_with_the_sample(tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    folder = tmp_path / "digits"
    assert fogbank("init", folder, "--sample", "digits", "--name", "numbers").exit_code == 0
    assert read_spec(folder / "fogbank.yaml").project == "numbers"
    assert len(list((folder / "data").glob("*/*/*.png"))) == 1797


def test_the_hyperparameters_that_init_writes_are_the_trainers(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from fogbank.vision.train.arguments import parse
    from fogbank.vision.train.config import FIELD_NAMES

    for arguments in ((tmp_path / "a",), (tmp_path / "b", "--sample", "digits")):
        assert fogbank("init", *arguments).exit_code == 0
        spec = read_spec(Path(arguments[0]) / "fogbank.yaml")
        assert spec.tune is not None
        assert set(spec.tune.ranges) <= set(FIELD_NAMES)
        given = spec.train.hyperparameters
        argv = [part for name, value in given.items() for part in (f"--{name}", value)]
        assert parse(argv).notes == ()


def test_the_metrics_are_the_trainers() -> None:
    from fogbank.vision.contract import METRIC_DEFINITIONS

    metrics = Spec(project="x").train.metrics
    assert tuple(metric.name for metric in metrics) == DEFAULT_METRICS
    assert [{"Name": item.name, "Regex": item.regex} for item in metrics] == METRIC_DEFINITIONS


def test_init_overwrites_nothing(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("mine")
    result = fogbank("init", tmp_path, "--name", "x")
    assert result.exit_code == ExitCode.USAGE
    assert "not overwritten" in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["train.py"]
    assert (tmp_path / "train.py").read_text() == "mine"


def test_init_refuses_an_impossible_name(tmp_path: Path) -> None:
    result = fogbank("init", tmp_path / "x", "--name", "Dog_Breeds")
    assert result.exit_code == ExitCode.USAGE
    assert "dog-breeds" in result.stderr
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("command", ["up", "data", "train", "deploy", "status", "down"])
def test_a_folder_without_a_project(command: str, tmp_path: Path) -> None:
    result = fogbank(command, "--project-dir", tmp_path)
    assert result.exit_code == ExitCode.USAGE
    assert "fogbank init" in result.stderr
    assert result.stdout == ""


def test_a_wrong_spec_is_shown_with_its_lines_before_a_cloud_is_started(tmp_path: Path) -> None:
    (tmp_path / "fogbank.yaml").write_text("project: dogs\ntrain:\n  instnce_type: x\n")
    result = fogbank("up", "--project-dir", tmp_path, home=tmp_path / "home")
    assert result.exit_code == ExitCode.USAGE
    assert "fogbank.yaml:3: train.instnce_type" in result.stderr
    assert not (tmp_path / "home").exists()


def test_a_cloud_that_does_not_run(tmp_path: Path) -> None:
    result = fogbank("cloud", "status", "--json", home=tmp_path)
    assert result.exit_code == ExitCode.NOT_RUNNING
    assert json.loads(result.stdout) == {"running": False, "home": str(tmp_path)}
    assert "fogbank cloud start" in fogbank("cloud", "status", home=tmp_path).stdout
    assert fogbank("cloud", "stop", home=tmp_path).exit_code == 0
    assert fogbank("cloud", "logs", home=tmp_path).exit_code == ExitCode.USAGE


@pytest.mark.parametrize("option", [("--account", "12"), ("--region", "moon"), ("--port", "66000")])
def test_settings_that_no_cloud_can_have(option: tuple[str, str], tmp_path: Path) -> None:
    result = fogbank("cloud", "start", *option, home=tmp_path / "home")
    assert result.exit_code == ExitCode.USAGE
    assert not (tmp_path / "home").exists()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of a cloud that runs."""
    folder = tmp_path_factory.mktemp("home")
    assert fogbank("cloud", "start", home=folder).exit_code == 0
    yield folder
    assert fogbank("cloud", "stop", home=folder).exit_code == 0


@pytest.mark.slow
def test_cloud_status(home: Path) -> None:
    again = fogbank("cloud", "start", home=home)
    assert "already running" in again.stdout
    facts = json.loads(fogbank("cloud", "status", "--json", home=home).stdout)
    assert facts["home"] == str(home)
    assert facts["account"] == "123456789012"
    assert facts["region"] == "us-east-1"
    assert facts["running_jobs"] == []
    assert {"pid", "port", "engine", "uptime_s"} <= set(facts)
    assert str(facts["pid"]) in fogbank("cloud", "status", home=home).stdout
    logged = fogbank("cloud", "logs", "-n", "1", home=home).stdout
    assert len(logged.splitlines()) == 1


@pytest.mark.slow
def test_a_port_that_is_taken(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))  # who listens and is silent is asked for 5 s who it is
        port = other.getsockname()[1]
        result = fogbank("cloud", "start", "--port", str(port), home=tmp_path)
    assert result.exit_code == ExitCode.USAGE
    assert "--port or FOGBANK_PORT" in result.stderr


@pytest.mark.slow
def test_env_is_for_a_shell(home: Path) -> None:
    script = 'eval "$FOUND" && env'
    found = fogbank("env", home=home).stdout
    assert all(line.startswith(("export AWS_", "export SAGEMAKER_")) for line in found.splitlines())
    shell = subprocess.run(
        ["sh", "-c", script], env={"FOUND": found}, capture_output=True, text=True, check=True
    )
    inside = dict(line.split("=", 1) for line in shell.stdout.splitlines() if "=" in line)
    wanted = json.loads(fogbank("env", "--json", home=home).stdout)
    assert wanted.items() <= inside.items()


@pytest.mark.slow
def test_run_passes_environment_and_exit_code(home: Path) -> None:
    program = (
        "import boto3, sys; sys.exit(7 if ':assumed-role/' in "
        "boto3.client('sts').get_caller_identity()['Arn'] else 1)"
    )
    script = Path(sys.executable).with_name("fogbank")
    environment = {
        **os.environ,
        "FOGBANK_HOME": str(home),
        "AWS_PROFILE": "nobody",
        "AWS_ENDPOINT_URL_STS": "http://127.0.0.1:1",
    }
    command: list[str | Path] = [script, "run", "--", sys.executable, "-c", program]
    assert subprocess.run(command, env=environment).returncode == 7
    missing = subprocess.run(
        [script, "run", "--", "no-such-command"], env=environment, capture_output=True, text=True
    )
    assert missing.returncode == ExitCode.COMMAND_NOT_FOUND
    assert "no-such-command cannot be run" in missing.stderr


@pytest.mark.slow
def test_a_command_finds_the_cloud_behind_awss_own_hosts(home: Path) -> None:
    program = (
        "import boto3, urllib.error, urllib.request\n"
        "sts = boto3.client('sts', endpoint_url='https://sts.us-east-1.amazonaws.com')\n"
        "print(sts.get_caller_identity()['Account'])\n"
        "try:\n"
        "    urllib.request.urlopen('https://example.com')\n"
        "except urllib.error.URLError as error:\n"
        "    print(error.reason)\n"
    )
    script = Path(sys.executable).with_name("fogbank")
    ended = subprocess.run(
        [script, "run", "--", sys.executable, "-c", program],
        env={**os.environ, "FOGBANK_HOME": str(home)},
        capture_output=True,
        text=True,
    )
    assert ended.stdout.splitlines() == [
        "123456789012",
        "Tunnel connection failed: 403 Forbidden",
    ], ended.stderr
    assert "example.com is not a host of AWS" in (home / "run.log").read_text()


@pytest.mark.slow
def test_data_goes_up_once(home: Path, tmp_path: Path) -> None:
    write_project(tmp_path)
    where = ("--project-dir", tmp_path)
    first = json.loads(fogbank("data", "--json", *where, home=home).stdout)
    assert first["data"] == {
        "uri": "s3://fogbank-pets-123456789012-us-east-1/data/",
        "num_objects": 4,
    }
    assert len(first["steps"]) == 2
    second = fogbank("data", "--json", *where, home=home)
    assert json.loads(second.stdout)["steps"] == []
    assert "nothing to do" in second.stderr
    status = json.loads(fogbank("status", "--json", *where, home=home).stdout)
    assert status["training_job"] is None
    assert status["to_do"][0].startswith("create the role")
    assert "not deployed" in fogbank("status", *where, home=home).stdout


@pytest.mark.slow
def test_deploying_what_is_not_trained(home: Path, tmp_path: Path) -> None:
    write_project(tmp_path)
    result = fogbank("deploy", "--project-dir", tmp_path, home=home)
    assert result.exit_code == ExitCode.USAGE
    assert "fogbank train" in result.stderr


@pytest.mark.slow
def test_invoking_what_is_not_deployed(home: Path, tmp_path: Path) -> None:
    write_project(tmp_path)
    picture = tmp_path / "data/test/dog/4.jpg"
    result = fogbank("invoke", picture, "--project-dir", tmp_path, home=home)
    assert result.exit_code == ExitCode.USAGE
    assert "`fogbank up` deploys it" in result.stderr


@pytest.mark.slow
def test_down_asks_first(home: Path, tmp_path: Path) -> None:
    write_project(tmp_path)
    where = ("--project-dir", tmp_path, "--delete-data")
    assert fogbank("data", *where[:2], home=home).exit_code == 0
    asked = fogbank("down", *where, home=home)
    assert asked.exit_code == ExitCode.USAGE
    assert "--yes" in asked.stderr
    assert fogbank("down", "--yes", *where, home=home).exit_code == 0
    assert "nothing of pets is left" in fogbank("down", *where, home=home).stderr


@pytest.mark.slow
def test_a_script_that_fails_ends_in_its_own_words(home: Path, tmp_path: Path) -> None:
    write_project(tmp_path)
    (tmp_path / "train.py").write_text("raise ValueError('no cats here')\n")
    result = fogbank("train", "--project-dir", tmp_path, home=home)
    assert result.exit_code == ExitCode.CLOUD_FAILURE
    assert "no cats here" in result.stderr
    assert "Give it again" not in result.stderr
    assert "training job pets-" in result.stderr
