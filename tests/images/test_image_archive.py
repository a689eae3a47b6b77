"""Archives of strangers: what is unpacked, and what is refused."""

from __future__ import annotations

import gzip
import io
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fogbank.images.archive import Limits, is_archive, unpack
from fogbank.images.errors import ArchiveError


def member(name: str, data: bytes = b"", **fields: object) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for field, value in fields.items():
        setattr(info, field, value)
    return info, data


def packed(folder: Path, *members: tuple[tarfile.TarInfo, bytes], mode: str = "w:gz") -> Path:
    path = folder / "archive.tar.gz"
    with tarfile.open(path, mode) as tar:  # type: ignore[call-overload]
        for info, data in members:
            tar.addfile(info, io.BytesIO(data))
    return path


@pytest.mark.parametrize("mode", ["w:gz", "w"])
@pytest.mark.parametrize("root", ["", "/", "."])
@pytest.mark.observed
def test_a_repacked_model_with_a_nameless_root_unpacks(
    tmp_path: Path, root: str, mode: str
) -> None:
    path = packed(
        tmp_path,
        member(root, type=tarfile.DIRTYPE),
        member("code", type=tarfile.DIRTYPE),
        member("./code/inference.py", b"x = 1"),
        member("model.pth", b"weights"),
        mode=mode,
    )
    out = tmp_path / "out"
    assert unpack(path, out) == 2
    assert (out / "code" / "inference.py").read_bytes() == b"x = 1"
    assert (out / "model.pth").read_bytes() == b"weights"


@pytest.mark.parametrize(
    ("hostile", "reason"),
    [
        (member("../escaped", b"x"), "leaves the folder"),
        (member("a/../../escaped", b"x"), "leaves the folder"),
        (member("/etc/escaped", b"x"), "leaves the folder"),
        (member("link", type=tarfile.SYMTYPE, linkname="/etc/passwd"), "a link"),
        (member("link", type=tarfile.SYMTYPE, linkname="good"), "a link"),
        (member("link", type=tarfile.LNKTYPE, linkname="good"), "a link"),
        (member("device", type=tarfile.CHRTYPE, devmajor=1, devminor=3), "special file"),
        (member("device", type=tarfile.BLKTYPE), "special file"),
        (member("pipe", type=tarfile.FIFOTYPE), "special file"),
        (member("", b"x"), "without a name"),
    ],
    ids=lambda value: value if isinstance(value, str) else value[0].name,
)
def test_hostile_members_are_refused(
    tmp_path: Path, hostile: tuple[tarfile.TarInfo, bytes], reason: str
) -> None:
    path = packed(tmp_path, member("good", b"x"), hostile)
    with pytest.raises(ArchiveError, match=reason):
        unpack(path, tmp_path / "deep" / "out")
    assert not list(tmp_path.rglob("escaped"))


def test_bombs_are_refused_before_they_are_written(tmp_path: Path) -> None:
    path = packed(tmp_path, member("zeros", bytes(3_000_000)))
    out = tmp_path / "out"
    with pytest.raises(ArchiveError, match="more than 2000000 bytes"):
        unpack(path, out, Limits(size_bytes=2_000_000))
    assert not out.exists()
    assert unpack(path, out, Limits(size_bytes=3_000_000)) == 1


def test_too_many_members_are_refused(tmp_path: Path) -> None:
    path = packed(tmp_path, *[member(f"f{n}") for n in range(4)])
    with pytest.raises(ArchiveError, match="more than 3 members"):
        unpack(path, tmp_path / "out", Limits(num_members=3))


def test_a_bomb_in_a_header_is_refused(tmp_path: Path) -> None:
    """The reader would load such a header in one piece."""
    info = tarfile.TarInfo("././@PaxHeader")
    info.type = tarfile.XHDTYPE
    info.size = 1 << 30
    path = tmp_path / "bomb.tar.gz"
    with gzip.open(path, "wb", compresslevel=1) as out:
        out.write(info.tobuf(tarfile.USTAR_FORMAT))
        out.write(bytes(1 << 20))
    with pytest.raises(ArchiveError, match="impossible size"):
        unpack(path, tmp_path / "out")


@pytest.mark.parametrize(
    "content", [b"", b"plain text", b"\x1f\x8b not gzip", gzip.compress(b"not a tar" * 99)]
)
def test_what_is_no_archive_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.tar.gz"
    path.write_bytes(content)
    assert not is_archive(path)
    with pytest.raises(ArchiveError, match="not a tar"):
        unpack(path, tmp_path / "out")


def test_a_truncated_archive_is_refused(tmp_path: Path) -> None:
    path = packed(tmp_path, member("f", bytes(range(256)) * 400))
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(ArchiveError, match="damaged"):
        unpack(path, tmp_path / "out")


def test_a_name_that_is_file_and_folder_is_refused(tmp_path: Path) -> None:
    path = packed(tmp_path, member("a", b"x"), member("a/b", b"y"))
    with pytest.raises(ArchiveError, match="file and a folder"):
        unpack(path, tmp_path / "out")


def test_modes_lose_their_special_bits(tmp_path: Path) -> None:
    path = packed(tmp_path, member("run.sh", b"x", mode=0o6777), member("bare", b"x", mode=0))
    unpack(path, tmp_path / "out")
    assert (tmp_path / "out" / "run.sh").stat().st_mode & 0o7777 == 0o755
    assert (tmp_path / "out" / "bare").stat().st_mode & 0o7777 == 0o600


names = st.text("abc-_.é犬 ", min_size=1, max_size=12).filter(lambda name: set(name) - {"."})


@given(st.dictionaries(names, st.binary(max_size=3000), max_size=8))
def test_what_was_packed_comes_out(files: dict[str, bytes]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = packed(folder, *[member(f"d/{name}", data) for name, data in files.items()])
        assert unpack(path, folder / "out") == len(files)
        found = {each.name: each.read_bytes() for each in folder.glob("out/d/*")}
        found |= {each.name: each.read_bytes() for each in folder.glob("out/d/.*")}
        assert found == files
