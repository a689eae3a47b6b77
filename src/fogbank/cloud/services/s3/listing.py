"""ListObjects, ListObjectsV2, ListObjectVersions."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote_plus

from fogbank.cloud.context import Context, Params, Result
from fogbank.cloud.services.base import operation
from fogbank.cloud.services.s3 import errors
from fogbank.cloud.services.s3.access import Access, moment
from fogbank.cloud.state.objects import ObjectStore
from fogbank.cloud.state.objects_listing import CommonPrefix, Page, after_marker, take, walk
from fogbank.cloud.state.objects_rows import Version

MAX_KEYS = 1000


@dataclass(frozen=True, slots=True)
class Terms:
    """What all listings have in common. `encode` writes names as the client asked for them."""

    prefix: str
    delimiter: str
    limit: int
    url_encoded: bool

    def encode(self, name: str) -> str:
        # A key may hold characters that XML 1.0 cannot; S3 writes a space as `+`
        return quote_plus(name, safe="/") if self.url_encoded else name

    def common(self, params: Params) -> dict[str, Any]:
        """Members that repeat the question."""
        answer: dict[str, Any] = {"Prefix": self.encode(self.prefix)}
        if self.delimiter:
            answer["Delimiter"] = self.encode(self.delimiter)
        if self.url_encoded:
            answer["EncodingType"] = "url"
        return answer

    def prefixes(self, prefixes: list[str]) -> dict[str, Any]:
        if not prefixes:
            return {}
        return {"CommonPrefixes": [{"Prefix": self.encode(prefix)} for prefix in prefixes]}


def terms(params: Params, *, limit_member: str = "MaxKeys") -> Terms:
    """Raises InvalidArgument."""
    limit: int | None = params.get(limit_member)
    if limit is not None and limit < 0:
        raise errors.invalid_argument(
            "Argument maxKeys must be an integer between 0 and 2147483647", "maxKeys", limit
        )
    encoding = params.get("EncodingType")
    if encoding not in (None, "url"):
        raise errors.invalid_argument(
            "Invalid Encoding Method specified in Request", "encoding-type", encoding
        )
    return Terms(
        prefix=params.get("Prefix") or "",
        delimiter=params.get("Delimiter") or "",
        limit=MAX_KEYS if limit is None else min(limit, MAX_KEYS),
        url_encoded=encoding == "url",
    )


def _token(name: str) -> str:
    return base64.urlsafe_b64encode(name.encode()).decode()


def _name(token: str) -> str:
    try:
        return base64.b64decode(token.encode(), altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeError):
        raise errors.invalid_argument(
            "The continuation token provided is incorrect", "continuation-token", token
        ) from None


def _checksum_members(version: Version) -> dict[str, Any]:
    checksum = version.checksum
    if checksum is None:
        return {}
    return {"ChecksumAlgorithm": [checksum.algorithm], "ChecksumType": checksum.type}


class Listing:
    def __init__(self, access: Access, objects: ObjectStore) -> None:
        self._access = access
        self._objects = objects

    def _page(self, bucket: str, asked: Terms, after: str) -> Page[Version]:
        def rows(lower: bytes, upper: bytes | None) -> Iterator[Version]:
            return self._objects.rows.current_in(bucket, lower, upper)

        start = after_marker(asked.prefix, asked.delimiter, after) if after else b""
        found = walk(rows, prefix=asked.prefix, delimiter=asked.delimiter, start=start)
        return take(found, asked.limit)

    def _contents(
        self, page: Page[Version], asked: Terms, owner: Mapping[str, Any]
    ) -> dict[str, Any]:
        contents = [
            {
                "Key": asked.encode(version.key),
                "LastModified": moment(version.modified_s),
                "ETag": f'"{version.etag}"',
                **_checksum_members(version),
                "Size": version.size_bytes,
                "StorageClass": version.storage_class,
                **owner,
            }
            for version in page.rows
        ]
        answer: dict[str, Any] = {"IsTruncated": page.truncated, "MaxKeys": asked.limit}
        if contents:
            answer["Contents"] = contents
        return {**answer, **asked.prefixes(page.prefixes)}

    @operation("ListObjects")
    def list_objects(self, context: Context, params: Params) -> Result:
        bucket = self._access.bucket(params)
        asked = terms(params)
        marker: str = params.get("Marker") or ""
        page = self._page(bucket.name, asked, marker)
        answer = {
            "Name": bucket.name,
            "Marker": asked.encode(marker),
            **asked.common(params),
            **self._contents(page, asked, {"Owner": self._access.owner}),
        }
        if page.truncated and asked.delimiter:
            answer["NextMarker"] = asked.encode(page.last_name)
        return answer

    @operation("ListObjectsV2")
    def list_objects_v2(self, context: Context, params: Params) -> Result:
        bucket = self._access.bucket(params)
        asked = terms(params)
        token: str | None = params.get("ContinuationToken")
        start_after: str = params.get("StartAfter") or ""
        page = self._page(bucket.name, asked, start_after if token is None else _name(token))
        owner = {"Owner": self._access.owner} if params.get("FetchOwner") else {}
        answer = {
            "Name": bucket.name,
            "KeyCount": len(page.entries),
            **asked.common(params),
            **self._contents(page, asked, owner),
        }
        if token is not None:
            answer["ContinuationToken"] = token
        if start_after:
            answer["StartAfter"] = asked.encode(start_after)
        if page.truncated:
            answer["NextContinuationToken"] = _token(page.last_name)
        return answer

    @operation("ListObjectVersions")
    def list_object_versions(self, context: Context, params: Params) -> Result:
        bucket = self._access.bucket(params)
        asked = terms(params)
        key_marker: str = params.get("KeyMarker") or ""
        version_marker: str = params.get("VersionIdMarker") or ""
        if version_marker and not key_marker:
            raise errors.invalid_argument(
                "A version-id marker cannot be specified without a key marker.",
                "version-id-marker",
                version_marker,
            )
        page = self._versions_page(bucket.name, asked, key_marker, version_marker)
        answer: dict[str, Any] = {
            "Name": bucket.name,
            "KeyMarker": asked.encode(key_marker),
            "VersionIdMarker": version_marker,
            "IsTruncated": page.truncated,
            "MaxKeys": asked.limit,
            **asked.common(params),
            **asked.prefixes(page.prefixes),
        }
        versions = [row for row in page.rows if not row.is_delete_marker]
        markers = [row for row in page.rows if row.is_delete_marker]
        if versions:
            answer["Versions"] = [self._version_members(row, asked) for row in versions]
        if markers:
            answer["DeleteMarkers"] = [self._marker_members(row, asked) for row in markers]
        if page.truncated:
            answer["NextKeyMarker"] = asked.encode(page.last_name)
            last = page.entries[-1]
            if not isinstance(last, CommonPrefix):
                answer["NextVersionIdMarker"] = last.version_id
        return answer

    def _versions_page(
        self, bucket: str, asked: Terms, key_marker: str, version_marker: str
    ) -> Page[Version]:
        start: bytes = b""
        last: Version | None = None
        if version_marker:
            start = key_marker.encode()
            last = self._objects.rows.version(bucket, key_marker, version_marker)
            # Somebody who empties a bucket page by page has deleted the marker's own version by
            # now: then what is left of the key has not been listed yet.
        elif key_marker:
            start = after_marker(asked.prefix, asked.delimiter, key_marker)

        def rows(lower: bytes, upper: bytes | None) -> Iterator[Version]:
            found = self._objects.rows.versions_in(bucket, lower, upper)
            return (
                row
                for row in found
                if last is None or row.key != key_marker or row.sequence < last.sequence
            )

        return take(
            walk(rows, prefix=asked.prefix, delimiter=asked.delimiter, start=start), asked.limit
        )

    def _marker_members(self, row: Version, asked: Terms) -> dict[str, Any]:
        return {
            "Key": asked.encode(row.key),
            "VersionId": row.version_id,
            "IsLatest": row.is_latest,
            "LastModified": moment(row.modified_s),
            "Owner": self._access.owner,
        }

    def _version_members(self, row: Version, asked: Terms) -> dict[str, Any]:
        return {
            **self._marker_members(row, asked),
            "ETag": f'"{row.etag}"',
            **_checksum_members(row),
            "Size": row.size_bytes,
            "StorageClass": row.storage_class,
        }
