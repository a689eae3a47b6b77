"""The digits as folders of pictures."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from fogbank.vision.errors import DataError
from fogbank.vision.preprocess import Preprocessing, decode
from fogbank.vision.sample import write_digits


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_digits_are_complete_split_and_reproducible(tmp_path: Path) -> None:
    summary = write_digits(tmp_path / "digits")
    assert summary.labels == tuple("0123456789")
    assert sum(summary.num_pictures.values()) == 1797
    first = contents(tmp_path / "digits")
    assert len(first) == 1797
    assert len({name.rsplit("/", 1)[1] for name in first}) == 1797, "a picture in two splits"
    for split, share in (("train", 0.7), ("valid", 0.15), ("test", 0.15)):
        for label in summary.labels:
            in_class = sum(f"/{label}/" in name for name in first)
            in_split = sum(name.startswith(f"{split}/{label}/") for name in first)
            assert abs(in_split - share * in_class) <= 1.5
    write_digits(tmp_path / "again")
    assert contents(tmp_path / "again") == first


def test_the_usual_crop_keeps_the_whole_digit(tmp_path: Path) -> None:
    write_digits(tmp_path / "digits")
    file = next((tmp_path / "digits" / "test" / "8").iterdir())
    picture = decode(file.read_bytes())
    assert picture.size == (64, 64)
    assert picture.getbbox() is not None
    inner = Image.open(file).crop((4, 4, 60, 60))
    crop = Preprocessing().with_image_size(56).crop(picture)
    assert (
        crop[0].int()
        - Preprocessing(image_size=56, resize_size=56).crop(inner.convert("RGB"))[0].int()
    ).abs().max() == 0


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(DataError, match="not an empty folder"):
        write_digits(tmp_path)
    assert contents(tmp_path) == {"mine.txt": b"mine"}
