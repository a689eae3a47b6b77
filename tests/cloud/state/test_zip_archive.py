"""Zips from strangers: what is refused, and what a good one unpacks to."""

from __future__ import annotations

import json
import stat
import struct
import warnings
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fogbank.cloud.state import zip_archive
from fogbank.cloud.state.zip_archive import BadZip, TooLarge

CASES: list[dict[str, Any]] = json.loads(
    (Path(__file__).resolve().parents[2] / "cases" / "lambda" / "bad_zips.json").read_text()
)


def archive(folder: Path, *members: tuple[str, int, bytes]) -> Path:
    """A zip of (name, mode, content)."""
    path = folder / "code.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        for name, mode, content in members:
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16 or 0x20  # of MS-DOS: an archived file
            info.compress_type = zipfile.ZIP_DEFLATED
            made.writestr(info, content)
    return path


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["why"])
def test_what_must_not_be_unpacked_is_refused(tmp_path: Path, case: dict[str, Any]) -> None:
    members = [
        (
            "x" * 256 if member["name"] == "LONG" else member["name"],
            int(member.get("mode", "0o100644"), 8),
            member.get("content", "").encode(),
        )
        for member in case["members"]
    ]
    with pytest.raises(BadZip, match=case["words"]):
        zip_archive.inspect(archive(tmp_path, *members))


NAMES = st.text(st.sampled_from("ab./\\\0:é"), min_size=1, max_size=12)
MODES = st.sampled_from([0, 0o100644, 0o104755, 0o040755, 0o120777, 0o020666])


@given(members=st.lists(st.tuples(NAMES, MODES), min_size=1, max_size=5))
def test_whatever_a_zip_holds_nothing_is_written_outside(
    members: list[tuple[str, int]],
) -> None:
    with TemporaryDirectory() as place, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # zipfile: of two members of one name
        root = Path(place)
        path = archive(root, *[(name, mode, b"x") for name, mode in members])
        folder = root / "a" / "b" / "task"
        folder.mkdir(parents=True)
        try:
            contents = zip_archive.inspect(path)
        except BadZip:
            return
        zip_archive.unpack(path, folder)
        inside = [found for found in folder.rglob("*") if found.is_file()]
        assert len(inside) == contents.num_files
        assert all(found.is_dir() or found.is_file() for found in folder.rglob("*"))
        assert not any(found.is_symlink() for found in folder.rglob("*"))
        outside = {found for found in root.rglob("*") if not found.is_relative_to(folder)}
        assert outside == {path, root / "a", root / "a" / "b"}


def test_a_good_zip_unpacks_with_its_permissions(tmp_path: Path) -> None:
    path = archive(
        tmp_path,
        ("bin/", 0o040755, b""),
        ("bin/tool", 0o104755, b"#!"),
        ("./index.py", 0o100644, b"first"),
        ("index.py", 0o100600, b"second"),
        ("hidden.py", 0o100000, b"nobody may read it"),
        ("from_windows.py", 0, b"it says nothing of permissions"),
    )
    contents = zip_archive.inspect(path)
    assert contents.num_files == 4
    assert contents.size_bytes == zip_archive.unpacked_bytes(path)
    folder = tmp_path / "task"
    folder.mkdir()
    zip_archive.unpack(path, folder)

    def mode(name: str) -> int:
        return stat.S_IMODE((folder / name).stat().st_mode)

    assert (folder / "index.py").read_bytes() == b"second"
    assert mode("bin/tool") == 0o755  # set-uid is gone
    assert mode("index.py") == 0o600
    assert mode("hidden.py") == 0o400  # ours to read, at least
    assert mode("from_windows.py") == 0o644


@pytest.mark.observed
def test_what_unpacks_to_too_much_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = archive(tmp_path, ("bomb", 0o100644, b"small"))
    data = bytearray(path.read_bytes())
    central = data.rindex(b"PK\x01\x02")
    data[central + 24 : central + 28] = struct.pack("<I", 262_144_000)
    path.write_bytes(data)
    with pytest.raises(TooLarge):
        zip_archive.inspect(path)


def test_a_directory_that_lies_about_sizes_is_found_out(tmp_path: Path) -> None:
    path = archive(tmp_path, ("bomb", 0o100644, bytes(10_000)))
    data = bytearray(path.read_bytes())
    central = data.rindex(b"PK\x01\x02")
    data[central + 24 : central + 28] = struct.pack("<I", 10)
    path.write_bytes(data)
    with pytest.raises(BadZip, match="damaged"):
        zip_archive.inspect(path)


@pytest.mark.parametrize("cut", [10, 60, -1])
def test_a_damaged_zip_is_refused(tmp_path: Path, cut: int) -> None:
    path = archive(tmp_path, ("index.py", 0o100644, bytes(range(256)) * 10))
    data = bytearray(path.read_bytes())
    if cut < 0:
        data[len(data) // 4] ^= 0xFF  # a bit of the compressed content
    else:
        data = data[:-cut]
    path.write_bytes(data)
    with pytest.raises(BadZip):
        zip_archive.inspect(path)


def test_an_encrypted_zip_is_refused(tmp_path: Path) -> None:
    path = archive(tmp_path, ("index.py", 0o100644, b"x"))
    data = bytearray(path.read_bytes())
    data[data.rindex(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)
    with pytest.raises(BadZip, match="encrypted"):
        zip_archive.inspect(path)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_methods_than_deflate_are_refused(tmp_path: Path, method: int) -> None:
    path = tmp_path / "code.zip"
    with zipfile.ZipFile(path, "w", method) as made:
        made.writestr("index.py", "x" * 100)
    with pytest.raises(BadZip, match="deflate"):
        zip_archive.inspect(path)


def test_a_directory_before_the_beginning_is_damage(tmp_path: Path) -> None:
    path = archive(tmp_path, ("index.py", 0o100644, b"x"))
    data = bytearray(path.read_bytes())
    end = data.rindex(b"PK\x05\x06")
    data[end + 16 : end + 20] = struct.pack("<I", 1 << 20)  # where the directory begins
    path.write_bytes(data)
    with pytest.raises(BadZip):
        zip_archive.inspect(path)


def test_trouble_of_the_disk_is_not_the_zips(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        zip_archive.inspect(tmp_path / "gone.zip")


def test_too_many_members_are_refused(tmp_path: Path) -> None:
    path = archive(tmp_path, *[(str(number), 0o100644, b"") for number in range(11)])
    assert zip_archive.inspect(path, max_members=11).num_files == 11
    with pytest.raises(BadZip, match="more than 10 members"):
        zip_archive.inspect(path, max_members=10)
