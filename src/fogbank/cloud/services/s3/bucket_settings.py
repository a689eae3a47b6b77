"""Settings of a bucket that are one member of its record each: versioning, default encryption,
public access block, ownership controls."""

from __future__ import annotations

from dataclasses import replace

from fogbank.cloud.context import Context, Params, Result
from fogbank.cloud.errors import ServiceError
from fogbank.cloud.ports import Records
from fogbank.cloud.records.bucket import SSE_S3
from fogbank.cloud.services.base import operation
from fogbank.cloud.services.s3 import errors, integrity
from fogbank.cloud.services.s3.access import Access
from fogbank.cloud.services.s3.descriptions import ENCRYPTIONS

_BLOCKS = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")


class BucketSettings:
    def __init__(self, access: Access, records: Records) -> None:
        self._access = access
        self._records = records

    # -- versioning -------------------------------------------------------------------------------

    @operation("PutBucketVersioning")
    def put_versioning(self, context: Context, params: Params) -> Result:
        integrity.check_document(context)
        bucket = self._access.bucket(params)
        configuration = params["VersioningConfiguration"]
        if configuration.get("MFADelete") == "Enabled" or params.get("MFA"):
            raise errors.not_implemented("x-amz-mfa")
        status = configuration.get("Status")
        if status not in ("Enabled", "Suspended"):
            raise ServiceError(
                "IllegalVersioningConfigurationException",
                "The Versioning element must be specified",
            )
        self._records.put(replace(bucket, versioning=status))
        return {}

    @operation("GetBucketVersioning")
    def get_versioning(self, context: Context, params: Params) -> Result:
        versioning = self._access.bucket(params).versioning
        return {} if versioning is None else {"Status": versioning}

    # -- encryption -------------------------------------------------------------------------------

    @operation("PutBucketEncryption")
    def put_encryption(self, context: Context, params: Params) -> Result:
        integrity.check_document(context)
        bucket = self._access.bucket(params)
        configuration = params["ServerSideEncryptionConfiguration"]
        rules = configuration["Rules"]
        if len(rules) != 1:
            raise errors.malformed_xml()
        default = rules[0].get("ApplyServerSideEncryptionByDefault", {"SSEAlgorithm": "AES256"})
        if default["SSEAlgorithm"] not in ENCRYPTIONS:
            raise errors.malformed_xml()
        if default["SSEAlgorithm"] == "AES256" and default.get("KMSMasterKeyID"):
            raise errors.invalid_argument(
                "a KMSMasterKeyID is not applicable if the default sse algorithm is not aws:kms "
                "or aws:kms:dsse",
                "ApplyServerSideEncryptionByDefault",
                default["KMSMasterKeyID"],
            )
        self._records.put(replace(bucket, encryption=configuration))
        return {}

    @operation("GetBucketEncryption")
    def get_encryption(self, context: Context, params: Params) -> Result:
        return {"ServerSideEncryptionConfiguration": self._access.bucket(params).encryption}

    @operation("DeleteBucketEncryption")
    def delete_encryption(self, context: Context, params: Params) -> Result:
        bucket = self._access.bucket(params)
        self._records.put(replace(bucket, encryption=SSE_S3))
        return {}

    # -- public access block ----------------------------------------------------------------------

    @operation("PutPublicAccessBlock")
    def put_public_access_block(self, context: Context, params: Params) -> Result:
        integrity.check_document(context)
        bucket = self._access.bucket(params)
        given = params["PublicAccessBlockConfiguration"]
        block = {name: bool(given.get(name, False)) for name in _BLOCKS}
        self._records.put(replace(bucket, public_access_block=block))
        return {}

    @operation("GetPublicAccessBlock")
    def get_public_access_block(self, context: Context, params: Params) -> Result:
        bucket = self._access.bucket(params)
        if bucket.public_access_block is None:
            raise errors.not_configured(
                "NoSuchPublicAccessBlockConfiguration",
                "The public access block configuration was not found",
                bucket.name,
            )
        return {"PublicAccessBlockConfiguration": bucket.public_access_block}

    @operation("DeletePublicAccessBlock")
    def delete_public_access_block(self, context: Context, params: Params) -> Result:
        bucket = self._access.bucket(params)
        self._records.put(replace(bucket, public_access_block=None))
        return {}

    # -- ownership controls -----------------------------------------------------------------------

    @operation("PutBucketOwnershipControls")
    def put_ownership(self, context: Context, params: Params) -> Result:
        integrity.check_document(context)
        bucket = self._access.bucket(params)
        rules = params["OwnershipControls"]["Rules"]
        if len(rules) != 1:
            raise errors.malformed_xml()
        self._records.put(replace(bucket, ownership=rules[0]["ObjectOwnership"]))
        return {}

    @operation("GetBucketOwnershipControls")
    def get_ownership(self, context: Context, params: Params) -> Result:
        bucket = self._access.bucket(params)
        if bucket.ownership is None:
            raise errors.not_configured(
                "OwnershipControlsNotFoundError",
                "The bucket ownership controls were not found",
                bucket.name,
            )
        return {"OwnershipControls": {"Rules": [{"ObjectOwnership": bucket.ownership}]}}

    @operation("DeleteBucketOwnershipControls")
    def delete_ownership(self, context: Context, params: Params) -> Result:
        bucket = self._access.bucket(params)
        self._records.put(replace(bucket, ownership=None))
        return {}
