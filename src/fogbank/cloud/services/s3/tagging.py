"""Tags of buckets and of objects."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from fogbank.cloud.context import Context, Params, Result
from fogbank.cloud.ports import Records
from fogbank.cloud.services.base import operation
from fogbank.cloud.services.s3 import errors, integrity, tags
from fogbank.cloud.services.s3.access import Access, version_id_of
from fogbank.cloud.state.objects import ObjectStore
from fogbank.cloud.state.objects_rows import Version


class Tagging:
    def __init__(self, access: Access, records: Records, objects: ObjectStore) -> None:
        self._access = access
        self._records = records
        self._objects = objects

    @operation("PutBucketTagging")
    def put_bucket_tagging(self, context: Context, params: Params) -> Result:
        integrity.check_document(context)
        bucket = self._access.bucket(params)
        given = tags.parse_set(params["Tagging"]["TagSet"], limit=tags.MAX_BUCKET_TAGS)
        self._records.put(replace(bucket, tags=given))
        context.status = 204
        return {}

    @operation("GetBucketTagging")
    def get_bucket_tagging(self, context: Context, params: Params) -> Result:
        bucket = self._access.bucket(params)
        if not bucket.tags:
            raise errors.not_configured("NoSuchTagSet", "The TagSet does not exist", bucket.name)
        return {"TagSet": tags.as_set(bucket.tags)}

    @operation("DeleteBucketTagging")
    def delete_bucket_tagging(self, context: Context, params: Params) -> Result:
        bucket = self._access.bucket(params)
        self._records.put(replace(bucket, tags={}))
        return {}

    def _resolver(self, params: Params) -> Callable[[], Version]:
        """Finds the version when it is asked: the bucket may change until the write."""
        return lambda: self._access.version(
            self._access.bucket(params), params["Key"], params.get("VersionId")
        )

    @operation("PutObjectTagging")
    async def put_object_tagging(self, context: Context, params: Params) -> Result:
        integrity.check_document(context)
        bucket = self._access.bucket(params)
        given = tags.parse_set(params["Tagging"]["TagSet"], limit=tags.MAX_OBJECT_TAGS)
        version = await self._objects.set_tags(self._resolver(params), given)
        return version_id_of(bucket, version)

    @operation("GetObjectTagging")
    def get_object_tagging(self, context: Context, params: Params) -> Result:
        bucket = self._access.bucket(params)
        version = self._resolver(params)()
        return {"TagSet": tags.as_set(version.tags), **version_id_of(bucket, version)}

    @operation("DeleteObjectTagging")
    async def delete_object_tagging(self, context: Context, params: Params) -> Result:
        bucket = self._access.bucket(params)
        version = await self._objects.set_tags(self._resolver(params), {})
        return version_id_of(bucket, version)
