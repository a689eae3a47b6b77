"""S3 as boto3 sees it."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from boto3.s3.transfer import TransferConfig
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from fogbank.testing.cloud import RunningCloud

pytestmark = pytest.mark.docs

MIB = 1024**2
BUCKET = "wire-dogs"


@pytest.fixture(scope="module")
def s3(cloud: RunningCloud) -> Iterator[Any]:
    client = cloud.client("s3")
    client.create_bucket(Bucket=BUCKET)
    yield client
    client.close()


@pytest.fixture(autouse=True)
def emptied(s3: Any) -> Iterator[None]:
    yield
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=BUCKET):
        found = [*page.get("Versions", ()), *page.get("DeleteMarkers", ())]
        if found:
            wanted = [{"Key": entry["Key"], "VersionId": entry["VersionId"]} for entry in found]
            s3.delete_objects(Bucket=BUCKET, Delete={"Objects": wanted})


def refusal(code: str, status: int) -> Any:
    """pytest.raises for a ClientError of that code and status."""
    return pytest.raises(
        ClientError,
        check=lambda error: (
            error.response["Error"]["Code"] == code
            and error.response["ResponseMetadata"]["HTTPStatusCode"] == status
        ),
    )


def test_put_and_get(s3: Any) -> None:
    written = s3.put_object(
        Bucket=BUCKET, Key="ä b/c+d%.png", Body=b"pixels", Metadata={"breed": "boxer"}
    )
    assert written["ETag"] == f'"{hashlib.md5(b"pixels").hexdigest()}"'
    found = s3.get_object(Bucket=BUCKET, Key="ä b/c+d%.png")
    assert found["Body"].read() == b"pixels"
    assert found["Metadata"] == {"breed": "boxer"}
    assert found["ContentType"] == "binary/octet-stream"
    assert found["ChecksumCRC32"]
    assert s3.head_object(Bucket=BUCKET, Key="ä b/c+d%.png")["ContentLength"] == 6


@pytest.mark.parametrize("size", [0, 1, 20 * MIB + 7])
def test_files_of_any_size(s3: Any, tmp_path: Path, size: int) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(os.urandom(size))
    s3.upload_file(str(source), BUCKET, "file")
    s3.download_file(BUCKET, "file", str(target))
    assert target.read_bytes() == source.read_bytes()
    parts = "-3" if size > 8 * MIB else ""
    assert s3.head_object(Bucket=BUCKET, Key="file")["ETag"].strip('"').endswith(parts)


@pytest.mark.parametrize("algorithm", ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"])
def test_checksums(s3: Any, tmp_path: Path, algorithm: str) -> None:
    s3.put_object(Bucket=BUCKET, Key="a", Body=b"x" * 1000, ChecksumAlgorithm=algorithm)
    found = s3.get_object(Bucket=BUCKET, Key="a", ChecksumMode="ENABLED")
    assert found["Body"].read() == b"x" * 1000  # boto3 compares as it reads
    assert found[f"Checksum{algorithm}"]
    source = tmp_path / "source"
    source.write_bytes(bytes(9 * MIB))
    extra = {"ChecksumAlgorithm": algorithm}
    s3.upload_file(str(source), BUCKET, "big", ExtraArgs=extra)
    head = s3.head_object(Bucket=BUCKET, Key="big", ChecksumMode="ENABLED")
    assert head[f"Checksum{algorithm}"]
    assert head["ChecksumType"] == ("FULL_OBJECT" if algorithm == "CRC64NVME" else "COMPOSITE")
    with refusal("BadDigest", 400):
        s3.put_object(Bucket=BUCKET, Key="a", Body=b"other", ChecksumCRC32="AAAAAA==")


def send_trailed(cloud: RunningCloud, body: bytes) -> HTTPResponse:
    """What clients send over TLS: aws-chunked with an unsigned trailer."""
    keys = cloud.credentials["notebook"]
    credentials = Credentials(keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"])
    url = f"{cloud.url}/{BUCKET}/a"
    request = AWSRequest(
        "PUT",
        url,
        {
            "x-amz-decoded-content-length": "5",
            "x-amz-trailer": "x-amz-checksum-crc32",
            "content-encoding": "aws-chunked",
            "content-type": "text/plain",
        },
        body,
    )
    request.context["checksum"] = {"request_algorithm": {"in": "trailer"}}
    S3SigV4Auth(credentials, "s3", "us-east-1").add_auth(request)
    headers = dict(request.headers.items())
    answer: HTTPResponse = urlopen(Request(url, body, headers, method="PUT"))
    return answer


def test_streaming_trailers(cloud: RunningCloud, s3: Any) -> None:
    body = b"5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n"
    with send_trailed(cloud, body) as answer:
        assert answer.headers["x-amz-checksum-crc32"] == "NhCmhg=="
    found = s3.get_object(Bucket=BUCKET, Key="a")
    assert found["Body"].read() == b"hello"
    assert "ContentEncoding" not in found
    with pytest.raises(HTTPError) as caught:
        send_trailed(cloud, body.replace(b"NhCmhg", b"AAAAAA"))
    with caught.value as refused:
        assert (refused.code, b"BadDigest" in refused.read()) == (400, True)


def test_ranges_and_conditions(s3: Any) -> None:
    etag = s3.put_object(Bucket=BUCKET, Key="a", Body=b"0123456789")["ETag"]
    found = s3.get_object(Bucket=BUCKET, Key="a", Range="bytes=-3")
    assert found["ResponseMetadata"]["HTTPStatusCode"] == 206
    assert (found["Body"].read(), found["ContentRange"]) == (b"789", "bytes 7-9/10")
    with refusal("InvalidRange", 416):
        s3.get_object(Bucket=BUCKET, Key="a", Range="bytes=10-")
    with refusal("304", 304):
        s3.get_object(Bucket=BUCKET, Key="a", IfNoneMatch=etag)
    with refusal("304", 304):
        s3.head_object(Bucket=BUCKET, Key="a", IfNoneMatch=etag)
    with refusal("PreconditionFailed", 412):
        s3.get_object(Bucket=BUCKET, Key="a", IfMatch='"other"')


def test_a_refusal_before_the_body_was_read_leaves_the_client_working(s3: Any) -> None:
    """boto3 then never sends the body, and goes on with the next request."""
    s3.put_object(Bucket=BUCKET, Key="a", Body=b"one", IfNoneMatch="*")
    for _ in range(3):
        with refusal("PreconditionFailed", 412):
            s3.put_object(Bucket=BUCKET, Key="a", Body=b"two", IfNoneMatch="*")
        with refusal("NoSuchBucket", 404):
            s3.put_object(Bucket="nobodys", Key="a", Body=bytes(9 * MIB))
        assert s3.get_object(Bucket=BUCKET, Key="a")["Body"].read() == b"one"


def test_what_is_missing(s3: Any) -> None:
    with refusal("NoSuchKey", 404):
        s3.get_object(Bucket=BUCKET, Key="nothing")
    with refusal("404", 404):
        s3.head_object(Bucket=BUCKET, Key="nothing")
    with refusal("NoSuchBucket", 404):
        s3.get_object(Bucket="nobodys", Key="a")
    with refusal("404", 404):
        s3.head_bucket(Bucket="nobodys")
    with refusal("403", 403):
        s3.head_bucket(Bucket=BUCKET, ExpectedBucketOwner="999999999999")


def test_listing(s3: Any) -> None:
    keys = [f"a b/{n}" for n in range(5)] + ["c/1", "d"]
    for key in keys:
        s3.put_object(Bucket=BUCKET, Key=key, Body=b"x")
    pages = list(
        s3.get_paginator("list_objects_v2").paginate(
            Bucket=BUCKET, PaginationConfig={"PageSize": 2}
        )
    )
    assert [entry["Key"] for page in pages for entry in page["Contents"]] == keys
    assert len(pages) == 4
    for name in ("list_objects", "list_objects_v2"):
        pages = list(
            s3.get_paginator(name).paginate(
                Bucket=BUCKET, Delimiter="/", PaginationConfig={"PageSize": 1}
            )
        )
        prefixes = [entry["Prefix"] for page in pages for entry in page.get("CommonPrefixes", ())]
        assert prefixes == ["a b/", "c/"]
        assert [entry["Key"] for page in pages for entry in page.get("Contents", ())] == ["d"]


def test_copies_and_deletions(s3: Any) -> None:
    s3.put_object(Bucket=BUCKET, Key="ä 1", Body=b"x", Tagging="a=1")
    s3.copy_object(Bucket=BUCKET, Key="2", CopySource={"Bucket": BUCKET, "Key": "ä 1"})
    assert s3.get_object(Bucket=BUCKET, Key="2")["Body"].read() == b"x"
    tag_set = s3.get_object_tagging(Bucket=BUCKET, Key="2")["TagSet"]
    assert tag_set == [{"Key": "a", "Value": "1"}]
    s3.upload_fileobj(io.BytesIO(bytes(12 * MIB)), BUCKET, "big")
    # a managed copy of a large object goes by UploadPartCopy
    s3.copy(
        {"Bucket": BUCKET, "Key": "big"},
        BUCKET,
        "big-2",
        Config=TransferConfig(multipart_threshold=MIB, multipart_chunksize=6 * MIB),
    )
    assert s3.head_object(Bucket=BUCKET, Key="big-2")["ContentLength"] == 12 * MIB
    wanted = [{"Key": key} for key in ("ä 1", "2", "big", "big-2", "never there")]
    answer = s3.delete_objects(Bucket=BUCKET, Delete={"Objects": wanted})
    assert len(answer["Deleted"]) == 5
    assert s3.list_objects_v2(Bucket=BUCKET)["KeyCount"] == 0


@pytest.mark.parametrize("version", ["s3", "s3v4"])
def test_presigned_urls(cloud: RunningCloud, version: str) -> None:
    client = cloud.client("s3", config=Config(signature_version=version))
    params = {"Bucket": BUCKET, "Key": "a b"}
    # the older signature covers the content type, which urllib would choose by itself
    typed = {**params, "ContentType": "text/plain"}
    put = client.generate_presigned_url("put_object", Params=typed)
    sent = Request(put, b"hello", {"Content-Type": "text/plain"}, method="PUT")
    with urlopen(sent) as answer:
        assert answer.status == 200
    with urlopen(client.generate_presigned_url("get_object", Params=params)) as answer:
        assert answer.read() == b"hello"
        assert answer.headers["content-length"] == "5"
    client.close()


def test_unfinished_uploads(s3: Any) -> None:
    upload_id = s3.create_multipart_upload(Bucket=BUCKET, Key="a")["UploadId"]
    part = s3.upload_part(
        Bucket=BUCKET,
        Key="a",
        UploadId=upload_id,
        PartNumber=1,
        Body=b"x",
        ChecksumAlgorithm="CRC64NVME",
    )
    (listed,) = s3.list_parts(Bucket=BUCKET, Key="a", UploadId=upload_id)["Parts"]
    assert (listed["ETag"], listed["Size"]) == (part["ETag"], 1)
    (upload,) = s3.list_multipart_uploads(Bucket=BUCKET)["Uploads"]
    assert upload["UploadId"] == upload_id
    s3.abort_multipart_upload(Bucket=BUCKET, Key="a", UploadId=upload_id)
    with refusal("NoSuchUpload", 404):
        s3.list_parts(Bucket=BUCKET, Key="a", UploadId=upload_id)


def test_settings_of_a_bucket(s3: Any) -> None:
    assert s3.get_bucket_location(Bucket=BUCKET)["LocationConstraint"] is None
    assert BUCKET in [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]
    assert s3.head_bucket(Bucket=BUCKET)["BucketRegion"] == "us-east-1"
    rules = s3.get_bucket_encryption(Bucket=BUCKET)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rules[0]["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}
    block = s3.get_public_access_block(Bucket=BUCKET)["PublicAccessBlockConfiguration"]
    assert set(block.values()) == {True}
    controls = s3.get_bucket_ownership_controls(Bucket=BUCKET)["OwnershipControls"]
    assert controls == {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    grants = s3.get_bucket_acl(Bucket=BUCKET)["Grants"]
    assert [grant["Grantee"]["Type"] for grant in grants] == ["CanonicalUser"]
    with refusal("NoSuchBucketPolicy", 404):
        s3.get_bucket_policy(Bucket=BUCKET)
    policy = (
        '{"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Principal": "*", '
        f'"Action": "s3:*", "Resource": "arn:aws:s3:::{BUCKET}/*", '
        '"Condition": {"Bool": {"aws:SecureTransport": "false"}}}]}'
    )
    s3.put_bucket_policy(Bucket=BUCKET, Policy=policy)
    assert s3.get_bucket_policy(Bucket=BUCKET)["Policy"] == policy
    s3.delete_bucket_policy(Bucket=BUCKET)
    rule = {
        "ID": "old",
        "Filter": {"Prefix": "logs/"},
        "Status": "Enabled",
        "Expiration": {"Days": 3},
    }
    s3.put_bucket_lifecycle_configuration(Bucket=BUCKET, LifecycleConfiguration={"Rules": [rule]})
    assert s3.get_bucket_lifecycle_configuration(Bucket=BUCKET)["Rules"] == [rule]
    with refusal("NoSuchCORSConfiguration", 404):
        s3.get_bucket_cors(Bucket=BUCKET)


def test_versions(s3: Any) -> None:
    s3.create_bucket(Bucket="wire-versions")
    enabled = {"Status": "Enabled"}
    s3.put_bucket_versioning(Bucket="wire-versions", VersioningConfiguration=enabled)
    assert s3.get_bucket_versioning(Bucket="wire-versions")["Status"] == "Enabled"
    first = s3.put_object(Bucket="wire-versions", Key="a", Body=b"1")["VersionId"]
    s3.put_object(Bucket="wire-versions", Key="a", Body=b"2")
    marker = s3.delete_object(Bucket="wire-versions", Key="a")
    assert marker["DeleteMarker"] is True
    with refusal("405", 405):
        s3.head_object(Bucket="wire-versions", Key="a", VersionId=marker["VersionId"])
    found = s3.get_object(Bucket="wire-versions", Key="a", VersionId=first)
    assert found["Body"].read() == b"1"
    listed = s3.list_object_versions(Bucket="wire-versions")
    assert (len(listed["Versions"]), len(listed["DeleteMarkers"])) == (2, 1)
    with refusal("BucketNotEmpty", 409):
        s3.delete_bucket(Bucket="wire-versions")


def test_virtual_host_style_reaches_the_bucket(cloud: RunningCloud, s3: Any) -> None:
    """Names below `localhost` are loopback (RFC 6761); the host, signed, carries the bucket."""
    request = AWSRequest("PUT", f"http://{BUCKET}.localhost:{cloud.port}/a%20b/c.txt", data=b"woof")
    keys = cloud.credentials["root"]
    credentials = Credentials(keys["AccessKeyId"], keys["SecretAccessKey"])
    S3SigV4Auth(credentials, "s3", "us-east-1").add_auth(request)
    headers = {"host": f"{BUCKET}.localhost:{cloud.port}", **dict(request.headers.items())}
    with closing(HTTPConnection("127.0.0.1", cloud.port, timeout=30)) as connection:
        connection.request("PUT", "/a%20b/c.txt", b"woof", headers)
        assert connection.getresponse().status == 200
    assert s3.get_object(Bucket=BUCKET, Key="a b/c.txt")["Body"].read() == b"woof"
