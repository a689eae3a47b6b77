"""Objects: written, read, copied, tagged, deleted."""

from __future__ import annotations

import base64
import hashlib
import zlib
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cloud.aws import NOW, refused
from cloud.services.s3.s3_calls import S3, Body, later

pytestmark = pytest.mark.docs


def b64(digest: bytes) -> str:
    return base64.b64encode(digest).decode()


def crc32(content: bytes) -> str:
    return b64(zlib.crc32(content).to_bytes(4, "big"))


async def test_what_was_put_comes_back_with_all_that_was_said_of_it(s3: S3) -> None:
    written = await s3.put(
        "a/b.png",
        b"pixels",
        ContentType="image/png",
        CacheControl="max-age=60",
        ContentDisposition="inline",
        ContentEncoding="aws-chunked,gzip",
        ContentLanguage="de",
        Expires=later(60),
        Metadata={"Breed": "boxer"},
        StorageClass="STANDARD_IA",
        WebsiteRedirectLocation="/elsewhere",
        Tagging="a=1&b=x%20y",
    )
    etag = f'"{hashlib.md5(b"pixels").hexdigest()}"'
    assert written["ETag"] == etag
    assert "VersionId" not in written
    found = await s3.get("a/b.png")
    assert found == {
        "Body": b"pixels",
        "ContentLength": 6,
        "ETag": etag,
        "LastModified": NOW,
        "AcceptRanges": "bytes",
        "ContentType": "image/png",
        "CacheControl": "max-age=60",
        "ContentDisposition": "inline",
        "ContentEncoding": "gzip",
        "ContentLanguage": "de",
        "Expires": later(60),
        "Metadata": {"breed": "boxer"},
        "StorageClass": "STANDARD_IA",
        "WebsiteRedirectLocation": "/elsewhere",
        "ServerSideEncryption": "AES256",
        "TagCount": 2,
    }
    del found["Body"]
    assert await s3("HeadObject", Bucket="dogs", Key="a/b.png") == found
    tag_set = (await s3("GetObjectTagging", Bucket="dogs", Key="a/b.png"))["TagSet"]
    assert tag_set == [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "x y"}]


@pytest.mark.parametrize(
    "key", ["../../etc/passwd", "a//b", "/a", "a/", "/", "ä/🐕", "a\nb", "." * 1024, "%2e", "a\0b"]
)
async def test_any_key_is_a_name_and_never_a_path(s3: S3, key: str) -> None:
    await s3.put(key, key.encode())
    assert (await s3.get(key))["Body"] == key.encode()
    listed = await s3("ListObjectsV2", Bucket="dogs")
    assert [entry["Key"] for entry in listed["Contents"]] == [key]


async def test_a_key_has_at_most_1024_bytes(s3: S3) -> None:
    with refused("KeyTooLongError", 400):
        await s3.put("ä" * 513)


async def test_the_newest_content_replaces_the_old_file(s3: S3) -> None:
    for content in (b"one", b"two", b"three"):
        await s3.put("a", content)
    assert (await s3.get("a"))["Body"] == b"three"
    s3.objects.close()
    assert len([path for path in (s3.folder / "s3").rglob("*") if path.is_file()]) == 1


async def test_missing_object(s3: S3) -> None:
    for operation in ("GetObject", "HeadObject", "GetObjectTagging", "GetObjectAcl"):
        with refused("NoSuchKey", 404):
            await s3(operation, Bucket="dogs", Key="a")


