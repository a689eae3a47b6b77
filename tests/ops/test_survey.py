"""What is on the disk: files, their ETags, code archives."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fogbank.core.errors import InputError
from fogbank.ops.spec_file import read_spec
from fogbank.ops.survey import Survey, digest_of, etag_of, survey


def look(project: Path) -> Survey:
    return survey(read_spec(project / "fogbank.yaml"), project)


def test_every_picture_is_found_by_name(project: Path) -> None:
    (project / "data/.DS_Store").write_bytes(b"x")
    (project / "data/.cache").mkdir()
    (project / "data/.cache/y.jpg").write_bytes(b"x")
    found = look(project)
    assert [file.name for file in found.data] == [
        "test/dog/4.jpg",
        "train/cat/1.jpg",
        "train/dog/2.jpg",
        "valid/cat/3.jpg",
    ]
    assert found.data_size_bytes == sum(len(file.name) for file in found.data)


def test_a_linked_folder_is_followed_and_a_loop_is_not(project: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "9.jpg").write_bytes(b"9")
    (project / "data/train/bird").symlink_to(elsewhere)
    (project / "data/train/loop").symlink_to(project / "data/train")
    names = [file.name for file in look(project).data]
    assert names.count("train/bird/9.jpg") == 1
    assert len(names) == 5


def test_a_data_folder_that_is_missing_or_empty(project: Path) -> None:
    (project / "fogbank.yaml").write_text("project: pets\ndata: {path: none}\n")
    with pytest.raises(InputError, match="there is no folder"):
        look(project)
    (project / "none/train").mkdir(parents=True)
    with pytest.raises(InputError, match="no files in it"):
        look(project)


def test_a_name_that_s3_cannot_hold(project: Path) -> None:
    try:
        with open(os.fsencode(project / "data/train/cat") + b"/\xff.jpg", "wb"):  # noqa: PTH123 - bytes
            pass
    except OSError:
        pytest.skip("this file system has only UTF-8 names")
    with pytest.raises(InputError, match="not UTF-8"):
        look(project)


def test_a_script_that_is_missing(project: Path) -> None:
    (project / "inference.py").unlink()
    with pytest.raises(InputError, match=r"endpoint\.entry_point: there is no file"):
        look(project)


def test_requirements_go_along_with_the_script(project: Path) -> None:
    (project / "requirements.txt").write_text("pandas\n")
    code = look(project).training_code
    assert [member.name for member in code.members] == ["train.py", "requirements.txt"]


def test_a_source_folder_goes_along_whole_but_for_the_data(project: Path) -> None:
    (project / "fogbank.yaml").write_text("project: pets\ntrain: {source_dir: .}\n")
    (project / "lib").mkdir()
    (project / "lib/nets.py").write_text("")
    (project / "__pycache__").mkdir()
    (project / "__pycache__/x.pyc").write_text("")
    code = look(project).training_code
    names = {member.name for member in code.members}
    assert names == {"fogbank.yaml", "train.py", "inference.py", "lib/nets.py"}
    assert code.entry_point == "train.py"


@pytest.mark.docs
@given(content=st.binary(max_size=64), part_bytes=st.integers(1, 40))
def test_etags_are_those_of_s3(
    content: bytes, part_bytes: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("etag") / "file"
    path.write_bytes(content)
    parts = [content[n : n + part_bytes] for n in range(0, len(content), part_bytes)]
    digests = [hashlib.md5(part, usedforsecurity=False).digest() for part in parts]
    expected = (
        hashlib.md5(content, usedforsecurity=False).hexdigest()
        if len(content) < part_bytes
        else hashlib.md5(b"".join(digests), usedforsecurity=False).hexdigest() + f"-{len(parts)}"
    )
    assert etag_of(path, part_bytes) == (len(content), expected)


def test_digests_tell_names_from_contents() -> None:
    assert digest_of({"a": b"b"}) == digest_of({"a": b"b"})
    assert digest_of({"a": b"bc"}) != digest_of({"ab": b"c"})
    assert digest_of({"a": b"1", "b": b"2"}) != digest_of({"a": b"2", "b": b"1"})
    assert digest_of({"a": b"1", "b": b"2"}) == digest_of({"b": b"2", "a": b"1"})
