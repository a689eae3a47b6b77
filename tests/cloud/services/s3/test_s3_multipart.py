"""Multipart uploads."""

from __future__ import annotations

import base64
import hashlib
import zlib
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cloud.aws import refused
from cloud.services.s3.s3_calls import S3, Body
from fogbank.cloud.state import objects_checksums as checksums

pytestmark = pytest.mark.docs

MIB = 1024**2
FIRST = bytes(5 * MIB)
LAST = b"the end"


def b64(digest: bytes) -> str:
    return base64.b64encode(digest).decode()


def etag_of(*contents: bytes) -> str:
    joined = b"".join(hashlib.md5(content).digest() for content in contents)
    return f'"{hashlib.md5(joined).hexdigest()}-{len(contents)}"'


async def test_the_parts_become_one_object(s3: S3) -> None:
    upload_id, parts = await s3.upload("a", [FIRST, LAST], ContentType="image/png", Tagging="t=1")
    with refused("NoSuchKey", 404):
        await s3.get("a")
    done = await s3.complete("a", upload_id, parts)
    assert done["ETag"] == etag_of(FIRST, LAST)
    assert done["Location"] == "https://dogs.s3.amazonaws.com/a"
    found = await s3.get("a", ChecksumMode="ENABLED")
    assert found["Body"] == FIRST + LAST
    assert (found["ContentType"], found["TagCount"]) == ("image/png", 1)
    assert found["ChecksumCRC64NVME"] == checksums.of("CRC64NVME", FIRST + LAST)
    assert found["ChecksumType"] == "FULL_OBJECT"
    with refused("NoSuchUpload", 404):
        await s3("ListParts", Bucket="dogs", Key="a", UploadId=upload_id)
    s3.objects.close()
    files = [path for path in (s3.folder / "s3").rglob("*") if path.is_file()]
    assert len(files) == 1


async def test_completing_twice_gives_the_same_answer(s3: S3) -> None:
    upload_id, parts = await s3.upload("a", [LAST])
    done = await s3.complete("a", upload_id, parts)
    assert await s3.complete("a", upload_id, parts) == done
    await s3.put("a", b"something else")
    with refused("NoSuchUpload", 404):
        await s3.complete("a", upload_id, parts)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    tail=st.binary(max_size=50),
    extra=st.integers(0, 700_000),
    kind=st.sampled_from(["CRC32", "CRC32C", "CRC64NVME"]),
)
async def test_multipart_law(s3: S3, tail: bytes, extra: int, kind: str) -> None:
    """Content and full-object checksum are those of the same bytes in one piece."""
    contents = [FIRST + bytes([7]) * extra, tail]
    begun = await s3(
        "CreateMultipartUpload",
        Bucket="dogs",
        Key="parts",
        ChecksumAlgorithm=kind,
        ChecksumType="FULL_OBJECT",
    )
    parts = []
    for number, content in enumerate(contents, start=1):
        sent = await s3(
            "UploadPart",
            Bucket="dogs",
            Key="parts",
            UploadId=begun["UploadId"],
            PartNumber=number,
            Body=Body(content),
        )
        parts.append({"PartNumber": number, "ETag": sent["ETag"]})
    done = await s3.complete("parts", begun["UploadId"], parts)
    whole = b"".join(contents)
    put = await s3.put("whole", whole, **{f"Checksum{kind}": checksums.of(kind, whole)})
    assert done[f"Checksum{kind}"] == put[f"Checksum{kind}"]
    assert (await s3.get("parts"))["Body"] == whole


async def test_composite_checksums(s3: S3) -> None:
    begun = await s3("CreateMultipartUpload", Bucket="dogs", Key="a", ChecksumAlgorithm="SHA256")
    assert begun["ChecksumType"] == "COMPOSITE"
    parts, digests = [], []
    for number, content in enumerate((FIRST, LAST), start=1):
        digest = hashlib.sha256(content).digest()
        sent = await s3(
            "UploadPart",
            Bucket="dogs",
            Key="a",
            UploadId=begun["UploadId"],
            PartNumber=number,
            Body=Body(content),
            ChecksumSHA256=b64(digest),
        )
        assert sent["ChecksumSHA256"] == b64(digest)
        digests.append(digest)
        parts.append({"PartNumber": number, "ETag": sent["ETag"]})
    with refused("InvalidRequest", 400, "missing for part 1"):
        await s3.complete("a", begun["UploadId"], parts)
    for part, digest in zip(parts, digests, strict=True):
        part["ChecksumSHA256"] = b64(digest)
    wrong = [{**parts[0], "ChecksumSHA256": parts[1]["ChecksumSHA256"]}, parts[1]]
    with refused("InvalidPart", 400):
        await s3.complete("a", begun["UploadId"], wrong)
    with refused("BadDigest", 400):
        await s3.complete("a", begun["UploadId"], parts, ChecksumSHA256=b64(digests[0]))
    done = await s3.complete("a", begun["UploadId"], parts)
    expected = b64(hashlib.sha256(b"".join(digests)).digest()) + "-2"
    assert (done["ChecksumSHA256"], done["ChecksumType"]) == (expected, "COMPOSITE")
    attributes = await s3(
        "GetObjectAttributes",
        Bucket="dogs",
        Key="a",
        ObjectAttributes=["ObjectParts"],
        MaxParts=1,
        PartNumberMarker=1,
    )
    assert attributes["ObjectParts"] == {
        "TotalPartsCount": 2,
        "PartNumberMarker": 1,
        "NextPartNumberMarker": 2,
        "MaxParts": 1,
        "IsTruncated": False,
        "Parts": [{"PartNumber": 2, "Size": len(LAST), "ChecksumSHA256": b64(digests[1])}],
    }


