"""CopyObject and UploadPartCopy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fogbank.cloud.context import Context, Params, Result
from fogbank.cloud.records.bucket import Bucket
from fogbank.cloud.services.base import operation
from fogbank.cloud.services.s3 import conditions, errors, integrity, ranges
from fogbank.cloud.services.s3.access import Access, moment, version_id_of
from fogbank.cloud.services.s3.copy_sources import (
    MAX_COPY_BYTES,
    CopySource,
    parse_copy_source,
    resolve,
)
from fogbank.cloud.services.s3.descriptions import (
    check_acl,
    described,
    encryption,
    encryption_members,
    refuse_unsupported,
)
from fogbank.cloud.services.s3.multipart import check_part_number
from fogbank.cloud.services.s3.tags import parse_header
from fogbank.cloud.state.objects import NewObject, ObjectStore
from fogbank.cloud.state.objects_checksums import DEFAULT_ALGORITHM
from fogbank.cloud.state.objects_rows import Checksum, Description, Version
from fogbank.cloud.state.objects_uploads import UploadStore


@dataclass(frozen=True, slots=True)
class _Digests:
    etag: str
    checksum: Checksum


def _changes_nothing(params: Params, source: CopySource) -> bool:
    """Whether a copy would put an object onto itself as it is. An old version may be copied onto
    its key: that brings it back."""
    return (
        source == CopySource(params["Bucket"], params["Key"], None)
        and params.get("MetadataDirective", "COPY") == "COPY"
        and not any(
            params.get(member)
            for member in ("StorageClass", "ServerSideEncryption", "WebsiteRedirectLocation")
        )
    )


class Copying:
    def __init__(self, access: Access, objects: ObjectStore, uploads: UploadStore) -> None:
        self._access = access
        self._objects = objects
        self._uploads = uploads

    @operation("CopyObject")
    async def copy_object(self, context: Context, params: Params) -> Result:
        bucket = self._access.bucket(params)
        key = self._access.key(params)
        refuse_unsupported(params)
        source = parse_copy_source(params["CopySource"])
        if _changes_nothing(params, source):
            raise errors.invalid_request(
                "This copy request is illegal because it is trying to copy an object to itself "
                "without changing the object's metadata, storage class, website redirect location "
                "or encryption attributes."
            )
        guard = conditions.write_guard(params, key)
        original, blob = await self._objects.duplicate(lambda: self._copyable(source, params))
        try:
            description = self._description(params, bucket, original)
            digests = await self._digests(original, blob, params.get("ChecksumAlgorithm"))
        except BaseException:
            self._objects.content.discard([blob])
            raise
        version = await self._objects.add(
            NewObject(
                bucket=bucket.name,
                key=key,
                blob=blob,
                size_bytes=original.size_bytes,
                etag=digests.etag,
                checksum=digests.checksum,
                description=description,
            ),
            guard=guard,
        )
        answer: dict[str, Any] = {
            "CopyObjectResult": {
                "ETag": f'"{version.etag}"',
                "LastModified": moment(version.modified_s),
                **integrity.members(version.checksum),
            },
            **encryption_members(description.headers),
            **version_id_of(self._objects.bucket(bucket.name), version),
        }
        if self._objects.bucket(original.bucket).versioning is not None:
            answer["CopySourceVersionId"] = original.version_id
        return answer

    def _copyable(self, source: CopySource, params: Params) -> Version:
        version = resolve(self._access, source, params)
        if version.size_bytes > MAX_COPY_BYTES:
            raise errors.invalid_request(
                "The specified copy source is larger than the maximum allowable size for a copy "
                f"source: {MAX_COPY_BYTES}"
            )
        return version

    def _description(self, params: Params, bucket: Bucket, original: Version) -> Description:
        """The metadata of the copy: all of the source's or all of the request's. Storage class and
        encryption are never taken from the source."""
        replaced = params.get("MetadataDirective") == "REPLACE"
        given = described({**params, "Tagging": None}, bucket, self._access.scope)
        tags = original.tags
        if params.get("TaggingDirective") == "REPLACE":
            tags = parse_header(params.get("Tagging") or "")
        if replaced:
            return Description(headers=given.headers, tags=tags, storage_class=given.storage_class)
        check_acl(params, bucket)
        headers = original.headers
        for member in encryption_members(headers):
            del headers[member]
        headers.pop("WebsiteRedirectLocation", None)
        if redirect := params.get("WebsiteRedirectLocation"):
            headers["WebsiteRedirectLocation"] = redirect
        headers.update(encryption(params, bucket, self._access.scope))
        return Description(headers=headers, tags=tags, storage_class=given.storage_class)

    async def _digests(self, original: Version, blob: int, asked: str | None) -> _Digests:
        """The copy is one piece: its ETag is its MD5, its checksum that of the whole. Both are
        taken over where the source has them; only else are the bytes read."""
        stored = original.checksum
        algorithm = asked or (stored.algorithm if stored else DEFAULT_ALGORITHM)
        if (
            original.parts_json is None
            and stored is not None
            and (stored.algorithm, stored.type) == (algorithm, "FULL_OBJECT")
        ):
            return _Digests(original.etag, stored)
        content = await self._objects.content.digest(blob, [algorithm])
        value = content.checksums[algorithm]
        return _Digests(content.md5, Checksum(algorithm, "FULL_OBJECT", value))

    @operation("UploadPartCopy")
    async def upload_part_copy(self, context: Context, params: Params) -> Result:
        bucket = self._access.bucket(params)
        refuse_unsupported(params)
        number = check_part_number(params)
        upload = self._uploads.find(bucket.name, params["Key"], params["UploadId"])
        original = resolve(self._access, parse_copy_source(params["CopySource"]), params)
        header: str | None = params.get("CopySourceRange")
        size_bytes = original.size_bytes
        span = ranges.Span(0, size_bytes, size_bytes)
        if header is not None:
            span = ranges.copied(header, size_bytes)
        if span.size_bytes > MAX_COPY_BYTES:
            raise errors.invalid_request(
                "The specified copy source is larger than the maximum allowable size for a copy "
                f"source: {MAX_COPY_BYTES}"
            )
        assert original.blob is not None, "a delete marker is never copied"
        algorithm = upload.checksum_algorithm or DEFAULT_ALGORITHM
        body = self._objects.content.open(
            original.blob, offset=span.offset, size_bytes=span.size_bytes
        )
        content = await self._objects.content.receive(body, algorithms=[algorithm])
        value = content.checksums[algorithm]
        part = await self._uploads.add_part(upload, number, content, value)
        result: dict[str, Any] = {
            "ETag": f'"{part.etag}"',
            "LastModified": moment(part.modified_s),
        }
        if upload.checksum_algorithm is not None:
            result[integrity.MEMBERS[algorithm]] = value
        answer: dict[str, Any] = {
            "CopyPartResult": result,
            **encryption_members(upload.description.headers),
        }
        if self._objects.bucket(original.bucket).versioning is not None:
            answer["CopySourceVersionId"] = original.version_id
        return answer