CONTENT = bytes(range(200))


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
async def test_range_law(s3: S3, data: st.DataObject) -> None:
    """A range is the slice, clipped at the end; a suffix counts from the end."""
    content = CONTENT[: data.draw(st.integers(1, len(CONTENT)))]
    await s3.put("a", content)
    first = data.draw(st.integers(0, len(content) - 1))
    last = data.draw(st.integers(first, len(content) + 5))
    suffix = data.draw(st.integers(1, len(content) + 5))
    for header, expected in (
        (f"bytes={first}-{last}", content[first : last + 1]),
        (f"bytes={first}-", content[first:]),
        (f"bytes=-{suffix}", content[-suffix:]),
    ):
        found = await s3.get("a", Range=header)
        assert s3.status == 206
        assert found["Body"] == expected
        assert found["ContentLength"] == len(expected)
        start = content.index(expected)
        end = start + len(expected) - 1
        assert found["ContentRange"] == f"bytes {start}-{end}/{len(content)}"


@pytest.mark.parametrize("header", ["bytes=5-2", "lines=1-2", "bytes=0-1,3-4", "bytes=-", "x"])
async def test_a_range_that_makes_no_sense_is_ignored(s3: S3, header: str) -> None:
    await s3.put("a", b"0123456789")
    found = await s3.get("a", Range=header)
    assert (found["Body"], s3.status) == (b"0123456789", None)


@pytest.mark.parametrize("header", ["bytes=10-", "bytes=10-12", "bytes=-0"])
async def test_a_range_without_a_byte_is_not_satisfiable(s3: S3, header: str) -> None:
    await s3.put("a", b"0123456789")
    with refused("InvalidRange", 416):
        await s3.get("a", Range=header)
    await s3.put("empty", b"")
    assert (await s3.get("empty"))["Body"] == b""
    with refused("InvalidRange", 416):
        await s3.get("empty", Range=header)


@pytest.mark.parametrize(
    ("conditions", "outcome"),
    [
        ({"IfMatch": "ETAG"}, 200),
        ({"IfMatch": "*"}, 200),
        ({"IfMatch": '"other", ETAG'}, 200),
        ({"IfMatch": '"other"'}, 412),
        ({"IfNoneMatch": "ETAG"}, 304),
        ({"IfNoneMatch": '"other"'}, 200),
        ({"IfModifiedSince": later(-1)}, 200),
        ({"IfModifiedSince": later(0)}, 304),
        ({"IfUnmodifiedSince": later(0)}, 200),
        ({"IfUnmodifiedSince": later(-1)}, 412),
        ({"IfMatch": "ETAG", "IfUnmodifiedSince": later(-1)}, 200),
        ({"IfNoneMatch": "ETAG", "IfModifiedSince": later(-1)}, 304),
        ({"IfNoneMatch": '"other"', "IfModifiedSince": later(0)}, 200),
    ],
)
@pytest.mark.parametrize("operation", ["GetObject", "HeadObject"])
async def test_conditional_reads(
    s3: S3, operation: str, conditions: dict[str, Any], outcome: int
) -> None:
    etag = (await s3.put("a"))["ETag"]
    given_conditions: dict[str, Any] = {
        name: value.replace("ETAG", etag) if isinstance(value, str) else value
        for name, value in conditions.items()
    }
    if outcome == 412:
        with refused("PreconditionFailed", 412):
            await s3(operation, Bucket="dogs", Key="a", **given_conditions)
        return
    found = await s3(operation, Bucket="dogs", Key="a", **given_conditions)
    assert s3.status == (304 if outcome == 304 else None)
    assert found["ETag"] == etag
    assert ("ContentLength" in found) is (outcome == 200)
    assert "Body" not in found or outcome == 200


async def test_conditional_writes(s3: S3) -> None:
    etag = (await s3.put("a", b"one", IfNoneMatch="*"))["ETag"]
    with refused("PreconditionFailed", 412):
        await s3.put("a", b"two", IfNoneMatch="*")
    with refused("PreconditionFailed", 412):
        await s3.put("a", b"two", IfMatch='"other"')
    with refused("NoSuchKey", 404):
        await s3.put("b", b"two", IfMatch=etag)
    with refused("NotImplemented", 501):
        await s3.put("a", b"two", IfNoneMatch=etag)
    assert (await s3.get("a"))["Body"] == b"one"
    await s3.put("a", b"two", IfMatch=etag)
    assert (await s3.get("a"))["Body"] == b"two"


