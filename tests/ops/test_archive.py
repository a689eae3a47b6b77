"""Archives: equal contents give equal bytes, and repacking keeps all but the code."""

from __future__ import annotations

import io
import tarfile

import pytest

from fogbank.core.errors import WorldError
from fogbank.ops.archive import pack, repack
from ops.fake_aws import members, model_archive


def repacked(model: bytes, contents: dict[str, bytes]) -> bytes:
    target = io.BytesIO()
    repack(io.BytesIO(model), contents, target)
    return target.getvalue()


def test_equal_contents_equal_bytes() -> None:
    assert pack({"b": b"2", "a": b"1"}) == pack({"a": b"1", "b": b"2"})
    assert members(pack({"lib/a.py": b"1"})) == {"lib/a.py": b"1"}


def test_repacking_replaces_the_code_folder() -> None:
    found = members(repacked(model_archive(), {"inference.py": b"new"}))
    assert found == {"model.safetensors": b"weights", "code/inference.py": b"new"}


@pytest.mark.observed
def test_the_sdks_member_with_an_empty_name_is_left_out() -> None:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        root = tarfile.TarInfo("")
        root.type = tarfile.DIRTYPE
        archive.addfile(root)
        weights = tarfile.TarInfo("./model.pth")
        weights.size = 3
        archive.addfile(weights, io.BytesIO(b"abc"))
    found = members(repacked(stream.getvalue(), {"inference.py": b""}))
    assert set(found) == {"./model.pth", "code/inference.py"}


@pytest.mark.parametrize("broken", [b"", b"not an archive", model_archive()[:60]])
def test_what_is_no_archive_is_refused(broken: bytes) -> None:
    with pytest.raises(WorldError, match=r"not a tar\.gz"):
        repacked(broken, {"inference.py": b""})
