"""Taking in code: the Code of a function or the Content of a layer -> a zip in the store."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from fogbank.cloud.context import Context
from fogbank.cloud.errors import ServiceError
from fogbank.cloud.ports import FunctionCode, Objects, Records
from fogbank.cloud.records.function import LayerVersion, layer_key
from fogbank.cloud.rules.function_settings import MAX_UNZIPPED_BYTES, check_unzipped
from fogbank.cloud.services.lambda_.refusals import invalid, refuse_unsupported
from fogbank.cloud.state.zip_archive import TooLarge

MAX_REQUEST_BYTES = 70_167_211
"""The largest request that carries a zip: 50 MB in base64 and some room."""


@dataclass(frozen=True, slots=True)
class Archive:
    """A zip in the store. sha256: base64."""

    sha256: str
    size_bytes: int


class CodeIntake:
    """Takes zips from requests and from S3."""

    def __init__(self, code: FunctionCode, objects: Objects, records: Records) -> None:
        self._code = code
        self._objects = objects
        self._records = records

    async def take(self, context: Context, source: Mapping[str, Any], operation: str) -> Archive:
        """Keep the zip that ZipFile, or S3Bucket and S3Key, of `source` give.

        Raises InvalidParameterValueException for none, for one that is not in S3, and for one that
        must not be unpacked; RequestEntityTooLargeException.
        """
        refuse_unsupported(source, ("ImageUri", "SourceKMSKeyArn"), operation)
        if source.get("S3ObjectStorageMode") == "REFERENCE":
            raise invalid("Fogbank copies code from S3: S3ObjectStorageMode REFERENCE is not done.")
        body = context.request.body
        if body is not None and len(body) > MAX_REQUEST_BYTES:
            raise ServiceError(
                "RequestEntityTooLargeException",
                f"Request must be smaller than {MAX_REQUEST_BYTES} bytes for the {operation} "
                "operation",
                status=413,
            )
        from_s3 = any(source.get(name) for name in ("S3Bucket", "S3Key", "S3ObjectVersion"))
        if from_s3 and "ZipFile" in source:
            raise invalid(
                "Please do not provide other FunctionCode parameters when providing a ZipFile."
            )
        try:
            if from_s3:
                return Archive(*await self._from_s3(source))
            if source.get("ZipFile"):
                return Archive(*await self._code.put(source["ZipFile"]))
        except ValueError as error:
            raise _refused(error) from error
        raise invalid("Please provide a source for function code.")

    def layer_size(self, arn: str) -> int:
        """Size in bytes of a layer version's zip, also of a deleted one still in use."""
        found = layer_version(self._records, arn)
        return found.code_size_bytes if found is not None else 0

    def check_size(self, code_sha256: str, layers: Iterable[str]) -> None:
        """Raises InvalidParameterValueException where code and layers unpack to too much."""
        digests = [
            found.code_sha256 for arn in layers if (found := layer_version(self._records, arn))
        ]
        check_unzipped(
            self._code.unpacked_bytes(code_sha256),
            sum(self._code.unpacked_bytes(digest) for digest in digests),
        )

    async def _from_s3(self, source: Mapping[str, Any]) -> tuple[str, int]:
        bucket, key = source.get("S3Bucket"), source.get("S3Key")
        if not bucket or not key:
            raise invalid("Please provide both S3Bucket and S3Key of the function code.")
        if source.get("S3ObjectVersion", "null") != "null":
            raise _s3_error("NoSuchVersion", "The specified version does not exist.")
        try:
            found = self._objects.stat(bucket, key)
        except LookupError as error:
            raise _s3_error("NoSuchBucket", "The specified bucket does not exist") from error
        if found is None:
            raise _s3_error("NoSuchKey", "The specified key does not exist.")
        try:
            return await self._code.put(found.path)
        except FileNotFoundError as error:  # it was deleted just now
            raise _s3_error("NoSuchKey", "The specified key does not exist.") from error


def layer_version(records: Records, arn: str) -> LayerVersion | None:
    """The layer version of an ARN `arn:...:layer:NAME:NUMBER`, deleted ones included."""
    found = records.get(LayerVersion, layer_key(arn))
    return found if found is not None and found.arn == arn else None


def _refused(error: ValueError) -> ServiceError:
    if isinstance(error, TooLarge):
        return invalid(f"Unzipped size must be smaller than {MAX_UNZIPPED_BYTES} bytes")
    return invalid(
        "Could not unzip uploaded file. Please check your file, then try to upload again. "
        f"({error})"
    )


def _s3_error(code: str, message: str) -> ServiceError:
    return invalid(
        f"Error occurred while GetObject. S3 Error Code: {code}. S3 Error Message: {message}"
    )
