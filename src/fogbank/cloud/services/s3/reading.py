"""GetObject, HeadObject, GetObjectAttributes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fogbank.cloud.context import Context, Params, Result
from fogbank.cloud.errors import ServiceError
from fogbank.cloud.records.bucket import Bucket
from fogbank.cloud.services.base import operation
from fogbank.cloud.services.s3 import conditions, errors, integrity, ranges
from fogbank.cloud.services.s3.access import Access, moment, version_id_of
from fogbank.cloud.services.s3.descriptions import header_members, refuse_unsupported
from fogbank.cloud.services.s3.ranges import Span
from fogbank.cloud.state.objects import ObjectStore
from fogbank.cloud.state.objects_rows import Version

_OVERRIDES = {
    "ResponseCacheControl": "CacheControl",
    "ResponseContentDisposition": "ContentDisposition",
    "ResponseContentEncoding": "ContentEncoding",
    "ResponseContentLanguage": "ContentLanguage",
    "ResponseContentType": "ContentType",
    "ResponseExpires": "Expires",
}

_ARCHIVED = frozenset({"GLACIER", "DEEP_ARCHIVE"})


@dataclass(frozen=True, slots=True)
class _Answer:
    """span: the bytes to send; None where the client already has them (304)."""

    version: Version
    members: dict[str, Any]
    span: Span | None


class Reading:
    def __init__(self, access: Access, objects: ObjectStore) -> None:
        self._access = access
        self._objects = objects

    @operation("GetObject")
    def get_object(self, context: Context, params: Params) -> Result:
        answer = self._answer(context, params)
        if answer.span is None:
            return answer.members
        if answer.version.storage_class in _ARCHIVED:
            raise ServiceError(
                "InvalidObjectState",
                "The operation is not valid for the object's storage class",
                status=403,
                fields={"StorageClass": answer.version.storage_class},
            )
        assert answer.version.blob is not None, "a delete marker is never read"
        # Opened in the same breath as the row was read: a deletion from here on does no harm.
        body = self._objects.content.open(
            answer.version.blob, offset=answer.span.offset, size_bytes=answer.span.size_bytes
        )
        return {**answer.members, "Body": body}

    @operation("HeadObject")
    def head_object(self, context: Context, params: Params) -> Result:
        return self._answer(context, params).members

    def _answer(self, context: Context, params: Params) -> _Answer:
        bucket = self._access.bucket(params)
        refuse_unsupported(params)
        version = self._access.version(bucket, params["Key"], params.get("VersionId"))
        members: dict[str, Any] = {
            "ETag": f'"{version.etag}"',
            "LastModified": moment(version.modified_s),
            **version_id_of(bucket, version),
        }
        if conditions.not_modified(params, version):
            context.status = 304
            return _Answer(version, members, None)
        span, partial = self._span(params, version, members)
        members |= header_members(version)
        members |= {
            "AcceptRanges": "bytes",
            "ContentLength": span.size_bytes,
            **{
                member: params[override]
                for override, member in _OVERRIDES.items()
                if params.get(override) is not None
            },
        }
        if partial:
            context.status = 206
            members["ContentRange"] = span.content_range
        elif params.get("ChecksumMode") == "ENABLED":
            # The checksum of the whole would not fit a part of it: clients verify what they get.
            members |= integrity.members(version.checksum)
        return _Answer(version, members, span)

    def _span(self, params: Params, version: Version, members: dict[str, Any]) -> tuple[Span, bool]:
        """Which bytes, and whether to say that they are a part."""
        header: str | None = params.get("Range")
        number: int | None = params.get("PartNumber")
        everything = Span(0, version.size_bytes, version.size_bytes)
        if number is not None:
            if header is not None:
                raise errors.invalid_request(
                    "Cannot specify both Range header and partNumber query parameter"
                )
            return self._part(number, version, members), version.size_bytes > 0
        found = None if header is None else ranges.requested(header, version.size_bytes)
        return (everything, False) if found is None else (found, True)

    def _part(self, number: int, version: Version, members: dict[str, Any]) -> Span:
        parts = version.parts
        if not parts and number == 1:
            return Span(0, version.size_bytes, version.size_bytes)
        offset = 0
        for part in parts:
            if part.number == number:
                members["PartsCount"] = len(parts)
                return Span(offset, part.size_bytes, version.size_bytes)
            offset += part.size_bytes
        raise ServiceError(
            "InvalidPartNumber",
            "The requested partnumber is not satisfiable",
            status=416,
            fields={"ActualPartCount": len(parts) or 1, "PartNumberRequested": number},
        )

    @operation("GetObjectAttributes")
    def get_object_attributes(self, context: Context, params: Params) -> Result:
        bucket: Bucket = self._access.bucket(params)
        refuse_unsupported(params)
        version = self._access.version(bucket, params["Key"], params.get("VersionId"))
        wanted = frozenset(params["ObjectAttributes"])
        answer: dict[str, Any] = {
            "LastModified": moment(version.modified_s),
            **version_id_of(bucket, version),
        }
        if "ETag" in wanted:
            answer["ETag"] = version.etag  # without quotation marks, here alone
        if "Checksum" in wanted and version.checksum is not None:
            answer["Checksum"] = integrity.members(version.checksum)
        if "ObjectParts" in wanted and version.parts_json is not None:
            answer["ObjectParts"] = _parts_members(params, version)
        if "StorageClass" in wanted:
            answer["StorageClass"] = version.storage_class
        if "ObjectSize" in wanted:
            answer["ObjectSize"] = version.size_bytes
        return answer


def _parts_members(params: Params, version: Version) -> dict[str, Any]:
    parts = version.parts
    marker: int = params.get("PartNumberMarker") or 0
    limit = min(params.get("MaxParts") or 1000, 1000)
    beyond = [part for part in parts if part.number > marker]
    page = beyond[:limit]
    checksum = version.checksum
    composite = checksum is not None and checksum.type == "COMPOSITE"
    answer: dict[str, Any] = {
        "TotalPartsCount": len(parts),
        "PartNumberMarker": marker,
        "MaxParts": limit,
        "IsTruncated": len(beyond) > len(page),
        "NextPartNumberMarker": page[-1].number if page else marker,
    }
    if composite and checksum is not None:
        # S3 lists the parts only where each has a checksum of its own to show
        member = integrity.MEMBERS[checksum.algorithm]
        answer["Parts"] = [
            {"PartNumber": part.number, "Size": part.size_bytes, member: part.checksum}
            for part in page
        ]
    return answer