async def test_response_overrides(s3: S3) -> None:
    await s3.put("a", ContentType="image/png")
    found = await s3.get("a", ResponseContentType="text/plain", ResponseCacheControl="no-store")
    assert (found["ContentType"], found["CacheControl"]) == ("text/plain", "no-store")


async def test_archived_objects_are_not_readable(s3: S3) -> None:
    await s3.put("a", StorageClass="GLACIER")
    with refused("InvalidObjectState", 403):
        await s3.get("a")
    head = await s3("HeadObject", Bucket="dogs", Key="a")
    assert head["StorageClass"] == "GLACIER"


@pytest.mark.parametrize(
    ("params", "code", "status"),
    [
        ({"StorageClass": "MARBLE"}, "InvalidStorageClass", 400),
        ({"Metadata": {"a": "x" * 2048}}, "MetadataTooLarge", 400),
        ({"ServerSideEncryption": "rot13"}, "InvalidArgument", 400),
        ({"SSEKMSKeyId": "1234"}, "InvalidArgument", 400),
        ({"SSECustomerAlgorithm": "AES256"}, "NotImplemented", 501),
        ({"ObjectLockMode": "GOVERNANCE"}, "InvalidRequest", 400),
        ({"Tagging": "&".join(f"k{n}=v" for n in range(11))}, "BadRequest", 400),
        ({"Tagging": "a=1&a=2"}, "InvalidTag", 400),
        ({"Tagging": "aws:a=1"}, "InvalidTag", 400),
        ({"Tagging": f"{'k' * 129}=1"}, "InvalidTag", 400),
        ({"Tagging": f"k={'v' * 257}"}, "InvalidTag", 400),
        ({"ContentMD5": "nonsense"}, "InvalidDigest", 400),
        ({"ContentMD5": b64(hashlib.md5(b"other").digest())}, "BadDigest", 400),
        ({"ChecksumCRC32": "AAAA"}, "InvalidRequest", 400),
        ({"ChecksumCRC32": crc32(b"other")}, "BadDigest", 400),
        ({"ChecksumCRC32": "AAAAAA==", "ChecksumCRC32C": "AAAAAA=="}, "InvalidRequest", 400),
    ],
)
async def test_bad_writes_leave_nothing(
    s3: S3, params: dict[str, Any], code: str, status: int
) -> None:
    with refused(code, status):
        await s3.put("a", **params)
    with refused("NoSuchKey", 404):
        await s3.get("a")
    s3.objects.close()
    assert not [path for path in (s3.folder / "s3").rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    ("algorithm", "value"),
    [
        # "123456789": the check values of the CRC catalogue, and hashlib
        ("CRC32", b64(bytes.fromhex("cbf43926"))),
        ("CRC32C", b64(bytes.fromhex("e3069283"))),
        ("CRC64NVME", b64(bytes.fromhex("ae8b14860a799888"))),
        ("SHA1", b64(hashlib.sha1(b"123456789").digest())),
        ("SHA256", b64(hashlib.sha256(b"123456789").digest())),
        ("SHA512", b64(hashlib.sha512(b"123456789").digest())),
        ("MD5", b64(hashlib.md5(b"123456789").digest())),
        ("XXHASH64", b64(bytes.fromhex("8cb841db40e6ae83"))),
    ],
)
async def test_checksums_are_verified_kept_and_given_back(
    s3: S3, algorithm: str, value: str
) -> None:
    member = f"Checksum{algorithm}"
    written = await s3.put("a", b"123456789", **{member: value})
    assert (written[member], written["ChecksumType"]) == (value, "FULL_OBJECT")
    body = Body(b"1234", b"56789", trailers={f"x-amz-checksum-{algorithm.lower()}": value})
    trailer = {"x-amz-trailer": f"x-amz-checksum-{algorithm.lower()}"}
    written = await s3("PutObject", headers=trailer, Bucket="dogs", Key="b", Body=body)
    assert written[member] == value
    for key in ("a", "b"):
        assert member not in await s3.get(key)
        assert (await s3.get(key, ChecksumMode="ENABLED"))[member] == value
        ranged = await s3.get(key, ChecksumMode="ENABLED", Range="bytes=0-3")
        assert member not in ranged
    listed = await s3("ListObjectsV2", Bucket="dogs")
    assert listed["Contents"][0]["ChecksumAlgorithm"] == [algorithm]


