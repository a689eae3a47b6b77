"""What functions can import, and where their files are."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from cloud.machines.functions.function_site import FolderCode
from fogbank.cloud.machines.functions.layers import VersionStore
from fogbank.cloud.machines.functions.runtime import FunctionRuntime, make_runtime, own_runtime
from fogbank.cloud.records.function import FunctionVersion, LayerVersion
from fogbank.cloud.state.database import Database
from fogbank.cloud.state.records import SqliteRecords
from fogbank.testing.clock import START


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> FunctionRuntime:
    return make_runtime(tmp_path_factory.mktemp("runtime") / "runtime")


def imports(runtime: FunctionRuntime, code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [runtime.python, "-c", code], capture_output=True, text=True, check=False, env={}
    )


@pytest.mark.docs
def test_what_lambdas_python_has(runtime: FunctionRuntime) -> None:
    names = "boto3, botocore, s3transfer, urllib3, jmespath, dateutil, six, awslambdaric, json, ssl"
    found = imports(runtime, f"import {names}, runtime_client; exit(0)")
    assert found.returncode == 0, found.stderr


@pytest.mark.docs
@pytest.mark.parametrize("name", ["numpy", "torch", "fogbank", "pydantic", "pytest", "aiohttp"])
def test_and_no_more(runtime: FunctionRuntime, name: str) -> None:
    found = imports(runtime, f"import {name}")
    assert f"ModuleNotFoundError: No module named '{name}'" in found.stderr


def test_it_is_made_anew_where_one_was(tmp_path: Path) -> None:
    folder = tmp_path / "runtime"
    (folder / "lib").mkdir(parents=True)
    (folder / "lib" / "of an earlier one").touch()
    runtime = make_runtime(folder)
    assert not (folder / "lib" / "of an earlier one").exists()
    assert runtime.version.startswith("python:3.")
    assert runtime.arn("eu-west-1").startswith("arn:aws:lambda:eu-west-1::runtime:")


def test_another_python_is_said(runtime: FunctionRuntime) -> None:
    assert runtime.substitute_notice(own_runtime()) is None
    assert "python3.9" in (runtime.substitute_notice("python3.9") or "")


def version(code: str, *layers: str) -> FunctionVersion:
    return FunctionVersion(
        function="f",
        version="$LATEST",
        arn="arn",
        runtime="python3.11",
        handler="app.handler",
        role_arn="role",
        code_sha256=code,
        code_size_bytes=1,
        timeout_s=3,
        memory_mb=128,
        ephemeral_storage_mb=512,
        layers=layers,
        modified=START,
        revision_id="r",
    )


class Shelf:
    """A store with layers in it."""

    def __init__(self, folder: Path) -> None:
        self.code = FolderCode(folder / "unpacked")
        self.records = SqliteRecords(Database(":memory:"))
        self.store = VersionStore(self.code, self.records, folder / "layers")

    def layer(self, name: str, **files: str) -> str:
        paths = {key.replace("__", "/"): text for key, text in files.items()}
        made = LayerVersion(
            layer=name,
            version=1,
            arn=f"arn:{name}:1",
            code_sha256=self.code.add(paths),
            code_size_bytes=1,
            created=START,
        )
        self.records.put(made)
        return made.arn


@pytest.mark.docs
async def test_later_layers_win(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    await shelf.store.clear()
    code = shelf.code.add({"app.py": "code"})
    first = shelf.layer("a", python__both="first", python__one="first", bin="a file")
    second = shelf.layer("b", python__both="second", bin__tool="second")
    alone = await shelf.store.files(version(code, first))
    assert alone.opt is not None
    assert (alone.opt / "python/both").read_text() == "first"
    merged = await shelf.store.files(version(code, first, second))
    assert merged.opt is not None
    found = {name: (merged.opt / name).read_text() for name in ("python/both", "python/one")}
    assert found == {"python/both": "second", "python/one": "first"}
    assert (merged.opt / "bin/tool").read_text() == "second", "a folder replaces a file"
    assert (merged.task / "app.py").read_text() == "code"
    assert await shelf.store.files(version(code, first, second)) == merged
    assert (alone.opt / "python/both").read_text() == "first", "the layers are as they were"
    turned = await shelf.store.files(version(code, second, first))
    assert turned.opt is not None
    assert (turned.opt / "python/both").read_text() == "first"
    assert (turned.opt / "bin").read_text() == "a file"


async def test_code_and_layers_that_are_gone(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    await shelf.store.clear()
    with pytest.raises(LookupError):
        await shelf.store.files(version("bm9uZQ=="))
    code = shelf.code.add({"app.py": "code"})
    with pytest.raises(LookupError, match="arn:gone:1"):
        await shelf.store.files(version(code, "arn:gone:1"))
    assert (await shelf.store.files(version(code))).opt is None


def test_it_says_where_its_links_lead(runtime: FunctionRuntime) -> None:
    """An environment with a /tmp of its own has to see them where they lie below /tmp."""
    links = [path for path in runtime.folder.rglob("*") if path.is_symlink()]
    assert links
    for link in links:
        source = link.readlink()
        assert any(source.is_relative_to(place) for place in runtime.sources), link
