"""What nearly every operation of S3 begins with: the bucket, the key, the version that is meant."""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime
from email.utils import format_datetime

from fogbank.cloud.context import Params
from fogbank.cloud.errors import ServiceError
from fogbank.cloud.ports import Records
from fogbank.cloud.records.bucket import Bucket
from fogbank.cloud.services.s3 import errors
from fogbank.cloud.state.objects import NULL_VERSION, NoSuchBucket, ObjectStore
from fogbank.cloud.state.objects_rows import Version
from fogbank.core.arn import Scope

MAX_KEY_BYTES = 1024

_VERSION_ID = re.compile(r"^[A-Za-z0-9_.-]{32}$")


def moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def canonical_user_id(account: str) -> str:
    """64 hexadecimal digits that stand for an account in S3's access control lists."""
    return hashlib.sha256(f"canonical user of {account}".encode()).hexdigest()


class Access:
    """Finds what a request is about, and refuses what does not exist."""

    def __init__(self, records: Records, objects: ObjectStore, scope: Scope) -> None:
        self._records = records
        self._objects = objects
        self.scope = scope
        self.owner = {"ID": canonical_user_id(scope.account)}

    def bucket(self, params: Params) -> Bucket:
        """The bucket of the request. Raises NoSuchBucket, or AccessDenied where the client expects
        another account to own it."""
        found = self._records.get(Bucket, params["Bucket"])
        if found is None:
            raise NoSuchBucket(params["Bucket"])
        self._expect_owner(params.get("ExpectedBucketOwner"))
        return found

    def source_bucket(self, name: str, params: Params) -> Bucket:
        """The bucket from which a copy is made."""
        self._expect_owner(params.get("ExpectedSourceBucketOwner"))
        return self._objects.bucket(name)

    def _expect_owner(self, expected: str | None) -> None:
        if expected is not None and expected != self.scope.account:
            raise errors.access_denied()

    def key(self, params: Params) -> str:
        """The object key of a write."""
        key: str = params["Key"]
        size = len(key.encode())
        if size > MAX_KEY_BYTES:
            fields = {"Size": size, "MaxSizeAllowed": MAX_KEY_BYTES}
            raise ServiceError("KeyTooLongError", "Your key is too long", fields=fields)
        return key

    def version(self, bucket: Bucket, key: str, version_id: str | None) -> Version:
        """The object, or the version of it, that a read means.

        Raises NoSuchKey, NoSuchVersion, and MethodNotAllowed for a delete marker named by its id.
        """
        if version_id is not None:
            return self._named_version(bucket, key, version_id)
        newest = self._objects.rows.newest(bucket.name, key)
        if newest is None:
            raise errors.no_such_key(key)
        if newest.is_delete_marker:
            headers = {"x-amz-delete-marker": "true", "x-amz-version-id": newest.version_id}
            raise errors.no_such_key(key, headers)
        return newest

    def _named_version(self, bucket: Bucket, key: str, version_id: str) -> Version:
        check_version_id(version_id)
        found = self._objects.rows.version(bucket.name, key, version_id)
        if found is None:
            raise errors.no_such_version(key, version_id)
        if found.is_delete_marker:
            raise errors.method_not_allowed(
                {
                    "x-amz-delete-marker": "true",
                    "x-amz-version-id": version_id,
                    "last-modified": format_datetime(moment(found.modified_s), usegmt=True),
                    "allow": "DELETE",
                }
            )
        return found


def check_version_id(version_id: str) -> None:
    if version_id != NULL_VERSION and not _VERSION_ID.match(version_id):
        raise errors.invalid_argument("Invalid version id specified", "versionId", version_id)


def version_id_of(bucket: Bucket, version: Version) -> dict[str, str]:
    """The VersionId member: absent while a bucket has never had versioning."""
    return {} if bucket.versioning is None else {"VersionId": version.version_id}
