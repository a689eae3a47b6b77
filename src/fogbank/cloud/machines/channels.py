"""Input channels: which objects belong to one, and under which names an instance sees them.

In: one entry of InputDataConfig and the object store. Out: `ChannelFiles`, or ChannelError with
words for a FailureReason (`ClientError: ` comes before them). Sources: API reference,
S3DataSource and Channel; developer guide, "Access Training Data".
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fogbank.cloud.ports import Objects, StoredObject
from fogbank.core.errors import FogbankError

_LISTED_AT_ONCE = 500
_MAX_NAME_BYTES = 255


class ChannelError(FogbankError):
    """The channel cannot be what the request says, through the caller's doing."""


@dataclass(frozen=True, slots=True)
class ChannelFiles:
    """What an instance sees of a channel.

    files:    relative path (with slashes) -> object; no path is also a folder of another.
    folders:  empty folders, from keys that end with a slash.
    warnings: keys that were left out, and why.
    """

    name: str
    files: Mapping[str, StoredObject]
    folders: frozenset[str] = frozenset()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class S3Location:
    """`s3://bucket/key`; the key may be a prefix or empty."""

    bucket: str
    key: str

    @classmethod
    def parse(cls, uri: str) -> S3Location:
        """Raises ChannelError for anything that is not s3://BUCKET/..."""
        # Not urlsplit: question marks and brackets are legal characters of a key.
        scheme, _, rest = uri.partition("://")
        bucket, _, key = rest.partition("/")
        if scheme != "s3" or not bucket:
            raise ChannelError(f"not an S3 URI: {uri!r} (expected s3://bucket/prefix)")
        return cls(bucket, key)

    def child(self, name: str) -> S3Location:
        """The location of `name` below this one."""
        prefix = self.key.rstrip("/")
        return S3Location(self.bucket, f"{prefix}/{name}" if prefix else name)

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.key}"


async def list_objects(objects: Objects, bucket: str, prefix: str) -> list[StoredObject]:
    """Every object below a prefix, in key order, without holding up the event loop. LookupError
    where the bucket does not exist."""
    found: list[StoredObject] = []
    for item in objects.list(bucket, prefix):
        found.append(item)
        if len(found) % _LISTED_AT_ONCE == 0:
            await asyncio.sleep(0)
    return found


async def resolve(
    objects: Objects,
    channel: Mapping[str, Any],
    *,
    instance: int,
    num_instances: int,
    role_arn: str,
    region: str,
) -> ChannelFiles:
    """What instance number `instance` (from 0) of `num_instances` sees of a channel.

    Raises ChannelError: no objects, a missing bucket, a damaged manifest, a name that is file and
    folder, or a kind of channel that is not there (Pipe, AugmentedManifestFile, file systems).
    """
    name = channel["ChannelName"]
    source = channel.get("DataSource", {}).get("S3DataSource")
    if source is None:
        raise ChannelError(f"channel {name}: only S3DataSource is supported as a DataSource")
    if channel.get("InputMode") == "Pipe":
        raise ChannelError(f"channel {name}: input mode Pipe is not supported; use FastFile")
    location = S3Location.parse(source["S3Uri"])
    try:
        match source["S3DataType"]:
            case "S3Prefix":
                listed = await list_objects(objects, location.bucket, location.key)
                found = below_prefix(listed, location.key)
            case "ManifestFile":
                found = await _from_manifest(objects, location)
            case other:
                raise ChannelError(f"channel {name}: S3DataType {other} is not supported")
    except LookupError as error:
        raise ChannelError(
            _nothing_found(source["S3Uri"], location.bucket, role_arn, region)
            + " Error message from S3: The specified bucket does not exist"
        ) from error
    if not found:
        raise ChannelError(_nothing_found(source["S3Uri"], location.bucket, role_arn, region))
    if source.get("S3DataDistributionType") == "ShardedByS3Key":
        found = found[instance::num_instances]
    return arrange(name, found)


