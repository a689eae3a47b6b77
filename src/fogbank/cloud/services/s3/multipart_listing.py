"""ListParts and ListMultipartUploads."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fogbank.cloud.context import Context, Params, Result
from fogbank.cloud.services.base import operation
from fogbank.cloud.services.s3 import errors, integrity
from fogbank.cloud.services.s3.access import Access, moment
from fogbank.cloud.services.s3.listing import terms
from fogbank.cloud.state.objects import ObjectStore
from fogbank.cloud.state.objects_listing import CommonPrefix, Page, after_marker, take, walk
from fogbank.cloud.state.objects_rows import Part, Upload
from fogbank.cloud.state.objects_uploads import UploadStore

MAX_PARTS = 1000


def _checksum_members(upload: Upload) -> dict[str, Any]:
    if upload.checksum_algorithm is None:
        return {}
    return {
        "ChecksumAlgorithm": upload.checksum_algorithm,
        "ChecksumType": upload.checksum_type,
    }


class MultipartListing:
    def __init__(self, access: Access, objects: ObjectStore, uploads: UploadStore) -> None:
        self._access = access
        self._objects = objects
        self._uploads = uploads

    @operation("ListParts")
    def list_parts(self, context: Context, params: Params) -> Result:
        bucket = self._access.bucket(params)
        upload = self._uploads.find(bucket.name, params["Key"], params["UploadId"])
        marker: int = params.get("PartNumberMarker") or 0
        asked: int | None = params.get("MaxParts")
        if asked is not None and asked < 0:
            raise errors.invalid_argument(
                "Argument max-parts must be an integer between 0 and 2147483647",
                "max-parts",
                asked,
            )
        limit = MAX_PARTS if asked is None else min(asked, MAX_PARTS)
        found = self._objects.rows.parts(upload.upload_id, after=marker, limit=limit + 1)
        page = found[:limit]
        answer: dict[str, Any] = {
            "Bucket": bucket.name,
            "Key": upload.key,
            "UploadId": upload.upload_id,
            "PartNumberMarker": marker,
            "NextPartNumberMarker": page[-1].number if page else 0,
            "MaxParts": limit,
            "IsTruncated": limit > 0 and len(found) > limit,
            "Initiator": self._access.owner,
            "Owner": self._access.owner,
            "StorageClass": upload.description.storage_class,
            **_checksum_members(upload),
        }
        if page:
            answer["Parts"] = [_part_members(upload, part) for part in page]
        return answer

    @operation("ListMultipartUploads")
    def list_multipart_uploads(self, context: Context, params: Params) -> Result:
        bucket = self._access.bucket(params)
        asked = terms(params, limit_member="MaxUploads")
        key_marker: str = params.get("KeyMarker") or ""
        # Without a key marker, S3 ignores the other one.
        id_marker: str = (params.get("UploadIdMarker") or "") if key_marker else ""
        start = b""
        if id_marker:
            start = key_marker.encode()
        elif key_marker:
            start = after_marker(asked.prefix, asked.delimiter, key_marker)

        def rows(lower: bytes, upper: bytes | None) -> Iterator[Upload]:
            return (
                row
                for row in self._objects.rows.uploads_in(bucket.name, lower, upper)
                if row.key != key_marker or not id_marker or row.upload_id > id_marker
            )

        page: Page[Upload] = take(
            walk(rows, prefix=asked.prefix, delimiter=asked.delimiter, start=start), asked.limit
        )
        answer: dict[str, Any] = {
            "Bucket": bucket.name,
            "KeyMarker": asked.encode(key_marker),
            "UploadIdMarker": id_marker,
            "MaxUploads": asked.limit,
            "IsTruncated": page.truncated,
            **asked.common(params),
            **asked.prefixes(page.prefixes),
        }
        if page.rows:
            answer["Uploads"] = [
                {
                    "Key": asked.encode(upload.key),
                    "UploadId": upload.upload_id,
                    "Initiated": moment(upload.initiated_s),
                    "StorageClass": upload.description.storage_class,
                    "Owner": self._access.owner,
                    "Initiator": self._access.owner,
                    **_checksum_members(upload),
                }
                for upload in page.rows
            ]
        if page.truncated:
            answer["NextKeyMarker"] = asked.encode(page.last_name)
            last = page.entries[-1]
            if not isinstance(last, CommonPrefix):
                answer["NextUploadIdMarker"] = last.upload_id
        return answer


def _part_members(upload: Upload, part: Part) -> dict[str, Any]:
    members: dict[str, Any] = {
        "PartNumber": part.number,
        "LastModified": moment(part.modified_s),
        "ETag": f'"{part.etag}"',
        "Size": part.size_bytes,
    }
    if upload.checksum_algorithm is not None and part.checksum is not None:
        members[integrity.MEMBERS[upload.checksum_algorithm]] = part.checksum
    return members
