"""Features that no bucket here has: the answers of a bucket on which they were never set.

Setting one is an operation that is not implemented; so these answers are always true.
"""

from __future__ import annotations

from fogbank.cloud.context import Context, Params, Result
from fogbank.cloud.errors import ServiceError
from fogbank.cloud.services.base import operation
from fogbank.cloud.services.s3 import errors
from fogbank.cloud.services.s3.access import Access


class UnsetFeatures:
    def __init__(self, access: Access) -> None:
        self._access = access

    def _missing(self, params: Params, code: str, message: str) -> ServiceError:
        return errors.not_configured(code, message, self._access.bucket(params).name)

    @operation("GetBucketLogging")
    def get_logging(self, context: Context, params: Params) -> Result:
        self._access.bucket(params)
        return {}

    @operation("GetBucketNotificationConfiguration")
    def get_notification(self, context: Context, params: Params) -> Result:
        self._access.bucket(params)
        return {}

    @operation("GetBucketAccelerateConfiguration")
    def get_accelerate(self, context: Context, params: Params) -> Result:
        self._access.bucket(params)
        return {}

    @operation("GetBucketRequestPayment")
    def get_request_payment(self, context: Context, params: Params) -> Result:
        self._access.bucket(params)
        return {"Payer": "BucketOwner"}

    @operation("GetBucketCors")
    def get_cors(self, context: Context, params: Params) -> Result:
        raise self._missing(
            params, "NoSuchCORSConfiguration", "The CORS configuration does not exist"
        )

    @operation("GetBucketWebsite")
    def get_website(self, context: Context, params: Params) -> Result:
        raise self._missing(
            params,
            "NoSuchWebsiteConfiguration",
            "The specified bucket does not have a website configuration",
        )

    @operation("GetBucketReplication")
    def get_replication(self, context: Context, params: Params) -> Result:
        raise self._missing(
            params,
            "ReplicationConfigurationNotFoundError",
            "The replication configuration was not found",
        )

    @operation("GetObjectLockConfiguration")
    def get_object_lock(self, context: Context, params: Params) -> Result:
        raise self._missing(
            params,
            "ObjectLockConfigurationNotFoundError",
            "Object Lock configuration does not exist for this bucket",
        )
