"""`fogbank function`, against a cloud that really runs; no endpoint is needed to deploy one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from typer.testing import CliRunner, Result

from e2e.waiting import until
from fogbank.cli.exit_codes import ExitCode
from fogbank.cli.main import app
from fogbank.ops.project import FUNCTION
from fogbank.testing.cloud import RunningCloud
from front.pictures import png
from ops.fake_aws import write_project

HANDLER = """
def handler(event, context):
    print("asked", event)
    if event == "fail":
        raise KeyError("no dog")
    return {"got": event}
"""


def fogbank(*arguments: str | Path, home: Path | None = None, port: int = 0) -> Result:
    environment = {
        "FOGBANK_HOME": str(home or "/nonexistent/fogbank"),
        "FOGBANK_PORT": str(port),
    }
    return CliRunner(env=environment).invoke(app, [str(part) for part in arguments])


def test_what_is_wrong_is_said_before_a_cloud_is_started(tmp_path: Path) -> None:
    home = tmp_path / "home"
    (tmp_path / "fogbank.yaml").write_text("project: fronted\n")
    where = ("--project-dir", tmp_path)
    no_json = fogbank("function", "invoke", "{", *where, home=home)
    assert no_json.exit_code == ExitCode.USAGE
    assert "not JSON" in no_json.stderr
    no_file = fogbank("function", "invoke", "@nowhere.json", *where, home=home)
    assert no_file.exit_code == ExitCode.USAGE
    assert "cannot be read" in no_file.stderr
    (tmp_path / "fogbank.yaml").write_text(
        "project: fronted\nfunction:\n  allowed_hosts: [10.0.0.1]\n"
        "  reserved_concurrency: 1\n  provisioned_concurrency: 2\n"
    )
    wrong = fogbank("function", "deploy", *where, home=home)
    assert wrong.exit_code == ExitCode.USAGE
    assert "fogbank.yaml:3: function.allowed_hosts[0]: '10.0.0.1' is not a host" in wrong.stderr
    assert not home.exists()


class Fronted:
    """A project with a function of its own, and its commands."""

    def __init__(self, folder: Path, cloud: RunningCloud) -> None:
        self.folder = folder
        self._cloud = cloud
        write_project(folder)
        self.write("function: {}")

    def write(self, section: str, handler: str = HANDLER) -> None:
        (self.folder / "fogbank.yaml").write_text(f"project: fronted\n{section}\n")
        (self.folder / "function.py").write_text(handler)

    def types(self, *command: str) -> Result:
        return fogbank(
            *command,
            "--project-dir",
            self.folder,
            home=self._cloud.home,
            port=self._cloud.port,
        )

    def logs(self) -> str:
        return self.types("function", "logs").stdout

    def reads(self, *command: str) -> Any:
        result = self.types(*command, "--json")
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)


@pytest.fixture
def project(tmp_path: Path, cloud: RunningCloud) -> Iterator[Fronted]:
    fronted = Fronted(tmp_path, cloud)
    yield fronted
    assert fronted.types("down", "--yes").exit_code == 0


@pytest.mark.slow
def test_from_code_to_an_answer(project: Fronted) -> None:
    missing = project.types("function", "invoke", "{}")
    assert missing.exit_code == ExitCode.USAGE
    assert "`fogbank function deploy` makes it" in missing.stderr
    shown = project.types("status").stdout.splitlines()
    assert "not deployed" in next(line for line in shown if line.startswith("function "))
    first = project.reads("function", "deploy")
    assert first["function"]["version"] == "1"
    assert len(first["steps"]) == 4
    assert project.reads("function", "deploy")["steps"] == []

    called = project.reads("function", "invoke", '{"x": 1}')
    assert called["answer"] == {"got": {"x": 1}}
    assert called["version"] == "1"
    assert any("Init Duration" in line for line in called["log"])
    failed = project.types("function", "invoke", '"fail"')
    assert failed.exit_code == ExitCode.CLOUD_FAILURE
    assert "no dog" in failed.stdout

    logged = until(  # the last lines come after the answer
        lambda: text if (text := project.logs()).count("REPORT RequestId: ") == 2 else None,
        "two reports",
    )
    assert "asked {'x': 1}" in logged

    project.write("function: {memory_mb: 256}", HANDLER + "# new\n")
    second = project.reads("function", "deploy")
    assert second["steps"] == [
        "update the function fronted",
        "publish a new version of fronted as live",
    ]
    assert project.reads("function", "invoke", "{}")["version"] == "2"


@pytest.mark.slow
def test_concurrency(project: Fronted) -> None:
    project.write("function: {reserved_concurrency: 3, provisioned_concurrency: 2}")
    assert project.types("function", "deploy").exit_code == 0
    figures = project.reads("function", "concurrency")
    assert figures["reserved"] == 3
    assert figures["provisioned"]["status"] == "READY"
    assert figures["provisioned"]["allocated"] == 2
    shown = project.types("function", "concurrency").stdout
    assert "2 of 2 for live (READY)" in shown
    assert "Only callers of fronted:live" in shown
    called = project.reads("function", "invoke", "{}")
    assert not any("Init Duration" in line for line in called["log"]), "it was started before"

    project.write("function: {reserved_concurrency: 901}")
    refused = project.types("function", "deploy")
    assert refused.exit_code == ExitCode.USAGE
    assert "at most 900 can be reserved" in refused.stderr

    project.write("function: {reserved_concurrency: 0}")
    assert project.types("function", "deploy").exit_code == 0
    throttled = project.types("function", "invoke", "{}")
    assert throttled.exit_code == ExitCode.CLOUD_FAILURE
    assert "ReservedFunctionConcurrentInvocationLimitExceeded" in throttled.stderr


@pytest.mark.slow
def test_a_url(project: Fronted) -> None:
    project.write("function: {url: public}", FUNCTION)
    url = project.reads("function", "deploy")["function"]["url"]
    request = Request(url, data=b'{"url": "https://169.254.169.254/latest/meta-data/"}')
    with pytest.raises(HTTPError) as caught:
        urlopen(request, timeout=20)
    with caught.value as answer:
        assert answer.status == 403
        assert json.load(answer)["error"] == "HostNotAllowed"
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
    project.write("function: {url: none}", FUNCTION)
    assert project.reads("function", "deploy")["function"]["url"] is None


@pytest.mark.slow
def test_the_projects_function_says_what_it_refuses(
    project: Fronted, tmp_path: Path, cloud: RunningCloud
) -> None:
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket="fronted-uploads")
    for key in ("in/1.png", "out/1.png"):
        s3.put_object(Bucket="fronted-uploads", Key=key, Body=png())
    project.write('function: {s3_prefixes: ["s3://fronted-uploads/in/"]}', FUNCTION)
    assert project.types("function", "deploy").exit_code == 0
    read = project.types("invoke", "s3://fronted-uploads/in/1.png")
    assert "(424): the model could not be asked" in read.stderr, "there is no endpoint here"
    other = project.types("invoke", "s3://fronted-uploads/out/1.png")
    assert "(403)" in other.stderr
    assert "function.s3_prefixes in fogbank.yaml" in other.stderr
    refused = project.types("invoke", "https://example.com/dog.png")
    assert refused.exit_code == ExitCode.USAGE
    assert "function.allowed_hosts in fogbank.yaml" in refused.stderr
    text = tmp_path / "text.png"
    text.write_text("no picture")
    assert "(415): this is not a picture" in project.types("invoke", str(text)).stderr
