"""The function's zip: the same bytes everywhere, and all that the function needs."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from fogbank.core.errors import InputError
from fogbank.ops.function_zip import MAX_ZIP_BYTES, code_sha256, front_members, pack_zip
from fogbank.ops.project import FUNCTION
from fogbank.ops.spec_file import read_spec
from fogbank.ops.survey import Code, survey


def function_code(project: Path) -> Code:
    code = survey(read_spec(project / "fogbank.yaml"), project).function_code
    assert code is not None
    return code


def names_of(code: Code) -> set[str]:
    return {member.name for member in code.members}


def test_equal_contents_are_equal_bytes_on_every_machine() -> None:
    contents = {"b.py": b"b", "a/c.py": b"c"}
    archive = pack_zip(contents)
    assert archive == pack_zip(dict(reversed(contents.items())))
    # Nothing in it depends on a compressor, a clock or a user.
    assert code_sha256(archive) == "dWvvpQiJfAdXyUem8FgxkZYA5x1YBMEhln1nQWp5N2o="
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        for member in opened.infolist():
            assert member.compress_type == zipfile.ZIP_STORED
            assert member.external_attr >> 16 == 0o100644
        assert opened.read("a/c.py") == b"c"


def test_one_that_lambda_would_not_take() -> None:
    with pytest.raises(InputError, match=r"Lambda takes 52 MB"):
        pack_zip({"weights.bin": bytes(MAX_ZIP_BYTES)})


def test_a_module_goes_along_with_the_front_alone(project: Path) -> None:
    (project / "fogbank.yaml").write_text("project: pets\nfunction: {}\n")
    (project / "function.py").write_text("def handler(event, context): ...\n")
    (project / "requirements.txt").write_text("timm\n")
    code = function_code(project)
    assert code.entry_point == "function.py"
    assert names_of(code) == {"function.py", *front_members()}
    assert not any("cache" in name for name in names_of(code))
    before = code.digest
    (project / "train.py").write_text("print('other')\n")
    assert function_code(project).digest == before
    (project / "function.py").write_text("def handler(event, context): return 1\n")
    assert function_code(project).digest != before


def test_a_folder_goes_along_whole_and_may_have_a_front_of_its_own(project: Path) -> None:
    (project / "fogbank.yaml").write_text(
        "project: pets\nfunction: {source_dir: web, entry_point: app/main.py}\n"
    )
    for name in ("app/main.py", "app/helpers.py", "fogbank/front/__init__.py", "requirements.txt"):
        path = project / "web" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"# {name}\n")
    code = function_code(project)
    assert code.entry_point == "app/main.py"
    assert {"app/helpers.py", "requirements.txt"} <= names_of(code)
    own = [member.path for member in code.members if member.name == "fogbank/front/__init__.py"]
    assert own == [project / "web/fogbank/front/__init__.py"]


def test_a_project_without_its_module(project: Path) -> None:
    (project / "fogbank.yaml").write_text("project: pets\nfunction: {}\n")
    with pytest.raises(InputError, match=r"function\.entry_point: there is no file"):
        function_code(project)


def test_the_zip_works_where_fogbank_is_not_installed(tmp_path: Path) -> None:
    """As on AWS: nothing but the zip, the standard library and boto3."""
    members = {name: path.read_bytes() for name, path in front_members().items()}
    archive = pack_zip({"function.py": FUNCTION.encode(), **members})
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        opened.extractall(tmp_path)
    program = (
        "import function, json, sys\n"
        "class Context:\n"
        "    def get_remaining_time_in_millis(self): return 60000\n"
        "answer = function.handler({'url': 'https://169.254.169.254/'}, Context())\n"
        "rooms = sorted({name for name in sys.modules if name.split('.')[0] == 'fogbank'})\n"
        "print(json.dumps([answer, rooms, sys.modules['fogbank.front'].__file__]))\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(tmp_path),
            "ENDPOINT_NAME": "dogs",
            "AWS_REGION": "eu-west-1",
        },
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stderr
    answer, rooms, origin = json.loads(ended.stdout)
    assert answer["statusCode"] == 403
    assert Path(origin).is_relative_to(tmp_path)
    assert all(room == "fogbank" or room.startswith("fogbank.front") for room in rooms)
