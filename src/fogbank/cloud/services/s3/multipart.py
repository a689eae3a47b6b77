"""Multipart uploads: begun, filled with parts, completed or aborted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any
from urllib.parse import quote

from fogbank.cloud.context import Context, Params, Result
from fogbank.cloud.errors import ServiceError
from fogbank.cloud.records.bucket import Bucket
from fogbank.cloud.services.base import operation
from fogbank.cloud.services.s3 import conditions, errors, integrity
from fogbank.cloud.services.s3.access import Access, version_id_of
from fogbank.cloud.services.s3.descriptions import (
    described,
    encryption_members,
    refuse_unsupported,
)
from fogbank.cloud.services.s3.writing import receive
from fogbank.cloud.state import objects_checksums as checksums
from fogbank.cloud.state.objects import ObjectStore
from fogbank.cloud.state.objects_rows import Checksum, Part, Upload, Version
from fogbank.cloud.state.objects_uploads import Assembly, NoSuchUpload, UploadStore

MAX_PARTS = 10_000
MIN_PART_BYTES = 5 * 1024**2
MAX_OBJECT_BYTES = 50 * 1024**4


def check_part_number(params: Params) -> int:
    number: int = params["PartNumber"]
    if not 1 <= number <= MAX_PARTS:
        raise errors.invalid_argument(
            f"Part number must be an integer between 1 and {MAX_PARTS}, inclusive",
            "partNumber",
            number,
        )
    return number


def _checksum_type(algorithm: str | None, asked: str | None) -> str | None:
    """How the parts' checksums make that of the object. Raises InvalidRequest."""
    if algorithm is None:
        if asked is not None:
            raise errors.invalid_request(
                "The x-amz-checksum-type header can only be used with the "
                "x-amz-checksum-algorithm header."
            )
        return None
    kind = asked or ("FULL_OBJECT" if algorithm == "CRC64NVME" else "COMPOSITE")
    possible = (
        checksums.FULL_OBJECT_ALGORITHMS
        if kind == "FULL_OBJECT"
        else checksums.COMPOSITE_ALGORITHMS
    )
    if algorithm not in possible:
        raise errors.invalid_request(
            f"The {kind} checksum type cannot be used with the {algorithm.lower()} checksum "
            "algorithm."
        )
    return kind


class Multipart:
    def __init__(self, access: Access, objects: ObjectStore, uploads: UploadStore) -> None:
        self._access = access
        self._objects = objects
        self._uploads = uploads

    @operation("CreateMultipartUpload")
    async def create_multipart_upload(self, context: Context, params: Params) -> Result:
        bucket = self._access.bucket(params)
        key = self._access.key(params)
        description = described(params, bucket, self._access.scope)
        algorithm: str | None = params.get("ChecksumAlgorithm")
        if algorithm is not None and algorithm not in checksums.ALGORITHMS:
            raise errors.invalid_request(
                "Checksum algorithm provided is unsupported. Please try again with any of the "
                f"valid types: [{', '.join(checksums.ALGORITHMS)}]"
            )
        kind = _checksum_type(algorithm, params.get("ChecksumType"))
        upload = await self._uploads.create(
            bucket.name, key, description, checksum_algorithm=algorithm, checksum_type=kind
        )
        answer: dict[str, Any] = {
            "Bucket": bucket.name,
            "Key": key,
            "UploadId": upload.upload_id,
            **encryption_members(description.headers),
        }
        if algorithm is not None:
            answer |= {"ChecksumAlgorithm": algorithm, "ChecksumType": kind}
        return answer

    @operation("UploadPart")
    async def upload_part(self, context: Context, params: Params) -> Result:
        bucket = self._access.bucket(params)
        refuse_unsupported(params)
        number = check_part_number(params)
        upload = self._uploads.find(bucket.name, params["Key"], params["UploadId"])
        algorithm = upload.checksum_algorithm or checksums.DEFAULT_ALGORITHM
        declaration = integrity.declared(context, params, default=algorithm)
        _check_same_algorithm(upload, declaration)
        content = await receive(self._objects, params, declaration, algorithm)
        value = content.checksums[algorithm]
        part = await self._uploads.add_part(upload, number, content, value)
        answer: dict[str, Any] = {
            "ETag": f'"{part.etag}"',
            **encryption_members(upload.description.headers),
        }
        if declaration.explicit:
            name = declaration.algorithm
            answer[integrity.MEMBERS[name]] = content.checksums[name]
        return answer

    @operation("AbortMultipartUpload")
    async def abort_multipart_upload(self, context: Context, params: Params) -> Result:
        bucket = self._access.bucket(params)
        upload = self._uploads.find(bucket.name, params["Key"], params["UploadId"])
        await self._uploads.abort(upload)
        return {}

    @operation("CompleteMultipartUpload")
    async def complete_multipart_upload(self, context: Context, params: Params) -> Result:
        bucket = self._access.bucket(params)
        refuse_unsupported(params)
        key = self._access.key(params)
        guard = conditions.write_guard(params, key)
        try:
            upload = self._uploads.find(bucket.name, key, params["UploadId"])
        except NoSuchUpload:
            done = self._completed_before(bucket, key, params["UploadId"])
            if done is None:
                raise
            return self._completed(bucket, done)
        guard(self._objects.current(bucket.name, key))
        assembly = assemble(params, upload, self._objects.rows.parts(upload.upload_id))
        version = await self._uploads.complete(upload, assembly, guard=guard)
        return self._completed(bucket, version)

    def _completed_before(self, bucket: Bucket, key: str, upload_id: str) -> Version | None:
        """A client that lost the answer asks again: completing is idempotent."""
        current = self._objects.current(bucket.name, key)
        return current if current is not None and current.upload_id == upload_id else None

    def _completed(self, bucket: Bucket, version: Version) -> Result:
        return {
            "Location": f"https://{bucket.name}.s3.amazonaws.com/{quote(version.key, safe='')}",
            "Bucket": bucket.name,
            "Key": version.key,
            "ETag": f'"{version.etag}"',
            **integrity.members(version.checksum),
            **encryption_members(version.headers),
            **version_id_of(self._objects.bucket(bucket.name), version),
        }


