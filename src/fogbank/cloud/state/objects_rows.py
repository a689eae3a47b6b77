"""Rows of the object store: versions, multipart uploads and their parts, to and from SQLite.

Everything here runs on the event loop's thread. Reads see what is committed; writes belong inside
a transaction. Keys are `str` outside and UTF-8 bytes in the database, so that their order is S3's.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Checksum:
    """algorithm: as in S3's ChecksumAlgorithm. type: FULL_OBJECT or COMPOSITE. value: base64, for a
    composite one with the number of parts (`...==-3`)."""

    algorithm: str
    type: str
    value: str


@dataclass(frozen=True, slots=True)
class ObjectPart:
    """One part of an object that was uploaded in parts."""

    number: int
    size_bytes: int
    checksum: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """What is known of an object besides its key and its bytes.

    headers: the members that GetObject gives back as headers (ContentType, Metadata,
             ServerSideEncryption, ...), JSON-able.
    """

    headers: Mapping[str, Any] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    storage_class: str = "STANDARD"


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One version of an object, or a delete marker (then `blob` is None).

    version_id: `null` for what was written while versioning was off.
    etag:       without quotation marks.
    """

    bucket: str
    key: str
    sequence: int
    version_id: str
    is_latest: bool
    is_delete_marker: bool
    blob: int | None
    size_bytes: int
    etag: str
    modified_s: int
    storage_class: str
    checksum: Checksum | None
    headers_json: str
    tags_json: str
    parts_json: str | None
    upload_id: str | None

    @property
    def headers(self) -> dict[str, Any]:
        headers: dict[str, Any] = json.loads(self.headers_json)
        return headers

    @property
    def tags(self) -> dict[str, str]:
        tags: dict[str, str] = json.loads(self.tags_json)
        return tags

    @property
    def parts(self) -> list[ObjectPart]:
        """Empty for an object that was written in one piece."""
        return [ObjectPart(*part) for part in json.loads(self.parts_json or "[]")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """A multipart upload in progress. Without `checksum_algorithm` the client named none."""

    bucket: str
    key: str
    upload_id: str
    initiated_s: int
    checksum_algorithm: str | None
    checksum_type: str | None
    description: Description


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """An uploaded part. etag: the MD5 in hex, no quotation marks. checksum: base64."""

    number: int
    blob: int
    size_bytes: int
    etag: str
    modified_s: int
    checksum: str | None


_VERSION = (
    "bucket, key, sequence, version_id, is_latest, is_delete_marker, blob, size_bytes, etag, "
    "modified_s, storage_class, checksum_algorithm, checksum_type, checksum, headers, tags, parts, "
    "upload_id"
)
_UPLOAD = (
    "bucket, key, upload_id, initiated_s, storage_class, checksum_algorithm, checksum_type, "
    "headers, tags"
)
_PART = "part_number, blob, size_bytes, etag, modified_s, checksum"


def _version(row: Sequence[Any]) -> Version:
    algorithm = row[11]
    return Version(
        bucket=row[0],
        key=row[1].decode(),
        sequence=row[2],
        version_id=row[3],
        is_latest=bool(row[4]),
        is_delete_marker=bool(row[5]),
        blob=row[6],
        size_bytes=row[7],
        etag=row[8],
        modified_s=row[9],
        storage_class=row[10],
        checksum=Checksum(algorithm, row[12], row[13]) if algorithm else None,
        headers_json=row[14],
        tags_json=row[15],
        parts_json=row[16],
        upload_id=row[17],
    )


def _upload(row: Sequence[Any]) -> Upload:
    return Upload(
        bucket=row[0],
        key=row[1].decode(),
        upload_id=row[2],
        initiated_s=row[3],
        checksum_algorithm=row[5],
        checksum_type=row[6],
        description=Description(
            headers=json.loads(row[7]), tags=json.loads(row[8]), storage_class=row[4]
        ),
    )


def _part(row: Sequence[Any]) -> Part:
    return Part(
        number=row[0],
        blob=row[1],
        size_bytes=row[2],
        etag=row[3],
        modified_s=row[4],
        checksum=row[5],
    )


def to_json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


class ObjectRows:
    """SQL of the object store, and nothing else."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    # -- versions ---------------------------------------------------------------------------------

    def newest(self, bucket: str, key: str) -> Version | None:
        """The latest version; may be a delete marker."""
        return self._one("ORDER BY sequence DESC LIMIT 1", bucket, key)

    def version(self, bucket: str, key: str, version_id: str) -> Version | None:
        return self._one("AND version_id = ?", bucket, key, version_id)

    def _one(self, rest: str, bucket: str, key: str, *more: object) -> Version | None:
        row = self._connection.execute(
            f"SELECT {_VERSION} FROM s3_versions WHERE bucket = ? AND key = ? {rest}",  # noqa: S608
            (bucket, key.encode(), *more),
        ).fetchone()
        return _version(row) if row else None

    def insert(self, version: Version) -> None:
        checksum = version.checksum
        self._connection.execute(
            f"INSERT INTO s3_versions ({_VERSION}) "  # noqa: S608
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                version.bucket,
                version.key.encode(),
                version.sequence,
                version.version_id,
                version.is_latest,
                version.is_delete_marker,
                version.blob,
                version.size_bytes,
                version.etag,
                version.modified_s,
                version.storage_class,
                checksum.algorithm if checksum else None,
                checksum.type if checksum else None,
                checksum.value if checksum else None,
                version.headers_json,
                version.tags_json,
                version.parts_json,
                version.upload_id,
            ),
        )

    def delete(self, version: Version) -> None:
        self._connection.execute(
            "DELETE FROM s3_versions WHERE bucket = ? AND key = ? AND sequence = ?",
            (version.bucket, version.key.encode(), version.sequence),
        )

    def mark_latest(self, version: Version, *, latest: bool) -> None:
        self._connection.execute(
            "UPDATE s3_versions SET is_latest = ? WHERE bucket = ? AND key = ? AND sequence = ?",
            (latest, version.bucket, version.key.encode(), version.sequence),
        )

    def set_tags(self, version: Version, tags: Mapping[str, str]) -> None:
        self._connection.execute(
            "UPDATE s3_versions SET tags = ? WHERE bucket = ? AND key = ? AND sequence = ?",
            (to_json(tags), version.bucket, version.key.encode(), version.sequence),
        )

    def current_in(self, bucket: str, lower: bytes, upper: bytes | None) -> Iterator[Version]:
        """Current objects (no delete markers) with lower <= key < upper, in key order. Read it to
        its end, or drop it, before anything is written."""
        current = "AND is_latest = 1 AND is_delete_marker = 0 ORDER BY key"
        return self._range(current, bucket, lower, upper)

    def versions_in(self, bucket: str, lower: bytes, upper: bytes | None) -> Iterator[Version]:
        """All versions and delete markers of keys in the range, newest first within a key."""
        return self._range("ORDER BY key, sequence DESC", bucket, lower, upper)

    def _range(
        self, rest: str, bucket: str, lower: bytes, upper: bytes | None
    ) -> Iterator[Version]:
        bound = "" if upper is None else "AND key < ?"
        arguments = (bucket, lower) if upper is None else (bucket, lower, upper)
        rows = self._connection.execute(
            f"SELECT {_VERSION} FROM s3_versions WHERE bucket = ? AND key >= ? {bound} {rest}",  # noqa: S608
            arguments,
        )
        return map(_version, rows)

    def has_versions(self, bucket: str) -> bool:
        row = self._connection.execute(
            "SELECT 1 FROM s3_versions WHERE bucket = ? LIMIT 1", (bucket,)
        ).fetchone()
        return row is not None

    # -- multipart uploads ------------------------------------------------------------------------

    def upload(self, bucket: str, key: str, upload_id: str) -> Upload | None:
        row = self._connection.execute(
            f"SELECT {_UPLOAD} FROM s3_uploads WHERE bucket = ? AND key = ? AND upload_id = ?",  # noqa: S608
            (bucket, key.encode(), upload_id),
        ).fetchone()
        return _upload(row) if row else None

    def insert_upload(self, upload: Upload) -> None:
        self._connection.execute(
            f"INSERT INTO s3_uploads ({_UPLOAD}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
            (
                upload.bucket,
                upload.key.encode(),
                upload.upload_id,
                upload.initiated_s,
                upload.description.storage_class,
                upload.checksum_algorithm,
                upload.checksum_type,
                to_json(upload.description.headers),
                to_json(upload.description.tags),
            ),
        )

    def delete_upload(self, upload: Upload) -> list[int]:
        """Remove the upload with its parts. Returns the blobs of the parts."""
        blobs = [part.blob for part in self.parts(upload.upload_id)]
        self._connection.execute("DELETE FROM s3_parts WHERE upload_id = ?", (upload.upload_id,))
        self._connection.execute(
            "DELETE FROM s3_uploads WHERE bucket = ? AND key = ? AND upload_id = ?",
            (upload.bucket, upload.key.encode(), upload.upload_id),
        )
        return blobs

    def uploads_in(self, bucket: str, lower: bytes, upper: bytes | None) -> Iterator[Upload]:
        """Uploads of keys with lower <= key < upper, in order of key, then of initiation."""
        bound = "" if upper is None else "AND key < ?"
        arguments = (bucket, lower) if upper is None else (bucket, lower, upper)
        rows = self._connection.execute(
            f"SELECT {_UPLOAD} FROM s3_uploads WHERE bucket = ? AND key >= ? {bound} "  # noqa: S608
            "ORDER BY bucket, key, upload_id",
            arguments,
        )
        return map(_upload, rows)

    def parts(self, upload_id: str, *, after: int = 0, limit: int = -1) -> list[Part]:
        """Parts with a number above `after`, in order of number. limit -1: all of them."""
        rows = self._connection.execute(
            f"SELECT {_PART} FROM s3_parts WHERE upload_id = ? AND part_number > ? "  # noqa: S608
            "ORDER BY part_number LIMIT ?",
            (upload_id, after, limit),
        )
        return list(map(_part, rows))

    def put_part(self, upload_id: str, part: Part) -> int | None:
        """Insert or replace. Returns the blob that it replaces."""
        row = self._connection.execute(
            "SELECT blob FROM s3_parts WHERE upload_id = ? AND part_number = ?",
            (upload_id, part.number),
        ).fetchone()
        self._connection.execute(
            f"INSERT OR REPLACE INTO s3_parts (upload_id, {_PART}) VALUES (?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
            (
                upload_id,
                part.number,
                part.blob,
                part.size_bytes,
                part.etag,
                part.modified_s,
                part.checksum,
            ),
        )
        return None if row is None else int(row[0])

    # -- blobs ------------------------------------------------------------------------------------

    def named_blobs(self) -> set[int]:
        """Every content file that a row names."""
        rows = self._connection.execute(
            "SELECT blob FROM s3_versions WHERE blob IS NOT NULL "
            "UNION ALL SELECT blob FROM s3_parts"
        )
        return {row[0] for row in rows}

    def reserve_blobs(self, count: int) -> int:
        """The first of `count` numbers that nobody has had."""
        (after,) = self._connection.execute(
            "UPDATE s3_blobs SET next = next + ? RETURNING next", (count,)
        ).fetchone()
        return int(after) - count