async def test_a_wrong_trailer_is_a_bad_digest(s3: S3) -> None:
    body = Body(b"123456789", trailers={"x-amz-checksum-crc32": crc32(b"other")})
    with refused("BadDigest", 400, "CRC32"):
        await s3(
            "PutObject",
            headers={"x-amz-trailer": "x-amz-checksum-crc32"},
            Bucket="dogs",
            Key="a",
            Body=body,
        )


async def test_without_a_checksum_s3_computes_its_own(s3: S3) -> None:
    written = await s3.put("a", b"123456789")
    assert written["ChecksumCRC64NVME"] == b64(bytes.fromhex("ae8b14860a799888"))
    with refused("InvalidRequest", 400, "x-amz-sdk-checksum-algorithm"):
        await s3.put("b", headers={"x-amz-sdk-checksum-algorithm": "CRC32"})


async def test_attributes(s3: S3) -> None:
    etag = (await s3.put("a", b"123456789", ChecksumCRC32=crc32(b"123456789")))["ETag"]
    found = await s3(
        "GetObjectAttributes",
        Bucket="dogs",
        Key="a",
        ObjectAttributes=["ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize"],
    )
    assert found == {
        "LastModified": NOW,
        "ETag": etag.strip('"'),
        "Checksum": {"ChecksumCRC32": crc32(b"123456789"), "ChecksumType": "FULL_OBJECT"},
        "StorageClass": "STANDARD",
        "ObjectSize": 9,
    }


async def test_object_tags_are_replaced_and_removed(s3: S3) -> None:
    await s3.put("a", Tagging="old=1")
    tag_set = [{"Key": "new", "Value": "2"}]
    await s3("PutObjectTagging", Bucket="dogs", Key="a", Tagging={"TagSet": tag_set})
    found = await s3("GetObjectTagging", Bucket="dogs", Key="a")
    assert found["TagSet"] == tag_set
    await s3("DeleteObjectTagging", Bucket="dogs", Key="a")
    found = await s3("GetObjectTagging", Bucket="dogs", Key="a")
    assert found["TagSet"] == []


# -- copies ----------------------------------------------------------------------------------------


async def copy(s3: S3, source: str, key: str, **params: Any) -> dict[str, Any]:
    return await s3("CopyObject", Bucket="dogs", Key=key, CopySource=source, **params)


async def test_a_copy_takes_metadata_and_tags_along(s3: S3) -> None:
    first = await s3.put("ä b/1", Metadata={"x": "1"}, ContentType="image/png", Tagging="t=1")
    copied = await copy(s3, "/dogs/%C3%A4%20b/1", "2")
    assert copied["CopyObjectResult"]["ETag"] == first["ETag"]
    assert copied["CopyObjectResult"]["ChecksumCRC64NVME"] == first["ChecksumCRC64NVME"]
    await s3("DeleteObject", Bucket="dogs", Key="ä b/1")
    found = await s3.get("2")
    assert found["Body"] == b"content"
    assert (found["Metadata"], found["ContentType"]) == ({"x": "1"}, "image/png")
    assert found["TagCount"] == 1


