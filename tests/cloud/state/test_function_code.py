"""The store of functions' code: zips by their digest, unpacked when somebody asks."""

from __future__ import annotations

import asyncio
import hashlib
import io
import zipfile
from base64 import b64encode
from pathlib import Path

import pytest

from fogbank.cloud.state.function_code import FunctionCodeStore


def zipped(content: bytes = b"x = 1", name: str = "index.py") -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as made:
        made.writestr(zipfile.ZipInfo(name), content)
    return held.getvalue()


def digest(data: bytes) -> str:
    return b64encode(hashlib.sha256(data).digest()).decode()


@pytest.fixture
def store(tmp_path: Path) -> FunctionCodeStore:
    return FunctionCodeStore(tmp_path)


@pytest.mark.docs
async def test_code_is_known_by_the_base64_of_its_digest(
    store: FunctionCodeStore, tmp_path: Path
) -> None:
    data = zipped()
    assert await store.put(data) == (digest(data), len(data))
    path = tmp_path / "from-s3"
    path.write_bytes(data)
    assert await store.put(path) == (digest(data), len(data))
    assert store.archive(digest(data)).read_bytes() == data
    assert store.unpacked_bytes(digest(data)) == 5
    assert path.read_bytes() == data


async def test_code_outlives_the_store_and_is_unpacked_anew(tmp_path: Path) -> None:
    data = zipped()
    first = FunctionCodeStore(tmp_path)
    await first.put(data)
    folder = await first.folder(digest(data))
    assert (folder / "index.py").read_bytes() == b"x = 1"
    (tmp_path / "incoming" / "cut-short").write_bytes(b"PK")
    again = FunctionCodeStore(tmp_path)
    assert not folder.exists()
    assert list((tmp_path / "incoming").iterdir()) == []
    assert again.unpacked_bytes(digest(data)) == 5
    assert await again.folder(digest(data)) == folder
    assert (folder / "index.py").read_bytes() == b"x = 1"


async def test_many_who_ask_at_once_get_one_folder(store: FunctionCodeStore) -> None:
    data = zipped()
    await store.put(data)
    asked = [asyncio.create_task(store.folder(digest(data))) for _ in range(20)]
    await asyncio.sleep(0)
    asked[0].cancel()
    folders = await asyncio.gather(*asked, return_exceptions=True)
    assert isinstance(folders[0], asyncio.CancelledError)
    assert len(set(folders[1:])) == 1
    assert isinstance(folders[1], Path)
    assert (folders[1] / "index.py").is_file()


async def test_a_bad_zip_leaves_nothing(store: FunctionCodeStore, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="climbs out"):
        await store.put(zipped(name="../evil.py"))
    with pytest.raises(ValueError, match="not a zip"):
        await store.put(b"no zip")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("wrong", [digest(b"other"), "../../etc/passwd", "", "AAAA"])
async def test_what_is_not_known_is_looked_up_in_vain(store: FunctionCodeStore, wrong: str) -> None:
    for look in (store.archive, store.unpacked_bytes):
        with pytest.raises(LookupError):
            look(wrong)
    with pytest.raises(LookupError):
        await store.folder(wrong)


async def test_what_nobody_names_is_swept(store: FunctionCodeStore) -> None:
    kept, dropped = zipped(b"kept"), zipped(b"dropped")
    await store.put(kept)
    await store.put(dropped)
    assert store.sweep([digest(kept)]) == 1
    assert store.archive(digest(kept)).is_file()
    with pytest.raises(LookupError):
        store.archive(digest(dropped))
