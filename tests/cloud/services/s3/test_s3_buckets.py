"""Buckets and their settings."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from cloud.aws import NOW, refused
from cloud.services.s3.s3_calls import S3, later

pytestmark = pytest.mark.docs


@pytest.mark.parametrize("name", ["abc", "my.bucket-1", "a" * 63, "sagemaker-us-east-1-1234"])
async def test_good_bucket_names(s3: S3, name: str) -> None:
    await s3("CreateBucket", Bucket=name)
    assert (await s3("HeadBucket", Bucket=name))["BucketRegion"] == "us-east-1"


@pytest.mark.parametrize(
    "name",
    [
        *("ab", "a" * 64, "Dogs", "do_gs", "-dogs", "dogs-", "do..gs", ".dogs", "192.168.5.4"),
        *("xn--dogs", "sthree-dogs", "amzn-s3-demo-dogs", "dogs-s3alias", "dogs--x-s3"),
    ],
)
async def test_bad_bucket_names(s3: S3, name: str) -> None:
    with refused("InvalidBucketName", 400):
        await s3("CreateBucket", Bucket=name)


async def test_creating_ones_own_bucket_again_in_us_east_1_is_harmless(s3: S3) -> None:
    await s3.put("a")
    assert (await s3("CreateBucket", Bucket="dogs"))["Location"] == "/dogs"
    assert (await s3.get("a"))["Body"] == b"content"


async def test_creating_ones_own_bucket_again_elsewhere_is_refused(tmp_path: Path) -> None:
    s3 = S3(tmp_path, region="eu-west-1")
    here = {"LocationConstraint": "eu-west-1"}
    await s3("CreateBucket", Bucket="dogs", CreateBucketConfiguration=here)
    with refused("BucketAlreadyOwnedByYou", 409):
        await s3("CreateBucket", Bucket="dogs", CreateBucketConfiguration=here)
    s3.close()


@pytest.mark.parametrize(
    ("region", "constraint", "location"),
    [
        ("us-east-1", None, None),
        ("us-east-1", "eu-west-1", "eu-west-1"),
        ("us-east-1", "EU", "EU"),
        ("eu-west-1", "eu-west-1", "eu-west-1"),
    ],
)
async def test_location(
    tmp_path: Path, region: str, constraint: str | None, location: str | None
) -> None:
    s3 = S3(tmp_path, region=region)
    given: dict[str, Any] = {}
    if constraint:
        given = {"CreateBucketConfiguration": {"LocationConstraint": constraint}}
    await s3("CreateBucket", Bucket="dogs", **given)
    answer = await s3("GetBucketLocation", Bucket="dogs")
    assert answer.get("LocationConstraint") == location
    s3.close()


@pytest.mark.parametrize(
    ("region", "constraint", "code"),
    [
        ("us-east-1", "us-east-1", "InvalidLocationConstraint"),
        ("us-east-1", "mars-north-1", "InvalidLocationConstraint"),
        ("eu-west-1", "us-west-2", "IllegalLocationConstraintException"),
        ("eu-west-1", None, "IllegalLocationConstraintException"),
    ],
)
async def test_wrong_location(
    tmp_path: Path, region: str, constraint: str | None, code: str
) -> None:
    s3 = S3(tmp_path, region=region)
    given = {"LocationConstraint": constraint} if constraint else {}
    with refused(code, 400):
        await s3("CreateBucket", Bucket="dogs", CreateBucketConfiguration=given)
    s3.close()


async def test_list_buckets_in_pages(s3: S3) -> None:
    for name in ("cats", "birds", "dogs-2"):
        await s3("CreateBucket", Bucket=name)
    names = [bucket["Name"] for bucket in (await s3("ListBuckets"))["Buckets"]]
    assert names == ["birds", "cats", "dogs", "dogs-2"]
    first = await s3("ListBuckets", MaxBuckets=1, Prefix="dogs")
    assert [bucket["Name"] for bucket in first["Buckets"]] == ["dogs"]
    second = await s3("ListBuckets", Prefix="dogs", ContinuationToken=first["ContinuationToken"])
    assert [bucket["Name"] for bucket in second["Buckets"]] == ["dogs-2"]
    assert "ContinuationToken" not in second
    assert second["Buckets"][0]["CreationDate"] == NOW


async def test_a_bucket_must_be_empty_to_be_deleted(s3: S3) -> None:
    await s3.put("a")
    with refused("BucketNotEmpty", 409):
        await s3("DeleteBucket", Bucket="dogs")
    await s3("DeleteObject", Bucket="dogs", Key="a")
    await s3.upload("unfinished", [b"part"])
    await s3("DeleteBucket", Bucket="dogs")
    with refused("NoSuchBucket", 404):
        await s3("HeadBucket", Bucket="dogs")
    s3.objects.close()
    assert not [path for path in (s3.folder / "s3" / "blobs").rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    ("operation", "params"),
    [
        ("HeadBucket", {}),
        ("ListObjectsV2", {}),
        ("PutObject", {"Key": "a"}),
        ("GetObject", {"Key": "a"}),
        ("DeleteObject", {"Key": "a"}),
        ("CreateMultipartUpload", {"Key": "a"}),
    ],
)
async def test_missing_bucket_and_foreign_owner(
    s3: S3, operation: str, params: dict[str, Any]
) -> None:
    with refused("NoSuchBucket", 404):
        await s3(operation, Bucket="cats", **params)
    if operation != "CreateMultipartUpload":
        with refused("AccessDenied", 403):
            await s3(operation, Bucket="dogs", ExpectedBucketOwner="999999999999", **params)


async def test_versioning_status(s3: S3) -> None:
    assert await s3("GetBucketVersioning", Bucket="dogs") == {}
    for status in ("Enabled", "Suspended"):
        given = {"Status": status}
        await s3("PutBucketVersioning", Bucket="dogs", VersioningConfiguration=given)
        assert await s3("GetBucketVersioning", Bucket="dogs") == given
    with refused("IllegalVersioningConfigurationException", 400):
        await s3("PutBucketVersioning", Bucket="dogs", VersioningConfiguration={})


async def test_default_encryption(s3: S3) -> None:
    async def default() -> Any:
        found = await s3("GetBucketEncryption", Bucket="dogs")
        rule = found["ServerSideEncryptionConfiguration"]["Rules"][0]
        return rule["ApplyServerSideEncryptionByDefault"]

    assert await default() == {"SSEAlgorithm": "AES256"}
    assert (await s3.put("plain"))["ServerSideEncryption"] == "AES256"
    kms = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "1234abcd"}
    rules = {"Rules": [{"ApplyServerSideEncryptionByDefault": kms, "BucketKeyEnabled": True}]}
    await s3("PutBucketEncryption", Bucket="dogs", ServerSideEncryptionConfiguration=rules)
    assert await default() == kms
    answer = await s3.put("kms")
    assert answer["ServerSideEncryption"] == "aws:kms"
    assert answer["SSEKMSKeyId"] == "arn:aws:kms:us-east-1:123456789012:key/1234abcd"
    assert answer["BucketKeyEnabled"] is True
    await s3("DeleteBucketEncryption", Bucket="dogs")
    assert await default() == {"SSEAlgorithm": "AES256"}


async def test_public_access_block(s3: S3) -> None:
    found = await s3("GetPublicAccessBlock", Bucket="dogs")
    assert set(found["PublicAccessBlockConfiguration"].values()) == {True}
    given = {"BlockPublicAcls": True}
    await s3("PutPublicAccessBlock", Bucket="dogs", PublicAccessBlockConfiguration=given)
    found = await s3("GetPublicAccessBlock", Bucket="dogs")
    assert found["PublicAccessBlockConfiguration"] == {
        "BlockPublicAcls": True,
        "IgnorePublicAcls": False,
        "BlockPublicPolicy": False,
        "RestrictPublicBuckets": False,
    }
    await s3("DeletePublicAccessBlock", Bucket="dogs")
    with refused("NoSuchPublicAccessBlockConfiguration", 404):
        await s3("GetPublicAccessBlock", Bucket="dogs")


async def test_ownership_and_access_lists(s3: S3) -> None:
    found = await s3("GetBucketOwnershipControls", Bucket="dogs")
    assert found["OwnershipControls"]["Rules"] == [{"ObjectOwnership": "BucketOwnerEnforced"}]
    with refused("AccessControlListNotSupported", 400):
        await s3("PutBucketAcl", Bucket="dogs", ACL="private")
    with refused("AccessControlListNotSupported", 400):
        await s3.put("a", ACL="public-read")
    await s3.put("a", ACL="bucket-owner-full-control")
    rules = {"Rules": [{"ObjectOwnership": "ObjectWriter"}]}
    await s3("PutBucketOwnershipControls", Bucket="dogs", OwnershipControls=rules)
    await s3("PutBucketAcl", Bucket="dogs", ACL="private")
    with refused("AccessDenied", 403):  # all public access is blocked
        await s3("PutBucketAcl", Bucket="dogs", ACL="public-read")
    for acl in (
        await s3("GetBucketAcl", Bucket="dogs"),
        await s3("GetObjectAcl", Bucket="dogs", Key="a"),
    ):
        assert acl["Grants"][0]["Permission"] == "FULL_CONTROL"
        assert acl["Grants"][0]["Grantee"]["ID"] == acl["Owner"]["ID"]
    await s3("DeleteBucketOwnershipControls", Bucket="dogs")
    with refused("OwnershipControlsNotFoundError", 404):
        await s3("GetBucketOwnershipControls", Bucket="dogs")


def policy(**changes: Any) -> str:
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": "arn:aws:iam::123456789012:root"},
        "Action": "s3:GetObject",
        "Resource": "arn:aws:s3:::dogs/*",
        **changes,
    }
    kept = {name: value for name, value in statement.items() if value is not None}
    return json.dumps({"Version": "2012-10-17", "Statement": [kept]})


async def test_policy(s3: S3) -> None:
    with refused("NoSuchBucketPolicy", 404):
        await s3("GetBucketPolicy", Bucket="dogs")
    await s3("PutBucketPolicy", Bucket="dogs", Policy=policy())
    assert (await s3("GetBucketPolicy", Bucket="dogs"))["Policy"] == policy()
    status = await s3("GetBucketPolicyStatus", Bucket="dogs")
    assert status == {"PolicyStatus": {"IsPublic": False}}
    await s3("DeleteBucketPolicy", Bucket="dogs")
    with refused("NoSuchBucketPolicy", 404):
        await s3("GetBucketPolicyStatus", Bucket="dogs")


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("not json", "valid JSON"),
        ("[]", "valid JSON"),
        ("{}", "Statement"),
        (policy(Effect=None), "Effect"),
        (policy(Effect="Perhaps"), "Perhaps"),
        (policy(Principal=None), "Principal"),
        (policy(Principal="somebody"), "syntax"),
        (policy(Action=None), "Action"),
        (policy(Action="ec2:RunInstances"), "action"),
        (policy(Resource=None), "Resource"),
        (policy(Resource="arn:aws:s3:::cats/*"), "resource"),
    ],
)
async def test_malformed_policy(s3: S3, text: str, word: str) -> None:
    with refused("MalformedPolicy", 400, word):
        await s3("PutBucketPolicy", Bucket="dogs", Policy=text)


@pytest.mark.parametrize(
    ("condition", "public"),
    [
        (None, True),
        ({"StringEquals": {"aws:SourceVpce": "vpce-1"}}, False),
        ({"StringLike": {"aws:SourceVpce": "vpce-*"}}, True),
        ({"IpAddress": {"aws:SourceIp": "0.0.0.0/0"}}, True),
        ({"Bool": {"aws:SecureTransport": "true"}}, True),
        ({"StringNotEquals": {"aws:SourceVpce": "vpce-1"}}, True),
    ],
)
async def test_public_policies_are_blocked_until_the_block_is_lifted(
    s3: S3, condition: Any, public: bool
) -> None:
    text = policy(Principal="*", Condition=condition)
    if public:
        with refused("AccessDenied", 403, "BlockPublicPolicy"):
            await s3("PutBucketPolicy", Bucket="dogs", Policy=text)
        await s3("DeletePublicAccessBlock", Bucket="dogs")
    await s3("PutBucketPolicy", Bucket="dogs", Policy=text)
    status = await s3("GetBucketPolicyStatus", Bucket="dogs")
    assert status["PolicyStatus"]["IsPublic"] is public


async def test_lifecycle_survives_a_restart_with_its_dates(s3: S3) -> None:
    with refused("NoSuchLifecycleConfiguration", 404):
        await s3("GetBucketLifecycleConfiguration", Bucket="dogs")
    rules = [
        {
            "ID": "old",
            "Filter": {"Prefix": "logs/"},
            "Status": "Enabled",
            "Expiration": {"Date": later(86400)},
            "Transitions": [{"Date": later(3600), "StorageClass": "GLACIER"}],
        },
        {"Filter": {}, "Status": "Disabled", "Expiration": {"Days": 3}},
    ]
    await s3(
        "PutBucketLifecycleConfiguration", Bucket="dogs", LifecycleConfiguration={"Rules": rules}
    )
    s3.close()
    again = S3(s3.folder)
    found = await again("GetBucketLifecycleConfiguration", Bucket="dogs")
    assert found["Rules"][0] == rules[0]
    assert found["Rules"][1]["ID"]
    assert found["TransitionDefaultMinimumObjectSize"] == "all_storage_classes_128K"
    await again("DeleteBucketLifecycle", Bucket="dogs")
    with refused("NoSuchLifecycleConfiguration", 404):
        await again("GetBucketLifecycleConfiguration", Bucket="dogs")
    again.close()


@pytest.mark.parametrize(
    ("rules", "code"),
    [
        ([{"Status": "Enabled", "Filter": {}}], "InvalidRequest"),
        ([{"Status": "Enabled", "Expiration": {"Days": 1}}], "MalformedXML"),
        ([{"Status": "Enabled", "Filter": {}, "Expiration": {"Days": 0}}], "InvalidArgument"),
        (
            [{"ID": "a", "Status": "Enabled", "Filter": {}, "Expiration": {"Days": 1}}] * 2,
            "InvalidArgument",
        ),
        ([], "MalformedXML"),
    ],
)
async def test_bad_lifecycle(s3: S3, rules: list[dict[str, Any]], code: str) -> None:
    with refused(code, 400):
        await s3(
            "PutBucketLifecycleConfiguration",
            Bucket="dogs",
            LifecycleConfiguration={"Rules": rules},
        )


async def test_bucket_tags(s3: S3) -> None:
    with refused("NoSuchTagSet", 404):
        await s3("GetBucketTagging", Bucket="dogs")
    tag_set = [{"Key": "project", "Value": "dogs"}]
    await s3("PutBucketTagging", Bucket="dogs", Tagging={"TagSet": tag_set})
    assert (await s3("GetBucketTagging", Bucket="dogs"))["TagSet"] == tag_set
    await s3("DeleteBucketTagging", Bucket="dogs")
    with refused("NoSuchTagSet", 404):
        await s3("GetBucketTagging", Bucket="dogs")


@pytest.mark.parametrize(
    ("operation", "code"),
    [
        ("GetBucketCors", "NoSuchCORSConfiguration"),
        ("GetBucketWebsite", "NoSuchWebsiteConfiguration"),
        ("GetBucketReplication", "ReplicationConfigurationNotFoundError"),
        ("GetObjectLockConfiguration", "ObjectLockConfigurationNotFoundError"),
    ],
)
async def test_what_was_never_set(s3: S3, operation: str, code: str) -> None:
    with refused(code, 404):
        await s3(operation, Bucket="dogs")


async def test_what_is_empty_until_it_is_set(s3: S3) -> None:
    for operation in (
        "GetBucketLogging",
        "GetBucketNotificationConfiguration",
        "GetBucketAccelerateConfiguration",
    ):
        assert await s3(operation, Bucket="dogs") == {}
    assert await s3("GetBucketRequestPayment", Bucket="dogs") == {"Payer": "BucketOwner"}


async def test_the_checksum_of_a_document_is_verified(s3: S3) -> None:
    document = b"<Tagging/>"
    good = base64.b64encode(hashlib.md5(document).digest()).decode()
    params: dict[str, Any] = {"Bucket": "dogs", "Tagging": {"TagSet": []}, "document": document}
    await s3("PutBucketTagging", headers={"content-md5": good}, **params)
    bad = base64.b64encode(hashlib.md5(b"another").digest()).decode()
    with refused("BadDigest", 400):
        await s3("PutBucketTagging", headers={"content-md5": bad}, **params)
    with refused("BadDigest", 400):
        await s3("PutBucketTagging", headers={"x-amz-checksum-crc32": "AAAAAA=="}, **params)