@pytest.mark.observed
async def test_parts_carry_the_checksum_that_the_upload_was_begun_with(s3: S3) -> None:
    crc32 = b64(zlib.crc32(LAST).to_bytes(4, "big"))

    async def send(begun: dict[str, Any], **params: Any) -> None:
        await s3(
            "UploadPart",
            Bucket="dogs",
            Key="a",
            UploadId=begun["UploadId"],
            PartNumber=1,
            Body=Body(LAST),
            **params,
        )

    plain = await s3("CreateMultipartUpload", Bucket="dogs", Key="a")
    await send(plain, ChecksumCRC32=crc32)  # as boto3 does
    with refused("BadDigest", 400, "CRC32"):
        await send(plain, ChecksumCRC32="AAAAAA==")
    composite = await s3("CreateMultipartUpload", Bucket="dogs", Key="a", ChecksumAlgorithm="CRC32")
    with refused("InvalidRequest", 400, "expected checksum Type: crc32", "null"):
        await send(composite)
    await send(composite, ChecksumCRC32=crc32)


@pytest.mark.parametrize(
    ("algorithm", "kind"), [("SHA256", "FULL_OBJECT"), ("CRC64NVME", "COMPOSITE"), (None, "X")]
)
async def test_impossible_checksum_types(s3: S3, algorithm: str | None, kind: str) -> None:
    given_params: dict[str, Any] = {"ChecksumAlgorithm": algorithm} if algorithm else {}
    with refused("InvalidRequest", 400):
        await s3("CreateMultipartUpload", Bucket="dogs", Key="a", ChecksumType=kind, **given_params)


async def test_bad_completions(s3: S3) -> None:
    upload_id, parts = await s3.upload("a", [FIRST, LAST, LAST])
    first, second, third = parts
    for wrong, code in (
        ([], "MalformedXML"),
        ([second, first], "InvalidPartOrder"),
        ([first, first], "InvalidPartOrder"),
        ([{**first, "ETag": '"other"'}], "InvalidPart"),
        ([first, {"PartNumber": 9, "ETag": second["ETag"]}], "InvalidPart"),
        ([first, second, third], "EntityTooSmall"),
    ):
        with refused(code, 400):
            await s3.complete("a", upload_id, wrong)
    with refused("InvalidRequest", 400, "x-amz-mp-object-size"):
        await s3.complete("a", upload_id, [first, second], MpuObjectSize=1)
    with refused("NoSuchUpload", 404):
        await s3.complete("a", "nonsense", parts)
    with refused("NoSuchUpload", 404):
        await s3.complete("b", upload_id, parts)
    await s3.complete("a", upload_id, [first, third], MpuObjectSize=len(FIRST + LAST))
    assert (await s3.get("a"))["Body"] == FIRST + LAST


@pytest.mark.parametrize("number", [0, 10_001])
async def test_part_numbers(s3: S3, number: int) -> None:
    begun = await s3("CreateMultipartUpload", Bucket="dogs", Key="a")
    with refused("InvalidArgument", 400):
        await s3(
            "UploadPart",
            Bucket="dogs",
            Key="a",
            UploadId=begun["UploadId"],
            PartNumber=number,
            Body=Body(LAST),
        )


async def test_conditional_completion(s3: S3) -> None:
    upload_id, parts = await s3.upload("a", [LAST])
    await s3.put("a")
    with refused("PreconditionFailed", 412):
        await s3.complete("a", upload_id, parts, IfNoneMatch="*")
    await s3("DeleteObject", Bucket="dogs", Key="a")
    await s3.complete("a", upload_id, parts, IfNoneMatch="*")


