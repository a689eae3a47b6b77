"""Model data in the object store -> /opt/ml/model of a container."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cloud.machines.hosting_site import archive
from cloud.machines.training_site import FolderObjects
from fogbank.cloud.machines.model_data import ModelDataError, ModelStore
from fogbank.cloud.ports import StoredObject
from fogbank.core.clock import SystemClock

URI = "s3://models/dogs.tar.gz"


@pytest.fixture
def objects(tmp_path: Path) -> FolderObjects:
    store = FolderObjects(tmp_path / "objects", SystemClock())
    store.buckets["models"] = {}
    return store


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "ml" / "model"


def files(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): path.read_text()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def data_source(uri: str, kind: str = "S3Prefix", compression: str = "None") -> dict[str, Any]:
    source = {"S3Uri": uri, "S3DataType": kind, "CompressionType": compression}
    return {"ModelDataSource": {"S3DataSource": source}}


@pytest.mark.docs
@pytest.mark.parametrize("container", [{"ModelDataUrl": URI}, data_source(URI, "S3Object", "Gzip")])
async def test_an_archive_is_unpacked(
    objects: FolderObjects, folder: Path, container: Mapping[str, Any]
) -> None:
    objects.add("models", "dogs.tar.gz", archive(**{"model.pth": "w", "code/inference.py": "code"}))
    await ModelStore(objects).place(container, folder)
    assert files(folder) == {"model.pth": "w", "code/inference.py": "code"}


class Overtaken(FolderObjects):
    """Who has looked at an object finds that its file has gone: somebody wrote meanwhile."""

    looks = 0

    def stat(self, bucket: str, key: str) -> StoredObject | None:
        found = super().stat(bucket, key)
        self.looks += 1
        if found is None or self.looks > 1:
            return found
        return replace(found, path=found.path.with_name("replaced"))


async def test_an_archive_that_is_replaced_meanwhile(tmp_path: Path, folder: Path) -> None:
    objects = Overtaken(tmp_path / "objects", SystemClock())
    objects.add("models", "dogs.tar.gz", archive(weights="new"))
    await ModelStore(objects).place({"ModelDataUrl": URI}, folder)
    assert files(folder) == {"weights": "new"}


async def test_an_archive_whose_file_is_lost(objects: FolderObjects, folder: Path) -> None:
    """Nothing that anybody did: it is not looked for again and again."""
    objects.add("models", "dogs.tar.gz", archive(weights="w")).path.unlink()
    with pytest.raises(FileNotFoundError):
        await ModelStore(objects).place({"ModelDataUrl": URI}, folder)


async def test_a_container_without_model_data(objects: FolderObjects, folder: Path) -> None:
    await ModelStore(objects).place({"Image": "image"}, folder)
    assert files(folder) == {}
    assert folder.is_dir()


@pytest.mark.docs  # S3ModelDataSource: a prefix of uncompressed files
async def test_a_prefix_is_copied(objects: FolderObjects, folder: Path) -> None:
    stored = objects.add("models", "dogs/model.pth", b"w")
    objects.add("models", "dogs/code/inference.py", b"code")
    objects.add("models", "dogs-of-another/model.pth", b"other")
    await ModelStore(objects).place(data_source("s3://models/dogs/"), folder)
    assert files(folder) == {"model.pth": "w", "code/inference.py": "code"}
    (folder / "model.pth").write_text("a container may do this")
    assert stored.path.read_bytes() == b"w"


async def test_one_object_is_copied(objects: FolderObjects, folder: Path) -> None:
    objects.add("models", "dogs/model.pth", b"w")
    objects.add("models", "dogs/model.pth.old", b"o")
    await ModelStore(objects).place(data_source("s3://models/dogs/model.pth", "S3Object"), folder)
    assert files(folder) == {"model.pth": "w"}


@pytest.mark.parametrize(
    "container",
    [
        pytest.param({"ModelDataUrl": "s3://models/none.tar.gz"}, id="object"),
        pytest.param({"ModelDataUrl": "s3://none/dogs.tar.gz"}, id="bucket"),
        pytest.param(data_source("s3://models/none/"), id="prefix"),
        pytest.param(data_source("s3://none/dogs/"), id="bucket-of-a-prefix"),
    ],
)
async def test_model_data_that_is_not_there(
    objects: FolderObjects, folder: Path, container: Mapping[str, Any]
) -> None:
    with pytest.raises(ModelDataError, match="Could not find model data at s3://"):
        await ModelStore(objects).place(container, folder)


def tar(*members: tarfile.TarInfo) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as writer:
        for member in members:
            writer.addfile(member, io.BytesIO(b"x" * member.size))
    return buffer.getvalue()


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    info.size = 1 if kind == tarfile.REGTYPE else 0
    return info


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"this is no archive", id="text"),
        pytest.param(b"", id="empty"),
        pytest.param(archive(weights="w" * 5000)[:60], id="cut"),
        pytest.param(tar(member("../outside")), id="climbs-out"),
        pytest.param(tar(member("/etc/outside")), id="absolute"),
        pytest.param(
            tar(member("a", tarfile.SYMTYPE, "../.."), member("a/outside")), id="through-a-link"
        ),
        pytest.param(tar(member("null", tarfile.CHRTYPE)), id="device"),
    ],
)
async def test_archives_that_are_refused(
    objects: FolderObjects, folder: Path, content: bytes
) -> None:
    objects.add("models", "dogs.tar.gz", content)
    with pytest.raises(ModelDataError, match=f"Could not use the model data at {URI}: .+"):
        await ModelStore(objects).place({"ModelDataUrl": URI}, folder)
    around = {path.name for path in folder.parent.parent.rglob("*")}
    assert "outside" not in around