async def test_a_copy_with_metadata_and_tags_of_its_own(s3: S3) -> None:
    await s3.put("1", Metadata={"x": "1"}, ContentType="image/png", Tagging="t=1")
    await copy(
        s3,
        "dogs/1",
        "2",
        MetadataDirective="REPLACE",
        Metadata={"y": "2"},
        TaggingDirective="REPLACE",
        Tagging="u=2",
        StorageClass="STANDARD_IA",
    )
    found = await s3.get("2")
    assert (found["Metadata"], found["ContentType"]) == ({"y": "2"}, "binary/octet-stream")
    assert found["StorageClass"] == "STANDARD_IA"
    tag_set = (await s3("GetObjectTagging", Bucket="dogs", Key="2"))["TagSet"]
    assert tag_set == [{"Key": "u", "Value": "2"}]


async def test_a_copy_onto_itself_must_change_something(s3: S3) -> None:
    await s3.put("1", Metadata={"x": "1"})
    with refused("InvalidRequest", 400, "itself"):
        await copy(s3, "dogs/1", "1")
    await copy(s3, "dogs/1", "1", MetadataDirective="REPLACE", Metadata={"x": "2"})
    found = await s3.get("1")
    assert (found["Body"], found["Metadata"]) == (b"content", {"x": "2"})


@pytest.mark.parametrize(
    ("source", "code", "status"),
    [
        ("dogs", "InvalidArgument", 400),
        ("cats/1", "NoSuchBucket", 404),
        ("dogs/2", "NoSuchKey", 404),
        ("dogs/1?versionId=nonsense", "InvalidArgument", 400),
        (f"dogs/1?versionId={'x' * 32}", "NoSuchVersion", 404),
        ("arn:aws:s3:us-east-1:123456789012:accesspoint/a/object/1", "NotImplemented", 501),
    ],
)
async def test_bad_copy_sources(s3: S3, source: str, code: str, status: int) -> None:
    await s3.put("1")
    with refused(code, status):
        await copy(s3, source, "3")


async def test_conditional_copies(s3: S3) -> None:
    etag = (await s3.put("1"))["ETag"]
    for failing in (
        {"CopySourceIfMatch": '"other"'},
        {"CopySourceIfNoneMatch": etag},
        {"CopySourceIfModifiedSince": later(1)},
        {"CopySourceIfUnmodifiedSince": later(-1)},
    ):
        with refused("PreconditionFailed", 412):
            await copy(s3, "dogs/1", "2", **failing)
    await copy(s3, "dogs/1", "2", CopySourceIfMatch=etag, IfNoneMatch="*")
    with refused("PreconditionFailed", 412):
        await copy(s3, "dogs/1", "2", IfNoneMatch="*")


async def test_a_copy_of_a_multipart_object_is_one_piece(s3: S3) -> None:
    upload_id, parts = await s3.upload("big", [b"part"])
    await s3.complete("big", upload_id, parts)
    copied = await copy(s3, "dogs/big", "small", ChecksumAlgorithm="SHA256")
    result = copied["CopyObjectResult"]
    assert result["ETag"] == f'"{hashlib.md5(b"part").hexdigest()}"'
    assert result["ChecksumSHA256"] == b64(hashlib.sha256(b"part").digest())


# -- deletions and versions ------------------------------------------------------------------------


async def test_deleting_what_is_not_there_succeeds(s3: S3) -> None:
    assert await s3("DeleteObject", Bucket="dogs", Key="a") == {}


async def test_conditional_delete(s3: S3) -> None:
    etag = (await s3.put("a"))["ETag"]
    with refused("PreconditionFailed", 412):
        await s3("DeleteObject", Bucket="dogs", Key="a", IfMatch='"other"')
    await s3("DeleteObject", Bucket="dogs", Key="a", IfMatch=etag)
    with refused("NoSuchKey", 404):
        await s3.get("a")