async def test_reading_by_part_number(s3: S3) -> None:
    upload_id, parts = await s3.upload("a", [FIRST, LAST])
    await s3.complete("a", upload_id, parts)
    found = await s3.get("a", PartNumber=2)
    assert (found["Body"], found["PartsCount"], s3.status) == (LAST, 2, 206)
    size = len(FIRST + LAST)
    assert found["ContentRange"] == f"bytes {len(FIRST)}-{size - 1}/{size}"
    with refused("InvalidPartNumber", 416):
        await s3.get("a", PartNumber=3)
    with refused("InvalidRequest", 400):
        await s3.get("a", PartNumber=1, Range="bytes=0-1")
    await s3.put("b")
    assert (await s3.get("b", PartNumber=1))["Body"] == b"content"


async def test_an_aborted_upload_leaves_nothing(s3: S3) -> None:
    upload_id, parts = await s3.upload("a", [FIRST, LAST])
    await s3("AbortMultipartUpload", Bucket="dogs", Key="a", UploadId=upload_id)
    with refused("NoSuchUpload", 404):
        await s3("AbortMultipartUpload", Bucket="dogs", Key="a", UploadId=upload_id)
    with refused("NoSuchUpload", 404):
        await s3.complete("a", upload_id, parts)
    s3.objects.close()
    assert not [path for path in (s3.folder / "s3").rglob("*") if path.is_file()]


async def test_a_part_sent_again_replaces_the_first(s3: S3) -> None:
    upload_id, _ = await s3.upload("a", [b"wrong"])
    sent = await s3(
        "UploadPart",
        Bucket="dogs",
        Key="a",
        UploadId=upload_id,
        PartNumber=1,
        Body=Body(LAST),
    )
    await s3.complete("a", upload_id, [{"PartNumber": 1, "ETag": sent["ETag"]}])
    assert (await s3.get("a"))["Body"] == LAST
    s3.objects.close()
    assert len([path for path in (s3.folder / "s3").rglob("*") if path.is_file()]) == 1


async def test_parts_copied_from_objects(s3: S3) -> None:
    await s3.put("source", FIRST + LAST)
    begun = await s3("CreateMultipartUpload", Bucket="dogs", Key="a")
    parts = []
    size = len(FIRST)
    for number, span in enumerate((f"bytes=0-{size - 1}", f"bytes={size}-{size + 6}"), start=1):
        sent = await s3(
            "UploadPartCopy",
            Bucket="dogs",
            Key="a",
            UploadId=begun["UploadId"],
            PartNumber=number,
            CopySource="dogs/source",
            CopySourceRange=span,
        )
        parts.append({"PartNumber": number, "ETag": sent["CopyPartResult"]["ETag"]})
    done = await s3.complete("a", begun["UploadId"], parts)
    assert done["ETag"] == etag_of(FIRST, LAST)
    for span in ("bytes=0-", "bytes=5-1", f"bytes=0-{size + 7}"):
        second = await s3("CreateMultipartUpload", Bucket="dogs", Key="b")
        with refused("InvalidArgument", 400):
            await s3(
                "UploadPartCopy",
                Bucket="dogs",
                Key="b",
                UploadId=second["UploadId"],
                PartNumber=1,
                CopySource="dogs/source",
                CopySourceRange=span,
            )


async def test_list_parts(s3: S3) -> None:
    upload_id, parts = await s3.upload("a", [FIRST, LAST, LAST])
    seen: list[dict[str, Any]] = []
    marker = 0
    for _ in range(20):
        page = await s3(
            "ListParts",
            Bucket="dogs",
            Key="a",
            UploadId=upload_id,
            MaxParts=2,
            PartNumberMarker=marker,
        )
        seen += page["Parts"]
        if not page["IsTruncated"]:
            break
        marker = page["NextPartNumberMarker"]
    assert [{name: part[name] for name in ("PartNumber", "ETag")} for part in seen] == parts
    assert [part["Size"] for part in seen] == [len(FIRST), len(LAST), len(LAST)]


@pytest.mark.parametrize("limit", [1, 2, 100])
async def test_list_uploads_in_pages(s3: S3, limit: int) -> None:
    made = []
    for key in ("a", "a", "b/1", "c"):
        made.append((key, (await s3.upload(key, []))[0]))
        await s3.clock.advance(1)
    seen: list[tuple[str, str]] = []
    markers: dict[str, Any] = {}
    for _ in range(20):
        page = await s3("ListMultipartUploads", Bucket="dogs", MaxUploads=limit, **markers)
        seen += [(upload["Key"], upload["UploadId"]) for upload in page["Uploads"]]
        if not page["IsTruncated"]:
            break
        markers = {
            "KeyMarker": page["NextKeyMarker"],
            "UploadIdMarker": page["NextUploadIdMarker"],
        }
    assert seen == made
    page = await s3("ListMultipartUploads", Bucket="dogs", Delimiter="/", Prefix="b")
    assert page["CommonPrefixes"] == [{"Prefix": "b/"}]
    assert "Uploads" not in page
