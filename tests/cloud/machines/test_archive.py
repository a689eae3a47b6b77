"""Archives from strangers: a table of hostile ones, and what honest ones may look like."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fogbank.cloud.machines.archive import ArchiveError, Limits, pack, unpack


def member(name: str, content: bytes = b"", **fields: object) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for field, value in fields.items():
        setattr(info, field, value)
    return info, content


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tuple[tarfile.TarInfo, bytes]:
    return member(name, type=kind, linkname=target)


def archive_of(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for info, content in members:
            tar.addfile(info, io.BytesIO(content))
    return packed.getvalue()


def long_name_bomb() -> bytes:
    """A GNU long name that claims 2 GiB: a reader that believes it runs out of memory."""
    info = tarfile.TarInfo("././@LongLink")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, 2 << 30
    header = info.tobuf(tarfile.GNU_FORMAT)
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=1) as zipped:
        zipped.write(header)
        for _ in range(16):
            zipped.write(b"a" * (1 << 20))
    return packed.getvalue()


FOLDER = {"type": tarfile.DIRTYPE}
HOSTILE: dict[str, tuple[Callable[[], bytes], str]] = {
    "not an archive": (lambda: b"<html>404</html>", "not a gzip file"),
    "empty file": (lambda: b"", "not a gzip file"),
    "gzip of something else": (lambda: gzip.compress(b"hello" * 1000), "not a gzipped tar"),
    "cut short": (lambda: archive_of(member("a", os.urandom(9000)))[:5000], "damaged"),
    "wrong checksum": (
        lambda: (lambda data: data[:-8] + bytes([data[-8] ^ 1]) + data[-7:])(
            archive_of(member("a", b"x"))
        ),
        "damaged",
    ),
    "climbs out": (lambda: archive_of(member("../evil", b"x")), "climbs out"),
    "climbs out later": (lambda: archive_of(member("a/../../evil", b"x")), "climbs out"),
    "absolute name": (lambda: archive_of(member("/etc/evil", b"x")), "absolute"),
    "absolute link": (lambda: archive_of(link("l", "/etc/passwd")), "absolute"),
    "link that leaves": (lambda: archive_of(link("a/l", "../../evil")), "outside"),
    "folder by a link that leaves": (
        lambda: archive_of(link("l", ".."), member("l/evil", b"x")),
        "outside",
    ),
    "link that leaves in two steps": (
        lambda: archive_of(link("b", "a/.."), link("a", "."), member("b/evil", b"x")),
        "outside",
    ),
    "hard link to outside": (
        lambda: archive_of(link("l", "../secret", tarfile.LNKTYPE)),
        "climbs out",
    ),
    "hard link through a link": (
        lambda: archive_of(link("d", "a/../.."), link("l", "d/secret", tarfile.LNKTYPE)),
        "outside",
    ),
    "hard link to nothing": (
        lambda: archive_of(link("l", "gone", tarfile.LNKTYPE)),
        "no such file",
    ),
    "loop of links": (
        lambda: archive_of(link("a", "b"), link("b", "a"), member("a/x", b"x")),
        "cannot be resolved|impossible name",
    ),
    "device": (lambda: archive_of(member("d", type=tarfile.CHRTYPE, devmajor=1)), "device"),
    "disk": (lambda: archive_of(member("d", type=tarfile.BLKTYPE, devmajor=8)), "device"),
    "pipe": (lambda: archive_of(member("p", type=tarfile.FIFOTYPE)), "pipe"),
    "file and folder": (lambda: archive_of(member("a", b"x"), member("a/b", b"x")), "folder"),
    "folder and file": (lambda: archive_of(member("a/b", b"x"), member("a", b"x")), "folder"),
    "too many members": (
        lambda: archive_of(*(member(f"f{number}") for number in range(101))),
        "more than 100 members",
    ),
    "too large": (lambda: archive_of(member("z", bytes(2_000_001))), "more than 2000000 bytes"),
    "too dense": (lambda: archive_of(member("z", bytes(1_500_000))), "times its size"),
    "name that is too long for memory": (long_name_bomb, "impossible size"),
    "name that is too long for the disk": (
        lambda: archive_of(member("n" * 300, b"x")),
        "impossible name",
    ),
}
LIMITS = Limits(size_bytes=2_000_000, num_members=100, ratio=100, ratio_from_bytes=1_000_000)


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_archives_are_refused(name: str, tmp_path: Path) -> None:
    build, words = HOSTILE[name]
    (tmp_path / "secret").write_text("untouched")
    archive, folder = tmp_path / "model.tar.gz", tmp_path / "folder"
    archive.write_bytes(build())
    folder.mkdir()
    with pytest.raises(ArchiveError, match=words) as raised:
        unpack(archive, folder, LIMITS)
    assert str(raised.value).startswith("model.tar.gz: ")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "model.tar.gz", "secret"]
    assert (tmp_path / "secret").read_text() == "untouched"
    assert (tmp_path / "secret").stat().st_nlink == 1


@pytest.mark.observed
def test_the_members_of_a_model_that_the_sdk_repacked(tmp_path: Path) -> None:
    """It has a folder without a name, and names with `./`."""
    archive = tmp_path / "model.tar.gz"
    archive.write_bytes(
        archive_of(
            member("", **FOLDER),
            member("/", **FOLDER),
            member("./code", **FOLDER),
            member("code/inference.py", b"code", mode=0o600),
            member("./model.pth", b"weights"),
            member("run.sh", b"#!", mode=0o4777, uid=1234),
            link("latest.pth", "model.pth"),
            link("code/same.pth", "model.pth", tarfile.LNKTYPE),
            member("model.pth", b"newer"),
        )
    )
    (tmp_path / "m").mkdir()
    assert unpack(archive, tmp_path / "m") == 5
    assert (tmp_path / "m" / "code" / "inference.py").read_bytes() == b"code"
    assert (tmp_path / "m" / "latest.pth").read_bytes() == b"newer"
    assert (tmp_path / "m" / "code" / "same.pth").read_bytes() == b"weights"
    assert (tmp_path / "m" / "run.sh").stat().st_mode & 0o7777 == 0o755


def test_a_file_does_not_replace_what_a_link_leads_to(tmp_path: Path) -> None:
    archive = tmp_path / "a.tar.gz"
    archive.write_bytes(archive_of(member("a", b"first"), link("b", "a"), member("b", b"second")))
    (tmp_path / "f").mkdir()
    unpack(archive, tmp_path / "f")
    assert (tmp_path / "f" / "a").read_bytes() == b"first"
    assert (tmp_path / "f" / "b").read_bytes() == b"second"


def fill(folder: Path, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def test_packing_is_deterministic_and_merges(tmp_path: Path) -> None:
    fill(tmp_path / "1" / "m", {"a": b"one", "d/x": b"x"})
    fill(tmp_path / "2" / "m", {"a": b"two", "d/y": b"y"})
    warnings: list[str] = []
    sources = [(tmp_path / "1", ("m",)), (tmp_path / "2", ("m",))]
    assert pack(sources, tmp_path / "1.tar.gz", warnings.append) == 3
    os.utime(tmp_path / "1" / "m" / "a", (1, 1))
    pack(sources, tmp_path / "2.tar.gz", warnings.append)
    assert (tmp_path / "1.tar.gz").read_bytes() == (tmp_path / "2.tar.gz").read_bytes()
    assert warnings == ["a exists on several instances"] * 2
    (tmp_path / "u").mkdir()
    unpack(tmp_path / "1.tar.gz", tmp_path / "u")
    assert (tmp_path / "u" / "a").read_bytes() == b"one"


def test_what_is_not_packed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")
    model = tmp_path / "m"
    fill(model, {"d/m": b"x"})
    os.mkfifo(model / "pipe")
    (model / "out").symlink_to("../secret")
    (model / "absolute").symlink_to("/etc/passwd")
    (model / "d" / "in").symlink_to("../d/m")
    (model / "d" / "loop").symlink_to("..")
    warnings: list[str] = []
    assert pack([(tmp_path, ("m",))], tmp_path / "m.tar.gz", warnings.append) == 1
    assert sorted(warning.split()[0] for warning in warnings) == ["absolute", "out", "pipe"]
    with tarfile.open(tmp_path / "m.tar.gz") as tar:
        assert tar.getnames() == ["d", "d/in", "d/loop", "d/m"]


def test_a_folder_that_became_a_link_is_not_packed(tmp_path: Path) -> None:
    (tmp_path / "m").symlink_to("/etc")
    with pytest.raises(OSError):
        pack([(tmp_path, ("m",))], tmp_path / "m.tar.gz", print)
    assert not (tmp_path / "m.tar.gz").exists()


NAMES = st.text(st.characters(blacklist_characters="/\0", blacklist_categories=["Cs"]), min_size=1)


@given(
    files=st.dictionaries(
        NAMES.filter(lambda name: name not in (".", "..") and len(name.encode()) < 200),
        st.binary(max_size=300),
        max_size=5,
    )
)
def test_unpacking_gives_back_what_was_packed(
    tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes]
) -> None:
    folder = tmp_path_factory.mktemp("law")
    (folder / "in").mkdir()
    (folder / "out").mkdir()
    fill(folder / "in", files)
    pack([(folder, ("in",))], folder / "a.tar.gz", print)
    assert unpack(folder / "a.tar.gz", folder / "out") == len(files)
    assert {path.name: path.read_bytes() for path in (folder / "out").iterdir()} == files
