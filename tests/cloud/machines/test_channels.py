"""Which objects an instance sees of a channel, and under which names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.machines.training_site import FolderObjects
from fogbank.cloud.machines import channels, placement
from fogbank.cloud.machines.channels import ChannelError, ChannelFiles, S3Location
from fogbank.core.clock import SystemClock


@pytest.fixture
def objects(tmp_path: Path) -> FolderObjects:
    return FolderObjects(tmp_path / "objects", SystemClock())


async def seen(
    objects: FolderObjects,
    uri: str,
    *,
    kind: str = "S3Prefix",
    instance: int = 0,
    of: int = 1,
    **more: Any,
) -> ChannelFiles:
    source = {"S3DataType": kind, "S3Uri": uri, **more}
    return await channels.resolve(
        objects,
        {"ChannelName": "train", "DataSource": {"S3DataSource": source}},
        instance=instance,
        num_instances=of,
        role_arn="arn:aws:iam::123456789012:role/train",
        region="us-east-1",
    )


@pytest.mark.observed
@pytest.mark.parametrize(
    ("prefix", "expected"),
    [
        ("input/code", ["lib/x.py", "train.py"]),
        ("input/code/", ["lib/x.py", "train.py"]),
        ("input/code/train.py", ["train.py"]),
        ("input/co", ["code/lib/x.py", "code/train.py", "code2/other.py"]),
        ("input/code/tr", ["train.py"]),
        ("", ["input/code/lib/x.py", "input/code/train.py", "input/code2/other.py", "top"]),
    ],
)
async def test_names_below_a_prefix(
    objects: FolderObjects, prefix: str, expected: list[str]
) -> None:
    for key in ("input/code/train.py", "input/code/lib/x.py", "input/code2/other.py", "top"):
        objects.add("b", key, b"x")
    assert sorted((await seen(objects, f"s3://b/{prefix}")).files) == expected


@pytest.mark.docs
async def test_a_manifest(objects: FolderObjects) -> None:
    objects.add("b", "data/a/1.jpg", b"1")
    objects.add("b", "data/2.jpg", b"2")
    manifest = [{"prefix": "s3://b/data/"}, "a/1.jpg", "2.jpg"]
    objects.add("m", "train.manifest", json.dumps(manifest).encode())
    found = await seen(objects, "s3://m/train.manifest", kind="ManifestFile")
    assert sorted(found.files) == ["2.jpg", "a/1.jpg"]


@pytest.mark.parametrize(
    "manifest",
    [
        *(
            b"",
            b"{}",
            b"[]",
            b'["a"]',
            b'[{"prefix": "x"}]',
            b'[{"prefix": "s3://b/"}, 1]',
            b"\xff",
        ),
        *(b'[{"prefix": "s3:///b"}]', b'[{"prefix": "//[b"}]'),
    ],
)
async def test_what_is_not_a_manifest(objects: FolderObjects, manifest: bytes) -> None:
    objects.add("m", "x", manifest)
    with pytest.raises(ChannelError, match=r"is not a manifest|not an S3 URI"):
        await seen(objects, "s3://m/x", kind="ManifestFile")


async def test_a_manifest_names_an_object_that_is_not_there(objects: FolderObjects) -> None:
    objects.add("m", "x", b'[{"prefix": "s3://m/"}, "gone"]')
    with pytest.raises(ChannelError, match=r"s3://m/gone.*does not exist"):
        await seen(objects, "s3://m/x", kind="ManifestFile")


@pytest.mark.docs
async def test_shards_are_disjoint_and_complete(objects: FolderObjects) -> None:
    for number in range(10):
        objects.add("b", f"p/{number}", b"x")
    shards = [
        await seen(objects, "s3://b/p", instance=i, of=3, S3DataDistributionType="ShardedByS3Key")
        for i in range(3)
    ]
    names = [set(shard.files) for shard in shards]
    assert [len(part) for part in names] == [4, 3, 3]
    assert set.union(*names) == {str(number) for number in range(10)}


@pytest.mark.observed
async def test_nothing_below_the_prefix(objects: FolderObjects) -> None:
    objects.add("b", "x", b"")
    with pytest.raises(ChannelError) as raised:
        await seen(objects, "s3://b/none/")
    assert str(raised.value) == (
        'Data download failed:No S3 objects found under S3 URL "s3://b/none/" given in input data '
        "source. Please ensure that the bucket exists in the selected region (us-east-1), that "
        'objects exist under that S3 prefix, and that the role "arn:aws:iam::123456789012:role/'
        'train" has "s3:ListBucket" permissions on bucket "b".'
    )
    with pytest.raises(ChannelError, match="The specified bucket does not exist"):
        await seen(objects, "s3://nobucket/none/")


@pytest.mark.parametrize("kind", ["AugmentedManifestFile", "Converse"])
async def test_kinds_that_are_not_there_are_refused(objects: FolderObjects, kind: str) -> None:
    with pytest.raises(ChannelError, match=f"S3DataType {kind} is not supported"):
        await seen(objects, "s3://b/x", kind=kind)


@pytest.mark.parametrize(
    ("channel", "words"),
    [
        ({"DataSource": {"FileSystemDataSource": {}}}, "only S3DataSource"),
        ({"InputMode": "Pipe", "DataSource": {"S3DataSource": {}}}, "Pipe is not supported"),
        ({"DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "b/x"}}}, "not an S3"),
    ],
)
async def test_channels_that_cannot_be(
    objects: FolderObjects, channel: dict[str, Any], words: str
) -> None:
    with pytest.raises(ChannelError, match=words):
        await channels.resolve(
            objects,
            {"ChannelName": "c", **channel},
            instance=0,
            num_instances=1,
            role_arn="r",
            region="us-east-1",
        )


async def test_keys_that_a_file_system_cannot_have(objects: FolderObjects) -> None:
    keys = ("ok", "../up", "a/../b", "/absolute", "a//b", "./c", "x" * 256, "empty/", "full/")
    for key in keys:
        objects.add("b", f"p/{key}", b"x" if key != "empty/" else b"")
    objects.add("b", "p/", b"")
    found = await seen(objects, "s3://b/p/")
    assert sorted(found.files) == ["ok"]
    assert found.folders == {"empty"}
    assert len(found.warnings) == 7


@pytest.mark.parametrize("keys", [("a", "a/b"), ("a", "a/"), ("a/b", "a/b/c/d")])
async def test_a_file_and_a_folder_of_one_name(
    objects: FolderObjects, keys: tuple[str, ...]
) -> None:
    for key in keys:
        objects.add("b", f"p/{key}", b"")
    with pytest.raises(ChannelError, match=f"s3://b/p/{keys[0]} is an object, and there are"):
        await seen(objects, "s3://b/p/")


@pytest.mark.parametrize(
    ("uri", "bucket", "key"),
    [
        *(("s3://b", "b", ""), ("s3://b/", "b", ""), ("s3://b/a?b#c", "b", "a?b#c")),
        *(("s3://b/[a]", "b", "[a]"), ("s3://[b", "[b", "")),
    ],
)
def test_locations(uri: str, bucket: str, key: str) -> None:
    assert S3Location.parse(uri) == S3Location(bucket, key)
    assert S3Location(bucket, key).child("x").key == (f"{key}/x" if key else "x")


@given(keys=st.sets(st.text("ab/.", min_size=1, max_size=8), max_size=8))
def test_whatever_the_keys_all_paths_stay_inside(
    tmp_path_factory: pytest.TempPathFactory, keys: set[str]
) -> None:
    store = FolderObjects(tmp_path_factory.mktemp("keys") / "o", SystemClock())
    items = [(key, store.add("b", key, b"")) for key in sorted(keys)]
    try:
        found = channels.arrange("c", items)
    except ChannelError:
        return
    root = Path("/channel")
    for path in [*found.files, *found.folders]:
        parts = path.split("/")
        assert ".." not in parts
        assert "" not in parts
        assert (root / path).is_relative_to(root)


@pytest.mark.parametrize("strategy", ["mount", "reflink", "copy"])
async def test_placing(
    objects: FolderObjects, tmp_path: Path, strategy: placement.Strategy
) -> None:
    for number in range(20):
        objects.add("b", f"p/d{number % 3}/{number}", str(number).encode())
    objects.add("b", "p/empty/", b"")
    found = await seen(objects, "s3://b/p")
    # Between the listing and the placing one is replaced and one is deleted.
    objects.add("b", "p/d0/0", b"newer")
    objects.buckets["b"].pop("p/d1/1").path.unlink()

    def restat(old: Any) -> Any:
        return objects.stat(old.bucket, old.key)

    await placement.place(found, tmp_path / "c", strategy, restat)
    placed = {p.name: p.read_text() for p in (tmp_path / "c").rglob("*") if p.is_file()}
    assert placed == {"0": "newer", **{str(n): str(n) for n in range(2, 20)}}
    assert (tmp_path / "c" / "empty").is_dir()
    same = (tmp_path / "c/d2/2").samefile(found.files["d2/2"].path)
    assert same == (strategy == "mount"), "only a tree that nobody sees has links to objects"


def test_the_choice_says_why(tmp_path: Path) -> None:
    assert placement.choose(can_mount=True, folder=tmp_path)[0] == "mount"
    name, why = placement.choose(can_mount=False, folder=tmp_path)
    assert name in ("reflink", "copy")
    assert why
    assert list(tmp_path.iterdir()) == []
