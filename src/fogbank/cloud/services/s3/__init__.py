"""Simple Storage Service: buckets and objects. The objects themselves are in `state/objects.py`."""

from __future__ import annotations

from fogbank.cloud.ports import Records
from fogbank.cloud.services.s3.access import Access
from fogbank.cloud.services.s3.access_lists import AccessLists
from fogbank.cloud.services.s3.bucket_settings import BucketSettings
from fogbank.cloud.services.s3.buckets import Buckets
from fogbank.cloud.services.s3.copying import Copying
from fogbank.cloud.services.s3.deleting import Deleting
from fogbank.cloud.services.s3.lifecycle import Lifecycle
from fogbank.cloud.services.s3.listing import Listing
from fogbank.cloud.services.s3.multipart import Multipart
from fogbank.cloud.services.s3.multipart_listing import MultipartListing
from fogbank.cloud.services.s3.policies import Policies
from fogbank.cloud.services.s3.reading import Reading
from fogbank.cloud.services.s3.tagging import Tagging
from fogbank.cloud.services.s3.unset_features import UnsetFeatures
from fogbank.cloud.services.s3.writing import Writing
from fogbank.cloud.state.objects import ObjectStore
from fogbank.cloud.state.objects_uploads import UploadStore
from fogbank.core.arn import Scope
from fogbank.core.clock import Clock


def rooms(records: Records, objects: ObjectStore, scope: Scope, clock: Clock) -> list[object]:
    """Everything that answers S3's operations, for `services.base.dispatch_table`."""
    access = Access(records, objects, scope)
    uploads = UploadStore(objects)
    return [
        Buckets(access, records, objects, clock),
        BucketSettings(access, records),
        Policies(access, records),
        Lifecycle(access, records),
        AccessLists(access),
        UnsetFeatures(access),
        Writing(access, objects),
        Reading(access, objects),
        Copying(access, objects, uploads),
        Deleting(access, objects),
        Listing(access, objects),
        Multipart(access, objects, uploads),
        MultipartListing(access, objects, uploads),
        Tagging(access, records, objects),
    ]
