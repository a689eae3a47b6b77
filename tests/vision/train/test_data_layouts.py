"""Which folders are understood, and what is said about the others."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from fogbank.vision.errors import DataError
from fogbank.vision.train.data import Dataset, find_dataset
from vision.pictures import MakePictures


def counts(dataset: Dataset) -> tuple[int, int, int]:
    return len(dataset.train), len(dataset.valid), len(dataset.test)


@pytest.mark.parametrize("valid", ["valid", "val", "validation", "Validation"])
@pytest.mark.parametrize("channel", ["training", "train", "pictures"])
def test_split_folders_in_one_channel(
    make_pictures: MakePictures, tmp_path: Path, valid: str, channel: str
) -> None:
    make_pictures("all/train", each=4)
    make_pictures(f"all/{valid}", each=2)
    make_pictures("all/test", each=1)
    dataset = find_dataset({channel: tmp_path / "all", "code": tmp_path}, seed=0)
    assert counts(dataset) == (12, 6, 3)
    assert dataset.labels == ("blue", "green", "red")
    assert all(sample.path.parent.name == dataset.labels[sample.label] for sample in dataset.train)


def test_a_channel_for_each_split(make_pictures: MakePictures) -> None:
    channels = {
        "train": make_pictures("a", each=3),
        "validation": make_pictures("b", each=2),
        "test": make_pictures("c", each=1),
    }
    assert counts(find_dataset(channels, seed=0)) == (9, 6, 3)


def test_one_folder_a_class_is_split_stratified_and_seeded(make_pictures: MakePictures) -> None:
    root = make_pictures("pool", each=20)
    first, same, other = (find_dataset({"training": root}, seed=seed) for seed in (1, 1, 2))
    assert first == same
    assert first.test != other.test
    for split, each in ((first.train, 14), (first.valid, 3), (first.test, 3)):
        assert Counter(sample.label for sample in split) == {0: each, 1: each, 2: each}
    paths = [sample.path for sample in (*first.train, *first.valid, *first.test)]
    assert len(set(paths)) == len(paths) == 60


def test_a_missing_validation_split_is_held_out_of_train(make_pictures: MakePictures) -> None:
    channels = {"train": make_pictures("a", each=10), "test": make_pictures("b", each=2)}
    dataset = find_dataset(channels, seed=0)
    assert counts(dataset) == (24, 6, 6)
    assert "held out 15%" in dataset.notes[0]


def test_a_folder_around_everything_is_stepped_into(
    make_pictures: MakePictures, tmp_path: Path
) -> None:
    make_pictures("outer/inner/train", each=3)
    make_pictures("outer/inner/valid", each=1)
    (tmp_path / "outer" / "__MACOSX").mkdir()
    (tmp_path / "outer" / ".cache").mkdir()
    assert counts(find_dataset({"training": tmp_path / "outer"}, seed=0)) == (9, 3, 0)


def test_a_class_may_be_called_train(make_pictures: MakePictures, tmp_path: Path) -> None:
    root = make_pictures("vehicles", each=7, colours=("red", "blue"))
    (root / "red").rename(root / "train")
    assert find_dataset({"training": root}, seed=0).labels == ("blue", "train")


def test_pictures_may_lie_deeper_and_behind_links(
    make_pictures: MakePictures, tmp_path: Path
) -> None:
    root = make_pictures("pool", each=4)
    (root / "red").rename(root / "moved")
    (root / "red" / "deep").mkdir(parents=True)
    (root / "red" / "deep" / "link").symlink_to(root / "moved")
    (root / "red" / "deep" / "loop").symlink_to(root / "red")
    (root / "moved" / "notes.txt").write_text("not a picture")
    dataset = find_dataset({"training": root}, seed=0)
    assert dataset.labels == ("blue", "green", "moved", "red")
    assert dataset.num_pictures == 16
    assert any("notes.txt" in note for note in dataset.notes)


def test_an_empty_class_folder_is_named(make_pictures: MakePictures) -> None:
    root = make_pictures("pool", each=4)
    (root / "yellow").mkdir()
    with pytest.raises(DataError, match="pool/yellow holds no picture"):
        find_dataset({"training": root}, seed=0)


def test_a_class_folder_of_other_files_is_empty(make_pictures: MakePictures) -> None:
    root = make_pictures("pool", each=4)
    (root / "yellow").mkdir()
    (root / "yellow" / "list.csv").write_text("a,b")
    with pytest.raises(DataError, match="pool/yellow holds no picture"):
        find_dataset({"training": root}, seed=0)


def test_a_class_missing_in_valid_is_noted(make_pictures: MakePictures) -> None:
    train = make_pictures("a", each=3)
    valid = make_pictures("b", each=2, colours=("red", "blue"))
    (valid / "green").mkdir()
    dataset = find_dataset({"train": train, "valid": valid}, seed=0)
    assert any("valid: no pictures of green" in note for note in dataset.notes)


def test_a_class_that_only_valid_has_is_refused(make_pictures: MakePictures) -> None:
    train = make_pictures("a", each=3, colours=("red", "blue"))
    with pytest.raises(DataError, match="class 'green' is not in the training split"):
        find_dataset({"train": train, "valid": make_pictures("b", each=2)}, seed=0)


def test_one_class_is_no_choice(make_pictures: MakePictures, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"at least 2 classes.*only 'red'"):
        find_dataset({"training": make_pictures("one", each=5, colours=("red",))}, seed=0)
    (tmp_path / "bare").mkdir()
    with pytest.raises(DataError, match="no folder of pictures"):
        find_dataset({"training": tmp_path / "bare"}, seed=0)


def test_too_few_to_split_names_the_class(make_pictures: MakePictures) -> None:
    with pytest.raises(DataError, match="class 'blue' has 2 pictures: at least 3"):
        find_dataset({"training": make_pictures("few", each=2)}, seed=0)
    assert counts(find_dataset({"training": make_pictures("enough", each=3)}, seed=0)) == (3, 3, 3)


def test_channels_that_cannot_be_used(make_pictures: MakePictures, tmp_path: Path) -> None:
    root = make_pictures("a", each=3)
    with pytest.raises(DataError, match="have none"):
        find_dataset({}, seed=0)
    with pytest.raises(DataError, match="no channel to train on: have left, right"):
        find_dataset({"left": root, "right": root}, seed=0)
    with pytest.raises(DataError, match="two channels for the train split"):
        find_dataset({"train": root, "training": root}, seed=0)
    with pytest.raises(DataError, match="does not exist"):
        find_dataset({"train": tmp_path / "absent"}, seed=0)


def test_splits_without_anything_to_train_on_are_not_taken_for_classes(
    make_pictures: MakePictures, tmp_path: Path
) -> None:
    make_pictures("all/valid", each=2)
    make_pictures("all/test", each=2)
    with pytest.raises(DataError, match="no train/ with pictures"):
        find_dataset({"training": tmp_path / "all"}, seed=0)
