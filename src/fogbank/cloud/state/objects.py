"""The object store: S3's objects as rows that name content files.

A write goes: body -> temporary file -> its name among the content files -> (many at once:) file
and folder synchronised -> row committed -> acknowledged. So a `kill -9` or a power failure leaves
either a row with its whole file, or a file that no row names, which the next start removes.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import TypeVar

from fogbank.cloud.errors import ServiceError
from fogbank.cloud.ports import Records, StoredObject
from fogbank.cloud.records.bucket import Bucket
from fogbank.cloud.state.database import Database
from fogbank.cloud.state.objects_checksums import DEFAULT_ALGORITHM
from fogbank.cloud.state.objects_commit import GroupCommit
from fogbank.cloud.state.objects_content import Content, ContentStore, FileBody
from fogbank.cloud.state.objects_listing import after_prefix
from fogbank.cloud.state.objects_rows import (
    Checksum,
    Description,
    ObjectPart,
    ObjectRows,
    Version,
    to_json,
)
from fogbank.core.clock import Clock

T = TypeVar("T")

NULL_VERSION = "null"
_PAGE = 1000

Guard = Callable[[Version | None], None]
"""Told the current object (None: there is none, or it is a delete marker) at the moment of the
write; says no by raising. This is what makes conditional writes atomic."""


def allow(current: Version | None) -> None:
    """The guard that lets everything pass."""


class NoSuchBucket(ServiceError, LookupError):
    """A bucket that does not exist: AWS's answer on the wire, a LookupError to the machines."""

    def __init__(self, bucket: str) -> None:
        super().__init__(
            "NoSuchBucket",
            "The specified bucket does not exist",
            status=404,
            fields={"BucketName": bucket},
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class NewObject:
    """An object about to be written.

    etag:       without quotation marks.
    parts:      how it was uploaded, in parts; empty for one piece.
    modified_s: None for now.
    """

    bucket: str
    key: str
    blob: int
    size_bytes: int
    etag: str
    checksum: Checksum | None
    description: Description
    parts: Sequence[ObjectPart] = ()
    upload_id: str | None = None
    modified_s: int | None = None


@dataclass(frozen=True, slots=True)
class Removal:
    """Which object to delete. version_id None: the current one, by S3's versioning rules."""

    key: str
    version_id: str | None = None
    guard: Guard = allow


@dataclass(frozen=True, slots=True)
class Removed:
    """What a deletion did. version_id: of the version removed, or of the marker made; None in a
    bucket without versioning."""

    version_id: str | None
    is_delete_marker: bool


class ObjectStore:
    """Objects of all buckets; see `ports.Objects` for what the machines use of it.

    rows:    for reading. Only the store writes.
    content: the content files.
    """

    def __init__(self, database: Database, records: Records, folder: Path, clock: Clock) -> None:
        self.rows = ObjectRows(database.connection)
        self.content = ContentStore(database, folder)
        self._records = records
        self._clock = clock
        self._group = GroupCommit(database, self.content.threads)
        self._dropped: list[int] = []

    def close(self) -> None:
        """Waits for running disk jobs. Call it when no request is under way."""
        self.content.close()

    def now_s(self) -> int:
        """S3 keeps times to the second."""
        return int(self._clock.now().timestamp())

    def bucket(self, name: str) -> Bucket:
        """Raises NoSuchBucket."""
        found = self._records.get(Bucket, name)
        if found is None:
            raise NoSuchBucket(name)
        return found

    # -- what machines use ------------------------------------------------------------------------

    def stat(self, bucket: str, key: str) -> StoredObject | None:
        self.bucket(bucket)
        found = self.current(bucket, key)
        return self._stored(found) if found else None

    def list(self, bucket: str, prefix: str) -> Iterator[StoredObject]:
        self.bucket(bucket)
        return self._list(bucket, prefix.encode())

    def _list(self, bucket: str, prefix: bytes) -> Iterator[StoredObject]:
        # In pages: between two of them anybody may write.
        lower, upper = prefix, after_prefix(prefix)
        while True:
            page = [*islice(self.rows.current_in(bucket, lower, upper), _PAGE)]
            yield from map(self._stored, page)
            if len(page) < _PAGE:
                return
            lower = page[-1].key.encode() + b"\0"

    async def put_file(
        self, bucket: str, key: str, source: Path, *, content_type: str = "binary/octet-stream"
    ) -> StoredObject:
        self.bucket(bucket)
        with closing(FileBody(source, self.content.threads)) as body:
            content = await self.content.receive(body, algorithms=[DEFAULT_ALGORITHM])
        description = Description(
            headers={"ContentType": content_type, "ServerSideEncryption": "AES256"}
        )
        return self._stored(await self.add(whole(bucket, key, content, description)))

    async def read(self, bucket: str, key: str) -> bytes:
        self.bucket(bucket)
        found = self.current(bucket, key)
        if found is None or found.blob is None:
            raise LookupError(f"s3://{bucket}/{key} does not exist")
        return b"".join([piece async for piece in self.content.open(found.blob)])

    def _stored(self, version: Version) -> StoredObject:
        assert version.blob is not None, "a delete marker has no content"
        return StoredObject(
            bucket=version.bucket,
            key=version.key,
            size_bytes=version.size_bytes,
            etag=version.etag,
            modified=datetime.fromtimestamp(version.modified_s, UTC),
            path=self.content.path(version.blob),
        )

    # -- reading ----------------------------------------------------------------------------------

    def current(self, bucket: str, key: str) -> Version | None:
        """The current object; None where there is none or a delete marker stands for it."""
        newest = self.rows.newest(bucket, key)
        return None if newest is None or newest.is_delete_marker else newest

    async def duplicate(self, resolve: Callable[[], Version]) -> tuple[Version, int]:
        """A second content file for the object that `resolve` finds (a link, no copy). Asks again
        where the object has been replaced meanwhile."""
        while True:
            version = resolve()
            assert version.blob is not None, "a delete marker has no content"
            try:
                return version, await self.content.duplicate(version.blob)
            except FileNotFoundError:
                if resolve().blob == version.blob:
                    raise

    # -- writing ----------------------------------------------------------------------------------

    async def commit(self, decide: Callable[[], T], *, new_blobs: Iterable[int] = ()) -> T:
        """Run `decide` in a transaction and wait until it is durable. The new content files are
        removed where it does not come to that."""
        blobs = list(new_blobs)
        written = False

        def decided() -> T:
            nonlocal written
            self._dropped.clear()
            result = decide()
            self.content.release(self._dropped)
            written = True
            return result

        try:
            needs = [path for blob in blobs for path in self.content.needs(blob)]
            return await self._group.submit(decided, needs=needs)
        except BaseException:
            if not written:
                self.content.discard(blobs)
            raise

    async def add(self, new: NewObject, *, guard: Guard = allow) -> Version:
        """Make `new` the current object of its key. Durable when it returns.

        Raises NoSuchBucket where the bucket has gone meanwhile, and what `guard` raises.
        """
        return await self.commit(lambda: self.insert(new, guard), new_blobs=[new.blob])

    def insert(self, new: NewObject, guard: Guard) -> Version:
        """`add`, as a part of a larger change: inside a transaction."""
        versioning = self.bucket(new.bucket).versioning
        guard(self.current(new.bucket, new.key))
        checksum = new.checksum
        return self._place(
            Version(
                bucket=new.bucket,
                key=new.key,
                sequence=0,
                version_id=_new_version_id() if versioning == "Enabled" else NULL_VERSION,
                is_latest=True,
                is_delete_marker=False,
                blob=new.blob,
                size_bytes=new.size_bytes,
                etag=new.etag,
                modified_s=self.now_s() if new.modified_s is None else new.modified_s,
                storage_class=new.description.storage_class,
                checksum=checksum,
                headers_json=to_json(new.description.headers),
                tags_json=to_json(new.description.tags),
                parts_json=to_json(
                    [(part.number, part.size_bytes, part.checksum) for part in new.parts]
                )
                if new.parts
                else None,
                upload_id=new.upload_id,
            )
        )

    def _place(self, version: Version) -> Version:
        """Put a version on top. There is one null version of a key at most: it is replaced."""
        if version.version_id == NULL_VERSION:
            self._drop(self.rows.version(version.bucket, version.key, NULL_VERSION))
        below = self.rows.newest(version.bucket, version.key)
        if below is not None:
            self.rows.mark_latest(below, latest=False)
            version = replace(version, sequence=below.sequence + 1)
        self.rows.insert(version)
        return version

    def _drop(self, version: Version | None) -> None:
        if version is not None:
            self.rows.delete(version)
            if version.blob is not None:
                self.drop([version.blob])

    def drop(self, blobs: Iterable[int]) -> None:
        """Inside `commit`: these files lose their rows; they are removed once that is durable."""
        self._dropped.extend(blobs)

    async def remove(
        self, bucket: str, removals: Sequence[Removal]
    ) -> Sequence[Removed | ServiceError]:
        """Delete objects, each by itself: an answer for each, in order. Durable when it returns."""

        def decide() -> Sequence[Removed | ServiceError]:
            return [self._remove(self.bucket(bucket), removal) for removal in removals]

        return await self.commit(decide)

    def _remove(self, bucket: Bucket, removal: Removal) -> Removed | ServiceError:
        try:
            removal.guard(self.current(bucket.name, removal.key))
        except ServiceError as refusal:
            return refusal
        if removal.version_id is not None:
            return self._remove_version(bucket, removal.key, removal.version_id)
        if bucket.versioning is None:
            self._drop(self.rows.version(bucket.name, removal.key, NULL_VERSION))
            return Removed(None, is_delete_marker=False)
        marker = self._place(
            Version(
                bucket=bucket.name,
                key=removal.key,
                sequence=0,
                version_id=_new_version_id() if bucket.versioning == "Enabled" else NULL_VERSION,
                is_latest=True,
                is_delete_marker=True,
                blob=None,
                size_bytes=0,
                etag="",
                modified_s=self.now_s(),
                storage_class="STANDARD",
                checksum=None,
                headers_json="{}",
                tags_json="{}",
                parts_json=None,
                upload_id=None,
            )
        )
        return Removed(marker.version_id, is_delete_marker=True)

    def _remove_version(self, bucket: Bucket, key: str, version_id: str) -> Removed:
        version = self.rows.version(bucket.name, key, version_id)
        self._drop(version)
        if version is not None and version.is_latest:
            below = self.rows.newest(bucket.name, key)
            if below is not None:
                self.rows.mark_latest(below, latest=True)
        return Removed(
            version_id, is_delete_marker=version is not None and version.is_delete_marker
        )

    async def set_tags(self, resolve: Callable[[], Version], tags: dict[str, str]) -> Version:
        """Replace the tags of the version that `resolve` finds at the moment of the write."""

        def decide() -> Version:
            version = resolve()
            self.rows.set_tags(version, tags)
            return version

        return await self.commit(decide)

    def remove_bucket(self, bucket: Bucket) -> None:
        """Delete an empty bucket with its unfinished uploads. Asking whether it is empty is the
        caller's part; nobody can come in between."""
        with self._records.transaction():
            for upload in list(self.rows.uploads_in(bucket.name, b"", None)):
                self.content.release(self.rows.delete_upload(upload))
            self._records.delete(Bucket, bucket.name)


def whole(bucket: str, key: str, content: Content, description: Description) -> NewObject:
    """An object that was written in one piece, with the one checksum that was computed."""
    algorithm, value = next(iter(content.checksums.items()))
    return NewObject(
        bucket=bucket,
        key=key,
        blob=content.blob,
        size_bytes=content.size_bytes,
        etag=content.md5,
        checksum=Checksum(algorithm, "FULL_OBJECT", value),
        description=description,
    )


def _new_version_id() -> str:
    return secrets.token_urlsafe(24)  # 32 characters, as AWS's
