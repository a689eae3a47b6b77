"""Access control lists: everything belongs to the account, and no list says otherwise."""

from __future__ import annotations

from fogbank.cloud.context import Context, Params, Result
from fogbank.cloud.services.base import operation
from fogbank.cloud.services.s3 import errors
from fogbank.cloud.services.s3.access import Access
from fogbank.cloud.services.s3.descriptions import acl_not_supported, check_acl


class AccessLists:
    def __init__(self, access: Access) -> None:
        self._access = access

    def _owner_has_everything(self) -> Result:
        owner = self._access.owner
        grantee = {**owner, "Type": "CanonicalUser"}
        return {"Owner": owner, "Grants": [{"Grantee": grantee, "Permission": "FULL_CONTROL"}]}

    @operation("GetBucketAcl")
    def get_bucket_acl(self, context: Context, params: Params) -> Result:
        self._access.bucket(params)
        return self._owner_has_everything()

    @operation("GetObjectAcl")
    def get_object_acl(self, context: Context, params: Params) -> Result:
        bucket = self._access.bucket(params)
        self._access.version(bucket, params["Key"], params.get("VersionId"))
        return self._owner_has_everything()

    @operation("PutBucketAcl")
    def put_bucket_acl(self, context: Context, params: Params) -> Result:
        bucket = self._access.bucket(params)
        if bucket.ownership == "BucketOwnerEnforced":
            raise acl_not_supported()
        _refuse_written_list(params)
        check_acl(params, bucket)
        return {}

    @operation("PutObjectAcl")
    def put_object_acl(self, context: Context, params: Params) -> Result:
        bucket = self._access.bucket(params)
        self._access.version(bucket, params["Key"], params.get("VersionId"))
        _refuse_written_list(params)
        check_acl(params, bucket)
        return {}


def _refuse_written_list(params: Params) -> None:
    """A list of grants in the body: there is no place to keep one."""
    if params.get("AccessControlPolicy"):
        raise errors.not_implemented("AccessControlPolicy")
