"""The IAM action that an operation needs: most are called like it, these are not.

Source: Service Authorization Reference, "Actions defined by ..." of each service.
"""

from __future__ import annotations

from collections.abc import Mapping

_PREFIXES = {"sagemaker-runtime": "sagemaker", "service-quotas": "servicequotas"}
"""Services whose actions have another prefix than botocore's name of the service."""

_ACTIONS: Mapping[str, Mapping[str, str]] = {
    "lambda": {"Invoke": "InvokeFunction"},
    "s3": {
        "CompleteMultipartUpload": "PutObject",
        "CopyObject": "PutObject",
        "CreateMultipartUpload": "PutObject",
        "DeleteBucketEncryption": "PutEncryptionConfiguration",
        "DeleteBucketLifecycle": "PutLifecycleConfiguration",
        "DeleteBucketOwnershipControls": "PutBucketOwnershipControls",
        "DeleteBucketTagging": "PutBucketTagging",
        "DeleteObjects": "DeleteObject",
        "DeletePublicAccessBlock": "PutBucketPublicAccessBlock",
        "GetBucketAccelerateConfiguration": "GetAccelerateConfiguration",
        "GetBucketCors": "GetBucketCORS",
        "GetBucketEncryption": "GetEncryptionConfiguration",
        "GetBucketLifecycleConfiguration": "GetLifecycleConfiguration",
        "GetBucketNotificationConfiguration": "GetBucketNotification",
        "GetBucketReplication": "GetReplicationConfiguration",
        "GetObjectLockConfiguration": "GetBucketObjectLockConfiguration",
        "GetPublicAccessBlock": "GetBucketPublicAccessBlock",
        "HeadBucket": "ListBucket",
        "HeadObject": "GetObject",
        "ListBuckets": "ListAllMyBuckets",
        "ListMultipartUploads": "ListBucketMultipartUploads",
        "ListObjectVersions": "ListBucketVersions",
        "ListObjects": "ListBucket",
        "ListObjectsV2": "ListBucket",
        "ListParts": "ListMultipartUploadParts",
        "PutBucketEncryption": "PutEncryptionConfiguration",
        "PutBucketLifecycleConfiguration": "PutLifecycleConfiguration",
        "PutPublicAccessBlock": "PutBucketPublicAccessBlock",
        "UploadPart": "PutObject",
        "UploadPartCopy": "PutObject",
    },
}


def action_of(service: str, operation: str) -> str:
    """`sagemaker:InvokeEndpoint` of ("sagemaker-runtime", "InvokeEndpoint")."""
    prefix = _PREFIXES.get(service, service)
    return f"{prefix}:{_ACTIONS.get(service, {}).get(operation, operation)}"