def _check_same_algorithm(upload: Upload, declaration: integrity.Declaration) -> None:
    """All parts carry the checksum that the upload was begun with. One that was begun without takes
    any, verifies it and keeps S3's own: since SDKs send CRC32 by default with each part, but begin
    an upload without one, S3 no longer refuses them ("expected checksum Type: null")."""
    expected = upload.checksum_algorithm
    if declaration.explicit:
        matches = expected is None or declaration.algorithm == expected
    else:
        matches = upload.checksum_type != "COMPOSITE"
    if not matches:
        actual = declaration.algorithm.lower() if declaration.explicit else "null"
        raise errors.invalid_request(
            "Checksum Type mismatch occurred, expected checksum Type: "
            f"{expected.lower() if expected else 'null'}, actual checksum Type: {actual}"
        )


def assemble(params: Params, upload: Upload, uploaded: Sequence[Part]) -> Assembly:
    """Which parts make the object, by the list in the request. Pure. Raises MalformedXML,
    InvalidPartOrder, InvalidPart, EntityTooSmall, BadDigest, InvalidRequest."""
    listed: Sequence[Mapping[str, Any]] = (params.get("MultipartUpload") or {}).get("Parts") or ()
    if not listed:
        raise errors.malformed_xml()
    numbers = [part["PartNumber"] for part in listed]
    if any(later <= earlier for earlier, later in pairwise(numbers)):
        raise ServiceError(
            "InvalidPartOrder",
            "The list of parts was not in ascending order. Parts must be ordered by part number.",
            fields={"UploadId": upload.upload_id},
        )
    known = {part.number: part for part in uploaded}
    chosen = [_chosen(entry, known, upload) for entry in listed]
    for part in chosen[:-1]:
        if part.size_bytes < MIN_PART_BYTES:
            raise ServiceError(
                "EntityTooSmall",
                "Your proposed upload is smaller than the minimum allowed size",
                fields={
                    "ETag": part.etag,
                    "MinSizeAllowed": MIN_PART_BYTES,
                    "ProposedSize": part.size_bytes,
                    "PartNumber": part.number,
                },
            )
    size_bytes = sum(part.size_bytes for part in chosen)
    if size_bytes > MAX_OBJECT_BYTES:
        raise errors.too_large(MAX_OBJECT_BYTES)
    expected_size: int | None = params.get("MpuObjectSize")
    if expected_size is not None and expected_size != size_bytes:
        raise errors.invalid_request(
            f"The provided 'x-amz-mp-object-size' header value {expected_size} does not match "
            f"what was computed: {size_bytes}"
        )
    return Assembly(
        parts=chosen,
        etag=checksums.multipart_etag([part.etag for part in chosen]),
        checksum=_object_checksum(params, upload, chosen),
    )


def _chosen(entry: Mapping[str, Any], known: Mapping[int, Part], upload: Upload) -> Part:
    number: int = entry["PartNumber"]
    etag = str(entry.get("ETag") or "").strip('"')
    part = known.get(number)
    if part is None or part.etag != etag:
        raise errors.invalid_part(upload.upload_id, number, etag)
    given = {name: entry[member] for name, member in integrity.MEMBERS.items() if entry.get(member)}
    algorithm = upload.checksum_algorithm
    if upload.checksum_type == "COMPOSITE" and algorithm is not None and algorithm not in given:
        raise errors.invalid_request(
            f"The upload was created using a {algorithm.lower()} checksum. The complete request "
            f"must include the checksum for each part. It was missing for part {number} in the "
            "request."
        )
    for name, value in given.items():
        if name == (algorithm or checksums.DEFAULT_ALGORITHM) and value != part.checksum:
            raise errors.invalid_part(upload.upload_id, number, etag)
    return part


def _object_checksum(params: Params, upload: Upload, parts: Sequence[Part]) -> Checksum:
    algorithm = upload.checksum_algorithm or checksums.DEFAULT_ALGORITHM
    kind = upload.checksum_type or "FULL_OBJECT"
    asked_kind = params.get("ChecksumType")
    if asked_kind is not None and asked_kind != kind:
        raise errors.invalid_request(
            f"The upload was created using the {kind} checksum mode. The complete request must "
            "use the same checksum mode."
        )
    values = [(part.checksum or "", part.size_bytes) for part in parts]
    value = (
        checksums.full_object(algorithm, values)
        if kind == "FULL_OBJECT"
        else checksums.composite(algorithm, [text for text, _ in values])
    )
    expected = params.get(integrity.MEMBERS[algorithm])
    if expected is not None and expected not in (value, value.partition("-")[0]):
        raise errors.bad_digest(
            f"The {algorithm} you specified did not match the calculated checksum."
        )
    return Checksum(algorithm, kind, value)