def _nothing_found(uri: str, bucket: str, role_arn: str, region: str) -> str:
    return (
        f'Data download failed:No S3 objects found under S3 URL "{uri}" given in input data '
        f"source. Please ensure that the bucket exists in the selected region ({region}), that "
        f'objects exist under that S3 prefix, and that the role "{role_arn}" has "s3:ListBucket" '
        f'permissions on bucket "{bucket}".'
    )


Named = tuple[str, StoredObject]
"""(relative path, object)"""


def below_prefix(listed: Iterable[StoredObject], prefix: str) -> list[Named]:
    """Objects that start with `prefix`, with their paths in the channel.

    A prefix that names a folder, with or without its slash, gives what is in it: `input/code`
    gives `train.py` for `input/code/train.py` and nothing for `input/code2/x`. A prefix that names
    an object gives that one by its last name. Any other prefix (`data/part-`) gives whatever
    starts with it, with paths from the prefix's own last slash on (`part-1.csv`).
    """
    listed = list(listed)
    if prefix and not prefix.endswith("/"):
        folder = prefix + "/"
        exact = [(prefix.rpartition("/")[2], item) for item in listed if item.key == prefix]
        inside = [(i.key[len(folder) :], i) for i in listed if i.key.startswith(folder)]
        if exact or inside:
            return exact + inside
        prefix = prefix[: prefix.rfind("/") + 1]
    return [(item.key[len(prefix) :], item) for item in listed]


async def _from_manifest(objects: Objects, location: S3Location) -> list[Named]:
    if objects.stat(location.bucket, location.key) is None:
        return []
    try:
        entries = json.loads(await objects.read(location.bucket, location.key))
        root = S3Location.parse(entries[0]["prefix"])
        names = entries[1:]
        if not all(isinstance(name, str) for name in names):
            raise TypeError("every entry after the first is a string")
    except (ValueError, TypeError, KeyError, IndexError) as error:
        raise ChannelError(
            f"{location} is not a manifest: expected a JSON list of "
            f'{{"prefix": "s3://..."}} and of names below it ({error})'
        ) from error
    found: list[Named] = []
    for number, name in enumerate(names):
        item = objects.stat(root.bucket, root.key + name)
        if item is None:
            raise ChannelError(
                f"Data download failed:NoSuchKey (404): s3://{root.bucket}/{root.key}{name}, "
                f"named in {location}, does not exist"
            )
        found.append((name, item))
        if number % _LISTED_AT_ONCE == 0:
            await asyncio.sleep(0)
    return found


def arrange(name: str, found: Sequence[Named]) -> ChannelFiles:
    """Paths that a file system can have, and only such that stay inside. Raises ChannelError where
    one is both a file and a folder: S3 allows that, a file system does not."""
    files: dict[str, StoredObject] = {}
    folders: set[str] = set()
    parents: set[str] = set()
    warnings: list[str] = []
    for path, item in found:
        marker = path.endswith("/")
        parts = (path[:-1] if marker else path).split("/")
        if path in ("", "/"):
            continue  # the marker of the prefix itself
        problem = _problem(parts)
        if problem is None and marker and item.size_bytes:
            problem = "its name ends with a slash, but it has content"
        if problem is not None:
            warnings.append(f"channel {name}: s3://{item.bucket}/{item.key} left out: {problem}")
            continue
        parents.update("/".join(parts[:end]) for end in range(1, len(parts)))
        if marker:
            folders.add("/".join(parts))
        else:
            files[path] = item
    both = (parents | folders) & files.keys()
    if both:
        item = files[min(both)]
        raise ChannelError(
            f"Data download failed:channel {name}: s3://{item.bucket}/{item.key} is an object, and "
            "there are objects below it. A file system cannot have a file and a folder of one name."
        )
    return ChannelFiles(name, files, frozenset(folders - parents), tuple(warnings))


def _problem(parts: Sequence[str]) -> str | None:
    if ".." in parts or "." in parts:
        return "it would climb out of the channel's folder"
    if "" in parts:
        return "a part of its path has no name"
    if any(len(part.encode()) > _MAX_NAME_BYTES for part in parts):
        return f"a name in it is longer than {_MAX_NAME_BYTES} bytes"
    return None
