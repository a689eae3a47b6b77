"""What a client says about an object besides its bytes: request members <-> what is stored."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from fogbank.cloud.context import Params
from fogbank.cloud.errors import ServiceError
from fogbank.cloud.records.bucket import Bucket
from fogbank.cloud.services.s3 import errors
from fogbank.cloud.services.s3.tags import parse_header
from fogbank.cloud.state.objects_rows import Description, Version
from fogbank.core.arn import Scope

MAX_METADATA_BYTES = 2048

STORAGE_CLASSES = frozenset(
    {
        "STANDARD",
        "REDUCED_REDUNDANCY",
        "STANDARD_IA",
        "ONEZONE_IA",
        "INTELLIGENT_TIERING",
        "GLACIER",
        "DEEP_ARCHIVE",
        "GLACIER_IR",
    }
)

ENCRYPTIONS = frozenset({"AES256", "aws:kms", "aws:kms:dsse"})

_PLAIN = (
    "CacheControl",
    "ContentDisposition",
    "ContentLanguage",
    "WebsiteRedirectLocation",
)

_UNSUPPORTED = {
    "SSECustomerAlgorithm": "x-amz-server-side-encryption-customer-algorithm",
    "SSECustomerKey": "x-amz-server-side-encryption-customer-key",
    "CopySourceSSECustomerAlgorithm": "x-amz-copy-source-server-side-encryption-customer-algorithm",
    "WriteOffsetBytes": "x-amz-write-offset-bytes",
}
_LOCKS = ("ObjectLockMode", "ObjectLockRetainUntilDate", "ObjectLockLegalHoldStatus")
_GRANTS = ("GrantFullControl", "GrantRead", "GrantReadACP", "GrantWrite", "GrantWriteACP")


def refuse_unsupported(params: Params) -> None:
    """Refuse what would change the meaning of a request if it were ignored: keys of the customer's
    own (SSE-C), object lock, appending."""
    for member, header in _UNSUPPORTED.items():
        if params.get(member) is not None:
            raise errors.not_implemented(header)
    if any(params.get(member) is not None for member in _LOCKS):
        raise errors.invalid_request("Bucket is missing Object Lock Configuration")


def acl_not_supported() -> ServiceError:
    return ServiceError("AccessControlListNotSupported", "The bucket does not allow ACLs")


def grants_nothing(params: Params) -> bool:
    """Whether the access control headers of a request leave everything to the owner."""
    given = any(params.get(member) is not None for member in _GRANTS)
    return not given and params.get("ACL") in (None, "private", "bucket-owner-full-control")


def check_acl(params: Params, bucket: Bucket) -> None:
    """Access control headers of a write: refused where the bucket owner owns everything
    (AccessControlListNotSupported), and where they would give anything to anybody else."""
    acl: str | None = params.get("ACL")
    if bucket.ownership == "BucketOwnerEnforced":
        if not grants_nothing(params) or acl == "private":
            raise acl_not_supported()
    elif not grants_nothing(params):
        block = bucket.public_access_block or {}
        if acl is not None and acl.startswith("public") and block.get("BlockPublicAcls"):
            raise errors.access_denied()
        raise errors.not_implemented("x-amz-acl")


def described(params: Params, bucket: Bucket, scope: Scope) -> Description:
    """What is to be stored with the object. Raises InvalidStorageClass, MetadataTooLarge,
    InvalidTag, AccessControlListNotSupported, NotImplemented."""
    refuse_unsupported(params)
    check_acl(params, bucket)
    storage_class = params.get("StorageClass") or "STANDARD"
    if storage_class not in STORAGE_CLASSES:
        raise ServiceError("InvalidStorageClass", "The storage class you specified is not valid")
    headers: dict[str, Any] = {name: params[name] for name in _PLAIN if params.get(name)}
    headers["ContentType"] = params.get("ContentType") or "binary/octet-stream"
    if encoding := _without_framing(params.get("ContentEncoding") or ""):
        headers["ContentEncoding"] = encoding
    if expires := params.get("Expires"):
        headers["Expires"] = expires.astimezone(UTC).isoformat()
    if metadata := params.get("Metadata"):
        headers["Metadata"] = _metadata(metadata)
    headers.update(encryption(params, bucket, scope))
    return Description(
        headers=headers,
        tags=parse_header(params.get("Tagging") or ""),
        storage_class=storage_class,
    )


def _without_framing(encoding: str) -> str:
    """`aws-chunked` is how the body travels, not what it is."""
    names = [name.strip() for name in encoding.split(",")]
    return ",".join(name for name in names if name and name.lower() != "aws-chunked")


def _metadata(metadata: Mapping[str, str]) -> dict[str, str]:
    size = sum(len(name.encode()) + len(value.encode()) for name, value in metadata.items())
    if size > MAX_METADATA_BYTES:
        raise ServiceError(
            "MetadataTooLarge",
            "Your metadata headers exceed the maximum allowed metadata size",
            fields={"Size": size, "MaxSizeAllowed": MAX_METADATA_BYTES},
        )
    return {name.lower(): value for name, value in metadata.items()}


def encryption(params: Params, bucket: Bucket, scope: Scope) -> dict[str, Any]:
    """How the object is said to be encrypted: by the request, else by the bucket's default. The
    content files themselves are plain: they never leave this machine."""
    method: str | None = params.get("ServerSideEncryption")
    key_id: str | None = params.get("SSEKMSKeyId")
    bucket_key: bool | None = params.get("BucketKeyEnabled")
    if method is None and key_id is not None:
        raise errors.invalid_argument(
            "Server Side Encryption with AWS KMS managed key requires HTTP header "
            "x-amz-server-side-encryption : aws:kms",
            "x-amz-server-side-encryption",
            "null",
        )
    if method is None:
        rule = bucket.encryption["Rules"][0]
        default = rule.get("ApplyServerSideEncryptionByDefault", {"SSEAlgorithm": "AES256"})
        method = default["SSEAlgorithm"]
        key_id = default.get("KMSMasterKeyID")
        bucket_key = rule.get("BucketKeyEnabled") if bucket_key is None else bucket_key
    if method not in ENCRYPTIONS:
        raise errors.invalid_argument(
            "The encryption method specified is not supported",
            "x-amz-server-side-encryption",
            method,
        )
    if not method.startswith("aws:kms"):
        return {"ServerSideEncryption": method}
    answer: dict[str, Any] = {
        "ServerSideEncryption": method,
        "SSEKMSKeyId": _key_arn(key_id, scope),
    }
    if bucket_key:
        answer["BucketKeyEnabled"] = True
    return answer


def _key_arn(key_id: str | None, scope: Scope) -> str:
    if key_id is None:  # the account's own aws/s3 key
        key_id = str(uuid.uuid5(uuid.NAMESPACE_URL, scope.arn("kms", "alias/aws/s3")))
    if key_id.startswith("arn:"):
        return key_id
    return scope.arn("kms", key_id if key_id.startswith("alias/") else f"key/{key_id}")


def encryption_members(headers: Mapping[str, Any]) -> dict[str, Any]:
    """The part of the stored headers that answers to writes repeat."""
    names = ("ServerSideEncryption", "SSEKMSKeyId", "BucketKeyEnabled")
    return {name: headers[name] for name in names if name in headers}


def header_members(version: Version) -> dict[str, Any]:
    """The stored headers as members of GetObject's and HeadObject's answers."""
    members = version.headers
    members.setdefault("Metadata", {})
    if "Expires" in members:
        members["Expires"] = datetime.fromisoformat(members["Expires"])
    if version.storage_class != "STANDARD":
        members["StorageClass"] = version.storage_class
    if tags := version.tags:
        members["TagCount"] = len(tags)
    return members
