"""Multipart uploads: parts are content files of their own until they are put together."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from fogbank.cloud.errors import ServiceError
from fogbank.cloud.state.objects import Guard, NewObject, ObjectStore, allow
from fogbank.cloud.state.objects_content import Content
from fogbank.cloud.state.objects_rows import (
    Checksum,
    Description,
    ObjectPart,
    Part,
    Upload,
    Version,
)


class NoSuchUpload(ServiceError, LookupError):
    """An upload that does not exist, or not any more."""

    def __init__(self, upload_id: str) -> None:
        super().__init__(
            "NoSuchUpload",
            "The specified upload does not exist. The upload ID may be invalid, or the upload may "
            "have been aborted or completed.",
            status=404,
            fields={"UploadId": upload_id},
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Assembly:
    """How an upload is to be completed: which parts, and what the whole is called."""

    parts: Sequence[Part]
    etag: str
    checksum: Checksum


class UploadStore:
    """The unfinished uploads of an object store."""

    def __init__(self, objects: ObjectStore) -> None:
        self._objects = objects
        self._rows = objects.rows

    def find(self, bucket: str, key: str, upload_id: str) -> Upload:
        """Raises NoSuchUpload."""
        found = self._rows.upload(bucket, key, upload_id)
        if found is None:
            raise NoSuchUpload(upload_id)
        return found

    async def create(
        self,
        bucket: str,
        key: str,
        description: Description,
        *,
        checksum_algorithm: str | None,
        checksum_type: str | None,
    ) -> Upload:
        initiated_s = self._objects.now_s()
        upload = Upload(
            bucket=bucket,
            key=key,
            upload_id=f"{initiated_s:010x}.{secrets.token_urlsafe(48)}",
            initiated_s=initiated_s,
            checksum_algorithm=checksum_algorithm,
            checksum_type=checksum_type,
            description=description,
        )

        def decide() -> Upload:
            self._objects.bucket(bucket)
            self._rows.insert_upload(upload)
            return upload

        return await self._objects.commit(decide)

    async def add_part(
        self, upload: Upload, number: int, content: Content, checksum: str | None
    ) -> Part:
        """Keep a part; one with the same number is replaced. Raises NoSuchUpload where the upload
        has ended meanwhile."""
        part = Part(
            number=number,
            blob=content.blob,
            size_bytes=content.size_bytes,
            etag=content.md5,
            modified_s=self._objects.now_s(),
            checksum=checksum,
        )

        def decide() -> Part:
            self.find(upload.bucket, upload.key, upload.upload_id)
            replaced = self._rows.put_part(upload.upload_id, part)
            if replaced is not None:
                self._objects.drop([replaced])
            return part

        return await self._objects.commit(decide, new_blobs=[content.blob])

    async def complete(
        self, upload: Upload, assembly: Assembly, *, guard: Guard = allow
    ) -> Version:
        """Put the parts together into the object. Durable when it returns.

        The bytes are copied once, inside the kernel (not at all for a single part, nor where the
        file system has reflinks). Raises NoSuchUpload where the upload has ended meanwhile.
        """
        try:
            blob = await self._objects.content.concatenate([part.blob for part in assembly.parts])
        except FileNotFoundError:
            self.find(upload.bucket, upload.key, upload.upload_id)
            raise
        new = NewObject(
            bucket=upload.bucket,
            key=upload.key,
            blob=blob,
            size_bytes=sum(part.size_bytes for part in assembly.parts),
            etag=assembly.etag,
            checksum=assembly.checksum,
            description=upload.description,
            parts=[
                ObjectPart(part.number, part.size_bytes, part.checksum) for part in assembly.parts
            ],
            upload_id=upload.upload_id,
            modified_s=upload.initiated_s,
        )

        def decide() -> Version:
            self.find(upload.bucket, upload.key, upload.upload_id)
            version = self._objects.insert(new, guard)
            self._objects.drop(self._rows.delete_upload(upload))
            return version

        return await self._objects.commit(decide, new_blobs=[blob])

    async def abort(self, upload: Upload) -> None:
        def decide() -> None:
            self.find(upload.bucket, upload.key, upload.upload_id)
            self._objects.drop(self._rows.delete_upload(upload))

        await self._objects.commit(decide)