async def test_delete_many(s3: S3) -> None:
    await s3.put("a")
    await s3.put("b")
    wanted = [{"Key": "a"}, {"Key": "b", "ETag": '"other"'}, {"Key": "c"}]
    answer = await s3("DeleteObjects", Bucket="dogs", Delete={"Objects": wanted})
    assert answer["Deleted"] == [{"Key": "a"}, {"Key": "c"}]
    assert [(error["Key"], error["Code"]) for error in answer["Errors"]] == [
        ("b", "PreconditionFailed")
    ]
    quiet = {"Objects": [{"Key": "b"}], "Quiet": True}
    assert await s3("DeleteObjects", Bucket="dogs", Delete=quiet) == {}
    for bad in ([], [{"Key": "a"}] * 1001):
        with refused("MalformedXML", 400):
            await s3("DeleteObjects", Bucket="dogs", Delete={"Objects": bad})


async def versioning(s3: S3, status: str) -> None:
    configuration = {"Status": status}
    await s3("PutBucketVersioning", Bucket="dogs", VersioningConfiguration=configuration)


async def test_versions_and_delete_markers(s3: S3) -> None:
    await s3.put("a", b"null")
    await versioning(s3, "Enabled")
    first = (await s3.put("a", b"first"))["VersionId"]
    second = (await s3.put("a", b"second"))["VersionId"]
    removed = await s3("DeleteObject", Bucket="dogs", Key="a")
    assert removed["DeleteMarker"] is True
    marker = removed["VersionId"]
    with refused("NoSuchKey", 404):
        await s3.get("a")
    with refused("MethodNotAllowed", 405):
        await s3.get("a", VersionId=marker)
    with refused("NoSuchVersion", 404):
        await s3.get("a", VersionId="x" * 32)
    with refused("InvalidArgument", 400):
        await s3.get("a", VersionId="nonsense")
    for version_id, content in ((first, b"first"), (second, b"second"), ("null", b"null")):
        found = await s3.get("a", VersionId=version_id)
        assert (found["Body"], found["VersionId"]) == (content, version_id)
    with refused("InvalidRequest", 400, "delete marker"):
        await copy(s3, f"dogs/a?versionId={marker}", "b")
    removed = await s3("DeleteObject", Bucket="dogs", Key="a", VersionId=marker)
    assert removed == {"VersionId": marker, "DeleteMarker": True}
    assert (await s3.get("a"))["Body"] == b"second"
    await s3("DeleteObject", Bucket="dogs", Key="a", VersionId=second)
    assert (await s3.get("a"))["Body"] == b"first"
    restored = await copy(s3, "dogs/a?versionId=null", "a")
    assert restored["CopySourceVersionId"] == "null"
    assert (await s3.get("a"))["Body"] == b"null"


async def test_suspended_versioning_writes_over_the_null_version_alone(s3: S3) -> None:
    await versioning(s3, "Enabled")
    kept = (await s3.put("a", b"kept"))["VersionId"]
    await versioning(s3, "Suspended")
    assert (await s3.put("a", b"one"))["VersionId"] == "null"
    assert (await s3.put("a", b"two"))["VersionId"] == "null"
    listed = await s3("ListObjectVersions", Bucket="dogs")
    assert [version["VersionId"] for version in listed["Versions"]] == ["null", kept]
    removed = await s3("DeleteObject", Bucket="dogs", Key="a")
    assert removed == {"VersionId": "null", "DeleteMarker": True}
    listed = await s3("ListObjectVersions", Bucket="dogs")
    assert [version["VersionId"] for version in listed["Versions"]] == [kept]
    assert [marker["IsLatest"] for marker in listed["DeleteMarkers"]] == [True]
    with refused("BucketNotEmpty", 409):
        await s3("DeleteBucket", Bucket="dogs")
    wanted = [{"Key": "a", "VersionId": "null"}, {"Key": "a", "VersionId": kept}]
    answer = await s3("DeleteObjects", Bucket="dogs", Delete={"Objects": wanted})
    assert answer["Deleted"] == [
        {"Key": "a", "VersionId": "null", "DeleteMarker": True, "DeleteMarkerVersionId": "null"},
        {"Key": "a", "VersionId": kept},
    ]
    await s3("DeleteBucket", Bucket="dogs")
