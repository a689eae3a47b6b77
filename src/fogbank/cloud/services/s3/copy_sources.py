"""The `x-amz-copy-source` header: which object is to be copied."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import unquote

from fogbank.cloud.context import Params
from fogbank.cloud.errors import ServiceError
from fogbank.cloud.services.s3 import conditions, errors
from fogbank.cloud.services.s3.access import Access, check_version_id
from fogbank.cloud.state.objects_rows import Version

MAX_COPY_BYTES = 5 * 1024**3


@dataclass(frozen=True, slots=True)
class CopySource:
    bucket: str
    key: str
    version_id: str | None


def parse_copy_source(header: str) -> CopySource:
    """`bucket/key` or `/bucket/key`, percent-encoded, `?versionId=...` behind it. Raises
    InvalidArgument, NotImplemented for access points."""
    path, _, query = header.partition("?versionId=")
    decoded = unquote(path).removeprefix("/")
    if decoded.startswith("arn:"):
        raise errors.not_implemented("x-amz-copy-source")
    bucket, _, key = decoded.partition("/")
    if not bucket or not key:
        raise errors.invalid_argument(
            "Copy Source must mention the source bucket and key: sourcebucket/sourcekey",
            "x-amz-copy-source",
            header,
        )
    version_id = unquote(query) or None
    if version_id is not None:
        check_version_id(version_id)
    return CopySource(bucket, key, version_id)


def resolve(access: Access, source: CopySource, params: Params) -> Version:
    """The version to copy, its conditions met. Raises NoSuchBucket, NoSuchKey, NoSuchVersion,
    PreconditionFailed, InvalidRequest for a delete marker."""
    bucket = access.source_bucket(source.bucket, params)
    try:
        version = access.version(bucket, source.key, source.version_id)
    except ServiceError as error:
        if error.code == "MethodNotAllowed":
            raise errors.invalid_request(
                "The source of a copy request may not specifically refer to a delete marker by "
                "version id."
            ) from None
        raise
    conditions.check_copy_source(params, version)
    return version
