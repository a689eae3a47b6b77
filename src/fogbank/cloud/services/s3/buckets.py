"""Buckets: made, found, listed, deleted."""

from __future__ import annotations

from typing import Any

from fogbank.cloud.context import Context, Params, Result
from fogbank.cloud.errors import ServiceError
from fogbank.cloud.ports import Records
from fogbank.cloud.records.bucket import Bucket
from fogbank.cloud.services.base import operation
from fogbank.cloud.services.s3 import errors, integrity, tags
from fogbank.cloud.services.s3.access import Access
from fogbank.cloud.services.s3.bucket_names import check_bucket_name
from fogbank.cloud.services.s3.descriptions import check_acl, grants_nothing
from fogbank.cloud.state.objects import ObjectStore
from fogbank.core.clock import Clock

DEFAULT_REGION = "us-east-1"
"""The region that needs no LocationConstraint, and whose endpoint takes every other one."""

REGIONS = frozenset(
    {
        *("af-south-1", "ap-east-1", "ap-east-2", "ap-northeast-1", "ap-northeast-2"),
        *("ap-northeast-3", "ap-south-1", "ap-south-2", "ap-southeast-1", "ap-southeast-2"),
        *("ap-southeast-3", "ap-southeast-4", "ap-southeast-5", "ap-southeast-6"),
        *("ap-southeast-7", "ca-central-1", "ca-west-1", "cn-north-1", "cn-northwest-1"),
        *("eu-central-1", "eu-central-2", "eu-north-1", "eu-south-1", "eu-south-2", "eu-west-1"),
        *("eu-west-2", "eu-west-3", "il-central-1", "me-central-1", "me-south-1", "mx-central-1"),
        *("sa-east-1", "us-east-2", "us-gov-east-1", "us-gov-west-1", "us-west-1", "us-west-2"),
    }
)


class Buckets:
    def __init__(
        self, access: Access, records: Records, objects: ObjectStore, clock: Clock
    ) -> None:
        self._access = access
        self._records = records
        self._objects = objects
        self._clock = clock

    @operation("CreateBucket")
    def create_bucket(self, context: Context, params: Params) -> Result:
        integrity.check_document(context)
        name: str = params["Bucket"]
        check_bucket_name(name)
        configuration = params.get("CreateBucketConfiguration") or {}
        constraint: str | None = configuration.get("LocationConstraint")
        region = self._region(constraint)
        if params.get("ObjectLockEnabledForBucket"):
            raise errors.not_implemented("x-amz-bucket-object-lock-enabled")
        bucket = Bucket(
            name=name,
            region=region,
            created=self._clock.now(),
            location_constraint=constraint,
            ownership=params.get("ObjectOwnership") or "BucketOwnerEnforced",
            tags=tags.parse_set(configuration.get("Tags", ()), limit=tags.MAX_BUCKET_TAGS),
        )
        if not grants_nothing(params):
            if bucket.ownership == "BucketOwnerEnforced":
                raise ServiceError(
                    "InvalidBucketAclWithObjectOwnership",
                    "Bucket cannot have ACLs set with ObjectOwnership's BucketOwnerEnforced "
                    "setting",
                )
            check_acl(params, bucket)
        existing = self._records.get(Bucket, name)
        if existing is None:
            self._records.put(bucket)
        elif self._access.scope.region != DEFAULT_REGION or existing.region != region:
            raise ServiceError(
                "BucketAlreadyOwnedByYou",
                "Your previous request to create the named bucket succeeded and you already own "
                "it.",
                status=409,
                fields={"BucketName": name},
            )
        here = region == DEFAULT_REGION
        location = f"/{name}" if here else f"http://{name}.s3.amazonaws.com/"
        return {"Location": location, "BucketArn": f"arn:aws:s3:::{name}"}

    def _region(self, constraint: str | None) -> str:
        """Where the bucket is to be. An endpoint of a region takes that region alone; that of
        us-east-1, the oldest, takes all others by name but not its own."""
        here = self._access.scope.region
        if here == DEFAULT_REGION:
            if constraint is None:
                return here
            region = "eu-west-1" if constraint == "EU" else constraint
            if region not in REGIONS:
                raise ServiceError(
                    "InvalidLocationConstraint",
                    "The specified location-constraint is not valid",
                    fields={"LocationConstraint": constraint},
                )
            return region
        if constraint != here and not (constraint == "EU" and here == "eu-west-1"):
            raise ServiceError(
                "IllegalLocationConstraintException",
                f"The {constraint or 'unspecified'} location constraint is incompatible for the "
                "region specific endpoint this request was sent to.",
            )
        return here

    @operation("HeadBucket")
    def head_bucket(self, context: Context, params: Params) -> Result:
        bucket = self._access.bucket(params)
        return {
            "BucketRegion": bucket.region,
            "BucketArn": f"arn:aws:s3:::{bucket.name}",
            "AccessPointAlias": False,
        }

    @operation("GetBucketLocation")
    def get_bucket_location(self, context: Context, params: Params) -> Result:
        constraint = self._access.bucket(params).location_constraint
        return {} if constraint is None else {"LocationConstraint": constraint}

    @operation("ListBuckets")
    def list_buckets(self, context: Context, params: Params) -> Result:
        prefix: str = params.get("Prefix") or ""
        after: str = params.get("ContinuationToken") or ""
        region: str | None = params.get("BucketRegion")
        limit: int | None = params.get("MaxBuckets")
        found = [
            bucket
            for bucket in self._records.all(Bucket, prefix=prefix)
            if bucket.name > after and region in (None, bucket.region)
        ]
        page = found if limit is None else found[:limit]
        answer: dict[str, Any] = {
            "Owner": self._access.owner,
            "Buckets": [
                {
                    "Name": bucket.name,
                    "CreationDate": bucket.created.replace(microsecond=0),
                    "BucketRegion": bucket.region,
                    "BucketArn": f"arn:aws:s3:::{bucket.name}",
                }
                for bucket in page
            ],
        }
        if prefix:
            answer["Prefix"] = prefix
        if len(page) < len(found):
            answer["ContinuationToken"] = page[-1].name
        return answer

    @operation("DeleteBucket")
    def delete_bucket(self, context: Context, params: Params) -> Result:
        bucket = self._access.bucket(params)
        if self._objects.rows.has_versions(bucket.name):
            message = "The bucket you tried to delete is not empty"
            if bucket.versioning is not None:
                message += ". You must delete all versions in the bucket."
            raise ServiceError(
                "BucketNotEmpty", message, status=409, fields={"BucketName": bucket.name}
            )
        self._objects.remove_bucket(bucket)
        return {}
